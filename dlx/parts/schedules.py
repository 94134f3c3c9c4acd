"""Learning-rate schedules: functions from progress (0 at the first step, 1 after the last) to a factor of `lr`.

Lengths are fractions of the training, so that a schedule stretches with the epochs. `plateau` alone looks at a figure.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from dlx.parts.registry import Registry
from dlx.parts.types import Fraction, NonNegative, Positive, PositiveFloat
from dlx.system.backend import keras

registry = Registry(
    "schedule",
    aliases={
        "cosinedecay": "cosine",
        "none": "constant",
        "piecewise": "step",
        "piecewiseconstantdecay": "step",
        "exponentialdecay": "exponential",
        "polynomialdecay": "polynomial",
        "linear": "polynomial",
        "inversetimedecay": "inverse_time",
        "cosinedecayrestarts": "cosine_restarts",
        "reducelronplateau": "plateau",
        "onecyclelr": "one_cycle",
    },
)

Schedule = Callable[[Any], Any]
Warmup = Annotated[float, Field(ge=0, lt=1)]
Above0 = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True)
class Plateau:
    """Multiplies the rate by `factor` after `patience` epochs in which the monitored figure did not improve."""

    factor: float
    patience: int
    min_delta: float
    min_lr: float


@registry.register
def constant() -> Schedule | None:
    """`lr` from the first step to the last."""
    return None


def _warmed(down: Schedule, warmup: float) -> Schedule:
    """`down` over what the warm-up leaves of the training; the rate first rises from 0 to `lr`, linearly."""

    def factor(progress: Any) -> Any:
        fallen = down(keras.ops.clip((progress - warmup) / (1.0 - warmup), 0.0, 1.0))
        return keras.ops.where(progress < warmup, progress / warmup, fallen) if warmup else fallen

    return factor


@registry.register
def cosine(warmup: Warmup = 0.0, final: Fraction = 0.0) -> Schedule:
    """Half a cosine from `lr` down to `final` · `lr` (Loshchilov and Hutter 2016).

    `warmup` is the share of the training in which the rate first rises from 0 to `lr`, linearly.
    """
    return _warmed(lambda progress: final + (1.0 - final) * 0.5 * (1.0 + keras.ops.cos(math.pi * progress)), warmup)


@registry.register
def cosine_restarts(
    cycles: Annotated[int, Field(ge=1, le=1000)] = 4, shrink: Above0 = 1.0, final: Fraction = 0.0
) -> Schedule:
    """Half a cosine, started again `cycles` times, each `shrink` times as high (Loshchilov and Hutter 2016).

    As in Keras, `final` is below all of them: (1 - final) · shrinkⁿ · cosine + final.
    """

    def factor(progress: Any) -> Any:
        number = keras.ops.minimum(keras.ops.floor(progress * cycles), cycles - 1.0)
        inside = progress * cycles - number
        high = keras.ops.power(shrink, number)
        return final + (1.0 - final) * high * 0.5 * (1.0 + keras.ops.cos(math.pi * keras.ops.clip(inside, 0.0, 1.0)))

    return factor


@registry.register
def one_cycle(peak: Above0 = 0.3, start: Above0 = 0.04, final: Fraction = 0.0001) -> Schedule:
    """From `start` · `lr` up to `lr` at the share `peak` of the training, then down to `final` · `lr` (Smith 2017)."""

    def factor(progress: Any) -> Any:
        up = start + (1.0 - start) * 0.5 * (1.0 - keras.ops.cos(math.pi * keras.ops.clip(progress / peak, 0.0, 1.0)))
        fallen = keras.ops.clip((progress - peak) / max(1.0 - peak, 1e-6), 0.0, 1.0)
        down = final + (1.0 - final) * 0.5 * (1.0 + keras.ops.cos(math.pi * fallen))
        return keras.ops.where(progress < peak, up, down)

    return factor


@registry.register
def exponential(final: Above0 = 0.01, warmup: Warmup = 0.0) -> Schedule:
    """The same factor at every step, from `lr` down to `final` · `lr`."""
    return _warmed(lambda progress: keras.ops.power(final, progress), warmup)


@registry.register
def polynomial(power: PositiveFloat = 1.0, final: Fraction = 0.0, warmup: Warmup = 0.0) -> Schedule:
    """From `lr` down to `final` · `lr`: in a straight line, or along a power of what is left of the training."""
    return _warmed(lambda progress: final + (1.0 - final) * keras.ops.power(1.0 - progress, power), warmup)


@registry.register
def inverse_time(decay: PositiveFloat = 9.0) -> Schedule:
    """`lr` divided by 1 + decay · progress: a tenth at the end with a decay of 9."""
    return lambda progress: 1.0 / (1.0 + decay * progress)


@registry.register
def step(at: Annotated[list[Fraction], Field(min_length=1)], factor: PositiveFloat = 0.1) -> Schedule:
    """Multiplies the rate by `factor` at each of the points `at`: `step: {at: [0.5, 0.75]}`."""
    points = sorted(at)

    def factors(progress: Any) -> Any:
        passed = sum(keras.ops.cast(progress >= point, "float32") for point in points)
        return keras.ops.power(factor, passed)

    return factors


@registry.register
def plateau(
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1,
    patience: Positive = 10,
    min_delta: NonNegative = 0.0001,
    min_lr: NonNegative = 0.0,
) -> Plateau:
    """Multiplies the rate by `factor` after `patience` epochs in which the monitored figure did not improve."""
    return Plateau(factor, patience, min_delta, min_lr)
