"""From an Experiment to a Run: build, train, and leave the run directory behind."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx import __version__
from dlx import spec as specs
from dlx.engine import fit as engine
from dlx.errors import DiskError, DivergenceError, DlxError, RunError, SpecError, TrainingError
from dlx.inference import forward as inference
from dlx.model import build as model
from dlx.parts import user_code as own
from dlx.parts.registry import FilePath
from dlx.plots import curves as drawing
from dlx.plots import subject as pictures
from dlx.runs import run as runs
from dlx.runs.run import Run
from dlx.spec import sections
from dlx.spec import validate as checking
from dlx.system import backend, signals
from dlx.training import budget as provision
from dlx.training import checkpoints, provenance
from dlx.training import experiment as preparation
from dlx.training import tensorboard as events
from dlx.training.experiment import Experiment

if TYPE_CHECKING:
    import numpy as np

Spec = sections.Spec
KEEP_COST, KEEP_SECONDS = 50, 60.0


@dataclass
class Outcome:
    """How a run ended: its status, its figures, the error if there was one, and what stopped it, if something did."""

    run: Run
    status: str
    metrics: dict[str, Any] = field(default_factory=dict)
    error: DlxError | None = None
    stop: str = ""

    @property
    def exit_code(self) -> int:
        if self.status == "interrupted":
            return signals.code(self.stop)
        return self.error.exit_code if self.error else 0


@dataclass(frozen=True, eq=False)
class Start:
    """Where a training goes on: what a checkpoint held, and the history up to it."""

    arrays: Mapping[str, np.ndarray]
    info: Mapping[str, Any]
    rows: Sequence[runs.Row]
    forced: Sequence[str] = ()  # what decides the figures and is another than it was

    @property
    def step(self) -> int:
        return int(self.info["step"])


class Observer:
    """What a training tells while it runs; every method may be overridden."""

    def started(self, run: Run, experiment: Experiment, device: str, parameters: int) -> None: ...
    def noted(self, line: str) -> None: ...
    def progressed(self, experiment: Experiment, progress: engine.Progress) -> None: ...
    def ended(self, experiment: Experiment, outcome: Outcome) -> None: ...


class _Guarded(Observer):
    """An Observer whose terminal or pipe may go away: the training goes on without it."""

    def __init__(self, watcher: Observer) -> None:
        self._watcher, self._gone = watcher, False

    def _tell(self, name: str, *what: Any) -> None:
        if self._gone:
            return
        try:
            getattr(self._watcher, name)(*what)
        except (OSError, SystemExit):  # rich ends the process when a pipe breaks
            self._gone = True

    def started(self, run: Run, experiment: Experiment, device: str, parameters: int) -> None:
        self._tell("started", run, experiment, device, parameters)

    def noted(self, line: str) -> None:
        self._tell("noted", line)

    def progressed(self, experiment: Experiment, progress: engine.Progress) -> None:
        self._tell("progressed", experiment, progress)

    def ended(self, experiment: Experiment, outcome: Outcome) -> None:
        self._tell("ended", experiment, outcome)


def _donor(spec: Spec, root: Path) -> tuple[Run, dict[str, Any]] | None:
    """(the run, its arrays by layer) of the run that `weights` names: a path, or else a RUN below the runs folder."""
    if spec.weights is None:
        return None
    run = _donor_of(spec, root)
    network, _ = model.restore(run)
    found = model.weights_of(network)
    backend.prepare(spec.seed, spec.precision)
    return run, found


def _donor_of(spec: Spec, root: Path) -> Run:
    """The run that `weights` names: a directory, or a RUN below the runs folder; raises RunError where none is."""
    path = Path(str(spec.weights))
    try:
        beside = path.parent.is_dir() and not path.is_dir()  # a word alone; a path that leads nowhere is none
        run = runs.one(path.name, root) if beside else Run.open(path)
        if not run.model_file.is_file():
            raise RunError(f"has no trained model: it is {run.status}", where=str(run.path))
    except RunError as error:
        error.where = spec.locate("weights") + (f": {error.where}" if error.where else "")
        raise
    return run


def _start_from(network: model.Network, name: str, arrays: dict[str, Any]) -> Iterator[str]:
    """Give the network another run's weights; what became of it, in words."""
    matched, fresh = model.start_from(network, arrays)
    yield f"weights of {name}: {len(matched)} of {len(matched) + len(fresh)} layers with weights begin from them"
    for layer in fresh:
        yield f"  not from there: {layer}"


