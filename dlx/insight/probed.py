"""What a probe measured of a network as it begins, and the thresholds between good and bad. Numbers, no Keras.

The thresholds were chosen on 49 trainings and tried on others; beside each stands where good trainings lie.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

LARGEST_INPUT = 10.0  # RMS of the first layer's input; good: 1 or less
LARGEST_LOSS = 2.0  # at the start, times that of an even guess; good: 1.0 to 1.24
LARGEST_UPDATE = 0.1  # the size of an update over that of the weights, median of the kernels; good: 0.002 to 0.065
SMALLEST_UPDATE = 2e-4  # the largest of them
RISES = 1.5  # times the loss at the start: steps that make it rise so are too large
MOST_DEAD = 0.5  # share of units that answer 0 to every example, in the worst layer; good: 0.38 or less
SMALLEST_GRADIENT = 1e-3  # of the first kernel over that of the last; good: 0.3
SMALLEST_SPREAD = 1e-3  # of the last hidden layer's outputs over examples; good: 0.05
LEARNED = 0.7  # times the loss of an even guess, after 150 steps on one batch; good: 0.67 or less
IMBALANCED = 0.7  # the share of a class from which accuracy says little, and which a network may answer always
ADAPTIVE = ("adam", "adamw", "nadam", "adamax", "rmsprop", "lion", "adafactor", "lamb", "muon")  # a step is about lr


def scaling_for(kind: str) -> str:
    """The preprocessing that suits a kind of data: of images all values together, else each column."""
    return "standardize" if kind == "image" else "normalize"


@dataclass(frozen=True)
class Probed:
    """The figures of a probe; one that was not finite is infinite.

    even: the loss of an even guess (ln C, or the targets' variance), in the spec's loss; start: that of the network.
    rms: of the first layer's input. update, largest_update: median and largest over the kernels. dead: the share of its
    units in dead_layer. gradient: of the first kernel over that of the last; without: layers that get none. spread: the
    sd of the last hidden layer's outputs over examples. same: whether all examples get one answer. own, adam: the loss
    of one batch after some steps, by the spec's optimizer and by Adam at adam_rate; highest: the largest on the way.
    """

    optimizer: str
    even: float
    start: float
    rms: float
    update: float
    largest_update: float
    dead: float
    dead_layer: str
    gradient: float
    without: Sequence[str]
    spread: float
    same: bool
    own: float
    adam: float
    highest: float
    steps: int
    adam_rate: float = 0.001

    def record(self) -> dict[str, Any]:
        """As probe.json holds it."""
        return {key: None if value == math.inf else value for key, value in asdict(self).items()}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Probed | None:
        """What `record` wrote; None where it is something else."""
        known: dict[str, Any] = {field.name: record.get(field.name) for field in fields(cls)}
        texts = ("optimizer", "dead_layer")
        known["adam_rate"] = known["adam_rate"] or 0.001
        numbers = [key for key in known if key not in (*texts, "without", "same")]
        if not all(known[key] is None or isinstance(known[key], (int, float)) for key in numbers):
            return None
        if not all(isinstance(known[key], str) for key in texts) or not isinstance(known["without"], list):
            return None
        known |= {key: math.inf for key in numbers if known[key] is None}
        return cls(**{**known, "without": tuple(map(str, known["without"])), "same": bool(known["same"])})

    @property
    def learns(self) -> bool:
        """Whether the spec's own optimizer learns one batch."""
        return self.own <= LEARNED * self.even

    @property
    def could_learn(self) -> bool:
        """Whether Adam at its usual rate does."""
        return self.adam <= LEARNED * self.even

    def better_rate(self, rate: float) -> float:
        """A rate with which steps are neither too large nor too small, to one digit."""
        if self.step_small:
            return {"sgd": 0.1, "adagrad": 0.1, "ftrl": 0.1, "adadelta": 1.0}.get(self.optimizer, 0.001)
        factor = min(0.1, 0.02 / self.update) if 0 < self.update < math.inf else 0.1
        return float(f"{rate * factor:.1g}")

    @property
    def stuck(self) -> bool:
        """Whether all examples have one answer, and go on to have it: one layer of zeros begins so, and learns."""
        return self.same and not self.learns

    @property
    def unscaled(self) -> bool:
        return self.rms > LARGEST_INPUT

    @property
    def vanishes(self) -> bool:
        """Whether hardly any gradient, or signal, passes through the layers."""
        return self.gradient < SMALLEST_GRADIENT or self.spread < SMALLEST_SPREAD or bool(self.without)

    @property
    def step_large(self) -> bool:
        """Whether steps are too large: of sgd, whose first step may be large and right, only where that does harm."""
        harmful = self.highest > RISES * max(self.start, self.even) or not self.learns
        return self.update > LARGEST_UPDATE and (self.optimizer in ADAPTIVE or harmful)

    @property
    def step_small(self) -> bool:
        """Whether steps are too small to learn what Adam learns."""
        return not self.learns and self.could_learn and self.largest_update < SMALLEST_UPDATE
