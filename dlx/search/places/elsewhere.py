"""Another place as the place of a sweep: as many workers as it has jobs; runs lie here, copied while they grow."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, LostError, PlaceError
from dlx.runs.run import AWAY, Run
from dlx.search.places import named
from dlx.search.places.host import Host, Line, Note, mark, new_job, packed, undone, where
from dlx.search.places.workers import Worker, Workers, message
from dlx.search.study import Study, Task
from dlx.search.sweep import Result
from dlx.system import signals
from dlx.training.resume import unfinished

PAUSE = 2.0  # seconds before a place that was lost is tried again
ROOM = 20.0  # seconds that a further worker waits for its place
ENDS = 10.0  # seconds that a worker without a training has to end


def collected(run: Run, note: Note, known: Host) -> None:
    """Bring back a run that trains elsewhere: its training is stopped politely, and continues where it is wanted.

    known: a place that is connected already. Raises PlaceError where its place cannot be reached, or not all came.
    """
    away = where(run)
    if away is None:
        return
    word, job, hosts = away
    host = known if (known.place.word, hosts) == (word, 1) else named.connect(named.place(word, hosts))
    if host.there(job):
        line = host.line(job, note)
        line.run, line.name = run, run.name
        line.signal(signal.SIGTERM)
        line.drain()
        line.run = run
        if not line.copy():
            raise PlaceError(f"not all of {run.name} could be brought here", where=host.name)
        host.remove(job)
    if host is not known:
        host.close()
    (run.path / AWAY).unlink(missing_ok=True)


def released(run: Run) -> bool:
    """Let go of a run that has come home; one that never began is removed. Whether there is one."""
    run.release()
    (run.path / AWAY).unlink(missing_ok=True)
    if (run.path / "run.json").is_file():
        return True
    with contextlib.suppress(OSError):
        (run.path / "lock").unlink(missing_ok=True)
        run.path.rmdir()
    return False


class Elsewhere(Workers):
    """Workers of a place."""

    def __init__(
        self, study: Study, host: Host, told: Mapping[str, Any], watch: Callable[[Task, Mapping[str, Any]], None],
        note: Note, deadline: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(study, host.place.jobs, told, watch, deadline)
        self._lines: list[Line] = []
        self._host, self._note = host, note
        self._away: dict[tuple[int, int], Run] = {}
        self._ready: list[tuple[Task, Result]] = []

    @property
    def slots(self) -> int:
        """As many as the place has jobs, and room for."""
        self._give_back()
        return min(self._jobs, max(len(self.workers) + self._host.room(), 1))

    def _give_back(self) -> None:
        """Leave nothing there of workers that have ended, and whose runs are here or lost."""
        heard = [worker.link for worker in self.workers.values()]
        ended = [line for line in self._lines if line.gone.is_set() and line.run is None and line not in heard]
        for line in ended:
            self._lines.remove(line)
            line.drain()
            self._host.remove(line.job)

    def link(self, number: int) -> Line:
        self._give_back()
        until = time.monotonic() + ROOM if self._lines else float("inf")  # those have what it may wait for

        def wait() -> bool:
            return time.monotonic() < until and not self.stop.reason

        job = new_job(self._host, f"{self._hello['parent']}-{number}", self._hello, wait)
        with undone(self._host, job):
            self._host.start(job)
        self._lines.append(self._host.line(job, self._note))
        return self._lines[-1]

    def drop(self, worker: Worker) -> None:
        super().drop(worker)
        line = worker.link
        if isinstance(line, Line) and line.gone.is_set() and (line.whole or line.lost):
            line.run = None  # nobody needs what is there

    def last_words(self, worker: Worker) -> str:
        return self._host.last_words(worker.link.job) if isinstance(worker.link, Line) else ""

    def submit(self, task: Task) -> None:
        """Send a training to a worker that has none, with what it needs; what had begun of it continues there."""
        with signals.politely(self.stop):
            try:
                if self.stop.reason:
                    self._ready.append((task, Result("not begun", stop=self.stop.reason)))
                    return
                self._submit(task)
            except DlxError as error:
                self._ready.append((task, Result("failed", error=error)))
            except LostError as error:
                time.sleep(PAUSE)
                why = f"{self._host.name} is lost ({error}); tried again"
                self._ready.append((task, Result("interrupted", why=why)))

    def _submit(self, task: Task) -> None:
        root = Path(self._hello["root"])
        promoted = Run(task.entry.path) if task.promoted and task.entry is not None else None
        before = promoted or unfinished(task.spec, root)
        if before is not None:
            before.take_up(force=True)
            try:
                collected(before, self._note, self._host)
            except BaseException:
                before.release()
                raise
            if (before.path / "metrics.json").is_file():
                before.release()
                self._ready.append((task, Result("done", before, fresh=False)))
                return
        run = before or Run.create(root, task.spec.name)
        worker: Worker | None = None
        try:
            worker = self.free()
            line = worker.link
            assert isinstance(line, Line)
            if before is not None:
                self._host.push(line.job, run)
            data = self._study.fingerprint(task.spec) or ""
            files = packed(self._host, task.spec, run, data, line.job)
        except BaseException:
            released(run)
            if worker is not None:
                self.drop(worker)
                worker.link.end()
            raise
        mark(run, self._host, line.job)
        worker.task, worker.run = task, run.path
        self._away[task.number, task.repeat] = run
        line.run, line.name = run, run.name
        line.say({**message(task, self._study), **files})

    def ended(self) -> list[tuple[Task, Result]]:
        """The trainings that have ended; their runs are here, and nobody's."""
        found, self._ready = self._ready, []
        found = self.marked([*found, *self.heard(0.0)]) if found else super().ended()
        for task, result in found:
            run = self._away.pop((task.number, task.repeat), None)
            if run is not None and not released(run):
                result.run = None
        return found

    def close(self) -> None:
        """End all workers; one in the middle of a training keeps a checkpoint, which is brought here."""
        for worker in self.workers.values():
            if worker.task is not None:
                worker.link.signal(signal.SIGTERM)
        super().close()
        self.workers.clear()
        for line in self._lines:
            line.wait(ENDS)  # one that was dropped before it had a training
            if line.gone.is_set() and line.whole and line.run is not None:
                (line.run.path / AWAY).unlink(missing_ok=True)
                line.run = None
        self._give_back()
        for run in self._away.values():
            run.release()
        self._host.close()
