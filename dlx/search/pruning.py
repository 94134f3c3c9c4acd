"""Which trials end early, and which of these continue after all: from the curves of all trials alone."""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Mapping, Sequence

from dlx.parts.searches import Pruner
from dlx.search.trials import Observation

Place = tuple[float, int]  # a figure, less is better, and the number of the trial that has it


def rungs(pruner: Pruner, epochs: int) -> tuple[int, ...]:
    """The epochs, below the last, after which a trial is held against the others."""
    if pruner.by == "median":
        return tuple(range(pruner.first, epochs, pruner.first))
    found, rung = [], pruner.first
    while rung < epochs:
        found.append(rung)
        rung *= pruner.reduction
    return tuple(found)


class Ladder:
    """The trials that have come to each rung, in the order of their figures there, so that a verdict costs little.

    Of equal figures the earlier trial is the better one. A figure that is not finite counts as one that came, and is
    never among the best.
    """

    def __init__(self, pruner: Pruner, epochs: int, maximize: bool) -> None:
        self._pruner, self._sign, self.rungs = pruner, -1.0 if maximize else 1.0, rungs(pruner, epochs)
        self.clear()

    def clear(self) -> None:
        """Forget every trial."""
        self._came = {rung: list[Place]() for rung in self.rungs}
        self._lost = {rung: set[int]() for rung in self.rungs}
        self._ended = {rung: list[Place]() for rung in self.rungs}  # those that were pruned there
        self._known: dict[int, tuple[dict[int, Place], int | None]] = {}

    def note(self, trial: Observation) -> None:
        """Take in how far a trial has come by now, and whether it was pruned there."""
        places = {rung: (self._sign * trial.curve[rung], trial.number) for rung in self.rungs if rung in trial.curve}
        furthest = max(trial.curve, default=0)
        ended = furthest if trial.status == "pruned" and furthest in places else None
        before, ended_before = self._known.get(trial.number, ({}, None))
        if ended_before is not None:
            _remove(self._ended[ended_before], before[ended_before])
        for rung in self.rungs:
            if before.get(rung) != places.get(rung):
                self._lost[rung].discard(trial.number)
                if rung in before:
                    _remove(self._came[rung], before[rung])
                if rung in places and places[rung][0] == places[rung][0]:
                    bisect.insort(self._came[rung], places[rung])
                elif rung in places:
                    self._lost[rung].add(trial.number)
        if ended is not None and places[ended][0] == places[ended][0]:
            bisect.insort(self._ended[ended], places[ended])
        self._known[trial.number] = places, ended

    def verdict(self, trial: Observation, epoch: int) -> str:
        """Why a trial that was noted ends after an epoch, or an empty text."""
        value, pruner = trial.curve[epoch], self._pruner
        if value != value:
            return f"no finite figure by epoch {epoch}"
        came = self._came[epoch]
        if pruner.by == "asha":
            rank, count = bisect.bisect_left(came, (self._sign * value, 0)), len(came) + len(self._lost[epoch])
            kept = max(count // pruner.reduction, 1)
            return f"epoch {epoch}: {rank + 1} of {count}, the best {kept} continue" if rank >= kept else ""
        others = [self._sign * place[0] for place in came if place[1] != trial.number]
        if len(others) < pruner.startup:
            return ""
        middle = statistics.median(others)
        worse = self._sign * value > self._sign * middle
        return f"epoch {epoch}: {value:.4g}, the median of {len(others)} is {middle:.4g}" if worse else ""

    def promotable(self) -> int | None:
        """A pruned trial that is by now one of those that continue; of several the one that came the furthest."""
        if self._pruner.by != "asha":
            return None
        for rung in reversed(self.rungs):
            came, ended = self._came[rung], self._ended[rung]
            if ended and bisect.bisect_left(came, ended[0]) < len(came) // self._pruner.reduction:
                return ended[0][1]
        return None


def _remove(places: list[Place], place: Place) -> None:
    """Take a place out of a sorted list, if it is there."""
    index = bisect.bisect_left(places, place)
    if index < len(places) and places[index] == place:
        del places[index]


def saved(trials: Sequence[Observation], epochs: Mapping[int, int]) -> int:
    """How many epochs pruned trials did not train."""
    return sum(epochs[trial.number] - max(trial.curve, default=0) for trial in trials if trial.status == "pruned")
