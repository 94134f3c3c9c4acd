"""Optimizers, with Keras's names, parameters and defaults. The learning rate is the spec's `lr`."""

from typing import Annotated, Any

from pydantic import Field

from dlx.backend import keras
from dlx.parts.types import NonNegative, PositiveFloat, Rate
from dlx.registry import Registry

registry = Registry(
    "optimizer",
    aliases={"gradientdescent": "sgd", "momentum": "sgd", "nesterov": "sgd", "adamweightdecay": "adamw"},
)

Momentum = Annotated[float, Field(ge=0, le=1)]


@registry.register
def sgd(
    momentum: Momentum = 0.0,
    nesterov: bool = False,
    weight_decay: NonNegative | None = None,
    clipnorm: PositiveFloat | None = None,
    clipvalue: PositiveFloat | None = None,
    global_clipnorm: PositiveFloat | None = None,
    _learning_rate: float = 0.01,
) -> Any:
    """Gradient descent, with momentum if asked; `batch_size: full` makes it deterministic descent."""
    return keras.optimizers.SGD(_learning_rate, **_without(locals()))


@registry.register
def adam(
    beta_1: Rate = 0.9,
    beta_2: Rate = 0.999,
    epsilon: PositiveFloat = 1e-7,
    amsgrad: bool = False,
    weight_decay: NonNegative | None = None,
    clipnorm: PositiveFloat | None = None,
    clipvalue: PositiveFloat | None = None,
    global_clipnorm: PositiveFloat | None = None,
    _learning_rate: float = 0.001,
) -> Any:
    """Steps scaled by running moments of the gradient (Kingma and Ba 2014)."""
    return keras.optimizers.Adam(_learning_rate, **_without(locals()))


@registry.register
def adamw(
    weight_decay: NonNegative = 0.004,
    beta_1: Rate = 0.9,
    beta_2: Rate = 0.999,
    epsilon: PositiveFloat = 1e-7,
    amsgrad: bool = False,
    clipnorm: PositiveFloat | None = None,
    clipvalue: PositiveFloat | None = None,
    global_clipnorm: PositiveFloat | None = None,
    _learning_rate: float = 0.001,
) -> Any:
    """Adam with the weight decay apart from the gradient (Loshchilov and Hutter 2017)."""
    return keras.optimizers.AdamW(_learning_rate, **_without(locals()))


@registry.register
def rmsprop(
    rho: Rate = 0.9,
    momentum: Momentum = 0.0,
    epsilon: PositiveFloat = 1e-7,
    centered: bool = False,
    weight_decay: NonNegative | None = None,
    clipnorm: PositiveFloat | None = None,
    clipvalue: PositiveFloat | None = None,
    global_clipnorm: PositiveFloat | None = None,
    _learning_rate: float = 0.001,
) -> Any:
    """Steps divided by a running mean of the gradient's size (Hinton 2012)."""
    return keras.optimizers.RMSprop(_learning_rate, **_without(locals()))


def _without(arguments: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if not key.startswith("_")}


def default_learning_rate(name: str) -> float:
    """Keras's own default for the optimizer `name`: what `lr` is when a spec is silent."""
    import inspect

    return float(inspect.signature(registry.find(name)).parameters["_learning_rate"].default)
