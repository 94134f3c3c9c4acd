"""What a run shows of itself: its history, its figures, and what a probe measured. Read from JSON alone."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dlx.insight.probed import LARGEST_LOSS, Probed
from dlx.runs.metrics import is_number
from dlx.runs.run import Run
from dlx.system import files

PROBE = "probe.json"
MOST = 2**20  # bytes of it
HALF = 0.5  # of what there is to learn: a training that learned less is looked into
BOUNCE = 1.5  # times the lowest train loss so far: a training whose loss jumps so is looked into
FEWEST, STEPS = 3, 100  # epochs and steps: after fewer nothing is to be expected
FEW = 10  # epochs: of fewer the median of three is too coarse
NEAR = 0.01  # of accuracy: as good as guessing the most frequent class


@dataclass(frozen=True)
class Evidence:
    """A run: how it ended, the rows of its epochs, its figures, its settings, and what was probed, if it was.

    diverged: its loss, or a weight, is not finite. majority: the share of the most frequent class where it is judged.
    kind: of the data.
    """

    name: str
    status: str
    diverged: bool
    settings: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    metrics: Mapping[str, Any]
    task: str
    classes: Sequence[str] = ()
    majority: float | None = None
    probed: Probed | None = None
    kind: str = ""

    @cached_property
    def split(self) -> str:
        """By which the run is judged while it trains: val, or train without a validation."""
        return "val" if any(key.startswith("val_") for row in self.rows[:1] for key in row) else "train"

    @property
    def guess(self) -> float:
        """The accuracy of the best guess without looking: the share of the most frequent class, else an even one."""
        return self.majority if self.majority is not None else 1 / max(len(self.classes), 2)

    def losses(self, split: str) -> list[float]:
        """The loss of each epoch, without penalties; not finite where it is not."""
        key = f"{split}_data_loss" if any(f"{split}_data_loss" in row for row in self.rows[:1]) else f"{split}_loss"
        return [float(row[key]) if is_number(row.get(key)) else math.inf for row in self.rows]

    @cached_property
    def accuracy(self) -> float | None:
        """The best accuracy by which the run is judged."""
        shares = [row[f"{self.split}_accuracy"] for row in self.rows if is_number(row.get(f"{self.split}_accuracy"))]
        return max(shares, default=None)

    @cached_property
    def even(self) -> float | None:
        """The loss of an even guess: as probed, else ln C, else 1 of values (their variance); None where unknown."""
        if self.probed is not None and math.isfinite(self.probed.even):
            return self.probed.even
        loss = str(self.settings.get("loss", "auto"))
        if self.task == "classification":
            return math.log(max(len(self.classes), 2)) if loss == "auto" or "categorical_crossentropy" in loss else None
        return 1.0 if self.task == "regression" and loss == "auto" else None

    @cached_property
    def learned(self) -> float:
        """The share of what there is to learn that was learned, by the better of train and validation."""
        shares = [0.0]
        if self.task == "classification" and self.accuracy is not None:
            shares.append((self.accuracy - self.guess) / max(1 - self.guess, 1e-9))
        elif self.even:
            lowest = min([*self.losses("train"), *self.losses(self.split)], default=math.inf)
            shares.append(1 - lowest / self.even)
        else:
            return 1.0  # nothing to judge it by
        return max(shares)

    @property
    def long(self) -> bool:
        """Whether something is to be expected of so many epochs and steps."""
        return len(self.rows) >= FEWEST and int(self.rows[-1].get("step") or 0) >= STEPS

    @cached_property
    def suspicious(self) -> bool:
        """Whether a training is worth a probe: it failed, or was long enough and learned little, or its loss is odd."""
        blown = bool(self.even and self.rows and self.losses("train")[-1] > LARGEST_LOSS * self.even)
        return self.diverged or (self.long and (self.learned < HALF or self.jumps > 0 or blown))

    @cached_property
    def jumps(self) -> int:
        """How often, after the first fifth, the train loss was far above the lowest so far, and above a trifle."""
        losses, count = self.losses("train"), 0
        lowest = math.inf
        for place, loss in enumerate(losses):
            if place >= max(len(losses) // 5, 2) and loss > BOUNCE * lowest and loss > 0.1 * (self.even or 1.0):
                count += 1
            lowest = min(lowest, loss)
        return count


def of_run(run: Run) -> Evidence:
    """What a run shows. Raises RunError where its run.json cannot be read."""
    info, failure = run.info(), run.failure() or {}
    return Evidence(
        name=run.name,
        status=run.status,
        diverged=bool(failure.get("diverged")),
        settings=info["settings"],
        rows=run.history(),
        metrics=run.metrics() or {},
        task=str(info.get("task")),
        classes=tuple(map(str, info.get("classes") or ())),
        majority=(info.get("dataset") or {}).get("most_frequent"),
        probed=_probed(run),
        kind=str((info.get("input") or {}).get("kind", "")),
    )


def _probed(run: Run) -> Probed | None:
    """What a probe left in the run; None where there is nothing that can be read."""
    try:
        record = json.loads(files.contents(run.path, PROBE, MOST))
    except (OSError, ValueError, RecursionError):
        return None
    return Probed.of_record(record) if isinstance(record, dict) else None


def falls(losses: Sequence[float], share: float = 0.2) -> float:
    """By what part a loss fell over the last `share` of the epochs, each end the median of three epochs.

    Of fewer than ten epochs the last one counts, where the one before it fell, too.
    """
    if len(losses) < 3 or not all(map(math.isfinite, losses)):
        return 0.0
    if len(losses) < FEW:
        steady = losses[-1] < losses[-2] < losses[-3]
        return (losses[-2] - losses[-1]) / losses[-2] if steady and losses[-2] > 0 else 0.0
    middle = len(losses) - 2 - round(share * len(losses))
    before, after = statistics.median(losses[middle - 1 : middle + 2]), statistics.median(losses[-3:])
    return (before - after) / before if before > 0 else 0.0
