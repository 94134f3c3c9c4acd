"""What the starter specs share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlx.system import terminal

Lines = list[str]
STEPS = 32  # values in a row, from which on it may be a signal


def relative(path: Path, output: str | None) -> str:
    """The path as the spec says it: relative to the spec's folder."""
    return os.path.relpath(path, Path(output).parent if output else Path())


TRAINING = [
    "optimizer: adam",
    "lr: 0.001                     # ten times larger and smaller are worth a run each: dlx sweep",
]


def convolutions(small: bool) -> Lines:
    """Preprocessing and layers for images."""
    blocks = (16, 32) if small else (16, 32, 64, 64)
    lines = ["preprocess: [rescale]          # 0..255 becomes 0..1", "layers:"]
    for filters in blocks:
        lines += [
            f"  - conv2d: {{filters: {filters}, kernel_size: 3, padding: same, activation: relu}}",
            "  - max_pooling2d",
        ]
    return [*lines, "  - flatten" if small else "  - global_average_pooling2d", "  - dropout: 0.3", "  - output"]


def signal(shape: tuple[int, ...], flat: bool) -> Lines:
    """Preprocessing and layers for (steps, channels) of a signal; `flat`: each example is a row of its steps."""
    return [
        "preprocess: [normalize]",
        "layers:",
        *([f"  - reshape: [{shape[0]}, 1]        # a row of {shape[0]} values, read as a signal"] if flat else []),
        "  - conv1d: {filters: 16, kernel_size: 7, padding: same, activation: relu}",
        "  - max_pooling1d: 4",
        "  - conv1d: {filters: 32, kernel_size: 7, padding: same, activation: relu}",
        "  - max_pooling1d: 4",
        "  - flatten",
        "  - dropout: 0.3",
        "  - output",
    ]


def smooth(rows: Any) -> bool:
    """Whether the values of a row follow one another as those of a signal do.

    rows: (n, steps) numbers. True where values one to three steps apart are correlated, each column less its mean and
    by its deviation: the columns of most tables are not.
    """
    import numpy as np

    rows = np.asarray(rows, np.float64)
    if rows.ndim != 2 or rows.shape[1] < STEPS:
        return False
    with np.errstate(all="ignore"):
        rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    rows = rows[:, np.isfinite(rows).all(axis=0)]
    if rows.shape[1] < STEPS:
        return False
    return any(abs(float((rows[:, :-lag] * rows[:, lag:]).mean())) > 0.4 for lag in (1, 2, 3))


def stops(epochs: int, validation: bool = True) -> str:
    """early_stop with what it does."""
    figure = "val_loss" if validation else "train_loss"
    return f"early_stop: {epochs:<18} # stops after {epochs} epochs without a better {figure}"


def named(counts: Sequence[tuple[str, int]]) -> str:
    """How many there are of each class; of many classes the first, and how many more there are."""
    shown = ", ".join(f"{count:,} {comment(name)}" for name, count in counts[:8])
    return shown + (f", and {len(counts) - 8} more classes" if len(counts) > 8 else "")


def comment(text: str) -> str:
    """A name from the data, as a comment can hold it."""
    return terminal.clean(" ".join(text.split()))
