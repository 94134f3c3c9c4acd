"""Alternatives: the combinations of settings that a `sweep` section, or commas in a shell, ask for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, SpecError
from dlx.spec.inherit import gather, override, put
from dlx.spec.parse import Node, read_text, write_value
from dlx.spec.sections import Spec, resolved
from dlx.spec.validate import check

MOST_TRIALS = 10_000


@dataclass(frozen=True)
class Trial:
    """One combination: what it sets, by address, and the whole spec that comes of it."""

    settings: dict[str, Any]
    spec: Spec

    @property
    def label(self) -> str:
        """What the combination sets, as a shell would say it."""
        return " ".join(f"{address}={write_value(value)}" for address, value in self.settings.items())


def trials(path: str | Path, overrides: Sequence[str] = ()) -> list[Trial]:
    """Every combination of the alternatives of a spec's `sweep` and of `-s address=a,b,…`, in their order.

    An override of an address replaces its alternatives in the spec. Raises SpecError with every problem.
    """
    file = Path(path)
    root = gather(file)
    problems: list[DlxError] = []
    axes: dict[str, list[Node]] = {}
    fixed = []
    for text in overrides:
        try:
            address, values = _alternatives(text)
            if len(values) > 1:
                axes[address] = values
            else:
                root = override(root, text)
                fixed.append(address)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    taken = {_place(root, address) for address in (*axes, *fixed)}
    axes = {**{a: v for a, v in said(root).items() if _place(root, a) not in taken}, **axes}
    places = [_place(root, address) for address in axes]
    for address, place in zip(axes, places, strict=True):
        if places.count(place) > 1:
            same = " and ".join(other for other, its in zip(axes, places, strict=True) if its == place)
            raise SpecError([DlxError(f"{same} are the same setting", where=str(path), hint=f"say {address} once")])
    entries = {key: node for key, node in root.value.items() if key != "sweep"}
    plain = root.with_value(entries)
    if not axes:
        check(plain, file.stem)
        hint = "a section `sweep: {lr: [0.001, 0.01]}`, or -s lr=0.001,0.01"
        raise SpecError([DlxError("there are no alternatives to try", where=str(path), hint=hint)])
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > MOST_TRIALS:
        message = f"{count:,} combinations; expected at most {MOST_TRIALS:,}"
        raise SpecError([DlxError(message, where=str(path), hint="fewer alternatives")])
    found: dict[str, Trial] = {}
    for combination in itertools.product(*axes.values()):
        chosen = dict(zip(axes, combination, strict=True))
        spec = _spec(plain, chosen, file.stem, problems)
        if spec is not None:  # the same combination twice is one
            found.setdefault(repr(resolved(spec)), Trial({a: node.plain() for a, node in chosen.items()}, spec))
    if problems:
        raise SpecError(list({str(problem): problem for problem in problems}.values()))
    return list(found.values())


def _place(root: Node, address: str) -> str:
    """The place that an address means, whichever way it is said: layers.hidden.units is layers/0/dense/units."""
    marker = Node("\0", "", root.base)
    try:
        return _path(put(root, address, marker, ""), marker.value) or address
    except SpecError:  # said at its place when the combinations are made
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


def said(root: Node) -> dict[str, list[Node]]:
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


def check_alternatives(root: Node, axes: dict[str, list[Node]], stem: str) -> None:
    """Raise SpecError with the problems of every alternative, each tried alone on the rest of the spec."""
    problems: list[DlxError] = []
    for address, values in axes.items():
        for value in values:
            _spec(root, {address: value}, stem, problems)
    if problems:
        raise SpecError(list({str(problem): problem for problem in problems}.values()))


def _spec(root: Node, chosen: dict[str, Node], stem: str, problems: list[DlxError]) -> Any:
    try:
        for address, value in chosen.items():
            root = put(root, address, value, value.where)
        return check(root, stem)
    except SpecError as error:
        problems += error.problems
        return None


def _alternatives(text: str) -> tuple[str, list[Node]]:
    """(address, values) of `address=a,b`: what stands between the commas of a YAML list, without its brackets."""
    address, _, raw = text.partition("=")
    shown = f"-s {text}"
    try:
        listed = read_text(f"[{raw}]", shown, Path.cwd(), marks=False)
    except SpecError:  # no alternatives, then: whoever takes it as one value says what is wrong with it
        listed = None
    return address.strip(), list(listed.value) if listed is not None and listed.is_list else []
