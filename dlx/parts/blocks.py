"""Composites: layers made of layers, whole networks among them. They share the registry of the layers."""

import warnings
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from dlx.backend import keras
from dlx.errors import DataError
from dlx.parts.layers import registry
from dlx.parts.types import Activation, Layers, Name
from dlx.registry import FilePath


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


# Keras's name of each network, and what it expects: see the docstring of `pretrained`.
_NETWORKS = {
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_small": "MobileNetV3Small",
    "mobilenet_v3_large": "MobileNetV3Large",
    "efficientnet_v2_b0": "EfficientNetV2B0",
}


@registry.register
def pretrained(
    network: Literal["mobilenet", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_v2_b0"],
    weights: Literal["imagenet", "none"] | FilePath = "imagenet",
    trainable: bool = False,
    name: Name = None,
    _restored: bool = False,
) -> Callable[[Any], Any]:
    """A network of keras.applications without its head: (height, width, 3) to its last feature maps.

    `weights`: Keras's, trained on ImageNet (downloaded once); a file of weights for this network without its head;
    or none. They stay as they are unless `trainable`. The mobilenet and mobilenet_v2 expect values from -1
    to 1 (`rescale: {scale: 0.00784313725, offset: -1}`), the others 0 to 255 as they are.
    """
    held = weights not in ("imagenet", "none")

    def apply(x: Any) -> Any:
        size = tuple(x.shape[1:])
        if len(size) != 3 or size[2] != 3 or min(size[:2]) < 32:
            raise ValueError(f"{network} expects colour images of at least 32 × 32, got {size}")
        made = getattr(keras.applications, _NETWORKS[network])
        source = "imagenet" if weights == "imagenet" and not _restored else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that no weights were made for this very size
            try:
                body = made(include_top=False, weights=source, input_shape=size, name=name or network)
            except Exception as error:  # urllib, ssl and Keras raise their own
                if source is None:
                    raise
                raise DataError(
                    f"the ImageNet weights of {network} cannot be downloaded ({str(error)[:120]})",
                    hint="weights: a file of them, or weights: none",
                ) from error
        if held and not _restored:
            try:
                body.load_weights(str(weights))
            except Exception as error:  # Keras, h5py and zipfile each raise their own
                raise DataError(
                    f"does not hold the weights of {network} without its head ({' '.join(str(error).split())[:120]})",
                    where=str(weights),
                ) from error
        body.trainable = trainable
        return body(x)

    return apply
