"""What a spec can say that does not fit its data, before Keras is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from dlx.data.dataset import Dataset, Facts
from dlx.errors import DataError, DlxError, SpecError, did_you_mean
from dlx.inference.forward import in_batches
from dlx.parts import losses
from dlx.parts.registry import Part
from dlx.spec.sections import Spec


def check_data(spec: Spec, dataset: Dataset) -> None:
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
    for piece in in_batches(inputs, size):
        yield float(piece.min()), float(piece.max()), bool((piece % 1 == 0).all())


def check_fit(spec: Spec, facts: Facts) -> None:
    """What a spec can say that does not fit the data, before Keras is loaded."""
    problems = []
    if spec.augment and (len(facts.shape) != 3):
        message = f"augmentations change images (height, width, channels), but an input has the shape {facts.shape}"
        problems.append(DlxError(message, where=spec.locate("augment"), hint="remove augment"))

    def fits(name: str) -> bool:
        return facts.task in losses.TASKS.get(name, (facts.task,))

    for part in spec.metrics if spec.metrics != "auto" else []:
        if not fits(part.name):
            problems.append(DlxError(f"{part.name} is not a metric of a {facts.task}", where=spec.locate(part.where)))
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
        problems.append(DlxError(f"{spec.monitor!r} is not a figure of a {facts.task}", where=spec.locate("monitor")))
    problems += _check_class_weight(spec, facts)
    if problems:
        raise SpecError(problems)


def _check_class_weight(spec: Spec, facts: Facts) -> Iterator[DlxError]:
    """What class_weight says that the data has no classes for."""
    weights = spec.class_weight
    if weights is None:
        return
    if facts.task != "classification":
        yield DlxError(f"weighs classes, but the task is {facts.task}", where=spec.locate("class_weight"))
    elif weights != "balanced":
        for name in weights:
            if name not in facts.classes:
                known = ", ".join(facts.classes[:8]) + " …" * (len(facts.classes) > 8)
                message = f"{name!r} is not a class of the data{did_you_mean(name, facts.classes)}; it has {known}"
                yield DlxError(message, where=spec.locate("class_weight"))