def check(spec: Spec) -> model.Network:
    """Build the network of a spec without training it. Raises SpecError, located, where it does not fit."""
    facts = preparation.facts_of(spec)
    backend.prepare(spec.seed, spec.precision)
    for part in checking.below(spec.layers):
        file = str(part.args["weights"]) if part.name == "pretrained" else ""
        if os.path.isabs(file) and not os.path.isfile(file):
            raise SpecError([DlxError(f"no such file: {file}", where=spec.locate(part.where))])
    if spec.weights is not None:
        _donor_of(spec, runs.root())
    network = model.build(spec, facts, restored=True)
    model.probe(network, spec)
    model.optimizer(spec)
    return network


def train(
    experiment: Experiment,
    root: Path,
    command: Sequence[str] = (),
    observer: Observer | None = None,
    chunk_steps: int | None = None,
    parent: str | None = None,
    start: Start | None = None,
    deadline: float | None = None,
) -> Outcome:
    """Train into a new run directory below `root`; an Outcome also when the run failed or was stopped.

    `parent` is what the run came of: the name of a sweep, or of the run that `start` is from. `deadline` is a moment
    of time.monotonic() at which to stop politely.
    Raises SpecError before the directory is made when the network does not fit, DiskError when it cannot be made.
    """
    watcher = observer or Observer()
    device = backend.load()
    backend.prepare(experiment.spec.seed, experiment.spec.precision)
    experiment, network, optimizer, notes = built(experiment, root, restored=start is not None)
    run = Run.create(root, experiment.spec.name)

    def begin() -> Experiment:
        base = str(run.path.resolve())
        found = _with_code(experiment, run)
        if start is not None:  # before run.json: a child that is killed at once goes on from its parent's end
            run.append(start.rows)
            info = {key: value for key, value in start.info.items() if key != "number"}
            checkpoints.commit(run.checkpoints, start.arrays, {**info, "history": run.mark()})
        record = provenance.record(found, network, device, command, base, parent)
        if start is not None and start.forced:
            record["resumed"] = [gone_on(start.step, start.forced)]
        run.begin(specs.dump(found.spec, base), record)
        run.log(f"dlx {__version__}, {device.description}")
        for line in notes:
            run.log(line)
            watcher.noted(line)
        return found

    return conduct(experiment, network, optimizer, run, watcher, begin, start, chunk_steps, deadline)


def gone_on(step: int, forced: Sequence[str]) -> dict[str, Any]:
    """What run.json keeps of a training that goes on at a step."""
    return {"start": time.time(), "step": step, **({"forced": list(forced)} if forced else {})}


def built(
    experiment: Experiment, root: Path, restored: bool = False
) -> tuple[Experiment, model.Network, Any, list[str]]:
    """(the experiment, its network, its optimizer, remarks), begun from another run's weights where the spec says so.

    `restored` says that weights will be loaded into the network. Raises what `provision.check` does when the disk
    or the memory has no room for the training.
    """
    donor = None if restored else _donor(experiment.spec, root)
    if donor is not None:  # `latest` is another run tomorrow
        spec = dataclasses.replace(experiment.spec, weights=FilePath(donor[0].path.resolve()))
        experiment = dataclasses.replace(experiment, spec=spec)
    network = model.build(experiment.spec, experiment.facts, restored=restored)
    model.probe(network, experiment.spec)
    optimizer = model.optimizer(experiment.spec)
    provision.check(experiment, network, optimizer, root, held=bool(_last))
    notes = [] if donor is None else list(_start_from(network, donor[0].name, donor[1]))
    return experiment, network, optimizer, notes


