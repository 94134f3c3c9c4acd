"""From a Spec to an Experiment: load the data, cut and check it, before Keras is loaded."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dlx.data import splits as feed
from dlx.data.dataset import Dataset, Facts, Split
from dlx.engine import fit as engine
from dlx.errors import DataError, DlxError, SpecError, did_you_mean
from dlx.inference import forward as inference
from dlx.parts import REGISTRIES, losses
from dlx.parts import user_code as own
from dlx.parts.datasets import loading as registry
from dlx.parts.registry import Part
from dlx.parts.schedules import Plateau
from dlx.runs.run import maximized
from dlx.spec import sections

Spec = sections.Spec


@dataclass(frozen=True, eq=False)
class Experiment:
    """A spec with its data loaded and split. Making one loads no Keras."""

    spec: Spec
    dataset: Dataset
    splits: feed.Splits
    findings: feed.Findings = field(default_factory=feed.Findings)
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


def prepare(spec: Spec, load: Callable[[Spec], Dataset] | None = None) -> Experiment:
    """Load and split the data of a spec; `load` is for who keeps data from one spec to the next.

    Raises DataError, or SpecError where the spec does not fit the data.
    """
    started = time.time()
    own.install(spec.imports)
    try:
        dataset = load(spec) if load else registry.load(spec.dataset, spec.task)
        if spec.task not in ("auto", dataset.task):
            held = {"classification": "classes", "regression": "values", "multi_label": "several labels an example"}
            message = f"task: {spec.task}, but {spec.dataset.name} holds {held[dataset.task]}"
            raise SpecError([DlxError(message, where=spec.locate("task"), hint="leave task out, or task: auto")])
        if dataset.task == "classification" and len(dataset.classes) < 2:
            raise DataError(f"every example is of the class {dataset.classes[0]!r}; expected two classes or more")
        dataset, splits = feed.encoded(dataset, feed.cut(dataset, spec.test, spec.validation))
        _check_data(spec, dataset)
        feed.check_finite(splits)
        findings = feed.audit(dataset, splits)
        if spec.strict and (said := findings.told(splits.sizes())):
            hint = "strict: false trains all the same, and counts them in the run"
            raise DataError("; ".join(said), where=spec.locate("strict"), hint=hint)
    except MemoryError as error:
        message = f"does not fit into memory ({error})" if str(error) else "does not fit into memory"
        raise DataError(message, where=spec.locate("dataset")) from error
    except DataError as error:
        # A place in a file stands; an address in the spec, or none, becomes a place in the spec.
        if error.where in ("", "validation", "test", "dataset"):
            error.where = spec.locate(error.where or "dataset")
        raise
    _check_fit(spec, Facts.of(dataset))
    return Experiment(spec, dataset, splits, findings, started)


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
    known = registry.facts(spec.dataset)
    if known is None:
        return prepare(spec).facts
    _check_fit(spec, known)
    return known


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
