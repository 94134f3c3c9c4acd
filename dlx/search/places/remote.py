"""Workers at a place that is reached by commands. What they train lies here as ordinary runs, copied while it grows."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from dlx.errors import DlxError, PlaceError
from dlx.parts.places import Place
from dlx.runs.run import AWAY, Run
from dlx.search.places import parcel
from dlx.search.places.shell import LostError
from dlx.search.places.site import Site, connect
from dlx.search.places.spool import IN
from dlx.search.places.workers import Worker, Workers, message
from dlx.search.study import Study, Task
from dlx.search.sweep import Result
from dlx.spec.sections import Spec, resolved
from dlx.training import checkpoints
from dlx.training.resume import unfinished

OURS = ("lock", AWAY, "note.txt", "model.onnx")  # what a copy leaves alone
SECONDS = 3.0  # between two copies while nothing is heard
MOST_WAIT = 30.0  # seconds between two tries to connect again


class Remote:
    """The line to the worker of a spool elsewhere. A thread hears it, copies its run, and survives lost connections.

    run: the run here; note: hears what a person should know.
    """

    def __init__(self, site: Site, folder: str, note: Callable[[str], None], offset: int = 0) -> None:
        self.site, self.folder = site, folder
        self.run: Run | None = None
        self.name = ""  # of the run there
        self.offset = offset  # of what was heard
        self._note, self._lost, self._closed = note, False, threading.Event()
        self._pipe, self._sink = os.pipe()
        self._rest, self._copied, self.gone = b"", 0.0, threading.Event()
        self._orders: queue.Queue[Mapping[str, Any] | int] = queue.Queue()
        for work in (self._hear, self._send):
            threading.Thread(target=work, daemon=True).start()

    # What a worker's line can do

    def fileno(self) -> int:
        return self._pipe

    def say(self, message: Mapping[str, Any]) -> None:
        self._orders.put(message)

    def lines(self) -> list[dict[str, Any]] | None:
        raw = os.read(self._pipe, 1 << 20)
        if not raw:
            return None
        *whole, self._rest = (self._rest + raw).split(b"\n")
        return [json.loads(line) for line in whole if line]

    def signal(self, number: int) -> None:
        self._orders.put(number)

    def end(self) -> None:
        self._orders.put({"end": True})

    def wait(self, seconds: float) -> None:
        if not self.gone.wait(max(seconds, 0.1)):
            self.signal(signal.SIGKILL)
            self.gone.wait(5.0)

    def leave(self) -> None:
        """Hear no more of it; it goes on."""
        self._closed.set()

    # The threads

    def _send(self) -> None:
        while True:
            order = self._orders.get()
            while not self._closed.is_set() and not self.gone.is_set():
                try:
                    if isinstance(order, int):
                        self.site.signal(self.folder, order)
                    else:
                        self.site.tell(self.folder, order)
                    break
                except PlaceError:  # a signal to a worker that is gone
                    break
                except LostError:
                    time.sleep(2.0)

    def _hear(self) -> None:
        tries = 0
        try:
            while not self._closed.is_set() and (ended := self._followed()) != "gone":
                if ended == "waits":
                    time.sleep(5.0)
                    continue
                tries = 0 if not self._lost else tries + 1
                if self._closed.is_set():
                    break
                if not self._lost:
                    self._note(f"the connection to {self.site.name} is lost; the training goes on there")
                self._lost = True
                time.sleep(min(2.0**tries, MOST_WAIT))
        finally:
            self.gone.set()
            with contextlib.suppress(OSError):
                os.close(self._sink)

    def _followed(self) -> Literal["gone", "waits", "lost"]:
        """Follow until the worker is gone, or the connection is lost; "waits": the worker is still in a queue."""
        process = self.site.shell.stream(self.site.follower(self.folder, self.offset))
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if self._closed.is_set():
                    return "gone"
                if self._lost:
                    self._lost = False
                    self._note(f"connected to {self.site.name} again")
                if line.startswith(b"+"):
                    self._one(json.loads(line[1:]))
                    self.offset += len(line) - 1
                elif line.startswith(b"!"):
                    if self.site.waits(self.folder):
                        return "waits"
                    self.copy()
                    return "gone"
                elif time.monotonic() - self._copied > SECONDS:
                    self.copy()
            return "lost"
        except LostError:
            return "lost"
        finally:
            process.kill()
            process.wait()

    def _one(self, heard: dict[str, Any]) -> None:
        """Copy what a message is about, then pass it on with the run's path here."""
        self.copy()
        if heard.get("run") and self.run is not None:
            heard["run"] = str(self.run.path)
        if heard["event"] == "ended" and Path(heard.get("run") or self.name).name == self.name:
            self.run = None  # whoever hears this may remove what is there
        os.write(self._sink, json.dumps(heard).encode() + b"\n")

    def copy(self) -> None:
        """Bring what there is of the run here, first all else, then metrics.json, which says that all is there.

        Nothing is removed here because it is missing there, but checkpoints that newer ones have replaced.
        """
        if self.run is None or self._closed.is_set():
            return
        there = f"{self.folder}/runs/{self.name}"
        but = [f"--exclude=/{name}" for name in (*OURS, "metrics.json")]
        with contextlib.suppress(PlaceError):  # it has not begun
            self.site.shell.pull(there, self.run.path, "--exclude=*.tmp*", *but)
            self.site.shell.pull(there, self.run.path, "--include=/metrics.json", "--exclude=*")
            kept = 1 if (self.run.path / "metrics.json").is_file() else checkpoints.KEPT
            checkpoints.prune(self.run.checkpoints, kept)
        self._copied = time.monotonic()


