"""A process that trains what it is sent: `python -m dlx.search.places.worker`, with lines of JSON in and out.

    in    {"root", "command", "parent", "backend", "device", "devices", "cores", "seconds", "hosts"}      once
          {"number", "repeat", "spec", "marks", "record", "judged", "resume", "home", "data", "files"}      a training
          {"verdict": why}                                                 the answer to rows; empty: go on
    out   {"event": "begun", "run"} · {"event": "rows", "rows"} · {"event": "ended", "status", "run", …}

It keeps Keras, the data and the compiled program from one training to the next. When its standard input ends, because
whoever sent it is gone, it stops politely: its training keeps a checkpoint. With a folder as argument it reads and
writes the files of that spool, and trains on though nobody is there: what is not answered in a minute goes on; with
--tied behind the folder the end of its standard input stops it, too.

hosts: of a training on several, the address of the first, how many there are, and which this is. files: paths of specs,
and where they lie on this machine. home: where the run's directory lies for whoever sent it. data: the fingerprint that
the data must have.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import shutil
import signal
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from dlx import spec as specs
from dlx.errors import DataError, DlxError, as_message
from dlx.parts.registry import relocate
from dlx.runs.find import is_run
from dlx.runs.history import Row
from dlx.runs.run import Run
from dlx.runs.summary import Entry
from dlx.search.places import spool
from dlx.search.places.local import Here
from dlx.search.study import Task
from dlx.search.sweep import Result
from dlx.spec.space import Trial
from dlx.system import backend, hosts, signals
from dlx.system.json_text import finite
from dlx.training.experiment import Experiment
from dlx.training.outcome import Observer
from dlx.training.session import Options

WAIT = 60.0  # seconds for a run that a worker of an ended sweep is just leaving
IDLE = 900.0  # seconds that a worker without work waits for some
ANSWER = 60.0  # seconds for a verdict


class Line:
    """The line to whoever sends the trainings: messages that have come, and answers."""

    def __init__(self, source: Iterable[str], sink: TextIO, alone: bool = False) -> None:
        self._sink, self._alone = sink, alone
        self.messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, args=(source,), daemon=True).start()

    def _read(self, source: Iterable[str]) -> None:
        with contextlib.suppress(ValueError, OSError):
            for text in source:
                self.messages.put(json.loads(text))
        self.messages.put(None)
        if not self._alone:
            os.kill(os.getpid(), signal.SIGTERM)

    def verdict(self) -> str:
        """The answer to rows; an empty one where nobody is there to give it."""
        with contextlib.suppress(queue.Empty):
            answer = self.messages.get(timeout=ANSWER if self._alone else None)
            if answer is not None and "verdict" in answer:
                return str(answer["verdict"])
            if self._alone:  # the next training, or the end
                self.messages.put(answer)
        return ""

    def job(self) -> dict[str, Any] | None:
        """The next training; None where there is none. An answer that came too late is passed over."""
        with contextlib.suppress(queue.Empty):
            while (message := self.messages.get(timeout=IDLE if self._alone else None)) is not None:
                if "verdict" not in message:
                    return message
        return None

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


def _settle(hello: Mapping[str, Any]) -> None:
    """The cores, the backend and the devices of this process."""
    cores = hello["cores"]
    with contextlib.suppress(AttributeError, OSError):  # not on every system
        if cores:
            os.sched_setaffinity(0, cores)
    if hello.get("hosts"):
        hosts.want(*hello["hosts"])
    backend.want(hello["backend"], hello["device"], len(cores) or None, hello["devices"])


def work(line: Line) -> None:
    """Train what comes until nothing more does."""
    hello = line.messages.get()
    if hello is None:
        return
    _settle(hello)
    jobs: dict[tuple[int, int], Mapping[str, Any]] = {}

    def equip(options: Options, task: Task) -> Options:
        job = jobs[task.number, task.repeat]

        def judge(rows: Sequence[Row]) -> str:
            line.say(event="rows", rows=list(rows))
            return line.verdict()

        heard = judge if job["judged"] else None
        told = {"observer": _Told(line), "trial": job["record"], "judged": tuple(job["judged"]), "judge": heard}
        told["home"] = Path(job["home"]) if job["home"] else None
        return dataclasses.replace(options, **told)

    deadline = signals.deadline(hello.get("seconds")) if hosts.group().rank == 0 else None  # the first decides
    options = Options(hello["command"], parent=hello["parent"], deadline=deadline)
    here = Here(Path(hello["root"]), options, equip, wait=WAIT)
    while (job := line.job()) is not None:
        jobs.clear()
        relocate(job["files"])
        before = Path(hello["root"]) / Path(job["home"] or "none").name
        if job["home"] and Run(before).status == "done":  # it died before it said so
            line.say(event="ended", status="done", run=str(before), stop="", fresh=True, why="")
            continue
        try:
            task = _task(job, Path(hello["root"]))
            jobs[task.number, task.repeat] = job
            if job["data"] not in (None, here.fingerprint(task.spec) or job["data"]):
                raise DataError("the data there is another by now", hint=f"remove {', '.join(job['files'].values())}")
            result = here.train(task)
        except DlxError as error:  # a spec that differs by now
            result = Result("failed", error=error)
        if result.error is not None and hosts.group().rank:  # the first waits for this one: it must see it die
            print(f"on host {hosts.group().rank}: {result.error}", file=sys.stderr, flush=True)
            os._exit(1)  # an ordinary end would wait for the others
        if result.stop == "SIGUSR1" and len(sys.argv) > 1:  # by a scheduler that begins this worker again
            raise SystemExit(signals.RESUMABLE)
        run = str(result.run.path) if result.run is not None else None
        said = {"status": result.status, "run": run, "stop": result.stop, "fresh": result.fresh, "why": result.why}
        line.say(event="ended", **said, **(as_message(result.error) if result.error is not None else {}))
        if result.stop:
            return


def _task(job: Mapping[str, Any], root: Path) -> Task:
    """The training that a message describes; one that had begun, there or here, continues."""
    spec = dataclasses.replace(specs.load(dict(job["spec"])), marks=job["marks"])
    begun = job["resume"]
    if job["home"]:
        here = root / Path(job["home"]).name
        if is_run(here):
            begun = str(here)
        else:  # it died before it had begun
            shutil.rmtree(here, ignore_errors=True)
    entry = Entry(Path(begun), "pruned") if begun else None
    return Task(int(job["number"]), int(job["repeat"]), Trial({}, spec, {}), spec, entry, entry is not None)


def _tied() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Work for whoever has started this process; its own words go to its log."""
    if "--tied" in sys.argv:
        threading.Thread(target=_tied, daemon=True).start()
    if len(sys.argv) > 1:
        spool.serve(Path(sys.argv[1]), lambda source, sink: work(Line(source, sink, alone=True)))
        return
    sink = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what prints prints to the log
    with contextlib.suppress(KeyboardInterrupt):
        work(Line(sys.stdin, sink))


if __name__ == "__main__":
    main()
