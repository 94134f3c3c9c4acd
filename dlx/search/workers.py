"""Processes beside this one as the place of a sweep: each trains one trial at a time, on cores of its own."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from dlx.errors import TrainingError, of_message
from dlx.runs.run import Run
from dlx.search.ledger import FOLDER
from dlx.search.study import Study, Task
from dlx.search.sweep import Result
from dlx.spec.sections import resolved
from dlx.system import files, signals
from dlx.system.machine import cores

MOST_KILLS = 3  # of the process of one training: then it has failed
GRACE = 120.0  # seconds that a training has to keep its checkpoint


class Worker:
    """One process, what it does, and its log."""

    def __init__(self, number: int, hello: Mapping[str, Any], folder: Path) -> None:
        self.number, self.task, self.run = number, None, None  # type: int, Task | None, Path | None
        with files.disk(folder):
            files.make_private(folder)
            log = (folder / f"{hello['parent']}-worker-{number}.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dlx.search.worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.rest = b""
        self.say(hello)

    def say(self, message: Mapping[str, Any]) -> None:
        """Send a message; a process that is gone is noticed when it is next heard."""
        with contextlib.suppress(OSError):
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def lines(self) -> list[dict[str, Any]] | None:
        """The messages that have come; None where the process has ended."""
        assert self.process.stdout is not None
        raw = os.read(self.process.stdout.fileno(), 1 << 20)
        if not raw:
            return None
        *whole, self.rest = (self.rest + raw).split(b"\n")
        return [json.loads(line) for line in whole if line]

    def end(self) -> None:
        """Let it end: nothing more comes."""
        with contextlib.suppress(OSError):
            assert self.process.stdin is not None
            self.process.stdin.close()


class Workers:
    """So many processes, begun when they are needed and replaced when they die; a training that was cut off continues.

    hello: what every worker has to know. watch: hears (task, event) of whatever happens. deadline: a moment of
    time.monotonic() at which all stop politely.
    """

    def __init__(
        self,
        study: Study,
        jobs: int,
        hello: Mapping[str, Any],
        watch: Callable[[Task, Mapping[str, Any]], None],
        deadline: float | None = None,
    ) -> None:
        self.slots = jobs
        self._study, self._hello, self._watch = study, dict(hello), watch
        self._folder = Path(hello["root"]) / FOLDER
        self._workers: dict[int, Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._kills: dict[tuple[int, int], int] = {}
        self.stop = signals.Stop(deadline)
        self._told = ""

    def submit(self, task: Task) -> None:
        """Give a training to a worker that has none."""
        number = next(n for n in range(1, self.slots + 1) if n not in self._workers or self._workers[n].task is None)
        worker = self._workers.get(number) or self._begun(number)
        worker.task, worker.run = task, None
        spec = task.spec
        worker.say({
            "number": task.number,
            "repeat": task.repeat,
            "spec": resolved(spec),
            "marks": dict(spec.marks),
            "record": self._study.record(task),
            "judged": list(self._study.judged()) if not task.repeat else [],
            "resume": str(task.entry.path) if task.promoted and task.entry is not None else None,
        })  # fmt: skip

    def _begun(self, number: int) -> Worker:
        worker = Worker(number, {**self._hello, "cores": _share(number, self.slots)}, self._folder)
        self._workers[number] = worker
        self._selector.register(_pipe(worker), selectors.EVENT_READ, worker)
        return worker

    def ended(self) -> list[tuple[Task, Result]]:
        """The trainings that have ended; waits until there is one."""
        found: list[tuple[Task, Result]] = []
        with signals.politely(self.stop):
            while not found:
                for key, _ in self._selector.select(timeout=0.5):
                    found += self._heard(key.data)
                self._pass_on()
        if self.stop.reason:  # of which a training that came to its end knows nothing
            found[-1][1].stop = found[-1][1].stop or self.stop.reason
        return found

    def _pass_on(self) -> None:
        """Tell the workers of a signal that came."""
        if self.stop.reason and not self._told:
            self._told = self.stop.reason
            number = getattr(signal, self._told, signal.SIGTERM)
            for worker in self._workers.values():
                with contextlib.suppress(OSError):
                    worker.process.send_signal(number)

    def _heard(self, worker: Worker) -> list[tuple[Task, Result]]:
        messages, task = worker.lines(), worker.task
        if messages is None:
            return self._gone(worker)
        found = []
        for message in messages:
            if task is None:
                continue
            if message["event"] == "begun":
                worker.run = Path(message["run"])
            elif message["event"] == "rows":
                worker.say({"verdict": self._study.judge(task, message["rows"])})
            elif message["event"] == "ended":
                worker.task = None
                result = _result(message)
                result.stop = (self.stop.reason or result.stop) if result.stop else ""
                found.append((task, result))
            self._watch(task, message)
        return found

    def _gone(self, worker: Worker) -> list[tuple[Task, Result]]:
        """A worker has ended; a training that it had not ended waits for another one."""
        self._selector.unregister(_pipe(worker))
        del self._workers[worker.number]
        worker.process.wait()
        task = worker.task
        if task is None:
            return []
        run = Run(worker.run) if worker.run is not None else None
        if self.stop.reason:
            return [(task, Result("interrupted", run, stop=self.stop.reason))]
        here = task.number, task.repeat
        self._kills[here] = self._kills.get(here, 0) + 1
        if self._kills[here] < MOST_KILLS:
            return [(task, Result("interrupted", run, why="its process ended; it continues"))]
        hint = f"its last words are in {self._folder}"
        error = TrainingError(f"its process was killed {MOST_KILLS} times", hint=hint)
        return [(task, Result("failed", run, error))]

    def close(self) -> None:
        """End all workers; one in the middle of a training keeps a checkpoint."""
        for worker in self._workers.values():
            worker.end()
        until = time.monotonic() + GRACE
        for worker in self._workers.values():
            try:
                worker.process.wait(max(until - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                worker.process.kill()
        self._selector.close()


def _pipe(worker: Worker) -> IO[bytes]:
    assert worker.process.stdout is not None
    return worker.process.stdout


def _share(number: int, jobs: int) -> Sequence[int]:
    """The cores of a worker: those of this process in as many parts as there are workers, one at least."""
    try:
        own = sorted(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        own = list(range(cores()))
    each = max(len(own) // jobs, 1)
    first = (number - 1) * each % len(own)
    return own[first : first + each] or own[:1]


def _result(message: Mapping[str, Any]) -> Result:
    """How a training ended, as a worker says it."""
    error = of_message(message) if "error" in message else None
    run = Run(Path(message["run"])) if message.get("run") else None
    return Result(
        message["status"], run, error, str(message.get("stop", "")), bool(message.get("fresh", True)),
        str(message.get("why", "")),
    )  # fmt: skip
