"""One training at a place, followed from here: sent, left alone, taken up again, brought home."""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dlx.errors import LostError, PlaceError, TrainingError
from dlx.parts.places import Place
from dlx.runs.run import AWAY, Run
from dlx.search.places import named
from dlx.search.places.elsewhere import released
from dlx.search.places.host import Host, Line, Note, mark, new_job, packed, undone, where
from dlx.search.places.workers import asked, ending, result_of
from dlx.search.sweep import Result
from dlx.training.experiment import Experiment, prepared_again

PAUSE = 5.0  # seconds before a place that is lost is tried again
Wait = Callable[[], bool]


class Attached:
    """A training elsewhere that somebody here follows; its run here is locked as long.

    resend: sends what there is of the run as another job, for where the one before is gone with its machine, and waits
    for a place for it as long as it is told. lasts: whether it goes on when this command has ended.
    """

    def __init__(self, run: Run, host: Host, job: str, note: Note, resend: Callable[[Wait], str]) -> None:
        self.run, self._host, self._job, self._note, self._resend = run, host, job, note, resend
        self.name, self.lasts = host.name, host.lasts
        self._ended, self._stopped = {False: 0, True: 0}, ""
        self._line = self._lined()

    def _lined(self, offset: int = 0) -> Line:
        line = self._host.line(self._job, self._note, offset)
        line.run, line.name = self.run, self.run.name
        return line

    def follow(self, tick: Callable[[], bool]) -> Result | None:
        """How the training ended; None where `tick`, called twice a second, says that it is to be left alone.

        A worker that dies is begun again, three times at most: its training continues from its checkpoint.
        """
        while True:
            if tick():
                self._line.leave()
                self.run.release()
                return None
            if not select.select([self._line.fileno()], [], [], 0.5)[0]:
                continue
            messages = self._line.lines()
            if messages is None:
                lost = self._again(tick)
                if lost is not None and lost.status == "away":
                    self.run.release()
                    return None
                if lost is not None:
                    return self._home(lost)
                continue
            for heard in messages:
                if heard["event"] == "ended":
                    return self._home(result_of(heard))

    def _again(self, tick: Callable[[], bool]) -> Result | None:
        """Begin a worker that has died again; else what has become of the training: "away" where it is left alone."""
        left = False

        def wait() -> bool:
            nonlocal left
            left = left or tick()
            return not left and not self._stopped

        lost = self._line.lost
        self._ended[lost] += 1
        if self._stopped:
            return Result("interrupted", self.run, stop=self._stopped)
        what, most = ending(lost)
        if self._ended[lost] >= most:
            error = TrainingError(f"{what} {most} times", where=self.name, hint=self._host.last_words(self._job))
            return Result("failed", self.run, error)
        self._note(f"{self.name}: {what}; it is begun again")
        while wait():
            try:
                if self._host.there(self._job):
                    self._host.start(self._job)
                    self._line = self._lined(self._line.offset)
                else:  # gone with its machine
                    self._job = self._resend(wait)
                    self._line = self._lined()
                return None
            except LostError:
                self._job = (where(self.run) or ("", self._job))[1]  # it may have begun, though nobody heard
                time.sleep(PAUSE)
        return Result("away" if left else "interrupted", self.run, stop=self._stopped)

    def _home(self, result: Result) -> Result:
        self._line.leave()
        if result.status == "done" or not self._line.gone.is_set() or self._line.whole:
            self._host.remove(self._job)
        result.stop = self._stopped or result.stop
        if not released(self.run):
            result.run = None
        self._host.close()
        return result

    def stop(self, reason: str) -> None:
        """Stop the training politely, for a signal that came: it keeps a checkpoint, which comes here."""
        self._stopped = reason
        self._line.signal(signal.SIGTERM)


def _begun(experiment: Experiment, host: Host, run: Run, told: Mapping[str, Any], wait: Wait | None = None) -> str:
    """A job for a training, begun; with `wait`, see `Host.create`, what there is of the run continues as that job."""
    spec = experiment.spec
    told = {**told, **({"backend": "jax"} if host.place.hosts > 1 else {})}
    job = new_job(host, spec.name, told, wait or (lambda: True))
    with undone(host, job):
        if wait is not None:
            host.push(job, run)
        files = packed(host, spec, run, experiment.dataset.fingerprint, job)
        host.tell(job, {**asked(spec), **files})
        host.tell(job, {"end": True})
        mark(run, host, job)
    host.start(job)  # where its answer is lost it may have begun: what is marked finds it
    return job


def sent(experiment: Experiment, place: Place, root: Path, told: Mapping[str, Any], note: Note) -> Attached:
    """A training that begins at a place, as a new run here. Raises PlaceError where the place lacks something."""
    host = named.connect(place)
    host.prepare()
    run = Run.create(root, experiment.spec.name)
    try:
        job = _begun(experiment, host, run, told)
    except LostError as error:
        raise PlaceError(f"the connection was lost ({error})", where=host.name, hint="try again") from error
    finally:
        if not (run.path / AWAY).is_file():
            released(run)
    return Attached(run, host, job, note, lambda wait: _begun(experiment, host, run, told, wait))


def _as_before(run: Run, told: Mapping[str, Any], hosts: int) -> Mapping[str, Any]:
    """What a worker is told, with the backend and the devices that the run has had where nobody asks for others."""
    known = run.info()
    had = {"backend": known.get("backend"), "devices": str(int(known.get("devices") or 1) // hosts)}
    return {**told, **{name: value for name, value in had.items() if value and told[name] == "auto"}}


def taken_up(run: Run, told: Mapping[str, Any], note: Note) -> Attached:
    """A training that was left alone, followed again; where nothing of it is left there, sent from what came of it.

    Raises PlaceError where the place cannot be reached.
    """
    away = where(run)
    assert away is not None
    word, job, hosts = away
    host = named.connect(named.place(word, hosts))
    host.prepare()
    run.take_up(force=True)

    def resend(wait: Wait) -> str:
        return _begun(prepared_again(run)[0], host, run, _as_before(run, told, hosts), wait)

    try:
        if not host.there(job):
            if not (run.path / "run.json").is_file():
                hint = f"dlx rm {run.name}; dlx run sends it anew"
                raise PlaceError(f"has nothing of {run.name} any more", where=host.name, hint=hint)
            note(f"{host.name} has nothing of {run.name} any more; it continues there from what came of it")
            job = resend(lambda: True)
        return Attached(run, host, job, note, resend)
    except BaseException:
        run.release()
        raise
