"""CMA-ES (Hansen 2016): a normal distribution over the numbers of a space, made anew from the trials each time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from dlx.errors import DlxError
from dlx.parts.searches import Search
from dlx.search.samplers import Sampler, Suggestion, drawn
from dlx.search.trials import Observation
from dlx.spec.dimensions import Dimension
from dlx.spec.space import Space


class CmaEs:
    """The numbers that every trial has lie in 0..1 each; all else is drawn at random.

    The trials after the first random ones that have ended are generations, in their order; each that is whole moves the
    distribution. A pruned or bad one counts as the worst.
    """

    def __init__(self, space: Space, search: Search, more: bool) -> None:
        self._space, self._startup, self._more = space, int(search.options["startup"]), more
        own = [d for d in space.dimensions if d.range is not None and d.parent is None]
        self._numbers = [d for d in own if not any(space.leads(other, d) for other in space.dimensions)]
        if len(self._numbers) < 2:
            hint = "tpe takes alternatives, and a single number"
            raise DlxError("search: cma_es needs two ranges or more that do not depend on others", hint=hint)

    def suggest(self, seed: int, number: int, trials: Sequence[Observation]) -> Suggestion:
        generator = random.Random(seed)
        point = {} if number <= self._startup else self._point(seed, trials)

        def choose(dimension: Dimension) -> Any:
            if dimension.name in point and dimension.range is not None:
                return dimension.range.number(dimension.range.between(point[dimension.name]))
            return drawn(dimension, generator)

        return Suggestion(self._space.trial(choose))

    def _point(self, seed: int, trials: Sequence[Observation]) -> dict[str, float]:
        import numpy as np
        from cmaes import CMA

        begun = [trial for trial in trials if trial.number <= self._startup and trial.figures is not None]
        best = min(begun, key=self._cost, default=None)
        start = np.array([0.5 if best is None else self._places(best)[n] for n in range(len(self._numbers))])
        bounds = np.tile([0.0, 1.0], (len(self._numbers), 1))
        cma = CMA(mean=start, sigma=1 / 6, bounds=bounds, seed=seed)
        # Of those that have ended, in their order; one that failed for no fault of its values tells nothing.
        later = [t for t in trials if t.number > self._startup and (t.status in ("done", "pruned") or t.bad)]
        costs = [self._cost(trial) for trial in later if trial.figures is not None]
        for first in range(0, len(later) - cma.population_size + 1, cma.population_size):
            generation = later[first : first + cma.population_size]
            known = [max(costs, default=0.0) if t.figures is None else self._cost(t) for t in generation]
            points = [np.array(self._places(trial)) for trial in generation]
            cma.tell(list(zip(points, known, strict=True)))
        point = cma.ask()
        return {dimension.name: float(place) for dimension, place in zip(self._numbers, point, strict=True)}

    def _cost(self, trial: Observation) -> float:
        figure = trial.figures[0] if trial.figures is not None else 0.0
        return -figure if self._more else figure

    def _places(self, trial: Observation) -> list[float]:
        """Where in 0..1 each number of a trial lies."""
        return [d.range.place(float(trial.values[d.name])) for d in self._numbers if d.range is not None]


def make(space: Space, search: Search, maximize: Sequence[bool]) -> Sampler:
    """See `samplers.sampler`."""
    return CmaEs(space, search, maximize[0])
