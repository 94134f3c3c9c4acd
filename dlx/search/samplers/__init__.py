"""Which trial comes next: a sampler has one method, a function of the space, the trials so far and a seed."""

from __future__ import annotations

import importlib
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dlx.errors import DlxError, SpecError
from dlx.parts.searches import Search
from dlx.search.trials import Observation
from dlx.spec.dimensions import Dimension
from dlx.spec.sections import Spec
from dlx.spec.space import Space, Trial

REDRAWS = 20


@dataclass(frozen=True)
class Suggestion:
    """The next trial, and the numbers of those that it was made from."""

    trial: Trial
    parents: tuple[int, ...] = ()
    spec: dict[str, Any] = field(default_factory=dict)


Measure = Callable[[Spec], int]  # a spec's parameters; raises SpecError where its network cannot be built


class Sampler(Protocol):
    """What every method of search is.

    Raises SpecError where what it draws is no valid spec: it is asked again.
    """

    def suggest(self, seed: int, number: int, trials: Sequence[Observation]) -> Suggestion: ...


# By the method's name: the module of this room that holds its class.
MODULES = {
    "random": "random_search", "tpe": "optuna", "gp": "optuna", "nsga2": "optuna", "cma_es": "cma_es",
    "evolution": "evolution",
}  # fmt: skip


def sampler(space: Space, search: Search, maximize: Sequence[bool], measure: Measure | None = None) -> Sampler:
    """The sampler of a search; maximize: of each objective, whether more is better. Raises DlxError for a bad fit."""
    module = importlib.import_module(f"dlx.search.samplers.{MODULES[search.by]}")
    made: Sampler = module.make(space, search, maximize, *([measure] if search.by == "evolution" else []))
    return made


def next_trial(
    sampler: Sampler, space: Space, seed: int, number: int, trials: Sequence[Observation], keys: Callable[[Trial], bool]
) -> Suggestion | None:
    """The suggestion for a number; one whose `keys` is known is drawn again, and in the end the rest is enumerated.

    None where the space has no other trial. Raises DlxError where nothing that is drawn is a valid spec.
    """
    problem: DlxError | None = None
    for attempt in range(REDRAWS):
        try:
            found = sampler.suggest(seed_of(seed, number, attempt), number, trials)
        except SpecError as error:
            problem = error
            continue
        if not keys(found.trial):
            return found
        problem = None
    if space.count() is not None:
        return _rest(space, random.Random(seed_of(seed, number, REDRAWS)), keys)
    if problem is not None:
        raise problem
    return None


def _rest(space: Space, generator: random.Random, keys: Callable[[Trial], bool]) -> Suggestion | None:
    """A trial of a space that can be counted that is not known yet."""
    every = list(space.every())
    generator.shuffle(every)
    for values in every:
        try:
            trial = space.of(values)
        except SpecError:
            continue
        if not keys(trial):
            return Suggestion(trial)
    return None


def seed_of(seed: int, number: int, attempt: int = 0) -> int:
    """The seed of one draw, below 2**31."""
    return zlib.crc32(f"{seed}/{number}/{attempt}".encode()) & 0x7FFFFFFF


def drawn(dimension: Dimension, generator: random.Random) -> Any:
    """A value of a dimension at random: a number of its range, evenly or by factors, or the place of an alternative."""
    numbers = dimension.range
    if numbers is None:
        return generator.randrange(len(dimension.alternatives))
    if numbers.step is not None and numbers.count is not None:
        return numbers.at(generator.randrange(numbers.count))
    return numbers.number(numbers.between(generator.random()))
