"""Augmentations: random changes of the training images, before preprocessing, in the raw range of values.

Each part returns a function `(images, seed) -> images`: images are (n, height, width, channels)
float32, seed is a `keras.random.SeedGenerator` that the engine sets from (seed, step).
"""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from dlx.backend import keras
from dlx.parts.types import Fraction, Positive
from dlx.registry import Registry

registry = Registry(
    "augmentation",
    aliases={
        "randomflip": "flip",
        "randomhorizontalflip": "flip",
        "rotation": "rotate",
        "randomrotation": "rotate",
        "translate": "shift",
        "randomtranslation": "shift",
        "randomcrop": "crop",
        "randomzoom": "zoom",
    },
)

Augment = Callable[[Any, Any], Any]
Fill = Literal["constant", "nearest", "reflect", "wrap"]


@registry.register
def flip(direction: Literal["horizontal", "vertical", "both"] = "horizontal") -> Augment:
    """Mirrors each image with probability 1/2: left-right, upside down, or each of the two."""

    def apply(images: Any, seed: Any) -> Any:
        for axis, name in ((2, "horizontal"), (1, "vertical")):
            if direction in (name, "both"):
                coin = keras.random.uniform((keras.ops.shape(images)[0], 1, 1, 1), seed=seed)
                images = keras.ops.where(coin < 0.5, keras.ops.flip(images, axis=axis), images)
        return images

    return apply


@registry.register
def rotate(degrees: Annotated[float, Field(ge=0, le=180)], fill: Fill = "constant") -> Augment:
    """Turns each image about its middle by a random angle between -degrees and +degrees.

    `fill` says what comes into view: 0 (constant), the nearest edge, or the image mirrored or tiled.
    """

    def apply(images: Any, seed: Any) -> Any:
        angle = _uniform(images, seed, math.radians(degrees))
        cos, sin = keras.ops.cos(angle), keras.ops.sin(angle)
        return _affine(images, (cos, -sin, sin, cos), (0.0, 0.0), fill, "bilinear")

    return apply


@registry.register
def shift(fraction: Fraction = 0.1, fill: Fill = "constant") -> Augment:
    """Moves each image by a random part of its height and width, up to `fraction` either way."""

    def apply(images: Any, seed: Any) -> Any:
        height, width = images.shape[1:3]
        move = (_uniform(images, seed, fraction * width), _uniform(images, seed, fraction * height))
        return _affine(images, (1.0, 0.0, 0.0, 1.0), move, fill, "bilinear")

    return apply


@registry.register
def crop(padding: Positive = 4, fill: Fill = "constant") -> Augment:
    """Pads each side by `padding` pixels and cuts the old size out at a random place, pixel by pixel."""

    def apply(images: Any, seed: Any) -> Any:
        move = tuple(keras.ops.round(_uniform(images, seed, padding + 0.4999)) for _ in range(2))
        return _affine(images, (1.0, 0.0, 0.0, 1.0), move, fill, "nearest")

    return apply


@registry.register
def zoom(fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1, fill: Fill = "constant") -> Augment:
    """Scales each image about its middle by a random factor between 1 - fraction and 1 + fraction."""

    def apply(images: Any, seed: Any) -> Any:
        scale = 1.0 / (1.0 + _uniform(images, seed, fraction))
        return _affine(images, (scale, 0.0, 0.0, scale), (0.0, 0.0), fill, "bilinear")

    return apply


def _uniform(images: Any, seed: Any, limit: float) -> Any:
    """One number an image, evenly between -limit and limit: (n,) float32."""
    return keras.random.uniform((keras.ops.shape(images)[0],), -limit, limit, seed=seed)


def _affine(images: Any, matrix: tuple[Any, ...], move: tuple[Any, ...], fill: str, interpolation: str) -> Any:
    """Sample each image at matrix · (x, y) + move, about its middle.

    matrix: (a, b, c, d), move: (x, y) in pixels; each entry a number or (n,).
    """
    ops = keras.ops
    height, width = images.shape[1:3]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    zeros = ops.zeros((ops.shape(images)[0],), "float32")
    a, b, c, d = (zeros + entry for entry in matrix)
    move_x, move_y = (zeros + entry for entry in move)
    offset_x = middle_x - a * middle_x - b * middle_y + move_x
    offset_y = middle_y - c * middle_x - d * middle_y + move_y
    transform = ops.stack([a, b, offset_x, c, d, offset_y, zeros, zeros], axis=1)
    return ops.image.affine_transform(images, transform, interpolation=interpolation, fill_mode=fill)
