"""Regularised evolution over the spec itself (Real et al. 2019): children of the better of the last trials."""

from __future__ import annotations

import copy
import functools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlx.errors import DlxError, SpecError
from dlx.parts.searches import Search
from dlx.search.samplers import Measure, Sampler, Suggestion, drawn
from dlx.search.trials import Observation
from dlx.spec.dimensions import Dimension
from dlx.spec.reference import example
from dlx.spec.space import Space, Trial

TRIES = 50  # of changes until one is a valid spec
TIMES = 10  # how many times the parameters of the spec a child may have
FIXED = ("output", "flatten")  # kinds that are not inserted, dropped or moved unless `kinds` names them
Layer = Any  # as a spec writes it: name, or {name: value}


@dataclass(frozen=True)
class Genes:
    """What a trial hands down: the values of the sweep, and the layers where the sweep names them as a whole."""

    values: Mapping[str, Any]
    layers: list[Layer] | None


class Evolution:
    """A child differs from its parent in one value of the sweep or in one layer.

    Where the sweep names `layers` as a whole, these are where the search begins, `layers.*.KIND.PARAMETER` is what
    each layer of a kind may have for itself, and a layer may be inserted, doubled, dropped, swapped with the next, or
    become one of another kind. The first `population` trials are drawn at random.
    """

    def __init__(self, space: Space, search: Search, more: bool, measure: Measure | None) -> None:
        self._space, self._more, self._measure = space, more, measure
        self._population, self._sample = int(search.options["population"]), int(search.options["sample"])
        self._shapes = any(d.address == "layers" for d in space.dimensions)
        self._each = {
            d.address.removeprefix("layers.*."): d for d in space.dimensions if d.address.startswith("layers.*.")
        }
        self._kinds = search.options["kinds"]
        self._most = search.options["max_parameters"]

    def suggest(self, seed: int, number: int, trials: Sequence[Observation]) -> Suggestion:
        generator = random.Random(seed)
        ended = [t for t in trials if t.figures is not None or t.bad or t.status == "pruned"]
        if len(ended) < self._population:
            return self._first(generator)
        recent = ended[-self._population :]
        parent = min(generator.sample(recent, min(self._sample, len(recent))), key=self._rank)
        genes = self.genes(parent)
        for _ in range(TRIES):
            try:
                return self._made(self._mutated(genes, generator), (parent.number,))
            except SpecError:
                continue
        return self._first(generator)

    def _first(self, generator: random.Random) -> Suggestion:
        """A trial of values at random, and of a whole list of layers changed at random a few times."""
        values = self._space.trial(lambda dimension: drawn(dimension, generator)).values
        genes = self._split(values)
        if genes.layers is None:
            return Suggestion(self._space.of(values))
        self._check_start()
        for left in range(TRIES):
            changed = genes
            for _ in range(generator.randrange(4) if left else 0):
                changed = self._reshaped(changed, generator)
            try:
                return self._made(self._redrawn(changed, generator), ())
            except SpecError:
                continue
        return self._made(genes, ())

    def _rank(self, trial: Observation) -> tuple[int, float, int]:
        """The better, the smaller; a pruned trial comes after all that are done, a bad one last."""
        if trial.figures is not None and not trial.bad:
            return 0, -trial.figures[0] if self._more else trial.figures[0], trial.number
        curve = [value for value in trial.curve.values() if not math.isnan(value)]
        if trial.bad or not curve:
            return 2, 0.0, trial.number
        return 1, -max(curve) if self._more else min(curve), trial.number

    # Genes, and the trials that they make

    def genes(self, trial: Observation) -> Genes:
        """The genes of an earlier trial."""
        if trial.spec:
            return Genes(self._space.places(trial.spec["values"]), list(trial.spec["layers"]))
        return self._split(self._space.places(trial.values))

    def _split(self, values: Mapping[str, Any]) -> Genes:
        """The values of a trial of the space, its layers written out where they may change."""
        if not self._shapes:
            return Genes(values, None)
        node = self._space.tree(values).value["layers"]
        apart = {d.name for d in self._space.dimensions if d.address.split(".")[0] == "layers"}
        return Genes({name: value for name, value in values.items() if name not in apart}, list(node.plain()))

    def _made(self, genes: Genes, parents: tuple[int, ...]) -> Suggestion:
        """The trial of these genes. Raises SpecError where they are no valid spec, or one that is too large."""
        if genes.layers is None:
            return Suggestion(self._space.of(genes.values), parents)
        trial = self._space.with_layers(genes.layers, genes.values)
        if self._measure is not None:
            found, most = self._measure(trial.spec), self._most or TIMES * self._at_start
            if found > most:
                raise SpecError([DlxError(f"{found:,} parameters, more than {most:,}")])
        spec = {"layers": genes.layers, "values": self._space.words(genes.values)}
        return Suggestion(trial, parents, spec)

    def _check_start(self) -> None:
        """Raise DlxError where the network that the search begins with is too large itself."""
        if self._most and self._at_start > self._most:
            message = f"search: it begins with {self._at_start:,} parameters, max_parameters is {self._most:,}"
            raise DlxError(message, hint="a larger max_parameters, or smaller layers to begin with")

    @functools.cached_property
    def _at_start(self) -> int:
        """The parameters of the network that the search begins with; 0 where nobody measures."""
        return self._measure(self._start().spec) if self._measure is not None else 0

    def _start(self) -> Trial:
        return self._space.trial(lambda dimension: dimension.first)

    # Changes

    def _mutated(self, genes: Genes, generator: random.Random) -> Genes:
        values = [d for d in self._space.dimensions if d.name in genes.values]
        ways: list[Callable[[], Genes]] = []
        if values:
            ways += [lambda: self._with_value(genes, generator.choice(values), generator)]
        if genes.layers is not None:
            ways += [lambda: self._reshaped(genes, generator)] * 2
            if self._tunable(genes.layers):
                ways += [lambda: self._tuned(genes, generator)]
        return generator.choice(ways)()

    def _with_value(self, genes: Genes, dimension: Dimension, generator: random.Random) -> Genes:
        """One value of the sweep changed; what depends on it is drawn where it is new."""
        changed = {**genes.values, dimension.name: _near(dimension, genes.values[dimension.name], generator)}
        if genes.layers is not None:
            return Genes(changed, genes.layers)
        trial = self._space.trial(lambda d: changed[d.name] if d.name in changed else drawn(d, generator))
        return Genes(trial.values, None)

    def _movable(self, layers: Sequence[Layer]) -> list[int]:
        kinds = self._allowed()
        return [place for place, layer in enumerate(layers) if _kind(layer) in kinds]

    def _allowed(self) -> list[str]:
        """The kinds of layers that come and go."""
        if self._kinds:
            return list(self._kinds)
        written = {_kind(layer) for d in self._space.dimensions if d.address == "layers"
                   for node in d.alternatives for layer in node.plain()}  # fmt: skip
        return sorted(written - set(FIXED))

    def _reshaped(self, genes: Genes, generator: random.Random) -> Genes:
        """A layer inserted, doubled, dropped, swapped with the next, or made one of another kind."""
        layers = copy.deepcopy(list(genes.layers or []))
        places, kinds = self._movable(layers), self._allowed()
        ways = ["insert"] * bool(kinds) + ["double", "drop", "kind"] * bool(places) + ["swap"] * (len(places) > 1)
        way = generator.choice(ways or ["none"])
        place = generator.choice(places) if places else 0
        if way == "insert":
            last = next((n for n, layer in enumerate(layers) if _kind(layer) == "output"), len(layers))
            layers.insert(generator.randint(0, last), self._layer(generator.choice(kinds), layers, generator))
        elif way == "double":
            layers.insert(place, _nameless(layers[place]))
        elif way == "drop":
            del layers[place]
        elif way == "swap":
            after = places[(places.index(place) + 1) % len(places)]
            layers[place], layers[after] = layers[after], layers[place]
        elif way == "kind":
            others = [kind for kind in kinds if kind != _kind(layers[place])] or kinds
            layers[place] = self._layer(generator.choice(others), layers, generator)
        return Genes(genes.values, layers)

    def _layer(self, kind: str, layers: Sequence[Layer], generator: random.Random) -> Layer:
        """A new layer of a kind: like one that is there, else as short as a spec may write it; its ranges drawn."""
        alike = [layer for layer in layers if _kind(layer) == kind]
        start = [layer for layer in self._start_layers() if _kind(layer) == kind]
        registry = self._space.code.registries["layer"]
        if kind not in registry:
            registry.find(kind)
        layer = _nameless(generator.choice(alike or start)) if alike or start else example(registry, kind)
        for dimension in self._of_kind(kind):
            layer = self._put(layer, dimension, dimension.node(drawn(dimension, generator)).plain())
        return layer

    def _start_layers(self) -> list[Layer]:
        return list(self._space.tree(self._start().values).value["layers"].plain())

    def _of_kind(self, kind: str) -> list[Dimension]:
        return [d for path, d in self._each.items() if path.split(".")[0] == kind]

    def _tunable(self, layers: Sequence[Layer]) -> list[tuple[int, Dimension]]:
        return [(place, d) for place, layer in enumerate(layers) for d in self._of_kind(_kind(layer))]

    def _tuned(self, genes: Genes, generator: random.Random) -> Genes:
        """One number of one layer changed."""
        layers = copy.deepcopy(list(genes.layers or []))
        place, dimension = generator.choice(self._tunable(layers))
        name = dimension.address.split(".")[-1]
        now = self._get(layers[place], name)
        value = _near(dimension, now, generator) if _is_in(dimension, now) else drawn(dimension, generator)
        layers[place] = self._put(layers[place], dimension, dimension.node(value).plain())
        return Genes(genes.values, layers)

    def _redrawn(self, genes: Genes, generator: random.Random) -> Genes:
        """Every number of every layer drawn anew."""
        layers = copy.deepcopy(list(genes.layers or []))
        for place, dimension in self._tunable(layers):
            layers[place] = self._put(layers[place], dimension, dimension.node(drawn(dimension, generator)).plain())
        return Genes(genes.values, layers)

    def _arguments(self, layer: Layer) -> dict[str, Any]:
        """A layer's arguments by name, as a mapping of its own."""
        if isinstance(layer, str):
            return {}
        ((kind, value),) = layer.items()
        if isinstance(value, dict):
            return dict(value)
        parameters = self._space.code.registries["layer"].parameters(kind)
        return {} if value is None else {next(iter(parameters)): value}

    def _get(self, layer: Layer, name: str) -> Any:
        return self._arguments(layer).get(name)

    def _put(self, layer: Layer, dimension: Dimension, value: Any) -> Layer:
        name = dimension.address.split(".")[-1]
        if name == _kind(layer):  # layers.*.dropout: the first parameter
            return {name: value}
        return {_kind(layer): {**self._arguments(layer), name: value}}


