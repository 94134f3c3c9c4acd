"""One training at a place, followed from here: sent, left alone, taken up again, brought home."""

from __future__ import annotations

import contextlib
import dataclasses
import select
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dlx.errors import PlaceError, TrainingError
from dlx.parts.places import Place
from dlx.runs.run import AWAY, Run
from dlx.search.places import remote
from dlx.search.places.shell import LostError
from dlx.search.places.site import Site, connect
from dlx.search.places.workers import MOST_KILLS, result_of
from dlx.search.sweep import Result
from dlx.training.experiment import Experiment

Note = Callable[[str], None]


class Attached:
    """A training elsewhere that somebody here follows; its run here is locked as long."""

    def __init__(self, run: Run, site: Site, folder: str, note: Note) -> None:
        self.run, self._site, self._folder, self._note = run, site, folder, note
        self._kills = 0
        self._link = self._linked()

    def _linked(self, offset: int = 0) -> remote.Remote:
        link = remote.Remote(self._site, self._folder, self._note, offset)
        link.run, link.name = self.run, self.run.name
        return link

    def follow(self, tick: Callable[[], bool]) -> Result | None:
        """How the training ended; None where `tick`, called twice a second, says that it is to be left alone.

        A worker that dies is begun again, three times at most: its training continues from its checkpoint.
        """
        while True:
            if tick():
                self._link.leave()
                self.run.release()
                return None
            if not select.select([self._link.fileno()], [], [], 0.5)[0]:
                continue
            messages = self._link.lines()
            if messages is None:
                if (lost := self._again()) is not None:
                    return self._home(lost)
                continue
            for heard in messages:
                if heard["event"] == "ended":
                    return self._home(result_of(heard))

    def _again(self) -> Result | None:
        """Begin a worker that has died again; how the training failed where that was too often."""
        self._kills += 1
        words = self._site.last_words(self._folder)
        if self._kills >= MOST_KILLS:
            error = TrainingError(f"its process at {self._site.name} ended {MOST_KILLS} times", hint=words)
            return Result("failed", self.run if self.run.history() else None, error)
        self._note(f"its process at {self._site.name} ended; it is begun again")
        self._site.start(self._folder)
        self._link = self._linked(self._link.offset)
        return None

    def _home(self, result: Result) -> Result:
        self._link.leave()
        remote.back(self.run, self._site, self._folder)
        self.run.release()
        if result.run is None and not (self.run.path / "run.json").is_file():
            with contextlib.suppress(OSError):
                (self.run.path / "lock").unlink(missing_ok=True)
                self.run.path.rmdir()
        self._site.shell.close()
        return result

    def stop(self) -> None:
        """Stop the training politely: it keeps a checkpoint, which comes here."""
        self._link.signal(signal.SIGINT)


def sent(experiment: Experiment, place: Place, root: Path, told: Mapping[str, Any], note: Note) -> Attached:
    """A training that begins at a place, as a new run here. Raises PlaceError where the place lacks something."""
    spec = experiment.spec
    site = connect(place)
    site.bring_code()
    run = Run.create(root, spec.name)
    try:
        folder = remote.new_spool(site, spec.name, [])
        job = {
            "number": 1, "repeat": 0, "marks": dict(spec.marks), "record": None, "judged": [], "resume": None,
            **remote.packed(site, spec, run, experiment.dataset.fingerprint, folder),
        }  # fmt: skip
        for message in ({**told, "cores": [], "root": f"{folder}/runs"}, job, {"end": True}):
            site.tell(folder, message)
        remote.mark(run, site, folder)
        site.start(folder)
    except LostError as error:
        raise PlaceError(f"the connection was lost ({error})", where=site.name, hint="try again") from error
    finally:
        if not (run.path / AWAY).is_file():
            (run.path / "lock").unlink(missing_ok=True)
            run.release()
            run.path.rmdir()
    return Attached(run, site, folder, note)


def taken_up(run: Run, note: Note) -> Attached:
    """A training that was left alone, followed again; begun again where its process has died.

    Raises PlaceError where the place cannot be reached, or has nothing of it any more.
    """
    away = remote.where(run)
    assert away is not None
    site = connect(dataclasses.replace(away[0]))
    if not site.ask([away[1]])["paths"]:
        hint = "--force continues here, from what has come of it"
        raise PlaceError(f"has nothing of {run.name} any more", where=site.name, hint=hint)
    site.bring_code()
    run.take_up(force=True)
    return Attached(run, site, away[1], note)
