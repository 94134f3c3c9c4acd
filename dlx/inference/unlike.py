"""Images that are unlike those of the training: their mean, or their range, lies far outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlx.data.dataset import Stream

if TYPE_CHECKING:
    import numpy as np

SAMPLE, STREAMED = 2000, 500  # images that are looked at, in memory and on disk
SHOWN = 5  # names in a remark


@dataclass(frozen=True)
class Ordinary:
    """What images of the train split are like: the lowest and highest value, the extremes of their means and ranges."""

    low: float
    high: float
    means: tuple[float, float]
    least_range: float

    @classmethod
    def of(cls, inputs: Any) -> Ordinary:
        """Of (n, height, width, channels) images, some of them, spread evenly."""
        import numpy as np

        most = STREAMED if isinstance(inputs, Stream) else SAMPLE
        rows = np.unique(np.linspace(0, len(inputs) - 1, most).astype(np.int64))
        means, ranges, low, high = [], [], np.inf, -np.inf
        for start in range(0, len(rows), 256):
            some = np.asarray(inputs[rows[start : start + 256]], np.float64)
            axes = tuple(range(1, some.ndim))
            means.append(some.mean(axis=axes))
            ranges.append(np.ptp(some, axis=axes))
            low, high = min(low, some.min()), max(high, some.max())
        every = np.concatenate(means)
        extremes = float(every.min()), float(every.max())
        return cls(float(low), float(high), extremes, float(np.concatenate(ranges).min()))

    def record(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high, "means": list(self.means), "least_range": self.least_range}

    @classmethod
    def of_record(cls, record: Any) -> Ordinary | None:
        """From run.json; None where it says nothing, or nothing that makes sense."""
        if not isinstance(record, Mapping):
            return None
        try:
            first, last = map(float, record["means"])
            return cls(float(record["low"]), float(record["high"]), (first, last), float(record["least_range"]))
        except (KeyError, TypeError, ValueError):
            return None

    def unlike(self, names: Sequence[str], images: np.ndarray) -> Iterator[tuple[str, str]]:
        """(name, in what it is unlike the training) of the images that are."""
        import numpy as np

        numbers = np.asarray(images, np.float64)
        axes = tuple(range(1, numbers.ndim))
        (first, last), margin = self.means, 0.5 * (self.means[1] - self.means[0])
        for name, mean, extent in zip(names, numbers.mean(axis=axes), np.ptp(numbers, axis=axes), strict=True):
            if not first - margin <= mean <= last + margin:
                inverted = first - margin <= self.low + self.high - mean <= last + margin
                known = f"the mean of its values is {mean:.4g}, in training {first:.4g} to {last:.4g}"
                yield name, f"{known}: inverted?" if inverted else known
            elif extent < 0.3 * self.least_range:
                yield name, f"its values span {extent:.4g}, in training {self.least_range:.4g} at least"


def remarks(found: Sequence[tuple[str, str]]) -> list[str]:
    """Remarks on images that are unlike the training: a line each, of many a few."""
    lines = [f"{name} is unlike the training data: {reason}" for name, reason in found[:SHOWN]]
    return [*lines, *([f"and {len(found) - SHOWN:,} more"] if len(found) > SHOWN else [])]
