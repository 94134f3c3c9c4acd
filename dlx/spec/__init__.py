"""The spec: reading, inheritance, checking. `load` is all that the rest of dlx needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlx.spec import grid
from dlx.spec.grid import Trial, trials
from dlx.spec.inherit import gather
from dlx.spec.parse import write_value
from dlx.spec.sections import EarlyStop, Regularization, Spec, flat, resolved
from dlx.spec.validate import below, check, describe


def load(path: str | Path, overrides: Sequence[str] = (), alone: bool = False, bare: bool = False) -> Spec:
    """The Spec that a file says, with its bases and the overrides (`address=value`) laid in.

    With `alone` no other file is read: what a run says is whole. With `bare` only what makes the network is read where
    the spec has code of its own that may not run. Code runs here: see `parts.own`.
    Raises SpecError with every problem, each at its file, line and column. Loads no Keras.
    """
    file = Path(path)
    root = gather(file, overrides, alone, bare)
    spec = check(root, file.stem)
    if spec.sweep:
        grid.check_alternatives(root, grid.said(root), file.stem)
    return spec


def dump(spec: Spec, base: str | None = None) -> str:
    """The resolved spec as YAML, a layer a line; paths relative to the folder `base`."""
    lines = []
    for key, value in resolved(spec, base).items():
        if isinstance(value, list) and value and key != "tags":
            lines += [f"{key}:", *(f"  - {write_value(item)}" for item in value)]
        else:
            lines.append(f"{key}: {write_value(value)}")
    return "\n".join(lines) + "\n"


__all__ = [
    "EarlyStop",
    "Regularization",
    "Spec",
    "Trial",
    "below",
    "describe",
    "dump",
    "flat",
    "load",
    "resolved",
    "trials",
    "write_value",
]
