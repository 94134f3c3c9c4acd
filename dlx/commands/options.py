"""The options that commands share, and Launch, in which those of a training travel together."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from dlx.commands import completion

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Launch:
    """How a command starts: what it computes on, where its runs are, how long it may take, and how it reports.

    devices: how many train together, or all. on: the place to train at, if that is not here; hosts: how many of its
    nodes train together. deadline: the moment of time.monotonic() at which to stop politely; json: standard output
    holds JSON alone.
    """

    backend: str = "auto"
    device: str = "auto"
    runs_dir: str | None = None
    devices: str = "auto"
    deadline: float | None = None
    tags: tuple[str, ...] = ()
    json: bool = False
    on: str | None = None
    hosts: int = 1

    @property
    def root(self) -> Path:
        """The runs folder."""
        from dlx.runs import find

        return find.root(self.runs_dir)

    def want(self) -> None:
        """Ask for the backend and the device, of which this machine needs none where another one trains.

        Before a spec's user code loads Keras.
        """
        from dlx.system import backend

        if self.on is None:
            backend.want(self.backend, self.device, devices=self.devices)
        else:
            backend.want(self.backend, "cpu")


def launch_options(*more: str) -> Callable[[F], F]:
    """--backend, --device, --allow-code and --runs-dir, and of `more` json, tags and deadline, as one Launch."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            launch = Launch(**{name: options.pop(name) for name in ("backend", "device", "runs_dir", *more)})
            return function(*arguments, launch=launch, **options)

        command: Any = wrapped
        for option in (runs_dir, _device_options, allow_code, *(_MORE[name] for name in reversed(more))):
            command = option(command)
        return command  # type: ignore[no-any-return]

    return decorate


def file_to_write(name: str, endings: tuple[str, ...]) -> Path:
    """The file of -o; raises DlxError, before any work, where its name has another ending or it is a folder."""
    from dlx.errors import DlxError

    path = Path(name)
    if path.suffix.lower() not in endings:
        raise DlxError(f"-o {name}: expected a file that ends in {' or '.join(endings)}")
    if path.is_dir():
        raise DlxError(f"-o {name}: is a folder, expected a file")
    return path


PICTURES = (".png", ".svg", ".pdf")


def runs_dir(function: F) -> F:
    """The option that every command that touches runs has."""
    return click.option(
        "--runs-dir", metavar="DIR", help="The folder that runs live in (environment DLX_RUNS).  [default: runs]"
    )(function)


def overrides(function: F) -> F:
    """-s address=value, any number of times."""
    return click.option(
        "-s", "--set", "settings", multiple=True, metavar="K=V", shell_complete=completion.settings,
        help="Override a setting by its address: -s lr=0.1 -s layers.dropout.rate=0.3",
    )(function)  # fmt: skip


def allow_code(function: F) -> F:
    """--allow-code: the Python files of a spec's `imports` may run."""

    def allow(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value:
            os.environ["DLX_ALLOW_CODE"] = "1"

    return click.option(
        "--allow-code", is_flag=True, expose_value=False, is_eager=True, callback=allow,
        help="Let the Python files that a spec imports run.",
    )(function)  # fmt: skip


def _json(function: F) -> F:
    return click.option("--json", "json", is_flag=True, help="One JSON object a line on standard output for each run.")(
        function
    )


def _tags(function: F) -> F:
    def decoded(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
        from dlx.system.files import as_utf8

        return tuple(map(as_utf8, value))

    return click.option(
        "--tag", "tags", multiple=True, metavar="TAG", callback=decoded, help="Add a tag; any number of times."
    )(function)


def _max_time(function: F) -> F:
    """--max-time: stop politely before something else stops it otherwise."""
    return click.option(
        "--max-time", "deadline", metavar="TIME", callback=_deadline,
        help="Stop TIME after the start (90, 45m, 2h, 1h30m), keep a checkpoint, exit with 75; dlx resume continues.",
    )(function)  # fmt: skip


def _several(function: F) -> F:
    """--devices: how many of them train together."""
    return click.option(
        "--devices", default="auto", metavar="N|all", callback=_devices,
        help="Divide each batch among N devices, on JAX; the figures are those of one, within rounding.",
    )(function)  # fmt: skip


def _devices(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"auto|all|[1-9]\d{0,4}", value):
        raise click.BadParameter(f"expected a number of devices or all, got {value!r}")
    return value


def _on(function: F) -> F:
    """--on: where to train."""
    return click.option(
        "--on", metavar="PLACE",
        help="Train elsewhere: ssh://HOST, slurm, ray, or a name of dlx.places.yaml; the run lies here all the same.",
    )(function)  # fmt: skip


def _hosts(function: F) -> F:
    """--hosts: how many nodes train together."""
    return click.option(
        "--hosts", type=click.IntRange(1, 1000), default=1, metavar="N",
        help="With --on ray: N nodes train one training together, on JAX, each with as many devices as --devices says.",
    )(function)  # fmt: skip


_MORE: dict[str, Callable[[Any], Any]] = {
    "json": _json, "tags": _tags, "devices": _several, "on": _on, "hosts": _hosts, "deadline": _max_time,
}  # fmt: skip


def _seconds(value: str | None) -> float | None:
    if value is None:
        return None
    text = value.replace(" ", "")
    if re.fullmatch(r"\d+", text):
        return float(text)
    match = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+)s)?", text)
    if match is None or not any(match.groups()):
        raise click.BadParameter(f"expected a time such as 90, 45m, 2h or 1h30m, got {value!r}")
    return sum(int(digits or 0) * size for digits, size in zip(match.groups(), (86400, 3600, 60, 1), strict=True))


def _deadline(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """The moment at which the time is over, counted from the reading of the command line."""
    from dlx.system import signals

    return signals.deadline(_seconds(value))


def _device_options(function: F) -> F:
    """The backend and the device of the process; no part of a spec."""
    function = click.option(
        "--device", default="auto", metavar="auto|cpu|gpu|gpu:N", callback=_device, help="What to compute on."
    )(function)
    return click.option(
        "--backend", type=click.Choice(["auto", "tensorflow", "jax"]), default="auto", help="What Keras runs on."
    )(function)


def _device(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"auto|cpu|gpu(:\d+)?", value):
        raise click.BadParameter(f"expected auto, cpu, gpu or gpu:N, got {value!r}")
    return value
