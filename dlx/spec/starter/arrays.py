"""A starter spec for an .npz file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dlx.data.dataset import Dataset
from dlx.errors import DataError
from dlx.parts.datasets import loading
from dlx.parts.registry import Part
from dlx.spec.parse import write_value
from dlx.spec.starter.layout import STEPS, TRAINING, Lines, convolutions, relative, signal, smooth, stops


def _tasks(part: Part) -> Iterator[tuple[str, Dataset]]:
    """The tasks that arrays of whole numbers may be for, the most likely first, each with the data as it reads them."""
    for task in ("multi_label", "classification", "regression"):
        with contextlib.suppress(DataError):
            dataset = loading.load(part, task)
            if task != "classification" or dataset.train.targets.ndim == 1 or len(dataset.shape) == 2:
                yield task, dataset


def _signal(dataset: Dataset) -> tuple[int, ...]:
    """The shape of the inputs where they are signals; else ()."""
    shape = dataset.shape
    if len(shape) == 2 and shape[0] >= STEPS:
        return shape
    return shape if len(shape) == 1 and smooth(dataset.train.inputs[:200]) else ()


def arrays_spec(path: Path, output: str | None) -> Lines:
    """A spec for .npz arrays."""
    lines = [f"dataset: {write_value({'npz': relative(path, output)})}"]
    try:
        dataset = loading.load(Part("npz", {"path": str(path)}))
    except DataError as error:
        if "say which" not in error.hint:
            raise
        task, dataset = next(_tasks(Part("npz", {"path": str(path)})))
        lines.append(f"task: {task:<24} # whole numbers; another one, if they mean something else")
    lines.insert(0, f"# {path.name}: {len(dataset.train):,} examples of shape {dataset.shape}")
    validation = len(dataset.train) >= 20
    if not validation:
        lines += ["validation: none"]
    if dataset.kind == "image":
        lines += convolutions(small=max(dataset.shape[:2]) <= 32)
    elif signal_shape := _signal(dataset):
        lines += signal(signal_shape, flat=len(dataset.shape) == 1)
    elif len(dataset.shape) == 2:
        lines += ["preprocess: [normalize]", "layers:", "  - lstm: 32", "  - output"]
    else:
        flat = [] if len(dataset.shape) == 1 else ["  - flatten"]
        lines += ["preprocess: [normalize]", "layers:", *flat, "  - dense: {units: 64, activation: relu}", "  - output"]
    return [
        *lines,
        "test: 0.2" if dataset.test is None else "test: auto",
        *TRAINING,
        "epochs: 30",
        stops(5, validation),
    ]