def _with_code(experiment: Experiment, run: Run) -> Experiment:
    """The experiment with its own code kept in the run, and taken from there from now on."""
    spec = experiment.spec
    copies = run.keep_code([(Path(path).name, own.source_of(path)) for path in spec.imports])
    for path, copy in zip(spec.imports, copies, strict=True):
        own.adopt(copy.resolve(), path)
    imports = [FilePath(copy.resolve()) for copy in copies]
    return dataclasses.replace(experiment, spec=dataclasses.replace(spec, imports=imports))


def conduct(
    experiment: Experiment,
    network: model.Network,
    optimizer: Any,
    run: Run,
    watcher: Observer,
    begin: Callable[[], Experiment],
    start: Start | None = None,
    chunk_steps: int | None = None,
    deadline: float | None = None,
) -> Outcome:
    """Train in a run whose lock is held, after `begin` has prepared its directory; how it ended is kept there."""
    watcher, stop = _Guarded(watcher), signals.Stop(deadline)
    try:
        with signals.politely(stop):
            experiment = begin()
            watcher.started(run, experiment, backend.load().description, model.parameters(network))
            outcome = _train(experiment, network, optimizer, run, watcher, start, chunk_steps, stop)
    except DlxError as error:
        outcome = Outcome(run, "failed", error=error)
    except MemoryError:
        _last.clear()
        outcome = Outcome(run, "failed", error=_out_of_memory(experiment))
    except KeyboardInterrupt:
        outcome = Outcome(run, "interrupted", stop=stop.signal or "SIGINT")
    except Exception as error:
        _last.clear()
        failure = _backend_failure(error, experiment)
        if failure is None:
            with contextlib.suppress(DlxError):
                run.fail("failed", f"{type(error).__name__}: {str(error)[:500]}")
            raise
        with contextlib.suppress(DlxError):
            run.log(f"{type(error).__name__}: {error}")
        outcome = Outcome(run, "failed", error=failure)
    outcome.stop = outcome.stop or stop.signal  # what has ended has ended, but no other run starts
    _close(run, outcome)
    watcher.ended(experiment, outcome)
    return outcome


def estimate(experiment: Experiment, seconds: float = 1.0) -> float:
    """About how many seconds a training would take: trains for `seconds` and leaves nothing behind."""
    spec, began = experiment.spec, time.monotonic()
    backend.prepare(spec.seed, spec.precision)
    network = model.build(spec, experiment.facts)
    splits, whole = experiment.splits, preparation.plan(experiment)
    compiled = program(experiment, network, model.optimizer(spec), whole)
    tracker, first = _Tracker(experiment), 0.0
    for progress in engine.fit(compiled, whole):
        tracker.add(progress)
        first = first or tracker.seconds  # compiling
        if tracker.seconds - first > seconds or progress.stopped:
            break
    spent = time.monotonic() - began
    if tracker.step >= experiment.steps or progress.stopped:
        return spent
    left = experiment.steps - tracker.step
    rate = tracker.examples_per_second()
    # A forward pass costs a third of a step; where epochs are that short, the measured steps hold theirs already.
    held = len(splits.validation) if splits.validation is not None and not tracker.last else 0
    return spent + (left * len(splits.train) / experiment.steps_per_epoch + experiment.epochs * held / 3) / rate


def _backend_failure(error: Exception, experiment: Experiment) -> TrainingError | None:
    """What the backend says went wrong while computing; None for an error of dlx's own."""
    if type(error).__name__ == "ResourceExhaustedError" or "OOM" in str(error) or "RESOURCE_EXHAUSTED" in str(error):
        return _out_of_memory(experiment)
    if "Exception encountered when calling" in str(error):  # Keras, while the first steps are compiled
        return TrainingError(
            f"the network cannot be trained: {model.sentence(error)}", hint="dlx check shows its layers"
        )
    if not type(error).__module__.startswith(("tensorflow", "jax")):
        return None
    said = model.sentence(error)
    return TrainingError(f"the backend stopped: {said[:200]}", hint="log.txt in the run says more")


