"""Composites: layers made of layers. They share the registry of the layers."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field

from dlx.backend import keras
from dlx.parts.layers import registry
from dlx.parts.types import Activation, Layers, Name


@registry.register
def repeat(times: Annotated[int, Field(gt=0, le=100)], layers: Layers, _build: Any = None) -> Callable[[Any], Any]:
    """The same stack of layers several times over, each time with weights of its own."""
    stacks = [_build(layers) for _ in range(times)]

    def apply(x: Any) -> Any:
        for stack in stacks:
            x = stack(x)
        return x

    return apply


@registry.register
def residual(
    layers: Layers, activation: Activation | None = None, name: Name = None, _build: Any = None
) -> Callable[[Any], Any]:
    """x + layers(x), then the activation (He et al. 2015).

    Where the layers change the shape of an image, x goes through a 1×1 convolution with the
    strides that fit; where they change the width of a vector, through a dense layer.
    """
    stack = _build(layers)

    def apply(x: Any) -> Any:
        y = stack(x)
        y = keras.layers.Add(name=name)([_shortcut(x, tuple(y.shape)), y])
        return keras.layers.Activation(activation)(y) if activation else y

    return apply


def _shortcut(x: Any, shape: tuple[int | None, ...]) -> Any:
    """x brought to `shape` (batch axis first) by the cheapest learned projection."""
    before = tuple(x.shape)
    if before == shape:
        return x
    if len(before) == len(shape) == 4:
        strides = [-(-a // b) if a and b else 1 for a, b in zip(before[1:3], shape[1:3], strict=True)]
        x = keras.layers.Conv2D(shape[-1], 1, strides=strides, padding="same", use_bias=False)(x)
    elif len(before) == len(shape):
        x = keras.layers.Dense(shape[-1], use_bias=False)(x)
    if tuple(x.shape) != shape:
        raise ValueError(
            f"the layers turn {before[1:]} into {shape[1:]}, and no projection of the input has that shape"
        )
    return x
