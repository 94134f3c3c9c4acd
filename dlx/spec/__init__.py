"""The spec: YAML to one validated experiment. `load` is all that most of dlx needs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yaml import YAMLError

from dlx.errors import DlxError, SpecError
from dlx.spec import space
from dlx.spec.describe import describe
from dlx.spec.inherit import gather
from dlx.spec.parse import write_value
from dlx.spec.rules import all_parts
from dlx.spec.sections import EarlyStop, Regularization, Spec, flat, resolved
from dlx.spec.space import Space, Trial, check_alternatives
from dlx.spec.validate import validate

Source = str | os.PathLike[str] | Mapping[str, Any] | Spec


def load(source: Source, overrides: Sequence[str] = (), alone: bool = False, bare: bool = False) -> Spec:
    """The Spec of a file, of a mapping or of another Spec, with its bases and the overrides (`address=value`) laid in.

    With `alone` no other file is read: the spec of a run is whole. With `bare` only what makes the network is read
    where the spec has user code that may not run. Code runs here: see `parts.user_code`.
    Raises SpecError with every problem, each at its file, line and column. Loads no Keras.
    """
    place, stem = written(source)
    root, code = gather(place, overrides, alone, bare)
    try:
        spec = validate(root, stem, code)
    except SpecError as error:
        for problem in error.problems:
            if re.match(r"-s [^=]+=[^\[{]*,", problem.where) and not problem.hint:
                problem.hint = "dlx sweep takes several values, a run for each"
        raise SpecError(error.problems) from error
    if spec.sweep:
        check_alternatives(root, code, stem)
    return spec


def trials_of(source: Source, overrides: Sequence[str] = ()) -> list[Trial]:
    """Every combination of the alternatives of a spec's `sweep` and of `address=a,b,…`, in their order.

    An override of an address replaces its alternatives in the spec. Raises SpecError with every problem.
    """
    return space.trials_of(space_of(source, overrides))


def space_of(source: Source, overrides: Sequence[str] = (), search: Mapping[str, Any] | None = None) -> Space:
    """What a spec's `sweep`, and `address=a,b,…` or `address=low..high`, vary; search: what a command says of it.

    Raises SpecError with every problem.
    """
    return space.space_of(*written(source), overrides, search)


def written(source: Source) -> tuple[Path | str, str]:
    """(a file, or the text of what is none; what a run is named after where the spec has no name)."""
    if isinstance(source, Spec):
        return dump(source), source.name
    if isinstance(source, Mapping):
        try:
            return write_value(_plain(source)), "spec"
        except YAMLError as error:
            message = f"holds a value that no spec can have ({error})"
            raise SpecError([DlxError(message, where="spec")]) from error
    return Path(source), Path(source).stem


def _plain(value: Any) -> Any:
    """A mapping from Python as YAML writes it: paths as texts, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


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
    "Source",
    "Space",
    "Spec",
    "Trial",
    "all_parts",
    "describe",
    "dump",
    "flat",
    "load",
    "resolved",
    "space_of",
    "trials_of",
    "write_value",
    "written",
]
