"""What the starter specs share."""

from __future__ import annotations

import os
from pathlib import Path

from dlx.system import terminal

Lines = list[str]


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


def comment(text: str) -> str:
    """A name from the data, as a comment can hold it."""
    return terminal.clean(" ".join(text.split()))
