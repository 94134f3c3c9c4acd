"""From a Spec to a Run: load the data, build, train, and leave the run directory behind."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlx import __version__, backend, drawing, engine, events, feed, inference, model, pictures, runs
from dlx import spec as specs
from dlx.dataset import Dataset, Facts, Split
from dlx.errors import DataError, DlxError, RunError, SpecError, TrainingError, did_you_mean
from dlx.parts import REGISTRIES, datasets, losses, own
from dlx.parts.schedules import Plateau
from dlx.registry import FilePath, Part
from dlx.runs import Run, maximized

Spec = specs.Spec


@dataclass(frozen=True, eq=False)
class Experiment:
    """A spec with its data loaded and split. Making one loads no Keras."""

    spec: Spec
    dataset: Dataset
    splits: feed.Splits
    started: float = field(default_factory=time.time)

    @property
    def facts(self) -> Facts:
        return Facts.of(self.dataset)

    @property
    def batch_size(self) -> int:
        size = len(self.splits.train)
        return size if self.spec.batch_size == "full" else min(int(self.spec.batch_size), size)

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.splits.train) // self.batch_size)

    @property
    def steps(self) -> int:
        return self.spec.steps or self.steps_per_epoch * int(self.spec.epochs or 1)

    @property
    def epochs(self) -> int:
        return -(-self.steps // self.steps_per_epoch)

    @property
    def monitor(self) -> str:
        if self.spec.monitor != "auto":
            return self.spec.monitor
        return "val_loss" if self.splits.validation is not None else "train_loss"

    @property
    def maximize(self) -> bool:
        return maximized(self.monitor)


@dataclass
class Outcome:
    """How a run ended: its status, its figures, and the error if there was one."""

    run: Run
    status: str
    metrics: dict[str, Any] = field(default_factory=dict)
    error: DlxError | None = None
    signal: int = 0

    @property
    def exit_code(self) -> int:
        if self.signal:
            return 128 + self.signal
        return self.error.exit_code if self.error else 0


class Observer:
    """What a training tells while it runs; every method may be overridden."""

    def started(self, run: Run, experiment: Experiment, device: str, parameters: int) -> None: ...
    def noted(self, line: str) -> None: ...
    def progressed(self, experiment: Experiment, progress: engine.Progress) -> None: ...
    def ended(self, experiment: Experiment, outcome: Outcome) -> None: ...


def prepare(spec: Spec, load: Callable[[Spec], Dataset] | None = None) -> Experiment:
    """Load and split the data of a spec; `load` is for who keeps data from one spec to the next.

    Raises DataError, or SpecError where the spec does not fit the data.
    """
    started = time.time()
    own.install(spec.imports)
    try:
        dataset = load(spec) if load else datasets.load(spec.dataset, spec.task)
        if spec.task not in ("auto", dataset.task):
            held = {"classification": "classes", "regression": "values", "multi_label": "several labels an example"}
            message = f"task: {spec.task}, but {spec.dataset.name} holds {held[dataset.task]}"
            raise SpecError([DlxError(message, where=spec.locate("task"), hint="leave task out, or task: auto")])
        if dataset.task == "classification" and len(dataset.classes) < 2:
            raise DataError(f"every example is of the class {dataset.classes[0]!r}; expected two classes or more")
        dataset, splits = feed.encoded(dataset, feed.cut(dataset, spec.test, spec.validation))
        _check_data(spec, dataset)
        feed.check_finite(splits)
    except DataError as error:
        # A place in a file stands; an address in the spec, or none, becomes a place in the spec.
        if error.where in ("", "validation", "test", "dataset"):
            error.where = spec.locate(error.where or "dataset")
        raise
    _check_fit(spec, Facts.of(dataset))
    return Experiment(spec, dataset, splits, started)


def _check_data(spec: Spec, dataset: Dataset) -> None:
    """Raise DataError for data from which nothing can be learned, or that the first layer cannot take."""
    if 0 in dataset.shape:
        raise DataError(f"an input has the shape {dataset.shape}: it holds no number")
    colours = [part for part in spec.augment if part.name in ("brightness", "contrast", "noise", "rand_augment")]
    if colours and dataset.train.inputs.dtype.name != "uint8":
        raise DataError(
            f"{colours[0].name} changes images of 0 to 255 as uint8, but these are {dataset.train.inputs.dtype}",
            where=spec.locate(colours[0].where),
            hint="store them as uint8, or remove it",
        )
    first = spec.layers[0]
    limits = {"embedding": "input_dim", "reversible_embedding": "input_dim", "category_encoding": "num_tokens"}
    if first.name in limits and first.args.get(limits[first.name]):
        splits = [split.inputs for split in (dataset.train, dataset.test) if split is not None]
        pieces = [piece for array in splits for piece in _extremes(array)]
        low, high = min(piece[0] for piece in pieces), max(piece[1] for piece in pieces)
        if not all(whole for _, _, whole in pieces) or spec.preprocess:
            raise DataError(
                f"{first.name} takes whole numbers, as they are in the data",
                where=spec.locate(first.where),
                hint="remove preprocess, or begin with another layer"
                if spec.preprocess
                else "begin with another layer",
            )
        most = first.args[limits[first.name]]
        if low < 0 or high >= most:
            raise DataError(
                f"the inputs go from {low:g} to {high:g}, but {first.name} takes whole numbers from 0 to {most - 1}",
                where=spec.locate(first.where),
                hint=f"{limits[first.name]}: {int(high) + 1}" if low >= 0 else "number the tokens from 0",
            )


def _extremes(inputs: Any) -> Iterator[tuple[float, float, bool]]:
    """(the lowest, the highest, whether all are whole numbers) of the inputs, piece by piece."""
    size = max(1, 2**24 // max(1, math.prod(inputs.shape[1:]) * int(inputs.dtype.itemsize)))
    for piece in inference.batches(inputs, size):
        yield float(piece.min()), float(piece.max()), bool((piece % 1 == 0).all())


def _check_fit(spec: Spec, facts: Facts) -> None:
    """What a spec can say that does not fit the data, found before Keras is loaded."""
    problems = []
    if spec.augment and (len(facts.shape) != 3):
        message = f"augmentations change images (height, width, channels), but an input has the shape {facts.shape}"
        problems.append(DlxError(message, where=spec.locate("augment"), hint="remove augment"))

    def fits(name: str) -> bool:
        return facts.task in losses.TASKS.get(name, (facts.task,))

    for part in spec.metrics if spec.metrics != "auto" else []:
        if not fits(part.name):
            problems.append(DlxError(f"{part.name} is no metric of a {facts.task}", where=spec.locate(part.where)))
        elif part.name == "top_k" and part.args["k"] >= len(facts.classes):
            message = (
                f"the data has {len(facts.classes)} classes, of which the right one is always among {part.args['k']}"
            )
            problems.append(DlxError(message, where=spec.locate(part.where), hint="a smaller k, or accuracy"))
    if isinstance(spec.loss, Part) and not fits(spec.loss.name):
        expected = " or ".join(losses.TASKS[spec.loss.name])
        message = f"{spec.loss.name} expects the task {expected}, but the task is {facts.task}"
        problems.append(DlxError(message, where=spec.locate("loss")))
    if not fits(spec.monitor.partition("_")[2]):
        problems.append(DlxError(f"{spec.monitor!r} is no figure of a {facts.task}", where=spec.locate("monitor")))
    problems += _check_class_weight(spec, facts)
    if problems:
        raise SpecError(problems)


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


def _check_class_weight(spec: Spec, facts: Facts) -> Iterator[DlxError]:
    """What class_weight says that the data has no classes for."""
    said = spec.class_weight
    if said is None:
        return
    if facts.task != "classification":
        yield DlxError(f"weighs classes, but the task is {facts.task}", where=spec.locate("class_weight"))
    elif said != "balanced":
        for name in said:
            if name not in facts.classes:
                known = ", ".join(facts.classes[:8]) + " …" * (len(facts.classes) > 8)
                message = f"{name!r} is no class of the data{did_you_mean(name, facts.classes)}; it has {known}"
                yield DlxError(message, where=spec.locate("class_weight"))


def class_weights(spec: Spec, dataset: Dataset, train: Split) -> tuple[float, ...] | None:
    """What an example of each class counts: as the spec says, or so that all classes count alike in the train split."""
    import numpy as np

    if spec.class_weight is None:
        return None
    if spec.class_weight != "balanced":
        return tuple(float(spec.class_weight.get(name, 1.0)) for name in dataset.classes)
    counts = np.bincount(np.asarray(train.targets).reshape(-1), minlength=len(dataset.classes))
    return tuple(float(share) for share in counts.sum() / (len(counts) * np.maximum(counts, 1)))


def facts_of(spec: Spec) -> Facts:
    """What the data looks like, without its arrays where that is known; loads them otherwise."""
    known = datasets.facts(spec.dataset)
    if known is None:
        return prepare(spec).facts
    _check_fit(spec, known)
    return known


def check(spec: Spec) -> model.Network:
    """Build the network of a spec without training it. Raises SpecError, located, where it does not fit."""
    facts = facts_of(spec)
    backend.prepare(spec.seed, spec.precision)
    for part in specs.below(spec.layers):
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
) -> Outcome:
    """Train into a new run directory below `root`; an Outcome also when the run failed or was stopped.

    Raises SpecError before the directory is made when the network does not fit, DiskError when it cannot be made.
    `parent` is what the run came of: the name of a sweep.
    """
    watcher = observer or Observer()
    spec, started = experiment.spec, experiment.started
    device = backend.load()
    backend.prepare(spec.seed, spec.precision)
    donor = _donor(spec, root)
    if donor is not None:  # `latest` is another run tomorrow
        spec = dataclasses.replace(spec, weights=FilePath(donor[0].path.resolve()))
        experiment = dataclasses.replace(experiment, spec=spec)
    network = model.build(spec, experiment.facts)
    model.probe(network, spec)
    optimizer = model.optimizer(spec)
    run = Run.create(root, spec.name)
    try:
        base = str(run.path.resolve())
        copies = run.keep_code([(Path(path).name, own.source_of(path)) for path in spec.imports])
        for path, copy in zip(spec.imports, copies, strict=True):
            own.adopt(copy.resolve(), path)
        spec = dataclasses.replace(spec, imports=[FilePath(copy.resolve()) for copy in copies])
        experiment = dataclasses.replace(experiment, spec=spec)
        run.begin(specs.dump(spec, base), _record(experiment, network, device, command, started, base, parent))
        run.log(f"dlx {__version__}, {device.description}")
        for line in _start_from(network, donor[0].name, donor[1]) if donor is not None else ():
            run.log(line)
            watcher.noted(line)
        watcher.started(run, experiment, device.description, model.parameters(network))
        with _politely() as stop:
            outcome = _train(experiment, network, optimizer, run, watcher, started, chunk_steps, stop)
    except DlxError as error:
        outcome = Outcome(run, "failed", error=error)
    except MemoryError:
        _last.clear()
        outcome = Outcome(run, "failed", error=_out_of_memory(experiment))
    except KeyboardInterrupt:
        outcome = Outcome(run, "interrupted", signal=signal.SIGINT)
    except Exception as error:
        _last.clear()
        failure = _backend_failure(error, experiment)
        if failure is None:
            run.fail("failed", f"{type(error).__name__}: {str(error)[:500]}")
            raise
        run.log(f"{type(error).__name__}: {error}")
        outcome = Outcome(run, "failed", error=failure)
    _close(run, outcome)
    watcher.ended(experiment, outcome)
    return outcome


def estimate(experiment: Experiment, seconds: float = 1.0) -> float:
    """About how many seconds a training would take: trains for `seconds` and leaves nothing behind."""
    spec, began = experiment.spec, time.monotonic()
    backend.prepare(spec.seed, spec.precision)
    network = model.build(spec, experiment.facts)
    splits, whole = experiment.splits, plan(experiment)
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
            run.fail("failed", outcome.error.message, hint=outcome.error.hint)
        elif outcome.status == "interrupted":
            run.fail("interrupted", f"stopped by {signal.Signals(outcome.signal).name}", signal=outcome.signal)
        run.log(outcome.status + (f": {outcome.error.message}" if outcome.error else ""))
    run.release()


def _train(
    experiment: Experiment,
    network: model.Network,
    optimizer: Any,
    run: Run,
    watcher: Observer,
    started: float,
    chunk_steps: int | None,
    stop: list[int],
) -> Outcome:
    steps = plan(experiment)
    compiled = program(experiment, network, optimizer, steps)
    board = events.TensorBoard(run.tensorboard, run.info()["settings"], run.name)
    tracker = _Tracker(experiment)
    outcome, state = Outcome(run, "done"), compiled.state
    try:
        for progress in engine.fit(compiled, steps, chunk_steps):
            state = progress.state
            tracker.add(progress)
            run.append(progress.rows)
            for row in progress.rows:
                board.epoch(row)
            board.flush()
            watcher.progressed(experiment, progress)
            if stop and progress.step < experiment.steps and not progress.stopped:
                outcome = Outcome(run, "interrupted", signal=stop[0])
                break
    except DlxError as error:  # it diverged, or a file could not be read any more
        outcome = Outcome(run, "failed", error=error)
    try:
        if tracker.best_epoch or outcome.status == "done":
            compiled.restore_best(state)
            with run.replacing("model.keras") as path:
                network.model.save(path)
        if outcome.status == "done":
            outcome.metrics = _final(experiment, network, run, tracker, started)
            if experiment.spec.plots:
                _plot(experiment, network, run, tracker, board)
            run.finish(outcome.metrics)
    finally:
        board.close(run.status == "done")
    if stop:  # a finished run stays finished, but no other one starts
        outcome.signal = stop[0]
    return outcome


def _plot(
    experiment: Experiment, network: model.Network, run: Run, tracker: _Tracker, board: events.TensorBoard
) -> None:
    """The run's pictures, into TensorBoard's Images tab; one that cannot be drawn is logged and costs nothing else."""
    best = tracker.best_epoch or None
    subject = pictures.Subject(run.name, network.model, experiment.dataset, experiment.splits, run.history(), best)
    for name, draw in {"curves": pictures.curves, **pictures.fits(subject)}.items():
        try:
            board.image(name, *drawing.png(draw(subject)), int(tracker.last["epoch"]))
        except Exception as error:  # a finished training is worth more than its pictures
            run.log(f"no picture of {name}: {type(error).__name__}: {error}")


@contextlib.contextmanager
def _politely() -> Iterator[list[int]]:
    """A list that a first SIGINT, SIGTERM or SIGHUP puts its number in; a second one stops at once."""
    received: list[int] = []
    before: dict[int, Any] = {}

    def handle(number: int, frame: Any) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    names = ("SIGINT", "SIGTERM", "SIGHUP")
    for wanted in [getattr(signal, name) for name in names if hasattr(signal, name)]:
        with contextlib.suppress(ValueError):  # not the main thread: whoever is in charge decides
            before[wanted] = signal.signal(wanted, handle)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
TUNED = ("name", "description", "tags", "plots", "seed", "lr", "sweep", "weights")


def _structure(experiment: Experiment, plan: engine.Plan) -> str:
    """What a compiled training depends on: all but the numbers that are variables in it."""
    rule = experiment.spec.regularization
    kinds = rule and (bool(rule.l1), bool(rule.l2), sorted(rule.excluded))
    settings = {k: v for k, v in specs.flat(specs.resolved(experiment.spec)).items() if k not in TUNED}
    settings = {k: v for k, v in settings.items() if not k.startswith("regularization")}
    return repr((sorted(settings.items()), kinds, experiment.dataset.fingerprint, plan.class_weights))


def plan(experiment: Experiment) -> engine.Plan:
    """How long the training is, how fast, and by which figure."""
    spec, stop = experiment.spec, experiment.spec.early_stop
    schedule = REGISTRIES["schedule"].make(spec.schedule)
    return engine.Plan(
        seed=spec.seed,
        lr=spec.lr,
        batch_size=experiment.batch_size,
        steps_per_epoch=experiment.steps_per_epoch,
        steps=experiment.steps,
        monitor=experiment.monitor,
        maximize=experiment.maximize,
        patience=stop.patience if stop else None,
        min_delta=stop.min_delta if stop else 0.0,
        schedule=None if isinstance(schedule, Plateau) else schedule,
        plateau=schedule if isinstance(schedule, Plateau) else None,
        class_weights=class_weights(spec, experiment.dataset, experiment.splits.train),
    )


class _Tracker:
    """Counts what the final figures need; the first chunk, which compiles, is left out of the rate."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self.step = self.best_epoch = 0
        self.seconds = self._steady_seconds = 0.0
        self._steady_steps = 0
        self.last: dict[str, float] = {}

    def add(self, progress: engine.Progress) -> None:
        if self.step:
            self._steady_seconds += progress.seconds
            self._steady_steps += progress.step - self.step
        self.step = progress.step
        self.seconds += progress.seconds
        self.best_epoch = progress.best_epoch or 0
        if progress.rows:
            self.last = progress.rows[-1]

    def examples_per_second(self) -> float:
        steps, seconds = (self._steady_steps, self._steady_seconds) if self._steady_steps else (self.step, self.seconds)
        share = len(self._experiment.splits.train) / self._experiment.steps_per_epoch
        return steps * share / max(seconds, 1e-9)


