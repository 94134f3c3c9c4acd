"""The space of a sweep: alternatives and ranges by address, and the specs that come of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, SpecError
from dlx.parts import REGISTRIES
from dlx.parts.registry import Part
from dlx.parts.user_code import UserCode
from dlx.spec.annotations import part_of
from dlx.spec.dimensions import Dimension, check_same, declared, dimensions_of, filled, ordered
from dlx.spec.inherit import gather
from dlx.spec.overrides import override, put
from dlx.spec.parse import Node, read_text, write_value
from dlx.spec.sections import Spec, flat, resolved, run_name
from dlx.spec.validate import validate

MAX_TRIALS = 10_000
Values = Mapping[str, Any]  # by a dimension's name: a number of its range, or the place of an alternative


@dataclass(frozen=True)
class Trial:
    """One choice: its settings, by address; the whole spec that comes of them; the values of the dimensions it has."""

    settings: dict[str, Any]
    spec: Spec
    values: dict[str, Any]

    @property
    def label(self) -> str:
        """The settings in a line, numbers in four digits."""
        return " ".join(f"{address}={self._short(address, value)}" for address, value in self.settings.items())

    def _short(self, address: str, value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.4g}"
        if isinstance(value, dict) and any(other.startswith(f"{address}.") for other in self.settings):
            return str(next(iter(value)))  # its settings stand beside it
        return write_value(value)

    @property
    def key(self) -> str:
        """What tells it from every other trial."""
        return repr(resolved(self.spec))


@dataclass(frozen=True)
class Space:
    """A spec, and what of it a sweep varies."""

    root: Node
    code: UserCode
    stem: str
    dimensions: tuple[Dimension, ...]
    place: str
    search: Part | None = None

    def trial(self, choose: Callable[[Dimension], Any]) -> Trial:
        """The trial of what `choose` says of each dimension that there is, those that others depend on first.

        Raises SpecError where the spec that comes of it is none.
        """
        root, values, chosen = self._laid(choose)
        settings = {address: node.plain() for address, node in chosen.items()}
        return Trial(settings, self._spec(root, chosen), values)

    def tree(self, values: Values) -> Node:
        """The tree of these values. Raises KeyError where one is missing."""
        return self._laid(lambda dimension: values[dimension.name])[0]

    def _laid(self, choose: Callable[[Dimension], Any]) -> tuple[Node, dict[str, Any], dict[str, Node]]:
        """(the tree with what is chosen laid in, the values by name, what was laid in by address)."""
        root, values, chosen = self.root, dict[str, Any](), dict[str, Node]()
        for dimension in self.dimensions:
            if dimension.parent is not None or not self.has(dimension, root):
                continue
            values[dimension.name] = value = choose(dimension)
            chosen[dimension.address] = node = dimension.node(value)
            for inner in self._inside(dimension, value):
                values[inner.name] = choose(inner)
                node = filled(node, inner.inside, values[inner.name])
                chosen[inner.address] = inner.node(values[inner.name])
            chosen[dimension.address] = node
            root = put(root, dimension.address, node, node.where, self.code.registries)
        return root, values, chosen

    def _inside(self, dimension: Dimension, value: Any) -> list[Dimension]:
        """The ranges inside an alternative."""
        return [d for d in self.dimensions if d.parent == (dimension.name, value)]

    def of(self, values: Values) -> Trial:
        """The trial of these values. Raises KeyError where one is missing, SpecError as `trial` does."""
        return self.trial(lambda dimension: values[dimension.name])

    @property
    def name(self) -> str:
        """What the runs of the sweep are called."""
        node = self.root.value.get("name")
        return str(node.value) if node is not None and node.value else run_name(self.stem)

    def with_layers(self, layers: Sequence[Any], values: Values) -> Trial:
        """The trial of whole layers, as a spec writes them, and of values of what is no layer. Raises SpecError."""
        node = read_text(write_value(list(layers)), "layers", self.root.base, False)
        root = self.root.with_value({**self.root.value, "layers": node})
        chosen: dict[str, Node] = {}
        for dimension in self.dimensions:
            if dimension.name in values:
                chosen[dimension.address] = dimension.node(values[dimension.name])
                root = put(root, dimension.address, chosen[dimension.address], dimension.where, self.code.registries)
        spec = self._spec(root, chosen)
        marks = {**spec.marks, "layers": f"-s layers={write_value(list(layers))}"}
        settings = {**{address: node.plain() for address, node in chosen.items()}, "layers": _chain(layers)}
        return Trial(settings, replace(spec, marks=marks), dict(values))

    def filled(self, words: Mapping[str, Any]) -> dict[str, Any]:
        """Words of an earlier space with those of a later one: a setting that was no dimension has the spec's value."""
        known = {dimension.name for dimension in self.dimensions}
        found = {name: word for name, word in words.items() if name in known}
        for dimension in self.dimensions:
            if dimension.name not in found and dimension.parent is None and not self._depends(dimension):
                found[dimension.name] = self._written(dimension)
        return found

    def _written(self, dimension: Dimension) -> Any:
        """What the spec says where a dimension would change it, in words. Raises KeyError where it is none of it."""
        plain, registries = flat(resolved(self.base)), self.code.registries

        def laid(value: Any) -> dict[str, Any]:
            node = dimension.node(value)
            root = put(self.root, dimension.address, node, node.where, registries)
            return flat(resolved(validate(root, self.stem, self.code).alone))

        if dimension.range is None:
            places = range(len(dimension.alternatives))
            return dimension.labels()[next((n for n in places if laid(n) == plain), len(places))]
        low, high = (laid(dimension.range.number(end)) for end in (dimension.range.low, dimension.range.high))
        found = {plain[key] for key in low if low[key] != high.get(key)}
        if len(found) != 1:
            raise KeyError(dimension.name)
        return found.pop()

    def words(self, values: Values) -> dict[str, Any]:
        """Values as a file keeps them: numbers of ranges, and of alternatives their words."""
        known = {dimension.name: dimension for dimension in self.dimensions}
        return {n: v if known[n].range is not None else known[n].labels()[v] for n, v in values.items()}

    def places(self, words: Mapping[str, Any]) -> dict[str, Any]:
        """What `words` was made from. Raises KeyError and ValueError where it lies in another space."""
        known = {dimension.name: dimension for dimension in self.dimensions}
        values = {}
        for name, word in words.items():
            numbers = known[name].range
            if numbers is not None and word not in numbers:
                raise ValueError(f"{name}: {word} is not in {numbers.text}")
            values[name] = word if numbers is not None else known[name].labels().index(word)
        return values

    def has(self, dimension: Dimension, root: Node) -> bool:
        """Whether a tree has the setting that a dimension varies."""
        if not self._depends(dimension):
            return True
        try:
            put(root, dimension.address, Node(0, dimension.where, root.base), "", self.code.registries, known=True)
        except SpecError:
            return False
        return True

    def _depends(self, dimension: Dimension) -> bool:
        """Whether another dimension may choose the part that this one is a setting of."""
        return any(self.leads(other, dimension) for other in self.dimensions)

    def leads(self, other: Dimension, dimension: Dimension) -> bool:
        """Whether what `other` chooses may be the part that a dimension is a setting of."""
        same = other.address.partition(".")[0] == dimension.address.partition(".")[0]
        return same and other.structural and other.address.count(".") < dimension.address.count(".")

    def _spec(self, root: Node, chosen: Mapping[str, Node]) -> Spec:
        spec = validate(root, self.stem, self.code).alone
        texts = {node.where: f"-s {address}={write_value(node.plain())}" for address, node in chosen.items()}
        # A place says which of the alternatives it is.
        return replace(spec, marks={key: texts.get(mark, mark) for key, mark in spec.marks.items()})

    @property
    def base(self) -> Spec:
        """The spec as it stands without the sweep. Raises SpecError where something is missing."""
        return validate(self.root, self.stem, self.code).alone

    def every(self) -> Iterator[dict[str, Any]]:
        """The values of every trial of a space without ranges that nobody can count, in their order."""
        own = [dimension for dimension in self.dimensions if dimension.parent is None]

        def below(values: dict[str, Any], root: Node, rest: Sequence[Dimension]) -> Iterator[dict[str, Any]]:
            if not rest:
                yield values
                return
            first, *others = rest
            if not self.has(first, root):
                yield from below(values, root, others)
                return
            for value in first.range.values() if first.range else range(len(first.alternatives)):
                inner = self._inside(first, value)
                for numbers in itertools.product(*(d.range.values() for d in inner if d.range is not None)):
                    node, more = first.node(value), {first.name: value}
                    for dimension, number in zip(inner, numbers, strict=True):
                        node, more[dimension.name] = filled(node, dimension.inside, number), number
                    changed = put(root, first.address, node, node.where, self.code.registries)
                    yield from below({**values, **more}, changed, others)

        return below({}, self.root, own)

    def count(self, most: int = MAX_TRIALS) -> int | None:
        """How many trials there are; None where they are more than `most` or nobody can count them."""
        if any(d.range is not None and (d.range.count or math.inf) > most for d in self.dimensions):
            return None
        count = 0
        for count, _ in enumerate(self.every(), 1):
            if count > most:
                return None
        return count


