"""A cluster of Ray as a place: Ray finds a node for each worker, and brings data, rows and checkpoints.

A job is an actor of Ray, which does on its node what `site` does by commands: the worker itself is a process beside it,
and talks by a spool on the node's disk. So nothing of a training runs in Ray's own processes.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.errors import LostError, PlaceError, first_line
from dlx.parts.places import Place
from dlx.runs.run import Run
from dlx.search.places import parcel, spool
from dlx.search.places.host import STAYS, Line, Note
from dlx.search.places.mirror import Stamp, changed, files_of, written
from dlx.system import files
from dlx.system.terminal import doing

NAMESPACE = "dlx"
PIECE = 64 * 2**20  # bytes of an object in Ray's store
PAUSE = 0.5  # seconds between two looks of a follower
SECONDS = 600.0  # for an answer of an actor: it may wait for a node, or bring much data
Heard = tuple[bytes, bool, dict[str, tuple[Stamp, bytes]]]


def _ray() -> Any:
    return importlib.import_module("ray")


def member(job: str, rank: int) -> str:
    """The name of the actor of one of a job's processes."""
    return f"{job}.{rank}" if rank else job


class Courier:
    """The actor of a job: what is asked of it happens on its node.

    folder: of the place, there. rank: of a training on several nodes, the number of this one, from 0.
    """

    def __init__(self, folder: str, job: str, env: Mapping[str, str], rank: int = 0) -> None:
        self._folder = Path(os.path.expandvars(folder)).expanduser().resolve()
        self._job, self._env = job, dict(env)
        self._spool = self._folder / "jobs" / member(job, rank)
        files.make_private(self._spool / "runs")
        (self._spool / spool.IN).touch()
        self._process: subprocess.Popen[bytes] | None = None

    def runs(self) -> str:
        return str(self._spool / "runs")

    def missing(self, targets: Sequence[str]) -> list[str]:
        """Which of some paths below the folder are not there."""
        return [target for target in targets if not (self._folder / target).exists()]

    def at(self, target: str) -> str:
        return str(self._folder / target)

    def bring(self, target: str, pieces: Sequence[Any]) -> None:
        """Unpack an archive, whose pieces are in Ray's store, to a path below the folder, whole or not at all."""
        from filelock import FileLock

        ray = _ray()

        place = self._folder / target
        files.make_private(place.parent)
        with FileLock(f"{place}.lock"):  # several workers of a node begin at once
            if place.exists():
                return
            part = place.with_name(f"{place.name}.part-{os.getpid()}")
            raw = io.BytesIO(b"".join(ray.get(piece) for piece in pieces))
            with tarfile.open(fileobj=raw) as archive:
                archive.extractall(part, filter="data")
            os.rename(part / place.name, place)
            part.rmdir()

    def take(self, name: str, contents: Mapping[str, bytes]) -> None:
        """Files of a run that continues here."""
        written(self._spool / "runs" / name, contents)

    def address(self) -> str:
        """Where the first of several processes can meet the others."""
        node = str(_ray().util.get_node_ip_address())
        with socket.socket() as free:
            free.bind((node, 0))
            return f"{node}:{free.getsockname()[1]}"

    def tell(self, message: dict[str, Any], first: str = "") -> None:
        """Tell the worker something; what lies in the folder `first` of another node lies in that of this one, too."""
        text = json.dumps(message)
        if first:
            text = text.replace(f"{first}/jobs/{self._job}/", f"{self._spool}/").replace(
                f"{first}/", f"{self._folder}/"
            )
        spool.tell(self._spool, json.loads(text))

    def start(self) -> None:
        (self._spool / spool.UP).unlink(missing_ok=True)
        path = str(parcel.PACKAGE.parent)
        with (self._spool / spool.LOG).open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dlx.search.places.worker", str(self._spool)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "PYTHONPATH": path, "DLX_DATA": str(self._folder / "data"), **self._env},
            )  # fmt: skip

    def _lives(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def state(self) -> str:
        """lives, ended or dead"""
        if self._lives():
            return "lives"
        return "ended" if spool.ended(self._spool) else "dead"

    def hear(self, offset: int, name: str, known: Mapping[str, Stamp]) -> Heard:
        """(what the worker has said from a byte on, whether it lives, the files of a run that changed since `known`)"""
        lives = self._lives()
        said = b""
        if (out := self._spool / spool.OUT).is_file():
            with out.open("rb") as stream:
                stream.seek(offset)
                said = stream.read()
        whole = said[: said.rfind(b"\n") + 1]
        return whole, lives, changed(self._spool / "runs" / name, known) if name else {}

    def signal(self, number: int) -> None:
        if self._process is not None and self._lives():
            self._process.send_signal(number)

    def last_words(self) -> str:
        log = self._spool / spool.LOG
        return " ".join(log.read_text(errors="replace").split())[-300:] if log.is_file() else ""

    def remove(self) -> None:
        self.signal(signal.SIGKILL)
        shutil.rmtree(self._spool, ignore_errors=True)


class RayLine(Line):
    """The line to a courier; a node that dies ends it."""

    def __init__(self, cluster: Cluster, job: str, note: Note, offset: int = 0) -> None:
        super().__init__(job, note, offset)
        self._cluster, self._known = cluster, dict[str, Stamp]()
        threading.Thread(target=self._hear, daemon=True).start()

    def say(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(LostError, PlaceError):  # it is noticed when it is next heard
            self._cluster.tell(self.job, message)

    def signal(self, number: int) -> None:
        with contextlib.suppress(LostError, PlaceError):
            self._cluster.ask(self.job, "signal", number)

    def _hear(self) -> None:
        try:
            while not self.closed.is_set():
                raw, lives, contents = self._cluster.hear(self.job, self.offset, self.name, self._known)
                whole = self._keep(contents)
                for line in raw.splitlines():
                    if (message := spool.read(line)) is not None:
                        self.heard(message)
                    self.offset += len(line) + 1
                if not lives and not raw:
                    self.whole = whole
                    return
                if not raw:
                    time.sleep(PAUSE)
        except LostError:
            self.lost = True
            if not self.closed.is_set():
                self.note("a node of the cluster is gone; what trained there goes on elsewhere")
        finally:
            self.over()

    def copy(self) -> bool:
        if self.run is None or self.closed.is_set():
            return True
        _, _, contents = self._cluster.hear(self.job, self.offset, self.name, self._known)
        return self._keep(contents)

    def _keep(self, contents: Mapping[str, tuple[Stamp, bytes]]) -> bool:
        run = self.run
        try:
            if run is not None:
                written(run.path, {name: data for name, (_, data) in contents.items()})
        except (OSError, ValueError):  # a full disk: asked for again
            return False
        self._known.update({name: stamp for name, (stamp, _) in contents.items()})
        return True


class Cluster:
    """A cluster that this process is a client of, see `host.Host`."""

    def __init__(self, place: Place, begun: bool) -> None:
        self._begun = begun  # by this object, which ends it
        self.place, self.name, self.lasts = place, place.name, place.host != "local"
        self._couriers: dict[str, Any] = {}
        self._put: dict[Path, list[Any]] = {}

    def ask(self, job: str, what: str, *arguments: Any) -> Any:
        """What a courier answers. Raises LostError where it, its node or the cluster is gone."""
        ray = _ray()
        try:
            courier = self._couriers.get(job) or ray.get_actor(job, namespace=NAMESPACE)
            self._couriers[job] = courier
            return ray.get(getattr(courier, what).remote(*arguments), timeout=SECONDS)
        except ray.exceptions.RayTaskError as error:
            raise PlaceError(f"{what} failed there: {error.cause}", where=self.name) from error
        except (ray.exceptions.RayError, ValueError, ConnectionError) as error:  # ValueError: no actor of that name
            raise LostError(str(error)) from error

    def prepare(self) -> None:
        """dlx has come with the connection."""

    def room(self) -> int:
        free = _ray().available_resources()
        wanted = {"CPU": self.place.cpus, "GPU": self.place.gpus}
        return int(min(free.get(name, 0.0) // number for name, number in wanted.items() if number))

    def create(self, job: str, seconds: float | None = None) -> None:
        ray = _ray()
        allowed = {"DLX_ALLOW_CODE": "1"} if os.environ.get("DLX_ALLOW_CODE") else {}
        asked: dict[str, Any] = {"num_cpus": self.place.cpus, "num_gpus": self.place.gpus}
        asked |= {"max_concurrency": 4, "max_restarts": 0, "namespace": NAMESPACE, "lifetime": "detached"}
        asked |= {"scheduling_strategy": "SPREAD"} if self.place.hosts > 1 else {}
        members = self._members(job)
        for rank, name in enumerate(members):
            actor: Any = ray.remote(Courier).options(**asked, name=name)
            self._couriers[name] = actor.remote(self.place.folder, job, {**allowed, **self.place.env}, rank)
        try:
            with self._waiting(seconds):
                ray.get([self._couriers[name].runs.remote() for name in members], timeout=seconds)
        except BaseException as error:
            for name in members:
                ray.kill(self._couriers.pop(name))
            if isinstance(error, ray.exceptions.GetTimeoutError):
                raise LostError("no node has room for it") from error
            if isinstance(error, ray.exceptions.RayActorError) and "creation task" not in str(error):
                raise LostError("its node is gone") from error
            if isinstance(error, ray.exceptions.RayError):
                raise PlaceError(f"no worker begins there: {first_line(error)}", where=self.name) from error
            raise

    def _waiting(self, seconds: float | None) -> contextlib.AbstractContextManager[Any]:
        """What is said while a job waits for a node."""
        if seconds is not None or self.room():
            return contextlib.nullcontext()
        most = {name: max(node["Resources"].get(name, 0.0) for node in _ray().nodes()) for name in ("CPU", "GPU")}
        wanted = f"{self.place.cpus:g} CPUs" + f" and {self.place.gpus:g} GPUs" * bool(self.place.gpus)
        has = f"{most['CPU']:g} CPUs" + f", {most['GPU']:g} GPUs" * bool(self.place.gpus)
        return doing(f"waiting for a node with {wanted} free; one has at most {has}")

    def _members(self, job: str) -> list[str]:
        """The names of a job's actors, that of the first process first."""
        return [member(job, rank) for rank in range(self.place.hosts)]

    def hear(self, job: str, offset: int, name: str, known: Mapping[str, Stamp]) -> Heard:
        """What a courier hears; of several processes all are lost where one of the others is, and the first lives."""
        heard: Heard = self.ask(job, "hear", offset, name, known)
        for other in self._members(job)[1:] if heard[1] else []:
            if self.ask(other, "state") == "dead":
                raise LostError(f"{other} is gone")
        return heard

    def runs(self, job: str) -> str:
        return str(self.ask(job, "runs"))

    def there(self, job: str) -> bool:
        """Whether a job is known; of several processes, whether all still train or the first has ended."""
        try:
            states = [self.ask(name, "state") for name in self._members(job)]
        except LostError:
            states = []
        whole = bool(states) and (len(states) == 1 or states[0] == "ended" or "dead" not in states)
        if not whole and self.place.hosts > 1:
            self.remove(job)
        return whole

    def send(self, goods: Sequence[parcel.Goods], job: str) -> dict[str, str]:
        found = {one.said: self.place.data[one.said] for one in goods if one.said in self.place.data}
        left = {f"{one.below}/{one.name}": one for one in goods if one.said not in found}
        members = self._members(job)
        missing = {name: self.ask(name, "missing", list(left)) if left else [] for name in members}
        for target, one in left.items():
            if one.said:
                found[one.said] = self.ask(job, "at", target)
            for name in members:
                if target in missing[name]:
                    self.ask(name, "bring", target, self._stored(one.path))
        return found

    def _stored(self, path: Path) -> list[Any]:
        """A file or folder as pieces of an archive in Ray's store, put there once."""
        ray = _ray()
        if path not in self._put:
            raw = io.BytesIO()
            with tarfile.open(fileobj=raw, mode="w") as archive:
                archive.add(path, path.name)
            data = raw.getbuffer()
            self._put[path] = [ray.put(bytes(data[at : at + PIECE])) for at in range(0, len(data), PIECE)]
        return self._put[path]

    def tell(self, job: str, message: Mapping[str, Any]) -> None:
        members = self._members(job) if "end" not in message else [job]  # the others end with the first
        if len(members) == 1:
            self.ask(job, "tell", dict(message))
            return
        address = self.ask(job, "address") if "root" in message else ""
        folder = str(self.ask(job, "at", "")).rstrip("/")
        for rank, name in enumerate(members):
            of = {"hosts": [address, len(members), rank]} if address else {}
            self.ask(name, "tell", {**message, **of}, folder)

    def push(self, job: str, run: Run) -> None:
        contents = files_of(run.path, STAYS)
        for name in self._members(job):
            self.ask(name, "take", run.name, contents)

    def start(self, job: str) -> None:
        for name in self._members(job):
            self.ask(name, "start")

    def line(self, job: str, note: Note, offset: int = 0) -> Line:
        return RayLine(self, job, note, offset)

    def last_words(self, job: str) -> str:
        with contextlib.suppress(LostError, PlaceError):
            return str(self.ask(job, "last_words"))
        return ""

    def remove(self, job: str) -> None:
        for name in self._members(job):
            with contextlib.suppress(LostError, PlaceError):
                self.ask(name, "remove")
                _ray().kill(self._couriers.pop(name))

    def close(self) -> None:
        if self._begun:
            _ray().shutdown()


def join(place: Place) -> Cluster:
    """A cluster, joined or begun. Raises PlaceError where Ray is not installed, or no cluster answers."""
    try:
        ray = _ray()
    except ModuleNotFoundError as error:
        raise PlaceError("Ray is not installed", hint="pip install 'dlx[ray]'") from error
    begun = not ray.is_initialized()
    if begun:
        wanted: dict[str, Any] = {"address": place.host, "namespace": NAMESPACE}
        wanted |= {"runtime_env": {"py_modules": [str(parcel.PACKAGE)], "excludes": ["__pycache__"]}}
        wanted |= {"log_to_driver": False, "logging_level": logging.ERROR}
        wanted |= {"include_dashboard": False} if place.host == "local" else {}
        try:
            with doing("joining the cluster"):
                ray.init(**wanted)
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            hint = "ray start --head begins one on this machine; ray://HOST:PORT names another; one that asks for "
            hint += "a token wants RAY_AUTH_MODE=token, and the token in RAY_AUTH_TOKEN or ~/.ray/auth_token"
            raise PlaceError(f"no cluster answers ({first_line(error)})", where=place.host, hint=hint) from error
    return Cluster(place, begun)
