"""Scaling in float64: values are centred and divided before they become float32, which has 24 bits alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dlx.errors import DataError

if TYPE_CHECKING:
    import numpy as np

NUMBERS = 2**20  # looked at at a time
# Rounded to float32, a value may be off by this share of its column's standard deviation before that is refused.
COARSE = 1e-3
# Deviations that Keras's Normalization divides by as they are: it takes none below 1e-7, and squares them in float32.
RANGE = (1e-6, 1e15)


@dataclass(frozen=True, eq=False)
class Scaling:
    """x -> (x - mean) / deviation, computed in float64.

    mean, deviation: float64, () for one scalar each, or (columns,) for one a column of the last axis.
    varies: (of the same shape) whether there is more than one value; coarse: whether float32 is too coarse for them.
    """

    mean: np.ndarray
    deviation: np.ndarray
    varies: np.ndarray
    coarse: np.ndarray

    @classmethod
    def fit(cls, values: Any, scalar: bool = False) -> Scaling:
        """The mean and standard deviation of each column of the last axis, or of all values together.

        values: (n, …) numbers or a Stream; read in pieces. A column that never varies has the deviation 1.
        """
        import numpy as np

        def columns(piece: Any) -> np.ndarray:
            array = np.asarray(piece, np.float64)
            return array.reshape(-1) if scalar else array.reshape(-1, array.shape[-1])

        def pieces() -> Iterator[np.ndarray]:
            return (columns(piece) for piece in pieces_of(values))

        # Sums of differences from the first value keep their digits, however far from 0 the values are.
        start = columns(values[:1])[0]
        count, total, low, high = 0, 0.0, np.inf, -np.inf
        error: Any = 0.0
        for piece in pieces():
            count, total = count + len(piece), total + (piece - start).sum(axis=0)
            low, high = np.minimum(low, piece.min(axis=0)), np.maximum(high, piece.max(axis=0))
            error = np.maximum(error, _rounding(piece).max(axis=0))
        varies = np.asarray(low < high)
        # Divided by the range: squares of values near 1e200 or 1e-200 stay numbers.
        shift, extent = total / count, np.where(varies, np.subtract(high, low), 1.0)
        centre = np.where(varies, start + shift, low)
        square = sum(np.square((piece - start - shift) / extent).sum(axis=0) for piece in pieces())
        deviation = np.where(varies, np.sqrt(square / count) * extent, 1.0)
        return cls(np.asarray(centre), deviation, varies, varies & (error > COARSE * deviation))

    @classmethod
    def known(cls, mean: np.ndarray, deviation: np.ndarray) -> Scaling:
        """One that was fitted before: what the values were like is not known any more."""
        import numpy as np

        return cls(mean, deviation, np.ones(mean.shape, bool), np.zeros(mean.shape, bool))

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Scaling:
        """The scaling that `record` kept. Raises KeyError, TypeError or ValueError where it is none."""
        import numpy as np

        mean, deviation = (np.asarray(record[name], np.float64) for name in ("mean", "deviation"))
        if mean.ndim > 1 or mean.shape != deviation.shape or not (np.isfinite(mean).all() and (deviation > 0).all()):
            raise ValueError("no scaling")
        return cls.known(mean, deviation)

    @classmethod
    def recorded(cls, info: Mapping[str, Any], name: str) -> Scaling | None:
        """That of a run's `inputs` or `targets`, from run.json; raises as `of_record` does."""
        recorded = info.get("scaling") or {}
        if not isinstance(recorded, Mapping):
            raise ValueError(f"its scaling is {recorded!r}")
        return cls.of_record(recorded[name]) if name in recorded else None

    def record(self) -> dict[str, Any]:
        """What run.json keeps: float64 numbers, written so that they are read back to the bit."""
        return {"mean": self.mean.tolist(), "deviation": self.deviation.tolist()}

    def apply(self, values: Any) -> np.ndarray:
        """Values in the data's unit -> float32 of mean 0 and standard deviation 1 over the split that was fitted."""
        import numpy as np

        array = np.asarray(values)
        scaled = np.empty(array.shape, np.float32)
        start = 0
        for piece in pieces_of(array):
            scaled[start : start + len(piece)] = (piece.astype(np.float64) - self.mean) / self.deviation
            start += len(piece)
        return scaled

    def undo(self, values: Any) -> np.ndarray:
        """Scaled values -> float64 in the data's unit."""
        import numpy as np

        return np.asarray(np.asarray(values, np.float64) * self.deviation + self.mean)

    def rounded(self, values: np.ndarray) -> np.ndarray:
        """Values in the data's unit without the digits that a scaled float32 does not have."""
        import numpy as np

        places = np.broadcast_to(8 - np.floor(np.log10(self.deviation)), values.shape[-1:]).astype(int)
        columns = [
            np.round(values[..., n], place) if abs(place) < 300 else values[..., n] for n, place in enumerate(places)
        ]
        return np.stack(columns, axis=-1)

    @property
    def offset(self) -> np.ndarray:
        """What is subtracted from a column before model.keras takes it: its mean, where float32 is too coarse."""
        import numpy as np

        return np.where(self.coarse, self.mean, 0.0)

    @property
    def divisor(self) -> np.ndarray:
        """What a column is then divided by: its deviation, where Keras's Normalization cannot."""
        import numpy as np

        low, high = RANGE
        return np.where((self.deviation < low) | (self.deviation > high), self.deviation, 1.0)

    @cached_property
    def largest(self) -> float:
        """The largest deviation: figures during a training are in this unit."""
        return float(self.deviation.max())

    @cached_property
    def relative(self) -> np.ndarray:
        """Each deviation as a share of the largest one, float32."""
        import numpy as np

        return np.asarray(self.deviation / self.largest, np.float32)


