"""One sweep: what has been tried, what comes next, and what each trial came to. It decides, a place trains."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlx.errors import DivergenceError, DlxError
from dlx.parts.searches import Search
from dlx.runs.metrics import maximized
from dlx.runs.run import Run
from dlx.runs.summary import Entry
from dlx.search import pruning, samplers
from dlx.search.ledger import Issued, Ledger, digest, recovered
from dlx.search.trials import Observation, Runs, Statuses, as_recorded, curve, figure, run_key
from dlx.spec.sections import Spec
from dlx.spec.space import Space, Trial
from dlx.training.session import Options

MOST_FAILURES = 10  # in a row
FRESH = 1_000_000  # how far the seeds of a confirmation lie from those of the search
OUT_OF_MEMORY = "out of memory"


@dataclass(frozen=True)
class Task:
    """One training of a trial: `repeat` counts its seeds from 0; entry: the run that it continues, if there is one."""

    number: int
    repeat: int
    trial: Trial
    spec: Spec
    entry: Entry | None = None
    promoted: bool = False


@dataclass
class Study:
    """The trials of a sweep.

    fixed: all that there are, of a grid, else they are drawn, and `ledger` keeps what was issued. objectives: names of
    metrics.json, or of SIZES; seed: of the draws.
    """

    space: Space
    search: Search
    root: Path
    seed: int
    objectives: tuple[str, ...]
    epochs: int
    ledger: Ledger | None = None
    fixed: Sequence[Trial] = ()
    fingerprint: Callable[[Spec], str | None] = lambda spec: None
    settle: Callable[[Trial], Trial] = lambda trial: trial
    measure: samplers.Measure | None = None
    observations: list[Observation] = field(default_factory=list)
    trials: dict[int, Trial] = field(default_factory=dict)
    tasks: Statuses = field(default_factory=Statuses)
    entries: dict[tuple[int, int], Entry] = field(default_factory=dict)
    results: dict[tuple[int, int], tuple[float | None, ...]] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)  # how the trials of this process ended, in their order
    exhausted: bool = False
    _index: dict[int, Observation] = field(default_factory=dict)
    _keys: set[str] = field(default_factory=set)
    _chosen: list[int] = field(default_factory=list)
    _confirmed: dict[int, list[Path]] = field(default_factory=dict)

    @property
    def maximize(self) -> list[bool]:
        """Of each objective, whether more is better."""
        return [maximized(name) for name in self.objectives]

    @functools.cached_property
    def sampler(self) -> samplers.Sampler:
        """What draws the next trial."""
        return samplers.sampler(self.space, self.search, self.maximize, self.measure)

    # What has been tried

    def __post_init__(self) -> None:
        self._ladder: pruning.Ladder | None = None
        if self.search.prune is not None:
            self._ladder = pruning.Ladder(self.search.prune, self.epochs, self.maximize[0])

    def recall(self) -> None:
        """Read what was issued, and what the runs folder has of it."""
        runs = Runs(self.root, self.name)
        if self.ledger is None:
            for number, trial in enumerate(self.fixed, 1):
                self._add(number, trial, self.space.words(trial.values), ())
        else:
            if not self.ledger.issued:
                self.ledger.issued = recovered(runs.trials(self.name))
            self._recall_issued(self.ledger)
        for observation in self.observations:
            self._look(observation, runs)
        enough = self.ledger is None or len(self.observations) >= (self.search.trials or 0)
        if enough and self.observations:
            self._choose(runs)

    def _recall_issued(self, ledger: Ledger) -> None:
        space = digest(repr((self.space.stem, [repr(d) for d in self.space.dimensions], self.space.root.plain())))
        for issued in ledger.issued:
            try:
                trial = self.composed(issued)
            except (KeyError, IndexError, ValueError, TypeError, AttributeError, DlxError):  # of another space
                continue
            words = issued.values if issued.spec else self.space.words(trial.values)
            self._add(issued.number, trial, words, issued.parents).spec = issued.spec
        ledger.space = space

    def composed(self, issued: Issued) -> Trial:
        """The trial of what a ledger says. Raises KeyError, ValueError or SpecError where it is none of this space."""
        if issued.spec:
            values = self.space.places(issued.spec["values"])
            return self.settle(self.space.with_layers(issued.spec["layers"], values))
        return self.settle(self.space.of(self.space.places(self.space.filled(issued.values))))

    def _add(self, number: int, trial: Trial, words: Mapping[str, Any], parents: tuple[int, ...]) -> Observation:
        self.trials[number] = trial
        self._index[number] = Observation(number, dict(words), self.key(trial.spec), parents=parents)
        self.observations.append(self._index[number])
        self._keys.add(self._index[number].key)
        for repeat in range(self.search.repeats):
            self.tasks[number, repeat] = "waiting"
        return self.observations[-1]

    def _look(self, observation: Observation, runs: Runs) -> None:
        """What the runs folder has of a trial."""
        for repeat in range(self.search.repeats):
            entry = runs.get(self.key(self.spec(observation.number, repeat)))
            if entry is None or not self._same_data(entry, self.trials[observation.number].spec):
                continue
            here = observation.number, repeat
            self.entries[here] = entry
            if entry.status == "done":
                self._count(here, Run(entry.path), entry.metrics)
            elif entry.status == "failed":
                failure = Run(entry.path).failure() or {}
                final = bool(failure.get("diverged")) or failure.get("message") == OUT_OF_MEMORY
                self.tasks[here] = "failed" if final else "waiting"
                observation.bad, observation.message = final, str(failure.get("message", ""))
            elif entry.status == "pruned":
                self.tasks[here] = "pruned"
            if repeat == 0 and entry.status in ("pruned", "interrupted", "crashed", "done") and self.search.prune:
                observation.curve = curve(Run(entry.path).history(), self.objectives[0])
        self._settle(observation)

    def _same_data(self, entry: Entry, spec: Spec) -> bool:
        recorded = (entry.info.get("dataset") or {}).get("fingerprint")
        return recorded is None or self.fingerprint(spec) in (None, recorded)

    def finished(self) -> list[tuple[Task, Run, str]]:
        """The trainings that had ended before, in their order, and how."""
        ended = [here for here, status in self.tasks.items() if status in ("done", "pruned") and here in self.entries]
        return [
            (Task(*here, self.trials[here[0]], self.spec(*here)), Run(self.entries[here].path), self.tasks[here])
            for here in sorted(ended)
        ]

    # What comes next

    def next(self) -> Task | None:
        """The next training: one that was stopped or never begun, a pruned one that may go on, or a new trial's.

        None while there is nothing to begin. Raises DlxError where nothing new can be drawn.
        """
        for number, repeat in self.tasks.waiting:
            if repeat >= 0 and not self._over(number):
                return self._task(number, repeat)
        if (promoted := self._promoted()) is not None:
            return promoted
        if self.ledger is not None and not self.exhausted and len(self.observations) < (self.search.trials or 0):
            found = self._new(self.ledger)
            if found is not None:
                return found
        return self._confirming()

    def _over(self, number: int) -> bool:
        """Whether one training of a trial has ended in a way that ends the trial."""
        return any(self.tasks[number, repeat] in ("failed", "pruned") for repeat in range(self.search.repeats))

    def _promoted(self) -> Task | None:
        found = None if self._ladder is None else self._ladder.promotable()
        return None if found is None else dataclasses.replace(self._task(found, 0), promoted=True)

    def _confirming(self) -> Task | None:
        """The next fresh seed of one of the best, once all trials have ended."""
        confirm = self.search.confirm
        if confirm is None or any(o.status in ("waiting", "running") for o in self.observations):
            return None
        if not self._chosen:
            self._choose(Runs(self.root, self.name))
        for number in self._chosen:
            for repeat in range(-1, -confirm.seeds - 1, -1):
                if self.tasks[number, repeat] == "waiting":
                    self.tasks[number, repeat] = "running"
                    return Task(number, repeat, self.trials[number], self.spec(number, repeat))
        return None

    def _choose(self, runs: Runs) -> None:
        """The best, and what the runs folder has of their fresh seeds."""
        confirm = self.search.confirm
        if confirm is None or any(o.status in ("waiting", "running") for o in self.observations):
            return
        self._chosen = [o.number for o in self.ranked()[: confirm.top]]
        for number in self._chosen:
            for repeat in range(-confirm.seeds, 0):
                spec = self.spec(number, repeat)
                self.tasks[number, repeat] = "waiting"
                entry = runs.get(self.key(spec))
                if entry is None or not self._same_data(entry, spec):
                    continue
                if entry.status == "done":
                    self.tasks[number, repeat] = "done"
                    self._confirmed.setdefault(number, []).append(entry.path)
                elif entry.status == "failed" and (Run(entry.path).failure() or {}).get("diverged"):
                    self.tasks[number, repeat] = "failed"

    def confirmations(self) -> dict[int, list[Path]]:
        """The finished runs of fresh seeds, by their trial."""
        return self._confirmed

    def _new(self, ledger: Ledger) -> Task | None:
        number = len(ledger.issued) + 1
        known = self._keys
        asked = (self.sampler, self.space, self.seed, number, self.observations)
        found = samplers.next_trial(*asked, lambda trial: self.key(self.settle(trial).spec) in known)
        if found is None:
            self.exhausted = True
            return None
        trial = self.settle(found.trial)
        words = {**self.space.words(found.trial.values), **({"layers": trial.settings["layers"]} if found.spec else {})}
        issued = ledger.issue(words, digest(self.key(trial.spec)), found.parents, found.spec)
        self._add(issued.number, trial, words, found.parents).spec = found.spec
        return self._task(issued.number, 0)

    def _task(self, number: int, repeat: int) -> Task:
        self.tasks[number, repeat] = "running"
        self._set(self.observation(number), "running")
        entry = self.entries.get((number, repeat))
        return Task(number, repeat, self.trials[number], self.spec(number, repeat), entry)

    def spec(self, number: int, repeat: int) -> Spec:
        """The spec of one training of a trial; a repeat below 0 is a fresh seed, to confirm with."""
        spec = self.trials[number].spec
        if not repeat:
            return spec
        seed = (spec.seed + (repeat if repeat > 0 else FRESH - repeat)) % 2**32
        return dataclasses.replace(spec, seed=seed).with_change("seed", str(seed))

    def record(self, task: Task) -> dict[str, Any]:
        """What run.json keeps of the trial."""
        observation = self.observation(task.number)
        record: dict[str, Any] = {"sweep": self.name, "number": task.number, "values": dict(observation.values)}
        record["objective"] = self.objectives[0]
        record |= {"spec": dict(observation.spec)} if observation.spec else {}
        record |= {"repeat": task.repeat} if self.search.repeats > 1 and task.repeat >= 0 else {}
        record |= {"confirms": -task.repeat} if task.repeat < 0 else {}
        return record | ({"parents": list(observation.parents)} if observation.parents else {})

    def equip(self, options: Options, task: Task) -> Options:
        """The options of a training: what is recorded of its trial, and what may end it early."""
        judge = functools.partial(self.judge, task) if self.search.prune else None
        return dataclasses.replace(options, trial=self.record(task), judged=self.judged(), judge=judge)

    # What became of it

    def judged(self) -> tuple[int, ...]:
        """The epochs after which trainings are held against the others."""
        return self._ladder.rungs if self._ladder is not None else ()

    def judge(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> str:
        """Why a training ends after these rows, which are new; an empty text where it continues."""
        observation = self.observation(task.number)
        if self._ladder is None or task.repeat or not rows:
            return ""
        first, epoch = int(rows[0]["epoch"]), int(rows[-1]["epoch"])
        kept = {at: value for at, value in observation.curve.items() if at < first}  # a kill may have gone back
        before = max(kept, default=0)
        best = [{"epoch": before, self.objectives[0]: kept[before]}] if before else []
        observation.curve = kept | curve([*best, *rows], self.objectives[0])
        self._ladder.note(observation)
        return self._ladder.verdict(observation, epoch) if epoch in self.judged() else ""

    def finish(self, task: Task, status: str, run: Run | None, error: DlxError | None = None) -> None:
        """A training has ended: done, failed, pruned, interrupted, or running in another process."""
        here, observation = (task.number, task.repeat), self.observation(task.number)
        if task.repeat < 0:
            self.tasks[here] = "waiting" if status == "interrupted" else status
            if status == "done" and run is not None:
                self._confirmed.setdefault(task.number, []).append(run.path)
            return
        if status == "done" and run is not None:
            self._count(here, run, run.metrics() or {})
            if not observation.curve and self.search.prune and not task.repeat:
                observation.curve = curve(run.history(), self.objectives[0])
        elif status == "interrupted":
            self.tasks[here] = "waiting"
        else:
            self.tasks[here] = status
        if status == "failed":
            observation.message = error.message if error is not None else ""
            observation.bad = isinstance(error, DivergenceError) or observation.message == OUT_OF_MEMORY
        if run is not None:
            if run.path not in observation.runs:
                observation.runs.append(run.path)
            if status in ("pruned", "interrupted"):
                self.entries[here] = Entry(run.path, status)
        self._settle(observation)
        if observation.status in ("done", "failed", "pruned"):
            self.ended.append(observation.status)

    def _count(self, here: tuple[int, int], run: Run, metrics: Mapping[str, Any]) -> None:
        self.tasks[here] = "done"
        info = {"parameters": metrics.get("parameters")}
        figures = tuple(figure(run, {**info, **metrics}, name) for name in self.objectives)
        self.results[here] = figures
        observation = self.observation(here[0])
        if run.path not in observation.runs:
            observation.runs.append(run.path)

    def _settle(self, observation: Observation) -> None:
        """What the trial is, from how its trainings are."""
        repeats = [(observation.number, repeat) for repeat in range(self.search.repeats)]
        statuses = [self.tasks[here] for here in repeats]
        found = (status for status in ("failed", "pruned", "running", "waiting") if status in statuses)
        self._set(observation, next(found, "done"))
        if observation.status != "done":
            return
        columns = list(zip(*(self.results[here] for here in repeats), strict=True))
        if any(value is None for column in columns for value in column):
            observation.status, observation.bad, observation.message = "failed", True, "a figure is not finite"
            return
        observation.figures = tuple(sum(column) / len(column) for column in columns)

    def _set(self, observation: Observation, status: str) -> None:
        observation.status = status
        if self._ladder is not None:
            self._ladder.note(observation)

    def observation(self, number: int) -> Observation:
        """What is known of a trial."""
        return self._index[number]

    @property
    def name(self) -> str:
        """What the sweep and its runs are called."""
        return self.space.name

    @property
    def hopeless(self) -> str:
        """Why the sweep should end: its last ten trials all failed; else an empty text."""
        last = self.ended[-MOST_FAILURES:]
        if len(last) < MOST_FAILURES or set(last) != {"failed"}:
            return ""
        messages = [o.message for o in self.observations if o.status == "failed"]
        return f"the last {MOST_FAILURES} trials failed: {messages[-1]}"

    @property
    def left(self) -> bool:
        """Whether there is more to train."""
        waiting = any(here[1] < 0 or not self._over(here[0]) for here in self.tasks.waiting)
        drawn = self.ledger is not None and not self.exhausted
        return waiting or (drawn and len(self.observations) < (self.search.trials or 0))

    def held(self) -> contextlib.AbstractContextManager[None]:
        """Nobody else decides what comes next; a grid needs no such thing, its trials are shared out by claims."""
        return contextlib.nullcontext() if self.ledger is None else self._decides(self.ledger)

    @contextlib.contextmanager
    def _decides(self, ledger: Ledger) -> Iterator[None]:
        """Another process may have issued trials since the ledger was read."""
        with ledger.held():
            if ledger.refresh():
                of_trials = (self.trials, self.tasks, self.entries, self.results, self._index, self._keys)
                for known in (self.observations, *of_trials):
                    known.clear()
                if self._ladder is not None:
                    self._ladder.clear()
                self.recall()
            yield

    def key(self, spec: Spec) -> str:
        """What tells an experiment from every other, as its run records it."""
        return run_key(as_recorded(spec, self.root), spec.code.digests())

    def ranked(self) -> list[Observation]:
        """The finished trials, the best by the first objective first; of equal ones the earlier."""
        done = [o for o in self.observations if o.figures is not None and o.status == "done"]
        sign = -1 if self.maximize[0] else 1
        return sorted(done, key=lambda o: (sign * (o.figures or (0.0,))[0], o.number))
