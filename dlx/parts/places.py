"""Where trainings run: the places that `--on` and dlx.places.yaml name. `dlx.search.places` trains there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from dlx.parts.registry import Registry
from dlx.parts.types import Positive

registry = Registry("place", aliases={"sbatch": "slurm", "cluster": "slurm", "remote": "ssh", "host": "ssh"})


@dataclass(frozen=True)
class Place:
    """A place as a person describes it: see the functions below. `kind` is their name.

    host: as `ssh` takes it; empty for this machine. folder: where dlx keeps what it sends. python: the Python that has
    what dlx needs. data: paths here, and where the same lies there. env: variables of the environment. jobs: how many
    trainings at once. options: of a scheduler. word: as `--on` names it. cpus, gpus: what each training has of a
    node. hosts: how many nodes train one together.
    """

    kind: str
    host: str = ""
    folder: str = "~/.dlx"
    python: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 1
    options: tuple[str, ...] = ()
    word: str = ""
    cpus: float = 1.0
    gpus: float = 0.0
    hosts: int = 1

    @property
    def name(self) -> str:
        """What it is called in messages."""
        if self.kind == "ray":
            return "ray" if self.host == "local" else f"ray at {self.host.removeprefix('ray://')}"
        return self.host or self.kind


@registry.register
def ssh(
    host: str,
    folder: str = "~/.dlx",
    python: str | None = None,
    data: dict[str, str] | None = None,
    env: dict[str, str] | None = None,
    jobs: Positive = 1,
) -> Place:
    """A machine that the programs ssh and rsync reach, as your own configuration of ssh says.

    host: what you type after `ssh`: a name of ~/.ssh/config, or user@host. folder: where dlx keeps itself, data and
    jobs there. python: the Python there that has what dlx needs; else folder/env/bin/python, or python3. data: paths
    here that need not be sent, and where the same lies there. env: variables of its environment. jobs: trainings at
    once.
    """
    return Place("ssh", host, folder, python, data or {}, env or {}, jobs)


@registry.register
def slurm(
    partition: str | None = None,
    options: list[str] | None = None,
    host: str = "",
    folder: str = "~/.dlx",
    python: str | None = None,
    data: dict[str, str] | None = None,
    env: dict[str, str] | None = None,
    jobs: Positive = 4,
) -> Place:
    """A cluster with Slurm, of which `folder` is on a disk that all its machines see.

    partition: where its jobs are queued. options: more of sbatch: [--gres=gpu:1, --mem=16G, --time=4:00:00]. host: the
    machine to log in to by ssh, where this one is none of the cluster's. jobs: trainings at once, or in the queue. The
    others are as for ssh.
    """
    more = [*([f"--partition={partition}"] if partition else []), *(options or [])]
    return Place("slurm", host, folder, python, data or {}, env or {}, jobs, tuple(more))


@registry.register
def ray(
    address: str = "local",
    folder: str = "~/.dlx",
    cpus: Annotated[float, Field(gt=0)] = 1.0,
    gpus: Annotated[float, Field(ge=0)] = 0.0,
    data: dict[str, str] | None = None,
    env: dict[str, str] | None = None,
    jobs: Positive = 2,
) -> Place:
    """A cluster of Ray, or one that begins on this machine for as long as the command lasts.

    address: local begins one; auto joins the one that this machine is a node of; host:port one with that address, and
    ray://host:port one by Ray's client. cpus, gpus: what each training has of a node, by which Ray places it. jobs:
    trainings of a sweep at once. folder: where each node keeps data and jobs. The others are as for ssh.
    """
    return Place("ray", address, folder, None, data or {}, env or {}, jobs, cpus=cpus, gpus=gpus)