def pieces_of(values: Any) -> Iterator[Any]:
    """`values` a bounded number of them at a time."""
    rows = max(1, NUMBERS // max(1, math.prod(values.shape[1:])))
    return (values[start : start + rows] for start in range(0, len(values), rows))


def moments(pieces: Iterable[np.ndarray], scalar: bool) -> tuple[np.ndarray, np.ndarray]:
    """(mean, variance) in float64 of each column of the last axis, or of all values together, in one pass."""
    import numpy as np

    count, total, square = 0.0, np.float64(0), np.float64(0)
    for piece in pieces:
        flat = piece.reshape(-1) if scalar else piece.reshape(-1, piece.shape[-1])
        count += len(flat)
        total = total + flat.sum(axis=0, dtype=np.float64)
        square = square + np.square(flat, dtype=np.float64).sum(axis=0)
    mean = total / count
    return np.asarray(mean), np.asarray(np.maximum(square / count - mean**2, 0.0))


def unsure(mean: np.ndarray, variance: np.ndarray) -> bool:
    """Whether a variance of `moments` has lost digits, or Keras's Normalization cannot divide by its root."""
    import numpy as np

    low, high = RANGE
    return bool(((variance < 1e-6 * np.square(mean)) | (variance < low**2) | (variance > high**2)).any())


def _rounding(values: np.ndarray) -> np.ndarray:
    """How far each value is from the float32 nearest to it."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.abs(values.astype(np.float32).astype(np.float64) - values))


def narrowed(values: np.ndarray) -> np.ndarray:
    """`values` as float32 where that holds every one of them exactly, else as float64."""
    import numpy as np

    if values.dtype == np.float32:
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        for piece in pieces_of(values):
            if not (piece.astype(np.float32) == piece).all():
                return values.astype(np.float64, copy=False)
        return values.astype(np.float32)


def check_targets(scaling: Scaling) -> None:
    """Raise DataError where float32 is too coarse for targets that a network shall learn as they are."""
    for column in range(len(scaling.mean)):
        if scaling.coarse[column]:
            raise DataError(
                "float32, in which networks compute, is too coarse for the targets "
                f"({scaling.mean[column]:.6g} ± {scaling.deviation[column]:.3g})",
                hint="end the network with `output`, which learns scaled targets; or subtract an offset from them",
            )
