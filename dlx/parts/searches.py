"""How a sweep searches: which trial comes next, and which trials end early. `dlx.search` does what is said here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from dlx.parts.registry import Part, Parts, Registry
from dlx.parts.types import Positive

registry = Registry(
    "search",
    aliases={
        "gridsearch": "grid",
        "randomsearch": "random",
        "bayesian": "tpe",
        "bayes": "tpe",
        "optuna": "tpe",
        "gaussian_process": "gp",
        "cmaes": "cma_es",
        "genetic": "evolution",
        "nsgaii": "nsga2",
    },
)
pruners = Registry("pruner", aliases={"hyperband": "asha", "successive_halving": "asha", "halving": "asha"})


@dataclass(frozen=True)
class Confirm:
    """After the search the `top` best are trained again, each with so many fresh seeds, and judged on test."""

    top: Positive = 3
    seeds: Annotated[int, Field(ge=2, le=1000)] = 5


@dataclass(frozen=True)
class Pruner:
    """Which trials end early: `by` a method, after every `first` epochs or after `first`, `first` · `reduction`, …"""

    by: str
    first: int
    reduction: int = 1
    startup: int = 0


@dataclass(frozen=True)
class Search:
    """A search as a spec says it: see the functions below. `options` are those of one method alone."""

    by: str
    trials: int | None
    objectives: tuple[str, ...]
    prune: Pruner | None
    repeats: int
    confirm: Confirm | None
    options: Mapping[str, Any] = field(default_factory=dict)


Objectives = str | Annotated[list[str], Field(min_length=1, max_length=4)]
Prune = Annotated[Part, Parts("pruner")] | Literal["none"]
Trials = Annotated[int, Field(gt=0, le=100_000)]


def _search(
    by: str, trials: int | None, objectives: Any, prune: Any, repeats: int, confirm: Any, **options: Any
) -> Search:
    names = [objectives] if isinstance(objectives, str) else objectives
    pruner = pruners.make(prune) if isinstance(prune, Part) else None
    return Search(by, trials, tuple(names), pruner, repeats, confirm, options)


@registry.register
def grid(
    objectives: Objectives = "auto", prune: Prune = "none", repeats: Positive = 1, confirm: Confirm | None = None
) -> Search:
    """Every combination of the alternatives, in their order."""
    return _search("grid", None, objectives, prune, repeats, confirm)


@registry.register
def random(
    trials: Trials = 20,
    objectives: Objectives = "auto",
    prune: Prune = "none",
    repeats: Positive = 1,
    confirm: Confirm | None = None,
) -> Search:
    """Each trial drawn at random, whatever the others came to (Bergstra and Bengio 2012)."""
    return _search("random", trials, objectives, prune, repeats, confirm)


@registry.register
def tpe(
    trials: Trials = 50,
    objectives: Objectives = "auto",
    prune: Prune = "none",
    repeats: Positive = 1,
    confirm: Confirm | None = None,
    startup: Positive = 10,
) -> Search:
    """Draws where the better trials lie more densely than the others (Bergstra et al. 2011), all settings together.

    The first `startup` trials are random. Takes settings that depend on others, and several objectives.
    """
    return _search("tpe", trials, objectives, prune, repeats, confirm, startup=startup)


@registry.register
def gp(
    trials: Trials = 50,
    objectives: Objectives = "auto",
    prune: Prune = "none",
    repeats: Positive = 1,
    confirm: Confirm | None = None,
    startup: Positive = 10,
) -> Search:
    """A Gaussian process and its expected improvement (Jones et al. 1998): few, expensive trials, few settings.

    It needs PyTorch: pip install 'dlx-runner[gp]'. The first `startup` trials are random.
    """
    return _search("gp", trials, objectives, prune, repeats, confirm, startup=startup)


@registry.register
def cma_es(
    trials: Trials = 100,
    objectives: Objectives = "auto",
    prune: Prune = "none",
    repeats: Positive = 1,
    confirm: Confirm | None = None,
    startup: Positive = 5,
) -> Search:
    """Moves and shapes a normal distribution towards the better trials (Hansen 2016): numbers that interact.

    Alternatives, and settings that depend on others, are drawn at random. So are the first `startup` trials.
    """
    return _search("cma_es", trials, objectives, prune, repeats, confirm, startup=startup)


@registry.register
def nsga2(
    trials: Trials = 100,
    objectives: Objectives = "auto",
    prune: Prune = "none",
    repeats: Positive = 1,
    confirm: Confirm | None = None,
    population: Annotated[int, Field(ge=2, le=10_000)] = 20,
) -> Search:
    """A genetic algorithm for several objectives (Deb et al. 2002): crosses the best of `population` trials."""
    return _search("nsga2", trials, objectives, prune, repeats, confirm, population=population)


@registry.register
def evolution(
    trials: Trials = 100,
    objectives: Objectives = "auto",
    prune: Prune = "none",
    repeats: Positive = 1,
    confirm: Confirm | None = None,
    population: Annotated[int, Field(ge=2, le=10_000)] | None = None,
    sample: Annotated[int, Field(ge=1, le=10_000)] = 5,
    kinds: list[str] | None = None,
    max_parameters: Positive | None = None,
) -> Search:
    """Regularised evolution (Real et al. 2019): a child of the best of `sample` among the last `population` trials.

    A child changes one value of the sweep, or inserts, duplicates, drops or swaps a layer where the sweep names
    `layers`. Without it, `population` is a twelfth of the trials, 5 at least and 50 at most: of few trials, few may go
    into a first generation. Inserted are layers of `kinds`; without it, of those in the spec. No child has more than
    `max_parameters`; without it, ten times those of the spec.
    """
    population = population or min(max(trials // 12, 5), 50)
    options = {"population": population, "sample": sample, "kinds": kinds, "max_parameters": max_parameters}
    return _search("evolution", trials, objectives, prune, repeats, confirm, **options)


@pruners.register
def asha(reduction: Annotated[int, Field(ge=2, le=100)] = 3, first: Positive = 1) -> Pruner:
    """Successive halving without waiting (Li et al. 2020).

    After `first`, `first` · `reduction`, … epochs the best 1/`reduction` of the trials that came so far continue. One
    that ended early continues when it has become one of them.
    """
    return Pruner("asha", first, reduction)


@pruners.register
def median(startup: Positive = 5, first: Positive = 1) -> Pruner:
    """Ends a trial whose best figure so far is worse than the median of the others' at the same epoch (Golovin 2017).

    It compares after every `first` epochs, once `startup` trials have come as far.
    """
    return Pruner("median", first, startup=startup)