def _chain(layers: Sequence[Any]) -> str:
    """Layers in a line: flatten dense(32) output."""
    words = []
    for layer in layers:
        name, value = (layer, None) if isinstance(layer, str) else next(iter(layer.items()))
        first = next(iter(value.values()), None) if isinstance(value, dict) else value
        words.append(f"{name}({first:.4g})" if isinstance(first, (int, float)) else name)
    return " ".join(words)


def space_of(
    source: Path | str, stem: str, overrides: Sequence[str] = (), search: Mapping[str, Any] | None = None
) -> Space:
    """What a spec's `sweep` and `-s address=a,b,…` vary; an override of an address replaces what the spec says of it.

    source, stem: as `dlx.spec.written` gives them. search: what a command line says beside the spec's: `by` the method,
    and settings of it.
    Raises SpecError with every problem of the spec, and of each alternative and the ends of each range in it.
    """
    root, code = gather(source)
    place = str(source) if isinstance(source, Path) else "spec"
    later = [text for text in overrides if text.partition("=")[0].strip().startswith("search.")]
    root, dimensions = dimensions_of(root, code, [text for text in overrides if text not in later])
    plain = root.with_value({key: node for key, node in root.value.items() if key != "sweep"})
    if not dimensions:
        validate(plain, stem, code)
        hint = "a section `sweep: {lr: [0.001, 0.01]}`, or -s lr=0.001,0.01"
        raise SpecError([DlxError("there are no alternatives to try", where=place, hint=hint)])
    check_same(root, code, dimensions, place)
    plain = _searched(plain, {key: value for key, value in (search or {}).items() if value is not None})
    for text in later:  # -s search.tpe.startup=4 is of the method that --search names
        plain = override(plain, text, code.registries)
    space = Space(plain, code, stem, tuple(ordered(dimensions)), place)
    check_space(space)
    first = space.tree({dimension.name: dimension.first for dimension in space.dimensions})
    return replace(space, search=validate(first, stem, code).search)