def _final(
    experiment: Experiment, network: model.Network, run: Run, tracker: _Tracker, started: float
) -> dict[str, Any]:
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
        "total_seconds": round(time.time() - started, 3),
    }
    if splits.test_is_validation:
        figures["test_is_validation"] = True
    return figures


def _record(
    experiment: Experiment,
    network: model.Network,
    device: backend.Device,
    command: Sequence[str],
    started: float,
    base: str,
    parent: str | None,
) -> dict[str, Any]:
    """run.json: what made the run. No host name, no absolute path."""
    dataset, spec = experiment.dataset, experiment.spec
    zone = time.strftime("%z", time.localtime(started))
    return {
        "dlx": __version__,
        "command": " ".join(_relative(word) for word in command),
        "start": time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(started)) + zone,
        "started": started,
        "git": _git(),
        "versions": backend.versions(),
        **device.record(),
        "task": dataset.task,
        "monitor": experiment.monitor,
        "maximize": experiment.maximize,
        "input": {
            "kind": dataset.kind,
            "shape": list(dataset.shape),
            "dtype": dataset.train.inputs.dtype.name,
            "encoding": dict(dataset.encoding),
        },
        "dataset": {
            "fingerprint": dataset.fingerprint,
            "source": dataset.source,
            **experiment.splits.sizes(),
            **_skipped(dataset),
        },
        "classes": list(dataset.classes),
        "targets": experiment.facts.targets,
        "steps": experiment.facts.steps,
        "scaled": network.scaler is not None,
        "parameters": model.parameters(network),
        "parent": parent,
        "code": {Path(path).name: own.hash_of(path) for path in spec.imports},
        "settings": specs.flat(specs.resolved(spec, base)),
    }


def _skipped(dataset: Dataset) -> dict[str, Any]:
    """How many files were passed over, and which, where some were."""
    names = list(dataset.skipped)
    return {"skipped": len(names), "skipped_files": names[:100]} if names else {}


def _relative(word: str) -> str:
    """A word of the command with the folders of absolute paths cut off: a run tells nobody's folders."""
    return re.sub(r"(?<![\w.…])[~/](?:[^\s,{}\[\]\"'=]*/)([^\s,{}\[\]\"'=/]*)", r"…/\1", word)


def _git() -> dict[str, Any] | None:
    """The commit of the working directory, and whether it was changed; None outside a repository."""
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
        if commit.returncode:
            return None
        state = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
        return {"commit": commit.stdout.strip(), "dirty": bool(state.stdout.strip())}
    except (OSError, subprocess.SubprocessError):
        return None


def run_file(path: str, root: Path, overrides: Sequence[str] = (), observer: Observer | None = None) -> Outcome:
    """Load a spec, prepare and train it: the whole of `dlx run` for one file."""
    spec = dataclasses.replace(specs.load(path, overrides), sweep={})
    return train(prepare(spec), root, sys.argv[:1], observer)
