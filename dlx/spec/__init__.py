"""The spec: YAML to one validated experiment. `load` is all that most of dlx needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlx.spec.describe import describe
from dlx.spec.grid import Trial, check_alternatives, trials_of
from dlx.spec.inherit import gather
from dlx.spec.parse import write_value
from dlx.spec.rules import all_parts
from dlx.spec.sections import EarlyStop, Regularization, Spec, flat, resolved
from dlx.spec.validate import validate


def load(path: str | Path, overrides: Sequence[str] = (), alone: bool = False, bare: bool = False) -> Spec:
    """The Spec of a file, with its bases and the overrides (`address=value`) laid in.

    With `alone` no other file is read: the spec of a run is whole. With `bare` only what makes the network is read
    where the spec has user code that may not run. Code runs here: see `parts.user_code`.
    Raises SpecError with every problem, each at its file, line and column. Loads no Keras.
    """
    file = Path(path)
    root, code = gather(file, overrides, alone, bare)
    spec = validate(root, file.stem, code)
    if spec.sweep:
        check_alternatives(root, code, file.stem)
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
    "all_parts",
    "describe",
    "dump",
    "flat",
    "load",
    "resolved",
    "trials_of",
    "write_value",
]
