"""This process as the place of a sweep."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.data.dataset import Dataset, Facts
from dlx.errors import DlxError
from dlx.model.network import parameter_count
from dlx.parts.datasets import loading
from dlx.runs import find
from dlx.runs.run import Run
from dlx.runs.summary import NOTES, Entry, identity, read
from dlx.search.study import Task
from dlx.search.sweep import Result
from dlx.search.trials import as_recorded
from dlx.spec.sections import Spec, changes, defaults
from dlx.system import backend, locks, signals
from dlx.system.files import disk, make_folder
from dlx.system.json_text import finite
from dlx.training import lanes
from dlx.training.check import check
from dlx.training.experiment import Experiment, prepare
from dlx.training.outcome import Outcome
from dlx.training.resume import resume, unfinished
from dlx.training.session import Options
from dlx.training.train import train

CLAIMS = ".claims"


@contextlib.contextmanager
def claimed(root: Path, identity: str) -> Iterator[bool]:
    """Whether a trial is this process's alone within the block: two equal sweeps share their work.

    The claim is a lock below the runs folder, which ends with the process, however that ends. Raises DiskError.
    """
    from filelock import Timeout

    place = root / CLAIMS / hashlib.sha256(identity.encode()).hexdigest()[:16]
    lock = locks.file_lock(place)
    with disk(place):
        while not lock.is_locked:
            make_folder(place.parent)
            try:
                lock.acquire(blocking=False)
            except FileNotFoundError:  # another one has just removed the empty folder
                continue
            except Timeout:
                break
    if not lock.is_locked:
        yield False
        return
    try:
        yield True
    finally:
        # Whoever holds the file without its name looks first which trials are finished.
        place.unlink(missing_ok=True)
        lock.release()
        with contextlib.suppress(OSError):  # others have claims in it
            place.parent.rmdir()


class Finished:
    """The finished runs of a folder: a trial of the same settings and data as one of them need not run again."""

    def __init__(self, root: Path, fingerprint: Callable[[Spec], str | None]) -> None:
        self._root, self._fingerprint = root, fingerprint
        self._runs: dict[str, Entry] = {}
        self._seen: set[Path] = set()
        self.refresh()

    def refresh(self) -> None:
        """Look for runs that have finished since."""
        for path in find.below(self._root):
            if path in self._seen or not os.path.isfile(path / "metrics.json"):
                continue
            entry = read(path)
            if entry.status == "done":
                self._seen.add(path)
                self._runs[_named(entry.settings)] = entry

    def find(self, wanted: Spec) -> Run | None:
        """The run that has the settings of a spec."""
        code = wanted.code.digests()
        settings = finite(as_recorded(wanted, self._root))
        entry = self._runs.get(_named(settings)) or self._older(wanted, settings)
        if entry is None or (entry.info.get("code") or {}) != code:
            return None
        recorded = (entry.info.get("dataset") or {}).get("fingerprint")
        return Run(entry.path) if self._fingerprint(wanted) in (None, recorded) else None

    def identity(self, spec: Spec) -> str:
        """What tells a spec from every other: its settings as a run records them, and its code."""
        return identity(as_recorded(spec, self._root)) + repr(sorted(spec.code.digests().items()))

    def _older(self, spec: Spec, settings: dict[str, Any]) -> Entry | None:
        """A run made before some of the settings had names, which was trained with what they stand for now."""
        alike = [entry for entry in self._runs.values() if entry.settings.get("name") == settings["name"]]
        older = [entry for entry in alike if len(entry.settings) < len(settings)]
        unwritten = defaults(spec) if older else {}
        return next((entry for entry in older if not changes(entry.settings, settings, unwritten, NOTES)), None)


def _named(settings: Mapping[str, Any]) -> str:
    """What a trial shares with the run that it need not repeat: its name, so that NAME-* is the whole sweep."""
    return f"{settings.get('name')} {identity(settings)}"


class Here:
    """This process: Keras is imported once, and the data and the compiled program are kept while they fit.

    equip: the options of a task's training: who watches it, and who may end it early. wait: the seconds that another
    process has for what it is doing with the same training. slots: how many trainings are at most one program.
    """

    def __init__(
        self, root: Path, options: Options, equip: Callable[[Options, Task], Options], wait: float = 0.0
    ) -> None:
        self._root, self._options, self._equip = root, options, equip
        self._data: tuple[Any, Dataset] | None = None
        self._tasks: list[Task] = []
        self._wait, self.slots = wait, 1
        self.finished = Finished(root, self.fingerprint)

    def submit(self, task: Task) -> None:
        """Begin a training, as soon as somebody waits for it."""
        self._tasks.append(task)

    def ended(self) -> list[tuple[Task, Result]]:
        """The trainings that were submitted, done: as one program those that can be."""
        tasks, self._tasks = self._tasks, []
        groups = self._groups(tasks) if len(tasks) > 1 else {}
        together = [group for group in groups.values() if len(group) >= lanes.FEWEST]
        found, stop = list[tuple[Task, Result]](), ""
        for group in together:
            stop = stop or signals.Stop(self._options.deadline).reason
            found += [] if stop else self._together(group)
            stop = stop or next((result.stop for _, result in found if result.stop), "")
        known = {id(task) for task, _ in found}
        for task in tasks:
            if id(task) not in known:
                found.append((task, Result("not begun", stop=stop) if stop else self.train(task)))
                stop = stop or found[-1][1].stop
        return found

    def _groups(self, tasks: Sequence[Task]) -> dict[str, list[Task]]:
        """The trainings that nothing is there of yet, by what makes them lanes of one program."""
        groups: dict[str, list[Task]] = {}
        for task in tasks:
            with contextlib.suppress(DlxError):  # said when it is trained by itself
                begun = task.promoted or self.finished.find(task.spec) or unfinished(task.spec, self._root)
                if not begun and (key := lanes.key(self.prepare(task.spec))):
                    groups.setdefault(key, []).append(task)
        return groups

    def _together(self, tasks: Sequence[Task]) -> list[tuple[Task, Result]]:
        """How trainings of one program end here; none where they cannot be one, or another process has one of them."""
        with contextlib.ExitStack() as claims:
            names = [self.finished.identity(task.spec) for task in tasks]
            if not all(tuple(claims.enter_context(claimed(self._root, name)) for name in names)):
                return []
            self.finished.refresh()
            if any(self.finished.find(task.spec) or unfinished(task.spec, self._root) for task in tasks):
                return []
            experiments = [self.prepare(task.spec) for task in tasks]
            options = [self._equip(self._options, task) for task in tasks]
            try:
                outcomes = lanes.train_together(experiments, self._root, options, self._options.cache)
            except (lanes.NoLanesError, DlxError):  # what is wrong is said where each is trained by itself
                self._options.cache.clear()
                return []
        return [
            (task, Result(outcome.status, outcome.run, outcome.error, outcome.stop, why=outcome.pruned))
            for task, outcome in zip(tasks, outcomes, strict=True)
        ]

    def close(self) -> None:
        """Nothing is left running here."""

    def train(self, task: Task) -> Result:
        """How a training ends here."""
        if (run := self.finished.find(task.spec)) is not None:
            return Result("done", run, fresh=False)
        if late := signals.Stop(self._options.deadline).reason:
            return Result("not begun", stop=late)
        until = time.monotonic() + self._wait
        try:
            while True:
                with claimed(self._root, self.finished.identity(task.spec)) as free:
                    if free:
                        return self._trained(task)
                if time.monotonic() >= until:
                    return Result("running", fresh=False)
                time.sleep(0.2)
        except DlxError as error:
            return Result("failed", error=error)

    def _trained(self, task: Task) -> Result:
        """How a training that no other process does ends here; one may have finished it in between."""
        self.finished.refresh()
        if (run := self.finished.find(task.spec)) is not None:
            return Result("done", run, fresh=False)
        options = self._equip(self._options, task)
        outcome = self._resumed(task, options)
        if outcome is None:
            outcome = train(self.prepare(task.spec), self._root, options)
        return Result(outcome.status, outcome.run, outcome.error, outcome.stop, why=outcome.pruned)

    def _resumed(self, task: Task, options: Options) -> Outcome | None:
        """The outcome of continuing a training that was stopped; None where there is none, or it differs by now."""
        run = Run(task.entry.path) if task.promoted and task.entry is not None else unfinished(task.spec, self._root)
        if run is None:
            return None
        device = backend.load()  # this sweep's, whatever the run was made on
        try:
            here = {"backend": device.backend, "device": device.device}
            return resume(run, device=here, options=options, force=options.home is not None)
        except DlxError:
            if options.home is not None:  # what is trained anew would be another run
                raise
            return None

    def fingerprint(self, spec: Spec) -> str | None:
        """That of the spec's data as it is now; None where it cannot be loaded."""
        try:
            return self._dataset(spec).fingerprint
        except DlxError:
            return None

    def _dataset(self, spec: Spec) -> Dataset:
        """The data of a spec: that of the last one where it is the same."""
        key = (spec.dataset, spec.task)
        if self._data is None or self._data[0] != key:
            self._data = (key, loading.load(spec.dataset, spec.task, spec.registries["dataset"]))
        return self._data[1]

    def parameters(self, spec: Spec) -> int:
        """How many parameters a spec's network has. Raises SpecError where it cannot be built."""
        return parameter_count(check(spec, self._root, Facts.of(self._dataset(spec))))

    def prepare(self, spec: Spec) -> Experiment:
        """The experiment of a spec."""
        return prepare(spec, self._dataset)
