"""What a job is in a cluster of Ray: an actor, which does on its node what `site` does by commands.

The worker itself is a process beside it, and talks by a spool on the node's disk: nothing of a training runs in Ray's
own processes.
"""

from __future__ import annotations

import importlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.search.places import parcel, spool
from dlx.search.places.mirror import Stamp, changed, written
from dlx.system import files, locks

Heard = tuple[bytes, bool, dict[str, tuple[Stamp, bytes]]]


def _ray() -> Any:
    return importlib.import_module("ray")


def member(job: str, rank: int) -> str:
    """The name of the actor of one of a job's processes."""
    return f"{job}.{rank}" if rank else job


def moved(value: Any, places: Mapping[str, str]) -> Any:
    """A value of JSON, in which what lies below a folder lies below another one; of two that fit the longer counts."""
    if isinstance(value, dict):
        return {moved(key, places): moved(inner, places) for key, inner in value.items()}
    if isinstance(value, list):
        return [moved(inner, places) for inner in value]
    if isinstance(value, str):
        for there in sorted(places, key=len, reverse=True):
            if f"{value}/".startswith(f"{there}/"):
                return places[there] + value[len(there) :]
    return value


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
        ray = _ray()

        place = self._folder / target
        files.make_private(place.parent)
        with locks.file_lock(Path(f"{place}.lock")):  # several workers of a node begin at once
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
        places = {f"{first}/jobs/{self._job}": str(self._spool), first: str(self._folder)} if first else {}
        spool.tell(self._spool, moved(message, places))

    def start(self) -> None:
        """Begin the worker, unless it lives; it ends with this actor, whose end closes its standard input."""
        if self._lives():
            return
        (self._spool / spool.UP).unlink(missing_ok=True)
        path = str(parcel.PACKAGE.parent)
        with (self._spool / spool.LOG).open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dlx.search.places.worker", str(self._spool), "--tied"],
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
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
