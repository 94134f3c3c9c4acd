"""Processes beside this one as the place of a sweep: each trains one trial at a time, on cores of its own."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dlx.errors import TrainingError, of_message
from dlx.runs.run import Run
from dlx.search.ledger import FOLDER
from dlx.search.study import Study, Task
from dlx.search.sweep import Result
from dlx.spec.sections import Spec, resolved
from dlx.system import files, signals
from dlx.system.machine import cores

MOST_KILLS = 3  # of the process of one training: then it has failed
MOST_LOSSES = 10  # of machines with one training
GRACE = 120.0  # seconds that a training has to keep its checkpoint


class Link(Protocol):
    """The line to a worker; `lost`: its machine is gone with it."""

    lost: bool

    def fileno(self) -> int:
        """What becomes readable when there is something to hear."""

    def say(self, message: Mapping[str, Any]) -> None:
        """Send a message; a worker that is gone is noticed when it is next heard."""

    def lines(self) -> list[dict[str, Any]] | None:
        """The messages that have come; None where the worker has ended."""

    def signal(self, number: int) -> None:
        """Pass a signal on."""

    def end(self) -> None:
        """Nothing more comes: it may end."""

    def wait(self, seconds: float) -> None:
        """Wait until it has ended, and kill it after so long."""


@dataclass
class Worker:
    """A worker, what it trains, and the run of that once it has begun."""

    number: int
    link: Link
    task: Task | None = None
    run: Path | None = None


class Pipes:
    """A process of this machine, and its standard streams."""

    lost = False

    def __init__(self, log: Path) -> None:
        with files.disk(log):
            files.make_folder(log.parent)
            stream = log.open("ab")
        with stream:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dlx.search.places.worker"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stream, start_new_session=True,
            )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out, self._rest = self._process.stdin, self._process.stdout, b""

    def fileno(self) -> int:
        return self._out.fileno()

    def say(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self._in.write(json.dumps(message).encode() + b"\n")
            self._in.flush()

    def lines(self) -> list[dict[str, Any]] | None:
        raw = os.read(self._out.fileno(), 1 << 20)
        if not raw:
            self._process.wait()
            return None
        *whole, self._rest = (self._rest + raw).split(b"\n")
        return [json.loads(line) for line in whole if line]

    def signal(self, number: int) -> None:
        with contextlib.suppress(OSError):
            self._process.send_signal(number)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._in.close()

    def wait(self, seconds: float) -> None:
        try:
            self._process.wait(max(seconds, 0.1))
        except subprocess.TimeoutExpired:
            self._process.kill()


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
        self._jobs = jobs
        self._study, self._hello, self._watch = study, dict(hello), watch
        self._folder = Path(hello["root"]) / FOLDER
        self.workers: dict[int, Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._kills: dict[tuple[int, int, bool], int] = {}
        self.stop = signals.Stop(deadline)
        self._told = ""

    @property
    def slots(self) -> int:
        """How many trainings at once."""
        return self._jobs

    def submit(self, task: Task) -> None:
        """Give a training to a worker that has none."""
        worker = self.free()
        worker.task, worker.run = task, None
        worker.link.say(message(task, self._study))

    def free(self) -> Worker:
        """A worker that has no training, begun where there is none."""
        idle = next((worker for worker in self.workers.values() if worker.task is None), None)
        return idle or self._begun(next(number for number in itertools.count(1) if number not in self.workers))

    def _begun(self, number: int) -> Worker:
        worker = self.workers[number] = Worker(number, self.link(number))
        self._selector.register(worker.link.fileno(), selectors.EVENT_READ, worker)
        return worker

    def link(self, number: int) -> Link:
        """A new worker of a number, told what every one has to know."""
        pipes = Pipes(self._folder / f"{self._hello['parent']}-worker-{number}.log")
        pipes.say({**self._hello, "cores": _share(number, self._jobs)})
        return pipes

    def ended(self) -> list[tuple[Task, Result]]:
        """The trainings that have ended; waits until there is one."""
        found: list[tuple[Task, Result]] = []
        with signals.politely(self.stop):
            while not found:
                found = self.heard(0.5)
        return self.marked(found)

    def marked(self, found: list[tuple[Task, Result]]) -> list[tuple[Task, Result]]:
        """What has ended, with a stop of which a training that came to its end knows nothing."""
        if self.stop.reason:
            found[-1][1].stop = found[-1][1].stop or self.stop.reason
        return found

    def heard(self, seconds: float) -> list[tuple[Task, Result]]:
        """What is heard within so many seconds: the trainings that have ended."""
        found: list[tuple[Task, Result]] = []
        for key, _ in self._selector.select(timeout=seconds):
            found += self._heard(key.data)
        self._pass_on()
        return found

    def _pass_on(self) -> None:
        """Tell the workers of a signal that came."""
        if self.stop.reason and not self._told:
            self._told = self.stop.reason
            number = getattr(signal, self._told, signal.SIGTERM)
            for worker in self.workers.values():
                worker.link.signal(number)

    def _heard(self, worker: Worker) -> list[tuple[Task, Result]]:
        messages, task = worker.link.lines(), worker.task
        if messages is None:
            return self._gone(worker)
        found = []
        for heard in messages:
            if task is None:
                continue
            if heard["event"] == "begun":
                worker.run = Path(heard["run"])
            elif heard["event"] == "rows":
                worker.link.say({"verdict": self._study.judge(task, heard["rows"])})
            elif heard["event"] == "ended":
                worker.task = None
                result = result_of(heard)
                result.stop = (self.stop.reason or result.stop) if result.stop else ""
                found.append((task, result))
            self._watch(task, heard)
        return found

    def drop(self, worker: Worker) -> None:
        """Ask nothing more of a worker."""
        self._selector.unregister(worker.link.fileno())
        del self.workers[worker.number]

    def _gone(self, worker: Worker) -> list[tuple[Task, Result]]:
        """A worker has ended; a training that it had not ended waits for another one."""
        self.drop(worker)
        task, lost = worker.task, worker.link.lost
        if task is None:
            return []
        run = Run(worker.run) if worker.run is not None else None
        if self.stop.reason:
            return [(task, Result("interrupted", run, stop=self.stop.reason))]
        what, most = ending(lost)
        here = task.number, task.repeat, lost
        self._kills[here] = self._kills.get(here, 0) + 1
        if self._kills[here] < most:
            return [(task, Result("interrupted", run, why=f"{what}; it continues"))]
        error = TrainingError(f"{what} {most} times", hint=self.last_words(worker))
        return [(task, Result("failed", run, error))]

    def last_words(self, worker: Worker) -> str:
        """What a worker that is gone has said of itself, or where that is."""
        return f"its last words are in {self._folder}"

    def close(self) -> None:
        """End all workers; one in the middle of a training keeps a checkpoint."""
        for worker in self.workers.values():
            worker.link.end()
        until = time.monotonic() + GRACE
        for worker in self.workers.values():
            worker.link.wait(until - time.monotonic())
        self._selector.close()


def ending(lost: bool) -> tuple[str, int]:
    """(what has become of a worker, how often a training bears it), where its machine was lost with it, or not."""
    return ("its machine was lost", MOST_LOSSES) if lost else ("its process ended", MOST_KILLS)


def message(task: Task, study: Study) -> dict[str, Any]:
    """What a worker is told of a training of a sweep."""
    return {
        **asked(task.spec, task.number, task.repeat),
        "record": study.record(task),
        "judged": list(study.judged()) if not task.repeat else [],
        "resume": str(task.entry.path) if task.promoted and task.entry is not None else None,
    }


def asked(spec: Spec, number: int = 1, repeat: int = 0) -> dict[str, Any]:
    """What a worker is told of a training."""
    return {
        "number": number, "repeat": repeat, "spec": resolved(spec), "marks": dict(spec.marks), "record": None,
        "judged": [], "resume": None, "home": None, "data": None, "files": {},
    }  # fmt: skip


def _share(number: int, jobs: int) -> Sequence[int]:
    """The cores of a worker: those of this process in as many parts as there are workers, one at least."""
    try:
        own = sorted(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        own = list(range(cores()))
    each = max(len(own) // jobs, 1)
    first = (number - 1) * each % len(own)
    return own[first : first + each] or own[:1]


def result_of(message: Mapping[str, Any]) -> Result:
    """How a training ended, as a worker says it."""
    error = of_message(message) if "error" in message else None
    run = Run(Path(message["run"])) if message.get("run") else None
    return Result(
        message["status"], run, error, str(message.get("stop", "")), bool(message.get("fresh", True)),
        str(message.get("why", "")),
    )  # fmt: skip