def new_spool(site: Site, name: str, first: list[Mapping[str, Any]]) -> str:
    """A spool at a place, with what its worker is told first."""
    folder = f"{site.folder}/jobs/{time.strftime('%Y%m%d-%H%M%S')}-{name}-{uuid.uuid4().hex[:6]}"
    site.shell.run(["mkdir", "-p", f"{folder}/runs"])
    lines = "".join(json.dumps(one) + "\n" for one in first)
    site.shell.run(["sh", "-c", f'umask 077; cat > "$1/{IN}"', "sh", folder], lines)
    return folder


def hello(command: list[str], parent: str | None, launch: Mapping[str, Any], folder: str = "") -> dict[str, Any]:
    """What a worker elsewhere is told first."""
    root = f"{folder}/runs" if folder else "runs"
    return {"root": root, "command": command, "parent": parent, "cores": [], **launch}


def packed(site: Site, spec: Spec, run: Run, fingerprint: str, folder: str) -> dict[str, Any]:
    """What a job says of files: where each path of the spec lies there, also as a run there names it."""
    goods = parcel.goods(spec, fingerprint)
    files = site.send(goods)
    home = run.path.resolve()
    there = Path(f"{folder}/runs/{run.name}")
    files |= {os.path.normpath(there / os.path.relpath(path, home)): target for path, target in files.items()}
    said = resolved(spec)
    if spec.imports:
        said["imports"] = [files[str(path)] for path in spec.imports]
    return {"spec": said, "files": files, "home": str(home), "data": fingerprint}


def mark(run: Run, site: Site, folder: str) -> None:
    """Keep in a run where it trains."""
    (run.path / "failure.json").unlink(missing_ok=True)  # of a stop from which it continues there
    run.write(AWAY, json.dumps({"place": asdict(site.place), "spool": folder}) + "\n")


