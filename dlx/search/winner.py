"""What came of a search: the best, how far their figures flatter, what mattered, and a study for other programs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlx.errors import DlxError
from dlx.runs.metrics import is_number, is_share, plain_name
from dlx.runs.run import Run
from dlx.search.study import Study
from dlx.search.trials import Observation

FEWEST = 4  # finished trials, below which nothing is said of what mattered


def pareto(study: Study) -> list[Observation]:
    """The trials than which no other is better in every objective, by the first objective."""
    signs = [-1 if more else 1 for more in study.maximize]
    costs = {o.number: tuple(s * f for s, f in zip(signs, o.figures or (), strict=True)) for o in study.ranked()}

    def beaten(cost: tuple[float, ...]) -> bool:
        return any(all(a <= b for a, b in zip(other, cost, strict=True)) and other != cost for other in costs.values())

    return [o for o in study.ranked() if not beaten(costs[o.number])]


def importance(study: Study) -> dict[str, float]:
    """The share of each setting in what sets the better trials apart, the largest first (PED-ANOVA, Watanabe 2023).

    Of the settings that every trial has; empty where too few trials have ended.
    """
    import optuna

    from dlx.search.samplers.optuna import as_frozen, created, quiet

    done = [o for o in study.ranked() if not o.spec]
    if len(done) < FEWEST:
        return {}
    with quiet():
        made = created(study.maximize)
        made.add_trials([as_frozen(o, study.space, study.maximize, done) for o in done])
        target = (lambda trial: trial.values[0]) if len(study.maximize) > 1 else None
        try:
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            return dict(optuna.importance.get_param_importances(made, evaluator=evaluator, target=target))
        except (ValueError, RuntimeError):  # trials that all came to the same
            return {}


@dataclass(frozen=True)
class Flattery:
    """By how much the figure of the best of several is likely to be too good: points, contenders, validation rows."""

    amount: float
    contenders: int
    rows: int


def flattery(study: Study) -> Flattery | None:
    """How far the winner's validation figure flatters, of a share of the examples; None of any other figure.

    Each share of n examples has a standard error; the best of k that are equal lies above them all by so many of these
    as the largest of k normal numbers does on average. Contenders are the trials within two standard errors.
    """
    ranked, name = study.ranked(), study.objectives[0]
    if len(ranked) < 2 or not is_share(name) or not name.startswith("val_") or not ranked[0].runs:
        return None
    rows = (Run(ranked[0].runs[0]).info().get("dataset") or {}).get("validation")
    best = (ranked[0].figures or (math.nan,))[0]
    if not isinstance(rows, int) or rows < 1 or not 0 <= best <= 1:
        return None
    share = min(max(best, 0.5 / rows), 1 - 0.5 / rows)
    error = math.sqrt(share * (1 - share) / rows / study.search.repeats)
    contenders = sum(best - (o.figures or (math.nan,))[0] <= 2 * error for o in ranked)
    if contenders < 2:
        return None
    # The mean of the largest of k normal numbers, by Blom's approximation (1958).
    expected = statistics.NormalDist().inv_cdf((contenders - 0.375) / (contenders + 0.25))
    return Flattery(expected * error, contenders, rows)


@dataclass(frozen=True)
class Confirmed:
    """One of the best, trained again with fresh seeds: the mean of a figure, and its 95 % interval."""

    observation: Observation
    figure: str
    values: Sequence[float]
    mean: float
    low: float
    high: float


def confirmed(study: Study) -> list[Confirmed]:
    """The best trials as their fresh seeds came out, on test where there is one; the best of these first."""
    found = []
    for number, paths in study.confirmations().items():
        metrics = [Run(path).metrics() or {} for path in paths]
        name = plain_name(study.objectives[0])
        figure = f"test_{name}" if all(is_number(one.get(f"test_{name}")) for one in metrics) else f"val_{name}"
        values = [float(one[figure]) for one in metrics if is_number(one.get(figure))]
        if len(values) < 2:
            continue
        mean, half = statistics.fmean(values), _half(values)
        found.append(Confirmed(study.observation(number), figure, values, mean, mean - half, mean + half))
    sign = -1 if study.maximize[0] else 1
    return sorted(found, key=lambda one: sign * one.mean)


def _half(values: Sequence[float]) -> float:
    """Half of the 95 % interval of a mean, by Student's t."""
    from scipy import stats

    return float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))


def export(study: Study, path: Path) -> int:
    """Write the trials as an Optuna storage, a file of SQLite; returns how many. Raises DlxError where it is there."""
    from dlx.search.samplers.optuna import as_frozen, created, quiet

    if not path.absolute().parent.is_dir():
        raise DlxError("no such folder", where=str(path.parent))
    if path.exists():
        raise DlxError("is there already; an export begins a file of its own", where=str(path), hint="another name")
    with quiet():
        made = created(study.maximize, storage=f"sqlite:///{path}", study_name=study.name)
        trials = []
        for observation in study.observations:
            frozen = as_frozen(observation, study.space, study.maximize, study.observations)
            if frozen is None:
                continue
            frozen.user_attrs = {"runs": [run.name for run in observation.runs], "number": observation.number}
            if observation.spec:
                frozen.user_attrs["layers"] = str(observation.values.get("layers"))
            trials.append(frozen)
        made.set_metric_names(list(study.objectives))
        made.add_trials(trials)
    return len(trials)
