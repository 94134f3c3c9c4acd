"""Learning-rate schedules: functions from progress (0 at the first step, 1 after the last) to a factor of `lr`.

Lengths are fractions of the training, so that a schedule stretches with the epochs.
"""

import math
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from dlx.backend import keras
from dlx.parts.types import Fraction, PositiveFloat
from dlx.registry import Registry

registry = Registry("schedule", aliases={"cosinedecay": "cosine", "none": "constant", "piecewise": "step"})

Schedule = Callable[[Any], Any]


@registry.register
def constant() -> Schedule | None:
    """`lr` from the first step to the last."""
    return None


@registry.register
def cosine(warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0, final: Fraction = 0.0) -> Schedule:
    """Half a cosine from `lr` down to `final` · `lr` (Loshchilov and Hutter 2016).

    `warmup` is the share of the training in which the rate first rises from 0 to `lr`, linearly.
    """

    def factor(progress: Any) -> Any:
        ops = keras.ops
        falling = (progress - warmup) / (1.0 - warmup)
        down = final + (1.0 - final) * 0.5 * (1.0 + ops.cos(math.pi * ops.clip(falling, 0.0, 1.0)))
        if not warmup:
            return down
        return ops.where(progress < warmup, progress / warmup, down)

    return factor


@registry.register
def step(at: Annotated[list[Fraction], Field(min_length=1)], factor: PositiveFloat = 0.1) -> Schedule:
    """Multiplies the rate by `factor` at each of the points `at`: `step: {at: [0.5, 0.75]}`."""
    points = sorted(at)

    def factors(progress: Any) -> Any:
        passed = sum(keras.ops.cast(progress >= point, "float32") for point in points)
        return keras.ops.power(factor, passed)

    return factors