def make(space: Space, search: Search, maximize: Sequence[bool], measure: Measure | None = None) -> Sampler:
    """See `samplers.sampler`."""
    return Evolution(space, search, maximize[0], measure)


def _kind(layer: Layer) -> str:
    return layer if isinstance(layer, str) else next(iter(layer))


def _nameless(layer: Layer) -> Layer:
    """A copy of a layer without the name that is its alone."""
    layer = copy.deepcopy(layer)
    if isinstance(layer, dict) and isinstance(inner := next(iter(layer.values())), dict):
        inner.pop("name", None)
    return layer


def _is_in(dimension: Dimension, value: Any) -> bool:
    return dimension.range is not None and isinstance(value, (int, float)) and value in dimension.range


def _near(dimension: Dimension, value: Any, generator: random.Random) -> Any:
    """Another value: of a range mostly one near by, of alternatives any other."""
    numbers = dimension.range
    if numbers is None:
        others = [place for place in range(len(dimension.alternatives)) if place != value]
        return generator.choice(others or [value])
    if generator.random() < 0.2:
        return drawn(dimension, generator)
    for _ in range(10):  # a step of a range may round to where it was
        share = min(max(numbers.place(float(value)) + generator.gauss(0.0, 0.15), 0.0), 1.0)
        changed = numbers.number(numbers.between(share))
        if changed != value:
            return changed
    return drawn(dimension, generator)
