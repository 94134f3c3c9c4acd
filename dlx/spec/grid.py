"""Alternatives: the combinations of settings that a `sweep` section, or commas in a shell, ask for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, SpecError
from dlx.parts.user_code import UserCode
from dlx.spec.inherit import gather
from dlx.spec.overrides import override, put
from dlx.spec.parse import Node, read_text, write_value
from dlx.spec.sections import Spec, resolved
from dlx.spec.validate import validate

MAX_TRIALS = 10_000
Axes = dict[str, list[Node]]


@dataclass(frozen=True)
class Trial:
    """One combination: the settings, by address, and the whole spec that comes of them."""

    settings: dict[str, Any]
    spec: Spec

    @property
    def label(self) -> str:
        """The settings as a shell would write them."""
        return " ".join(f"{address}={write_value(value)}" for address, value in self.settings.items())


def combinations(source: Path | str, stem: str, overrides: Sequence[str] = ()) -> list[Trial]:
    """Every combination of the alternatives of a spec's `sweep` and of `-s address=a,b,…`, in their order.

    source, stem: as `dlx.spec.written` gives them.
    An override of an address replaces its alternatives in the spec. Raises SpecError with every problem.
    """
    root, code = gather(source)
    place = str(source) if isinstance(source, Path) else "spec"
    root, axes = _overridden(root, code, overrides)
    _check_axes(root, code, axes, place)
    plain = root.with_value({key: node for key, node in root.value.items() if key != "sweep"})
    if not axes:
        validate(plain, stem, code)
        hint = "a section `sweep: {lr: [0.001, 0.01]}`, or -s lr=0.001,0.01"
        raise SpecError([DlxError("there are no alternatives to try", where=place, hint=hint)])
    problems: list[DlxError] = []
    trials: dict[str, Trial] = {}
    for combination in itertools.product(*axes.values()):
        chosen = dict(zip(axes, combination, strict=True))
        try:
            spec = _spec(plain, code, chosen, stem)
        except SpecError as error:
            problems += error.problems
            continue
        # The same combination twice is one.
        trials.setdefault(repr(resolved(spec)), Trial({a: node.plain() for a, node in chosen.items()}, spec))
    _raise_distinct(problems)
    return list(trials.values())


def _overridden(root: Node, code: UserCode, overrides: Sequence[str]) -> tuple[Node, Axes]:
    """(the tree with every override of one value laid in, the alternatives by address)."""
    problems: list[DlxError] = []
    axes: Axes = {}
    fixed = []
    for text in overrides:
        try:
            address, values = _alternatives(text)
            if len(values) > 1:
                axes[address] = values
            else:
                root = override(root, text, code.registries)
                fixed.append(address)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    taken = {_place(root, code, address) for address in (*axes, *fixed)}
    return root, {**{a: v for a, v in declared(root).items() if _place(root, code, a) not in taken}, **axes}


def _check_axes(root: Node, code: UserCode, axes: Axes, where: str) -> None:
    """Raise SpecError where two addresses mean one setting, or there are too many combinations."""
    places = [_place(root, code, address) for address in axes]
    for address, place in zip(axes, places, strict=True):
        if places.count(place) > 1:
            same = " and ".join(other for other, its in zip(axes, places, strict=True) if its == place)
            raise SpecError([DlxError(f"{same} are the same setting", where=where, hint=f"set {address} once")])
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > MAX_TRIALS:
        message = f"{count:,} combinations; expected at most {MAX_TRIALS:,}"
        raise SpecError([DlxError(message, where=where, hint="fewer alternatives")])


def _place(root: Node, code: UserCode, address: str) -> str:
    """The place that an address means, whichever way it is written: layers.hidden.units is layers/0/dense/units."""
    marker = Node("\0", "", root.base)
    try:
        return _path(put(root, address, marker, "", code.registries), marker.value) or address
    except SpecError:  # reported at its place when the combinations are made
        return address


def _path(node: Node, value: str) -> str | None:
    if node.value == value:
        return "/"
    inner: Iterable[tuple[Any, Node]] = ()
    if node.is_mapping:
        inner = node.value.items()
    elif node.is_list:
        inner = enumerate(node.value)
    for key, child in inner:
        below = _path(child, value)
        if below is not None:
            return f"/{key}{below}"
    return None


def declared(root: Node) -> Axes:
    """The alternatives of a tree's `sweep` section, by address; raises SpecError where they are none."""
    section = root.value.get("sweep")
    if section is None or section.value is None:
        return {}
    if not section.is_mapping:
        hint = "sweep: {lr: [0.001, 0.01]}"
        raise SpecError([DlxError("sweep: expected addresses with lists", where=section.where, hint=hint)])
    problems = [
        DlxError(f"sweep.{address}: expected a list of alternatives, got {write_value(node.plain())}", where=node.where)
        for address, node in section.value.items()
        if node.value is not None and (not node.is_list or not node.value)
    ]
    if problems:
        raise SpecError(problems)
    return {address: list(node.value) for address, node in section.value.items() if node.value is not None}


def check_alternatives(root: Node, code: UserCode, stem: str) -> None:
    """Raise SpecError with the problems of every alternative of `sweep`, each tried alone on the rest of the spec."""
    problems: list[DlxError] = []
    for address, values in declared(root).items():
        for value in values:
            try:
                _spec(root, code, {address: value}, stem)
            except SpecError as error:
                problems += error.problems
    _raise_distinct(problems)


def _raise_distinct(problems: Sequence[DlxError]) -> None:
    """Raise SpecError with each problem once, where there are some."""
    if problems:
        raise SpecError(list({str(problem): problem for problem in problems}.values()))


def _spec(root: Node, code: UserCode, chosen: dict[str, Node], stem: str) -> Spec:
    for address, value in chosen.items():
        root = put(root, address, value, value.where, code.registries)
    spec = validate(root, stem, code)
    texts = {value.where: f"-s {address}={write_value(value.plain())}" for address, value in chosen.items()}
    # A place says which of the alternatives it is.
    return replace(spec, marks={key: texts.get(mark, mark) for key, mark in spec.marks.items()})


def _alternatives(text: str) -> tuple[str, list[Node]]:
    """(address, values) of `address=a,b`: what stands between the commas of a YAML list, without its brackets."""
    address, _, raw = text.partition("=")
    try:
        values = read_text(f"[{raw}]", f"-s {text}", Path.cwd(), marks=False)
    except SpecError:  # no alternatives, then: whoever takes it as one value reports what is wrong with it
        values = None
    return address.strip(), list(values.value) if values is not None and values.is_list else []
