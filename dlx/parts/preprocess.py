"""Preprocessing: stock Keras layers inside the model, fitted on the train split only, always float32."""

from dataclasses import dataclass
from typing import Any, Literal

from dlx.parts.registry import Registry
from dlx.parts.types import ImageSize, Number
from dlx.system.backend import keras

registry = Registry(
    "preprocessing",
    aliases={
        "rescaling": "rescale",
        "normalization": "normalize",
        "standardization": "standardize",
        "scale": "rescale",
        "resizing": "resize",
    },
)


@dataclass(frozen=True)
class Preprocess:
    """A Keras layer, and what its statistics are taken of: each column, all values, or None when it has none to fit."""

    layer: Any
    statistics: Literal["columns", "scalar"] | None = None


@registry.register
def rescale(scale: Number = 1 / 255, offset: Number = 0.0) -> Preprocess:
    """x · scale + offset; as it stands it brings images from 0..255 to 0..1."""
    return Preprocess(keras.layers.Rescaling(scale, offset, dtype="float32"))


@registry.register
def resize(size: ImageSize) -> Preprocess:
    """Images brought to size × size pixels, or to [height, width], bilinearly."""
    height, width = (size, size) if isinstance(size, int) else size
    return Preprocess(keras.layers.Resizing(height, width, dtype="float32"))


@registry.register
def standardize(per: Literal["dataset", "channel"] = "dataset") -> Preprocess:
    """Mean 0 and standard deviation 1 over the train split: one scalar each, or one a channel.

    First in the list it scales float64 values before they become float32.
    """
    return _normalization("scalar" if per == "dataset" else "columns")


@registry.register
def normalize() -> Preprocess:
    """Mean 0 and standard deviation 1 of each feature (the last axis) over the train split.

    First in the list it scales float64 values before they become float32.
    """
    return _normalization("columns")


def _normalization(statistics: Literal["columns", "scalar"]) -> Preprocess:
    axis = None if statistics == "scalar" else -1
    return Preprocess(keras.layers.Normalization(axis=axis, dtype="float32"), statistics)