def _out_of_memory(experiment: Experiment) -> TrainingError:
    smaller = max(1, experiment.batch_size // 2)
    return TrainingError("out of memory", hint=f"try a smaller batch: -s batch_size={smaller}; or a smaller network")


def _close(run: Run, outcome: Outcome) -> None:
    with contextlib.suppress(DlxError):
        if outcome.error is not None:
            details = {"diverged": True} if isinstance(outcome.error, DivergenceError) else {}
            run.fail("failed", outcome.error.message, hint=outcome.error.hint, **details)
        elif outcome.status == "interrupted":
            run.fail("interrupted", f"stopped by {outcome.stop}")
        if outcome.status != "done":
            run.log(outcome.status + (f": {outcome.error.message}" if outcome.error else ""))
    run.release()


def _train(
    experiment: Experiment,
    network: model.Network,
    optimizer: Any,
    run: Run,
    watcher: Observer,
    start: Start | None,
    chunk_steps: int | None,
    stop: signals.Stop,
) -> Outcome:
    steps = preparation.plan(experiment)
    compiled = program(experiment, network, optimizer, steps)
    if start is not None:
        try:
            compiled = engine.loaded(compiled, start.arrays)
        except ValueError as error:
            raise RunError(f"its checkpoint is not of this network: {error}", where=str(run.path)) from error
    mark, rows = (start.info.get("events"), start.rows) if start is not None else (None, [])
    with runs.disk(run.path):
        board = events.TensorBoard(run.tensorboard, run.info()["settings"], run.name, mark, rows)
    tracker, keeper = _Tracker(experiment, start), _Keeper(run, board)
    try:
        outcome, state = _fit(experiment, compiled, steps, run, watcher, board, tracker, keeper, chunk_steps, stop)
        if not isinstance(outcome.error, DiskError):
            _leave(experiment, network, compiled, state, run, outcome, tracker, board)
    finally:
        with runs.disk(run.path):
            board.close()
    return outcome


def _fit(
    experiment: Experiment,
    compiled: engine.Program,
    steps: engine.Plan,
    run: Run,
    watcher: Observer,
    board: events.TensorBoard,
    tracker: _Tracker,
    keeper: _Keeper,
    chunk_steps: int | None,
    stop: signals.Stop,
) -> tuple[Outcome, engine.State]:
    """(how the training ended, the state at its end), its history, logs and checkpoints written."""
    outcome, state, sound = Outcome(run, "done"), compiled.state, True
    try:
        for progress in engine.fit(compiled, steps, chunk_steps, tracker.carried):
            state, sound = progress.state, progress.sound
            tracker.add(progress)
            run.append(progress.rows)
            with runs.disk(run.path):
                for row in progress.rows:
                    board.epoch(row)
                board.flush()
            run.beat()
            if sound and keeper.due():
                keeper.commit(compiled, state, tracker)
            watcher.progressed(experiment, progress)
            if sound and progress.step < experiment.steps and not progress.stopped and stop.reason:
                outcome = Outcome(run, "interrupted", stop=stop.reason)
                break
    except (DiskError, DivergenceError) as error:
        return Outcome(run, "failed", error=error), state
    except DlxError as error:  # a file could not be read any more
        outcome = Outcome(run, "failed", error=error)
    if sound:
        keeper.commit(compiled, state, tracker)
    return outcome, state


def _leave(
    experiment: Experiment,
    network: model.Network,
    compiled: engine.Program,
    state: engine.State,
    run: Run,
    outcome: Outcome,
    tracker: _Tracker,
    board: events.TensorBoard,
) -> None:
    """Save the best weights; of a training that came to its end also the figures, metrics.json last of all."""
    done = outcome.status == "done"
    if tracker.best_epoch or done:
        compiled.restore_best(state)
        with run.replacing("model.keras") as path:
            network.model.save(path)
    if done:
        outcome.metrics = _final(experiment, network, run, tracker)
        if experiment.spec.plots:
            with runs.disk(run.path):
                _plot(experiment, network, run, tracker, board)
        run.log("done")
    with runs.disk(run.path):
        board.ended(done)
        if done:
            checkpoints.prune(run.checkpoints, 1)
    if done:
        run.finish(outcome.metrics)


def _plot(
    experiment: Experiment, network: model.Network, run: Run, tracker: _Tracker, board: events.TensorBoard
) -> None:
    """The run's pictures, into TensorBoard's Images tab; one that cannot be drawn is logged and costs nothing else."""
    best = tracker.best_epoch or None
    subject = pictures.Subject(run.name, network.model, experiment.dataset, experiment.splits, run.history(), best)
    for name, draw in {"curves": pictures.curves, **pictures.fits(subject)}.items():
        try:
            board.image(name, *drawing.png(draw(subject)), int(tracker.last["epoch"]))
        except (OSError, DiskError):
            raise
        except Exception as error:  # a finished training is worth more than its pictures
            run.log(f"no picture of {name}: {type(error).__name__}: {error}")


def program(experiment: Experiment, network: model.Network, optimizer: Any, plan: engine.Plan) -> engine.Program:
    """The compiled training, its preprocessing fitted on the train split.

    The last one is kept: a run that differs in the seed, the rate or a penalty's strength compiles nothing.
    """
    train, held = experiment.splits.train, experiment.splits.validation
    model.fit_preprocessing(network, train.inputs)
    model.fit_targets(network, train.targets)
    key = _structure(experiment, plan)
    if _last and _last[0][0] == key and not experiment.spec.imports:  # own code may keep what it likes
        return _last[0][1].again(network, optimizer, plan)
    _last.clear()  # its data leaves the device before other data comes
    arrays = (train.inputs, train.targets), held and (held.inputs, held.targets)
    made = engine.compile(network, optimizer, plan, *arrays)
    _last.append((key, made))
    return made


_last: list[tuple[str, engine.Program]] = []
TUNED = ("name", "description", "tags", "plots", "strict", "seed", "lr", "sweep", "weights")


def _structure(experiment: Experiment, plan: engine.Plan) -> str:
    """What a compiled training depends on: all but the numbers that are variables in it."""
    rule = experiment.spec.regularization
    kinds = rule and (bool(rule.l1), bool(rule.l2), sorted(rule.excluded))
    settings = {k: v for k, v in sections.flat(sections.resolved(experiment.spec)).items() if k not in TUNED}
    settings = {k: v for k, v in settings.items() if not k.startswith("regularization")}
    return repr((sorted(settings.items()), kinds, experiment.dataset.fingerprint, plan.class_weights))


class _Tracker:
    """Counts what the final figures need; the first chunk, which compiles, is left out of the rate."""

    def __init__(self, experiment: Experiment, start: Start | None = None) -> None:
        self._experiment = experiment
        said: Mapping[str, Any] = start.info if start is not None else {}
        self.step, self.epochs, self.best_epoch = (int(said.get(key, 0)) for key in ("step", "epochs", "best_epoch"))
        self.seconds, self.carried = float(said.get("seconds", 0.0)), float(said.get("carried", 0.0))
        self._steady_seconds, self._steady_steps = (
            float(said.get("steady_seconds", 0.0)),
            int(said.get("steady_steps", 0)),
        )
        self._before = float(said.get("total_seconds", 0.0))
        self._compiled = False
        self.last: Mapping[str, Any] = start.rows[-1] if start is not None and start.rows else {}

    def add(self, progress: engine.Progress) -> None:
        if self._compiled:
            self._steady_seconds += progress.seconds
            self._steady_steps += progress.step - self.step
        self._compiled, self.carried = True, progress.carried
        self.step, self.epochs = progress.step, progress.epochs
        self.seconds += progress.seconds
        self.best_epoch = progress.best_epoch or 0
        if progress.rows:
            self.last = progress.rows[-1]

    @property
    def total_seconds(self) -> float:
        """Since the command was typed, and in all that were stopped before."""
        return self._before + time.time() - self._experiment.started

    def examples_per_second(self) -> float:
        steps, seconds = (self._steady_steps, self._steady_seconds) if self._steady_steps else (self.step, self.seconds)
        share = len(self._experiment.splits.train) / self._experiment.steps_per_epoch
        return steps * share / max(seconds, 1e-9)

    def info(self) -> dict[str, Any]:
        """What a checkpoint says of it."""
        return {
            "step": self.step,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "carried": self.carried,
            "steady_seconds": self._steady_seconds,
            "steady_steps": self._steady_steps,
            "total_seconds": self.total_seconds,
        }


class _Keeper:
    """Keeps checkpoints: once fifty times what the last one cost has passed, and every 60 seconds at the latest."""

    def __init__(self, run: Run, board: events.TensorBoard) -> None:
        self._run, self._board = run, board
        self._cost, self._last, self._step = 0.02, time.monotonic(), -1

    def due(self) -> bool:
        return time.monotonic() - self._last >= min(KEEP_COST * self._cost, KEEP_SECONDS)

    def commit(self, compiled: engine.Program, state: engine.State, tracker: _Tracker) -> None:
        """Keep the state, unless the last checkpoint is of the same step. Raises DiskError."""
        if tracker.step == self._step:
            return
        began = time.monotonic()
        with runs.disk(self._run.path):
            mark = self._board.mark()
        info = {**tracker.info(), "cost": round(self._cost, 4), "history": self._run.mark(), "events": mark}
        checkpoints.commit(self._run.checkpoints, compiled.save(state), info)
        self._last, self._step = time.monotonic(), tracker.step
        self._cost = self._last - began


def _final(experiment: Experiment, network: model.Network, run: Run, tracker: _Tracker) -> dict[str, Any]:
    """The final figures: train ones of the last epoch, the others from the best weights; saves the predictions."""
    import numpy as np

    splits = experiment.splits
    figures: dict[str, Any] = {key: value for key, value in tracker.last.items() if key.startswith("train_")}
    size = min(max(experiment.batch_size, 128), 4096)
    kept: tuple[Any, Any] | None = None
    for name, split in (("val", splits.validation), ("test", splits.test)):
        if split is None:
            continue
        if name == "test" and splits.test_is_validation and kept is not None:
            figures |= {f"test_{k.removeprefix('val_')}": v for k, v in figures.items() if k.startswith("val_")}
            continue
        found, predictions = inference.evaluate(network, split, size)
        figures |= {f"{name}_{key}": value for key, value in found.items()}
        kept = (split, predictions)
    if kept is not None:
        split, predictions = kept
        values = inference.answers(predictions, experiment.dataset.task)
        with run.replacing("predictions.npz") as path:
            np.savez(path, index=split.index, label=split.targets, prediction=values)
    figures |= {
        "best_epoch": tracker.best_epoch or None,
        "epochs": int(tracker.last["epoch"]),
        "steps": tracker.step,
        "parameters": model.parameters(network),
        "train_seconds": round(tracker.seconds, 3),
        "examples_per_second": round(tracker.examples_per_second(), 1),
        "total_seconds": round(tracker.total_seconds, 3),
    }
    if splits.test_is_validation:
        figures["test_is_validation"] = True
    return figures


def run_file(path: str, root: Path, overrides: Sequence[str] = (), observer: Observer | None = None) -> Outcome:
    """Load a spec, prepare and train it: the whole of `dlx run` for one file."""
    spec = dataclasses.replace(specs.load(path, overrides), sweep={})
    return train(preparation.prepare(spec), root, sys.argv[:1], observer)
