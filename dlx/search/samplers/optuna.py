"""Optuna's samplers: tpe, gp and nsga2. The study is made anew for each suggestion, from the trials alone."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlx.errors import DlxError
from dlx.parts.searches import Search
from dlx.search.samplers import Sampler, Suggestion
from dlx.search.trials import Observation
from dlx.spec.dimensions import Dimension
from dlx.spec.space import Space


class Optuna:
    """One of Optuna's samplers over a space whose settings may depend on others."""

    def __init__(self, space: Space, search: Search, maximize: Sequence[bool]) -> None:
        self._space, self._search, self._maximize = space, search, maximize
        self._frozen: dict[int, Any] = {}

    def suggest(self, seed: int, number: int, trials: Sequence[Observation]) -> Suggestion:
        with quiet():
            study = created(self._maximize, sampler=self._sampler(seed))
            study.add_trials(self.frozen(trials))
            asked = study.ask()
            return Suggestion(self._space.trial(lambda dimension: suggested(asked, dimension)))

    def frozen(self, trials: Sequence[Observation]) -> list[Any]:
        """The trials as Optuna has them, in their order; one that has ended is made once."""
        made = []
        for trial in trials:
            if trial.number in self._frozen:
                made.append(self._frozen[trial.number])
                continue
            one = as_frozen(trial, self._space, self._maximize, trials, self._attributes(trial))
            if one is None:
                continue
            if trial.status == "done" and not trial.bad:  # a pruned one may go on
                self._frozen[trial.number] = one
            made.append(one)
        return made

    def _attributes(self, trial: Observation) -> dict[str, Any]:
        """What a genetic algorithm keeps with each trial: its generation."""
        if self._search.by != "nsga2":
            return {}
        return {"NSGAIISampler:generation": (trial.number - 1) // int(self._search.options["population"])}

    def _sampler(self, seed: int) -> Any:
        import optuna

        samplers, options = optuna.samplers, self._search.options
        if self._search.by == "tpe":
            return samplers.TPESampler(
                multivariate=True, group=True, constant_liar=True, n_startup_trials=options["startup"], seed=seed
            )
        if self._search.by == "gp":
            return samplers.GPSampler(n_startup_trials=options["startup"], seed=seed, deterministic_objective=False)
        return samplers.NSGAIISampler(population_size=options["population"], seed=seed)


def make(space: Space, search: Search, maximize: Sequence[bool]) -> Sampler:
    """See `samplers.sampler`."""
    if search.by == "gp":
        try:
            import torch  # noqa: F401
        except ImportError:
            hint = "pip install 'dlx-runner[gp]' brings it; tpe needs nothing more"
            raise DlxError("search: gp needs PyTorch, which is not installed", hint=hint) from None
    return Optuna(space, search, maximize)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Within it Optuna says nothing of its trials, nor of what it calls experimental."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        yield


def created(maximize: Sequence[bool], **options: Any) -> Any:
    """A study of Optuna's; maximize: of each objective, whether more is better."""
    import optuna

    return optuna.create_study(directions=["maximize" if more else "minimize" for more in maximize], **options)


def suggested(asked: Any, dimension: Dimension) -> Any:
    """The value that Optuna suggests: a number, or the place of an alternative."""
    numbers = dimension.range
    if numbers is None:
        return dimension.labels().index(asked.suggest_categorical(dimension.name, dimension.labels()))
    if numbers.whole:
        step = int(numbers.step or 1)
        return asked.suggest_int(dimension.name, int(numbers.low), int(numbers.high), step=step, log=numbers.log)
    value = asked.suggest_float(dimension.name, numbers.low, numbers.high, step=numbers.step, log=numbers.log)
    return numbers.number(value)


def distribution(dimension: Dimension) -> Any:
    """What Optuna draws from for a dimension."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    numbers = dimension.range
    if numbers is None:
        return CategoricalDistribution(dimension.labels())
    if numbers.whole:
        step = int(numbers.step or 1)
        return IntDistribution(int(numbers.low), int(numbers.high), log=numbers.log, step=step)
    return FloatDistribution(numbers.low, numbers.high, log=numbers.log, step=numbers.step)


def as_frozen(
    trial: Observation,
    space: Space,
    maximize: Sequence[bool],
    trials: Sequence[Observation],
    attributes: Mapping[str, Any] | None = None,
) -> Any:
    """A trial as Optuna's; None for one that says nothing: it failed for no fault of its values.

    A bad trial has the worst figures of all.
    """
    from optuna.trial import TrialState, create_trial

    dimensions = {dimension.name: dimension for dimension in space.dimensions}
    chosen = trial.spec["values"] if trial.spec else trial.values
    params = {name: value for name, value in chosen.items() if name in dimensions}
    known: dict[str, Any] = {
        "params": params,
        "distributions": {name: distribution(dimensions[name]) for name in params},
        "system_attrs": dict(attributes or {}),
    }
    figures = trial.figures
    if trial.bad:
        ended = [other.figures for other in trials if other.figures is not None]
        figures = tuple(
            (min if more else max)(one[n] for one in ended) for n, more in enumerate(maximize)
        ) if ended else None  # fmt: skip
    if figures is not None and (trial.status == "done" or trial.bad):
        return create_trial(state=TrialState.COMPLETE, values=list(figures), **known)
    if trial.status == "pruned":
        curve = {epoch: value for epoch, value in trial.curve.items() if value == value}
        return create_trial(state=TrialState.PRUNED, intermediate_values=curve, **known)
    if trial.status in ("running", "waiting"):
        return create_trial(state=TrialState.RUNNING, **known)
    return None