def _searched(root: Node, said: Mapping[str, Any]) -> Node:
    """The tree with what a command line says of the search; another method keeps what it shares with the spec's."""
    if not said:
        return root
    where = " ".join(f"--{'search' if key == 'by' else key.replace('repeats', 'repeat')} {said[key]}" for key in said)
    node = root.value.get("search") or Node("grid", where, root.base)
    name, args = part_of(node, "search") or ("grid", Node({}, where, root.base))
    by = str(said.get("by", name))
    if by == "grid" and "trials" in said:
        raise SpecError([DlxError("a grid has as many trials as it has", where=where, hint="--search tpe, or random")])
    known = REGISTRIES["search"].parameters(by) if by in REGISTRIES["search"] else {}
    kept = {key: inner for key, inner in args.value.items() if key in known or by == name}
    new = {
        key: read_text(write_value(value), where, root.base, False) or Node(value, where, root.base)
        for key, value in said.items()
        if key != "by"
    }
    part = Node({by: Node({**kept, **new}, where, root.base)}, where, root.base)
    return root.with_value({**root.value, "search": part})


def trials_of(space: Space) -> list[Trial]:
    """Every combination of the alternatives, in their order, each once. Raises SpecError with every problem."""
    problems: list[DlxError] = []
    trials: dict[str, Trial] = {}
    _check_count(space)
    for values in space.every():
        try:
            trial = space.of(values)
            trials.setdefault(trial.key, trial)  # the same combination twice is one
        except SpecError as error:
            problems += error.problems
    _raise_distinct(problems)
    return list(trials.values())


