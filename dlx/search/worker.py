"""A process that trains what a sweep sends it: `python -m dlx.search.worker`, with lines of JSON in and out.

    in    {"root", "command", "parent", "backend", "device", "devices", "cores"}      once
          {"number", "repeat", "spec", "marks", "record", "judged", "resume"}      a training
          {"verdict": why}                                                 the answer to rows; empty: go on
    out   {"event": "begun", "run"} · {"event": "rows", "rows"} · {"event": "ended", "status", "run", …}

It keeps Keras, the data and the compiled program from one training to the next. When its input ends, because whoever
sent it is gone, it stops politely: its training keeps a checkpoint.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from dlx import spec as specs
from dlx.errors import DlxError, as_message
from dlx.runs.history import Row
from dlx.runs.run import Run
from dlx.runs.summary import Entry
from dlx.search.local import Here
from dlx.search.study import Task
from dlx.spec.space import Trial
from dlx.system import backend
from dlx.system.json_text import finite
from dlx.training.experiment import Experiment
from dlx.training.outcome import Observer
from dlx.training.session import Options

WAIT = 60.0  # seconds for a run that a worker of an ended sweep is just leaving


class Line:
    """The line to whoever sends the trainings: messages that have come, and answers."""

    def __init__(self, source: TextIO, sink: TextIO) -> None:
        self._sink = sink
        self.messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, args=(source,), daemon=True).start()

    def _read(self, source: TextIO) -> None:
        with contextlib.suppress(ValueError, OSError):
            for text in source:
                self.messages.put(json.loads(text))
        self.messages.put(None)
        os.kill(os.getpid(), signal.SIGTERM)

    def say(self, **message: Any) -> None:
        """Send one message; nobody may be there to hear it."""
        with contextlib.suppress(OSError, ValueError):
            print(json.dumps(finite(message)), file=self._sink, flush=True)


class _Told(Observer):
    """Says that a run has begun."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def started(self, run: Run, experiment: Experiment, device: str, network: Any) -> None:
        self._line.say(event="begun", run=str(run.path))


def work(line: Line) -> None:
    """Train what comes until nothing more does."""
    hello = line.messages.get()
    if hello is None:
        return
    with contextlib.suppress(AttributeError, OSError):  # not on every system
        os.sched_setaffinity(0, hello["cores"])
    backend.want(hello["backend"], hello["device"], len(hello["cores"]), hello["devices"])
    jobs: dict[tuple[int, int], Mapping[str, Any]] = {}

    def equip(options: Options, task: Task) -> Options:
        job = jobs[task.number, task.repeat]

        def judge(rows: Sequence[Row]) -> str:
            line.say(event="rows", rows=list(rows))
            answer = line.messages.get()
            return "" if answer is None else str(answer["verdict"])

        heard = judge if job["judged"] else None
        told = {"observer": _Told(line), "trial": job["record"], "judged": tuple(job["judged"]), "judge": heard}
        return dataclasses.replace(options, **told)

    here = Here(Path(hello["root"]), Options(hello["command"], parent=hello["parent"]), equip, wait=WAIT)
    while (job := line.messages.get()) is not None:
        jobs.clear()
        try:
            task = _task(job)
            jobs[task.number, task.repeat] = job
            result = here.train(task)
        except DlxError as error:  # a spec that differs by now
            line.say(event="ended", status="failed", **as_message(error))
            continue
        run = str(result.run.path) if result.run is not None else None
        said = {"status": result.status, "run": run, "stop": result.stop, "fresh": result.fresh, "why": result.why}
        line.say(event="ended", **said, **(as_message(result.error) if result.error is not None else {}))
        if result.stop:
            return


def _task(job: Mapping[str, Any]) -> Task:
    """The training that a message describes."""
    spec = dataclasses.replace(specs.load(dict(job["spec"])), marks=job["marks"])
    entry = Entry(Path(job["resume"]), "pruned") if job["resume"] else None
    return Task(int(job["number"]), int(job["repeat"]), Trial({}, spec, {}), spec, entry, bool(job["resume"]))


def main() -> None:
    """Work for whoever has started this process; its own words go to its log."""
    sink = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what prints prints to the log
    with contextlib.suppress(KeyboardInterrupt):
        work(Line(sys.stdin, sink))


if __name__ == "__main__":
    main()
