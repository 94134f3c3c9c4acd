"""Which trials end early, and which of these continue after all: pure functions of the curves of all trials."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from dlx.parts.searches import Pruner
from dlx.search.trials import Observation


def rungs(pruner: Pruner, epochs: int) -> tuple[int, ...]:
    """The epochs, below the last, after which a trial is held against the others."""
    if pruner.by == "median":
        return tuple(range(pruner.first, epochs, pruner.first))
    found, rung = [], pruner.first
    while rung < epochs:
        found.append(rung)
        rung *= pruner.reduction
    return tuple(found)


def verdict(pruner: Pruner, epoch: int, value: float, others: Sequence[float], maximize: bool) -> str:
    """Why a trial ends after an epoch, or an empty text. others: what the other trials had at this epoch."""
    if value != value:
        return f"no finite figure by epoch {epoch}"
    rank = sum(other > value if maximize else other < value for other in others if other == other)
    if pruner.by == "asha":
        kept = max((len(others) + 1) // pruner.reduction, 1)
        return f"epoch {epoch}: {rank + 1} of {len(others) + 1}, the best {kept} continue" if rank >= kept else ""
    if len(others) < pruner.startup:
        return ""
    middle = statistics.median(others)
    worse = value < middle if maximize else value > middle
    return f"epoch {epoch}: {value:.4g}, the median of {len(others)} is {middle:.4g}" if worse else ""


def at(epoch: int, trials: Sequence[Observation], apart: int) -> list[float]:
    """What every trial but one had at an epoch, of those that came so far."""
    return [trial.curve[epoch] for trial in trials if trial.number != apart and epoch in trial.curve]


def promotable(pruner: Pruner, trials: Sequence[Observation], epochs: int, maximize: bool) -> Observation | None:
    """A pruned trial that is by now one of those that continue; of several the one that came the furthest."""
    if pruner.by != "asha":
        return None
    for rung in reversed(rungs(pruner, epochs)):
        arrived = sorted(
            (trial for trial in trials if rung in trial.curve and trial.curve[rung] == trial.curve[rung]),
            key=lambda trial: (-trial.curve[rung] if maximize else trial.curve[rung], trial.number),
        )
        for trial in arrived[: len(arrived) // pruner.reduction]:
            if trial.status == "pruned" and max(trial.curve) == rung:
                return trial
    return None


def saved(trials: Sequence[Observation], epochs: Mapping[int, int]) -> int:
    """How many epochs pruned trials did not train."""
    return sum(epochs[trial.number] - max(trial.curve, default=0) for trial in trials if trial.status == "pruned")