def _check_count(space: Space) -> None:
    """Raise SpecError where a grid cannot have all that the space has."""
    ranges = [d for d in space.dimensions if d.range is not None]
    if ranges:
        hint = "--search tpe --trials 50, or search: {tpe: 50} in the spec; a grid takes lists"
        raise SpecError([
            DlxError(f"{d.address}: the range {d.range.text} needs a search", where=d.where, hint=hint)
            for d in ranges if d.range is not None
        ])  # fmt: skip
    count = 1
    for dimension in space.dimensions:
        count *= len(dimension.alternatives)
    if count > MAX_TRIALS and space.count() is None:
        message = f"{count:,} combinations; expected at most {MAX_TRIALS:,}"
        raise SpecError([DlxError(message, where=space.place, hint="fewer alternatives, or --search random")])


def check_space(space: Space) -> None:
    """Raise SpecError with the problems of every alternative and of the ends of every range, each tried alone."""
    problems: list[DlxError] = []
    for dimension in space.dimensions:
        values = [dimension.range.low, dimension.range.high] if dimension.range else range(len(dimension.alternatives))
        if dimension.range:
            values = [dimension.range.number(value) for value in values]
        for value in values:
            try:
                _alone(space, dimension, value)
            except SpecError as error:
                problems += error.problems
    _raise_distinct(problems)


def _alone(space: Space, dimension: Dimension, value: Any) -> None:
    """Raise SpecError where a value does not fit the spec, whatever the dimensions that it depends on choose.

    The others choose their first value.
    """
    first: SpecError | None = None
    for chosen in _choices(space, dimension):
        given = {dimension.name: value, **chosen}
        try:
            trial = space.trial(lambda d, given=given: given.get(d.name, d.first))  # type: ignore[misc]
        except SpecError as error:
            first = first or error
            continue
        if dimension.name in trial.values:
            return
    if first is None:  # no choice has such a setting
        first = _misplaced(space, dimension, value)
    raise first


def _misplaced(space: Space, dimension: Dimension, value: Any) -> SpecError:
    """What is wrong with a setting that no choice of the other dimensions has."""
    node, registries = dimension.node(value), space.code.registries
    found = SpecError([DlxError(f"{dimension.address}: nothing in the sweep has this setting", where=dimension.where)])
    known = {other.name: other for other in space.dimensions}
    for chosen in _choices(space, dimension):
        root = space.root
        for name, place in chosen.items():
            root = put(root, known[name].address, known[name].node(place), known[name].where, registries)
        try:
            validate(put(root, dimension.address, node, node.where, registries), space.stem, space.code)
        except SpecError as error:
            found = error
    return found


def _choices(space: Space, dimension: Dimension) -> Iterator[dict[str, int]]:
    """What the dimensions may choose, one at a time, without which a dimension may be none."""
    if dimension.parent is not None:
        yield dict([dimension.parent])
        return
    yield {}
    for other in space.dimensions:
        if space.leads(other, dimension):
            yield from ({other.name: place} for place in range(1, len(other.alternatives)))


def check_alternatives(root: Node, code: UserCode, stem: str) -> None:
    """Raise SpecError with the problems of every alternative of `sweep`, each tried alone on the rest of the spec."""
    plain = root.with_value({key: node for key, node in root.value.items() if key != "sweep"})
    check_space(Space(plain, code, stem, tuple(ordered(declared(root))), "spec"))


def _raise_distinct(problems: Sequence[DlxError]) -> None:
    """Raise SpecError with each problem once, where there are some."""
    if problems:
        raise SpecError(list({str(problem): problem for problem in problems}.values()))