def where(run: Run) -> tuple[Place, str] | None:
    """(the place, the spool) where a run trains; None for one that trains here."""
    try:
        record = json.loads((run.path / AWAY).read_text(encoding="utf-8"))
        place = dict(record["place"])
        place["options"] = tuple(place["options"])
        return Place(**place), str(record["spool"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def back(run: Run, site: Site, folder: str) -> None:
    """A run lies here whole: nothing of it is left there."""
    (run.path / AWAY).unlink(missing_ok=True)
    with contextlib.suppress(LostError, PlaceError):
        site.shell.run(["rm", "-rf", "--", folder])


def collected(run: Run, note: Callable[[str], None]) -> None:
    """Bring back a run that trains elsewhere: its training is stopped politely, and continues where it is wanted."""
    away = where(run)
    if away is None:
        return
    site = connect(away[0])
    link = Remote(site, away[1], note)
    link.run, link.name = run, run.name
    link.signal(signal.SIGTERM)
    link.gone.wait()
    link.run = run
    link.copy()
    back(run, site, away[1])
    site.shell.close()


class Elsewhere(Workers):
    """Workers at a place: as many as it has jobs."""

    def __init__(
        self, study: Study, site: Site, told: Mapping[str, Any], watch: Callable[[Task, Mapping[str, Any]], None],
        note: Callable[[str], None], deadline: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(study, site.place.jobs, told, watch, deadline)
        self._site, self._note = site, note
        self._away: dict[tuple[int, int], Run] = {}
        self._ready: list[tuple[Task, Result]] = []

    def link(self, number: int) -> Remote:
        folder = new_spool(self._site, f"{self._hello['parent']}-{number}", [])
        link = Remote(self._site, folder, self._note)
        self._site.tell(folder, {**self._hello, "cores": [], "root": f"{folder}/runs"})
        self._site.start(folder)
        return link

    def last_words(self, worker: Worker) -> str:
        with contextlib.suppress(LostError, PlaceError):
            if isinstance(worker.link, Remote):
                return self._site.last_words(worker.link.folder)
        return ""

    def submit(self, task: Task) -> None:
        """Send a training to a worker that has none, with what it needs; what had begun of it continues there."""
        try:
            self._submit(task)
        except DlxError as error:
            self._ready.append((task, Result("failed", error=error)))

    def _submit(self, task: Task) -> None:
        root = Path(self._hello["root"])
        promoted = Run(task.entry.path) if task.promoted and task.entry is not None else None
        before = promoted or unfinished(task.spec, root)
        if before is not None:
            before.take_up(force=True)
            collected(before, self._note)
            if before.status == "done":
                before.release()
                self._ready.append((task, Result("done", before, fresh=False)))
                return
        run = before or Run.create(root, task.spec.name)
        worker = self.free()
        link = worker.link
        assert isinstance(link, Remote)
        worker.task, worker.run = task, run.path
        self._away[task.number, task.repeat] = run
        link.run, link.name = run, run.name
        if before is not None:
            but = [f"--exclude=/{name}" for name in OURS]
            self._site.shell.push(run.path, f"{link.folder}/runs/{run.name}", *but)
        mark(run, self._site, link.folder)
        data = self._study.fingerprint(task.spec) or ""
        link.say({**message(task, self._study), **packed(self._site, task.spec, run, data, link.folder)})

    def ended(self) -> list[tuple[Task, Result]]:
        """The trainings that have ended; their runs are here, and nobody's."""
        found, self._ready = self._ready, []
        for task, result in found or super().ended():
            run = self._away.pop((task.number, task.repeat), None)
            if run is not None:
                run.release()
                (run.path / AWAY).unlink(missing_ok=True)
                if not (run.path / "run.json").is_file():
                    with contextlib.suppress(OSError):
                        (run.path / "lock").unlink(missing_ok=True)
                        run.path.rmdir()
                    result.run = None
            found = [*found, (task, result)] if (task, result) not in found else found
        return found

    def close(self) -> None:
        """End all workers; one in the middle of a training keeps a checkpoint, which is brought here."""
        links = [worker.link for worker in self.workers.values()]
        super().close()
        for link in links:
            if isinstance(link, Remote) and link.gone.is_set():
                with contextlib.suppress(LostError, PlaceError):
                    self._site.shell.run(["rm", "-rf", "--", link.folder])
        for run in self._away.values():
            run.release()
        self._site.shell.close()
