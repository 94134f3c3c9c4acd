"""What a sweep varies: the dimensions that a `sweep` section, and -s with commas or a range, ask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, SpecError
from dlx.parts.user_code import UserCode
from dlx.spec.overrides import override, put
from dlx.spec.parse import Node, read_text, write_value
from dlx.spec.ranges import Range, parse_range


@dataclass(frozen=True)
class Dimension:
    """One setting of a sweep: a range of numbers, or alternatives. Several addresses may move together (layers.*.…).

    name: the address, and of several with one address something more. varied: the places of the alternatives that
    have ranges inside; written: all as the spec has them. parent: (the dimension, the place of its alternative) without
    which this one is none; inside: where in that alternative it is.
    """

    name: str
    address: str
    where: str
    alternatives: tuple[Node, ...] = ()
    range: Range | None = None
    varied: frozenset[int] = frozenset()
    written: tuple[str, ...] = ()
    parent: tuple[str, int] | None = None
    inside: tuple[str | int, ...] = ()

    def node(self, value: Any) -> Node:
        """What is laid into the spec."""
        if self.range is None:
            return self.alternatives[int(value)]
        return Node(value, self.where, Path.cwd())

    @property
    def first(self) -> Any:
        """The first alternative, or the low end."""
        return 0 if self.range is None else self.range.number(self.range.low)

    def labels(self) -> list[Any]:
        """The alternatives as numbers, words and texts: each another."""
        plain = [node.plain() for node in self.alternatives]
        names = [next(iter(value)) if isinstance(value, dict) and len(value) == 1 else value for value in plain]
        return [
            names[place] if place in self.varied and names.count(names[place]) == 1 else label(value)
            for place, value in enumerate(plain)
        ]

    @property
    def structural(self) -> bool:
        """Whether what it chooses may have settings of its own."""
        return any(isinstance(node.value, (dict, list)) or node.value is None for node in self.alternatives) or (
            all(isinstance(node.value, str) for node in self.alternatives) and bool(self.alternatives)
        )


def label(value: Any) -> Any:
    """A value as a word of a table: a number, or its text."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else write_value(value)


def dimensions_of(root: Node, code: UserCode, overrides: Sequence[str]) -> tuple[Node, list[Dimension]]:
    """(the tree with every override of one value laid in, the dimensions)."""
    problems: list[DlxError] = []
    added: list[Dimension] = []
    fixed = []
    for text in overrides:
        try:
            address, values = alternatives_of(text)
            single = values[0].value if len(values) == 1 else None
            if len(values) > 1:
                added += _dimension_and_inner(address, Node(values, f"-s {text}", Path.cwd()))
            elif values and _range(single, values[0].where) is not None:
                added += _dimension_and_inner(address, values[0])
            else:
                root = override(root, text, code.registries)
                fixed.append(address)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    taken = {place_of(root, code, address) for address in (*(d.address for d in added), *fixed)}
    written = [d for d in declared(root) if place_of(root, code, d.address) not in taken]
    return root, [*written, *added]


def _dimension_and_inner(address: str, node: Node) -> list[Dimension]:
    """The dimension of an address, and those of the ranges inside its alternatives. Raises SpecError."""
    numbers = _range(node.value, node.where)
    if numbers is not None:
        return [Dimension(address, address, node.where, range=numbers)]
    inner: list[Dimension] = []
    alternatives, varied = [], set[int]()
    for place, alternative in enumerate(node.value):
        fixed, ranges = _without_ranges(alternative, address)
        alternatives.append(fixed)
        for where, (at, found, inside) in enumerate(ranges):
            name = at if all(d.name != at for d in inner) else f"{at} ({place + 1}.{where + 1})"
            inner.append(Dimension(name, at, alternative.where, range=found, parent=(address, place), inside=inside))
        if ranges:
            varied.add(place)
    written = tuple(write_value(alternative.plain()) for alternative in node.value)
    return [Dimension(address, address, node.where, tuple(alternatives), None, frozenset(varied), written), *inner]


Inner = list[tuple[str, Range, tuple[str | int, ...]]]


