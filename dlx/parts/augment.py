"""Augmentations: random changes of the training images, before preprocessing, in the raw range of values.

Each part returns a function `(images, seed) -> images`: images are (n, height, width, channels)
float32, seed is a `keras.random.SeedGenerator` that the engine sets from (seed, step).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from dlx.parts.registry import Registry
from dlx.parts.types import Fraction, Positive, PositiveFloat
from dlx.system.backend import keras

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
        "randomcontrast": "contrast",
        "randombrightness": "brightness",
        "gaussiannoise": "noise",
        "randomerasing": "cutout",
        "randaug": "rand_augment",
    },
)

Augment = Callable[[Any, Any], Any]
Mixed = Callable[[Any, Any], tuple[Any, Any, Any]]


@dataclass(frozen=True)
class Mix:
    """An augmentation that lays two examples of a batch over one another, and so their labels.

    `apply(images, seed)` returns (images, partners, shares): the row numbers (n,) of the second examples, and the share
    (n,) of the first one's label; the loss is shared out alike.
    """

    apply: Mixed


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
def rotate(
    degrees: Annotated[float, Field(ge=0, le=180)], fill: Fill = "constant", probability: Fraction = 1.0
) -> Augment:
    """Turns each image about its middle by a random angle between -degrees and +degrees, with that probability.

    `fill` says what comes into view: 0 (constant), the nearest edge, or the image mirrored or tiled.
    """

    def apply(images: Any, seed: Any) -> Any:
        angle = _uniform(images, seed, math.radians(degrees))
        if probability < 1.0:
            coin = keras.random.uniform((keras.ops.shape(images)[0],), seed=seed)
            angle = keras.ops.where(keras.ops.reshape(coin, keras.ops.shape(angle)) < probability, angle, 0.0)
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


@registry.register
def brightness(amount: Fraction = 0.2) -> Augment:
    """Makes each image lighter or darker by up to that share of the range 0 to 255."""

    def apply(images: Any, seed: Any) -> Any:
        return keras.ops.clip(images + _each(_uniform(images, seed, 255.0 * amount)), 0.0, 255.0)

    return apply


@registry.register
def contrast(amount: Fraction = 0.2) -> Augment:
    """Stretches each image's values about their mean by a random factor, 1 - amount to 1 + amount; 0 to 255 stay."""

    def apply(images: Any, seed: Any) -> Any:
        middle = keras.ops.mean(images, axis=(1, 2, 3), keepdims=True)
        return keras.ops.clip(middle + (images - middle) * _each(1.0 + _uniform(images, seed, amount)), 0.0, 255.0)

    return apply


@registry.register
def noise(stddev: PositiveFloat = 10.0) -> Augment:
    """Adds to every value a normal random number of that standard deviation; 0 to 255 stay."""

    def apply(images: Any, seed: Any) -> Any:
        return keras.ops.clip(
            images + keras.random.normal(keras.ops.shape(images), stddev=stddev, seed=seed), 0.0, 255.0
        )

    return apply


@registry.register
def cutout(fraction: Annotated[float, Field(gt=0, le=1)] = 0.25) -> Augment:
    """Blanks a square at a random place of each image, `fraction` of its side wide (DeVries and Taylor 2017)."""

    def apply(images: Any, seed: Any) -> Any:
        side = fraction * min(images.shape[1:3])
        centre = [(_uniform(images, seed, 0.5) + 0.5) * extent for extent in images.shape[1:3]]
        return keras.ops.where(_box(images, centre, [side, side]), 0.0, images)

    return apply


@registry.register
def rand_augment(num_ops: Annotated[int, Field(ge=1, le=8)] = 2, factor: Fraction = 0.5) -> Augment:
    """Applies `num_ops` of ten changes (colours, sharpness, shear, …), of a random strength up to `factor`.

    Cubuk et al. 2019, as Keras does it: one choice of changes a batch. For colour images.
    """

    layer = keras.layers.RandAugment(value_range=(0, 255), num_ops=num_ops, factor=factor)

    def apply(images: Any, seed: Any) -> Any:
        if images.shape[-1] != 3:
            raise ValueError("rand_augment expects colour images")
        for inner in (layer, *layer._layers):
            object.__setattr__(inner, "generator", seed)  # past Keras, which tracks the state of built layers
        return keras.ops.clip(layer(images, training=True), 0.0, 255.0)

    return apply


@registry.register
def mixup(alpha: PositiveFloat = 0.2) -> Mix:
    """Fades each image into another of its batch, and its label into the other's (Zhang et al. 2017).

    The share of the first is drawn from Beta(alpha, alpha).
    """

    def apply(images: Any, seed: Any) -> tuple[Any, Any, Any]:
        partners, share = _partners(images, seed, alpha)
        weight = _each(share)
        return weight * images + (1.0 - weight) * keras.ops.take(images, partners, axis=0), partners, share

    return Mix(apply)


@registry.register
def cutmix(alpha: PositiveFloat = 1.0) -> Mix:
    """Pastes a box of another image of the batch into each, and shares the label by area (Yun et al. 2019)."""

    def apply(images: Any, seed: Any) -> tuple[Any, Any, Any]:
        partners, share = _partners(images, seed, alpha)
        edge = keras.ops.sqrt(1.0 - share)
        centre = [(_uniform(images, seed, 0.5) + 0.5) * extent for extent in images.shape[1:3]]
        box = _box(images, centre, [edge * extent for extent in images.shape[1:3]])
        kept = 1.0 - keras.ops.mean(keras.ops.cast(box, "float32"), axis=(1, 2, 3))
        return keras.ops.where(box, keras.ops.take(images, partners, axis=0), images), partners, kept

    return Mix(apply)


def _partners(images: Any, seed: Any, alpha: float) -> tuple[Any, Any]:
    """(row numbers of each image's partner, each one's own share), both (n,)."""
    count = keras.ops.shape(images)[0]
    rows = keras.ops.argsort(keras.random.uniform((count,), seed=seed))
    return rows, keras.random.beta((count,), alpha, alpha, seed=seed)


def _each(values: Any) -> Any:
    """(n,) as (n, 1, 1, 1)."""
    return keras.ops.reshape(values, (-1, 1, 1, 1))


def _box(images: Any, centre: Any, size: Any) -> Any:
    """True inside a box of each image: (n, height, width, 1); centre and size in pixels, (y, x), numbers or (n,)."""
    inside = []
    for axis, extent in enumerate(images.shape[1:3]):
        places = keras.ops.reshape(keras.ops.arange(extent, dtype="float32"), (1, -1))
        middle = keras.ops.reshape(centre[axis], (-1, 1))
        half = keras.ops.reshape(keras.ops.convert_to_tensor(size[axis], "float32"), (-1, 1)) / 2
        inside.append((places >= middle - half) & (places < middle + half))
    return (inside[0][:, :, None] & inside[1][:, None, :])[..., None]


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
