"""Trials at random."""

from __future__ import annotations

import random
from collections.abc import Sequence

from dlx.parts.searches import Search
from dlx.search.samplers import Sampler, Suggestion, drawn
from dlx.search.trials import Observation
from dlx.spec.space import Space


class Random:
    """Each dimension drawn by itself, whatever the other trials came to."""

    def __init__(self, space: Space) -> None:
        self._space = space

    def suggest(self, seed: int, number: int, trials: Sequence[Observation]) -> Suggestion:
        generator = random.Random(seed)
        return Suggestion(self._space.trial(lambda dimension: drawn(dimension, generator)))


def make(space: Space, search: Search, maximize: Sequence[bool]) -> Sampler:
    """See `samplers.sampler`."""
    return Random(space)