def _without_ranges(node: Node, address: str) -> tuple[Node, Inner]:
    """(an alternative with the low end of each range in its place, (address, range, its keys on the way) of each)."""
    if node.is_mapping or node.is_list:
        items = node.value.items() if node.is_mapping else enumerate(node.value)
        entries, found = {}, Inner()
        for key, child in items:
            entries[key], inner = _without_ranges(child, f"{address}.{key}")
            found += [(at, numbers, (key, *way)) for at, numbers, way in inner]
        return node.with_value(entries if node.is_mapping else list(entries.values())), found
    numbers = _range(node.value, node.where)
    if numbers is None:
        return node, []
    return node.with_value(numbers.number(numbers.low)), [(address, numbers, ())]


def filled(node: Node, inside: tuple[str | int, ...], value: Any) -> Node:
    """A node with a value at the end of the keys that lead into it."""
    if not inside:
        return node.with_value(value)
    entries: Any = dict(node.value) if node.is_mapping else list(node.value)
    entries[inside[0]] = filled(entries[inside[0]], inside[1:], value)
    return node.with_value(entries)


def _range(value: Any, where: str) -> Range | None:
    try:
        return parse_range(value)
    except ValueError as error:
        hint = "16..512, log 1e-5..1e-1, 0..0.6 step 0.1"
        raise SpecError([DlxError(str(error), where=where, hint=hint)]) from error


def check_same(root: Node, code: UserCode, dimensions: Sequence[Dimension], where: str) -> None:
    """Raise SpecError where two addresses mean one setting."""
    own = [d for d in dimensions if d.parent is None]
    places = [place_of(root, code, d.address) for d in own]
    for dimension, place in zip(own, places, strict=True):
        if places.count(place) > 1:
            same = " and ".join(other.address for other, its in zip(own, places, strict=True) if its == place)
            problem = DlxError(f"{same} are the same setting", where=where, hint=f"set {dimension.address} once")
            raise SpecError([problem])


def place_of(root: Node, code: UserCode, address: str) -> str:
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


def declared(root: Node) -> list[Dimension]:
    """What a tree's `sweep` section varies; raises SpecError where it is no alternatives and no range."""
    section = root.value.get("sweep")
    if section is None or section.value is None:
        return []
    if not section.is_mapping:
        hint = "sweep: {lr: [0.001, 0.01]}"
        raise SpecError([DlxError("sweep: expected addresses with lists", where=section.where, hint=hint)])
    problems, dimensions = [], []
    for address, node in section.value.items():
        if node.value is None:
            continue
        try:
            if (node.is_list and node.value) or _range(node.value, node.where) is not None:
                dimensions += _dimension_and_inner(address, node)
                continue
            message = f"sweep.{address}: expected a list of alternatives, got {write_value(node.plain())}"
            hint = "[0.001, 0.01], or a range: 16..512, log 1e-5..1e-1, 0..0.6 step 0.1"
            problems.append(DlxError(message, where=node.where, hint=hint))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return dimensions


def ordered(dimensions: Sequence[Dimension]) -> list[Dimension]:
    """In their order, but what chooses a part before the settings of that part."""
    structured = {d.address.partition(".")[0] for d in dimensions if d.structural and "." in d.address} | {
        d.address for d in dimensions if d.structural
    }

    def depth(dimension: Dimension) -> int:
        section = dimension.address.partition(".")[0]
        several = sum(d.address.partition(".")[0] == section for d in dimensions) > 1
        return dimension.address.count(".") if section in structured and several else 0

    return sorted(dimensions, key=depth)


def alternatives_of(text: str) -> tuple[str, list[Node]]:
    """(address, values) of `address=a,b`: what stands between the commas of a YAML list, without its brackets."""
    address, _, raw = text.partition("=")
    try:
        values = read_text(f"[{raw}]", f"-s {text}", Path.cwd(), marks=False)
    except SpecError:  # no alternatives, then: whoever takes it as one value reports what is wrong with it
        values = None
    return address.strip(), list(values.value) if values is not None and values.is_list else []
