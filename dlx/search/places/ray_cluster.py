"""A cluster of Ray as a place: Ray finds a node for each worker, and brings data, rows and checkpoints.

A job is an actor of Ray, see `courier`; of a training on several nodes one on each.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import signal
import tarfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, LostError, PlaceError, first_line
from dlx.parts.places import Place
from dlx.runs.run import Run
from dlx.search.places import parcel, spool
from dlx.search.places.courier import Courier, Heard, member
from dlx.search.places.host import STAYS, Line, Note
from dlx.search.places.mirror import Stamp, files_of, written
from dlx.system.terminal import doing

NAMESPACE = "dlx"
PIECE = 64 * 2**20  # bytes of an object in Ray's store
PAUSE = 0.5  # seconds between two looks of a follower
SECONDS = 600.0  # for an answer of an actor: it may bring much data
AGAIN = 5.0  # seconds before a cluster that does not answer is asked again
FULL = 60.0  # seconds that a cluster has no room after it had none for a worker
GRACE = 10.0  # seconds that the first of several processes has to say what ended another one
_joined: list[str] = []  # the address of the cluster of this process


def _ray() -> Any:
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # else a call without a cluster begins one
    return importlib.import_module("ray")


class GoneError(LostError):
    """An actor has ended, as a rule with its node: nothing of it trains any more."""


class RayLine(Line):
    """The line to a courier; a node that dies ends it, a cluster that does not answer for a while does not."""

    def __init__(self, cluster: Cluster, job: str, note: Note, offset: int = 0) -> None:
        super().__init__(job, note, offset)
        self._cluster, self._known = cluster, dict[str, Stamp]()
        threading.Thread(target=self._hear, daemon=True).start()

    def deliver(self, order: Mapping[str, Any] | int) -> None:
        if isinstance(order, int):
            self._cluster.ask(self.job, "signal", order)
        else:
            self._cluster.tell(self.job, order)

    def _hear(self) -> None:
        silent = 0
        try:
            while not self.closed.is_set():
                try:
                    if self._followed():
                        return
                    silent = 0
                except GoneError:
                    self.lost = True
                    if not self.closed.is_set():
                        self.note("a node of the cluster is gone; what trained there goes on elsewhere")
                    return
                except (LostError, PlaceError) as error:
                    silent += 1
                    if silent == 2:  # the first time it may be a node that is just lost
                        self.note(f"{self._cluster.name} does not answer ({first_line(error)}); asked again")
                    time.sleep(AGAIN)
        finally:
            self.over()

    def _followed(self) -> bool:
        """Hear and copy what is new; whether the worker has ended, and all it said is heard."""
        raw, lives, contents = self._cluster.hear(self.job, self.offset, self.name, self._known)
        whole = self._keep(contents)
        for line in raw.splitlines():
            if (message := spool.read(line)) is not None:
                self.heard(message)
            self.offset += len(line) + 1
        if not lives and not raw:
            self.whole = whole
            return True
        if not raw:
            time.sleep(PAUSE)
        return False

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

    def __init__(self, place: Place, wanted: Mapping[str, Any] | None) -> None:
        self._wanted = wanted  # how this object has joined it, and leaves it
        self.place, self.name, self.lasts = place, place.name, place.host != "local"
        self._couriers: dict[str, Any] = {}
        self._put: dict[Path, list[Any]] = {}
        self._full = 0.0  # until then, of time.monotonic()
        self._dead: dict[str, float] = {}  # since when the process of an actor is
        self._joining = threading.Lock()

    def ask(self, job: str, what: str, *arguments: Any) -> Any:
        """What a courier answers. Raises GoneError where it is gone, LostError where nobody knows."""
        ray = _ray()
        self._join_again()
        try:
            courier = self._couriers.get(job) or _actor(job)
            self._couriers[job] = courier
            return ray.get(getattr(courier, what).remote(*arguments), timeout=SECONDS)
        except ray.exceptions.RayTaskError as error:
            raise PlaceError(f"{what} failed there: {error.cause}", where=self.name) from error
        except ray.exceptions.ActorDiedError as error:
            raise GoneError(str(error)) from error
        except LostError:
            raise
        except Exception as error:  # of a client that is cut off many kinds
            raise LostError(str(error)) from error

    def _join_again(self) -> None:
        """Join a cluster again from which this process was cut off. Raises LostError."""
        ray = _ray()
        with self._joining:
            if ray.is_initialized() or self._wanted is None:
                return
            self._couriers.clear()
            self._put.clear()
            with contextlib.suppress(Exception):  # what is left of the connection that was lost
                ray.shutdown()
            try:
                _enter(self._wanted)
            except Exception as error:
                raise LostError(first_line(error)) from error

    def prepare(self) -> None:
        """dlx has come with the connection."""

    def room(self) -> int:
        ray = _ray()
        if time.monotonic() < self._full or not ray.is_initialized():
            return 0
        try:
            free, nodes = ray.available_resources(), [node["Resources"] for node in ray.nodes() if node["Alive"]]
        except (ray.exceptions.RayError, RuntimeError, OSError):
            return 0
        fit = sum(self._fitting(node) for node in nodes) - len(self._couriers)  # a worker is on one node
        return max(min(self._fitting(free), fit), 0)

    def _resources(self) -> dict[str, float]:
        """What each worker needs."""
        return {name: number for name, number in (("CPU", self.place.cpus), ("GPU", self.place.gpus)) if number}

    def _fitting(self, free: Mapping[str, float]) -> int:
        """How many workers something has room for."""
        return int(min(free.get(name, 0.0) // number for name, number in self._resources().items()))

    def create(self, job: str, wait: Callable[[], bool]) -> None:
        ray = _ray()
        allowed = {"DLX_ALLOW_CODE": "1"} if os.environ.get("DLX_ALLOW_CODE") else {}
        asked: dict[str, Any] = {"num_cpus": self.place.cpus, "num_gpus": self.place.gpus}
        asked |= {"max_concurrency": 4, "max_restarts": 0, "namespace": NAMESPACE, "lifetime": "detached"}
        members = self._members(job)
        self._join_again()
        try:
            with self._waiting():
                if len(members) > 1:
                    asked["scheduling_strategy"] = self._together(job, len(members), wait)
                for rank, name in enumerate(members):
                    actor: Any = ray.remote(Courier).options(**asked, name=name)
                    self._couriers[name] = actor.remote(self.place.folder, job, {**allowed, **self.place.env}, rank)
                _got([self._couriers[name].runs.remote() for name in members], wait)
        except BaseException as error:
            self._given_up(job)
            if isinstance(error, ray.exceptions.GetTimeoutError):
                self._full = time.monotonic() + FULL
                raise LostError("no node has room for it") from error
            if isinstance(error, ray.exceptions.RayActorError) and "creation task" not in str(error):
                raise LostError("its node is gone") from error
            cannot = (ray.exceptions.RayTaskError, ray.exceptions.RayActorError, ray.exceptions.RuntimeEnvSetupError)
            if isinstance(error, cannot):
                raise PlaceError(f"no worker begins there: {first_line(error)}", where=self.name) from error
            if isinstance(error, DlxError) or not isinstance(error, Exception):
                raise
            raise LostError(first_line(error)) from error

    def _together(self, job: str, count: int, wait: Callable[[], bool]) -> Any:
        """Room for all processes of a training at once, on as many nodes as can be: none waits for another's."""
        ray = _ray()
        group = ray.util.placement_group([self._resources()] * count, "SPREAD", name=job, lifetime="detached")
        _got(group.ready(), wait)
        strategies = importlib.import_module("ray.util.scheduling_strategies")
        return strategies.PlacementGroupSchedulingStrategy(group)

    def _given_up(self, job: str) -> None:
        """Give back what a job holds."""
        ray = _ray()
        for name in self._members(job):
            if (courier := self._couriers.pop(name, None)) is not None:
                with contextlib.suppress(Exception):  # it, or the way to it, is gone
                    ray.kill(courier)
        if self.place.hosts > 1:
            with contextlib.suppress(Exception):
                ray.util.remove_placement_group(ray.util.get_placement_group(job))

    def _waiting(self) -> contextlib.AbstractContextManager[Any]:
        """What is said while a job waits for a node."""
        if self._couriers or self.room():
            return contextlib.nullcontext()
        most = {name: max(node["Resources"].get(name, 0.0) for node in _ray().nodes()) for name in ("CPU", "GPU")}
        wanted = f"{self.place.cpus:g} CPUs" + f" and {self.place.gpus:g} GPUs" * bool(self.place.gpus)
        has = f"{most['CPU']:g} CPUs" + f", {most['GPU']:g} GPUs" * bool(self.place.gpus)
        return doing(f"waiting for a node with {wanted} free; one has at most {has}")

    def _members(self, job: str) -> list[str]:
        """The names of a job's actors, that of the first process first."""
        return [member(job, rank) for rank in range(self.place.hosts)]

    def hear(self, job: str, offset: int, name: str, known: Mapping[str, Stamp]) -> Heard:
        """What a courier hears; of several processes the first is ended where another one has died."""
        heard: Heard = self.ask(job, "hear", offset, name, known)
        for other in self._members(job)[1:] if heard[1] else []:
            if self.ask(other, "state") != "dead":
                continue
            if time.monotonic() - self._dead.setdefault(other, time.monotonic()) > GRACE:
                self.ask(job, "signal", signal.SIGKILL)
        return heard

    def runs(self, job: str) -> str:
        return str(self.ask(job, "runs"))

    def there(self, job: str) -> bool:
        """Whether a job is known; of several processes, whether all still train or the first has ended.

        Raises LostError where nobody knows.
        """
        try:
            states = [self.ask(name, "state") for name in self._members(job)]
        except GoneError:
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
        words = ""
        for name in self._members(job):  # of several, one that ended by itself
            with contextlib.suppress(LostError, PlaceError):
                if name == job or name in self._dead:
                    words = str(self.ask(name, "last_words")) or words
        return words

    def remove(self, job: str) -> None:
        for name in self._members(job):
            with contextlib.suppress(LostError, PlaceError):
                self.ask(name, "remove")
        self._given_up(job)

    def close(self) -> None:
        begun, self._wanted = self._wanted is not None, None  # a thread that still hears does not join again
        if begun:
            _ray().shutdown()


def _actor(job: str) -> Any:
    """The actor of a name. Raises GoneError."""
    try:
        return _ray().get_actor(job, namespace=NAMESPACE)
    except ValueError as error:  # there is none
        raise GoneError(str(error)) from error


def join(place: Place) -> Cluster:
    """A cluster, joined or begun. Raises PlaceError where Ray is not installed, or no cluster answers."""
    try:
        ray = _ray()
    except ModuleNotFoundError as error:
        raise PlaceError("Ray is not installed", hint="pip install 'dlx-runner[ray]'") from error
    if ray.is_initialized():
        if _joined and _joined[-1] != place.host:
            message = f"this command has joined another cluster, {_joined[-1]}"
            raise PlaceError(message, where=place.host, hint="dlx resume RUN brings a run from there first")
        return Cluster(place, None)
    wanted: dict[str, Any] = {"address": place.host, "namespace": NAMESPACE}
    wanted |= {"runtime_env": {"py_modules": [str(parcel.PACKAGE)], "excludes": ["__pycache__"]}}
    wanted |= {"log_to_driver": False, "logging_level": logging.ERROR}
    wanted |= {"include_dashboard": False} if place.host == "local" else {}
    try:
        with doing("joining the cluster"):
            _enter(wanted)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        hint = "ray start --head begins one on this machine; ray://HOST:PORT names another; one that asks for "
        hint += "a token wants RAY_AUTH_MODE=token, and the token in RAY_AUTH_TOKEN or ~/.ray/auth_token"
        raise PlaceError(f"no cluster answers ({first_line(error)})", where=place.host, hint=hint) from error
    _joined.append(place.host)
    return Cluster(place, wanted)


def _got(reference: Any, wait: Callable[[], bool]) -> None:
    """Wait for what Ray has begun, as long as `wait` says so. Raises GetTimeoutError."""
    ray = _ray()
    while True:
        try:
            ray.get(reference, timeout=1.0)
            return
        except ray.exceptions.GetTimeoutError:
            if not wait():
                raise


def _enter(wanted: Mapping[str, Any]) -> None:
    """Join or begin a cluster; what Ray notices of its nodes it may not write to the standard output, which is ours."""
    _ray().init(**wanted)
    with contextlib.suppress(ImportError):
        worker: Any = importlib.import_module("ray._private.worker")
        worker.print_to_stdstream = lambda *_, **__: None
