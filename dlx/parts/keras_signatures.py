"""Keras's own signatures, read from its source without importing it: the schema of every part that is its class.

Keras's parameters carry no annotations. What a spec may say follows from the parameter's name, and from its default.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from dlx.parts import types
from dlx.parts.types import Name, NonNegative, Number, Positive, PositiveFloat, Rate
from dlx.system.backend import keras

REQUIRED = inspect.Parameter.empty
Given = Mapping[str, Any]

# A length along each of 1, 2 or 3 axes; cropping and padding also take (before, after).
SIZES: dict[str, Any] = {"1": Positive | types.Single, "2": types.Size, "3": Positive | types.Triple}
Count = Annotated[int, Field(ge=0, le=10**9)]
Counts = Count | list[Count] | list[list[Count]]
Amount = Number | Annotated[list[Number], Field(min_length=2, max_length=2)]

BY_NAME: dict[str, Any] = {
    **dict.fromkeys(("units", "filters", "num_heads", "key_dim", "value_dim", "head_dim", "input_dim", "output_dim",
                     "num_query_heads", "num_key_value_heads", "groups", "depth_multiplier", "power_iterations", "n",
                     "height", "width", "num_tokens", "num_bins", "sliding_window", "fft_length", "sequence_stride",
                     "sequence_length", "frame_length", "frame_step", "num_mel_bins", "sampling_rate"), Positive),
    **dict.fromkeys(("rate", "dropout", "recurrent_dropout", "momentum", "beta_1", "beta_2", "rho", "beta"), Rate),
    **dict.fromkeys(("epsilon", "clipnorm", "clipvalue", "global_clipnorm", "clip_threshold"), PositiveFloat),
    **dict.fromkeys(("stddev", "weight_decay", "negative_slope", "initial_accumulator_value"), NonNegative),
    **dict.fromkeys(("activation", "recurrent_activation"), types.Activation),
    **dict.fromkeys(("target_shape", "dims", "shared_axes", "attention_axes"), list[int]),
    **dict.fromkeys(("factor", "height_factor", "width_factor", "x_factor", "y_factor", "scale", "value_range",
                     "brightness_factor", "contrast_factor", "saturation_factor", "hue_factor", "sigma",
                     "addition_factor", "threshold_factor"), Amount),
    **dict.fromkeys(("layer", "cell"), types.Layer),
    "axis": int | list[int],
    "bin_boundaries": list[Number],
    "cells": types.Stack,
    "cropping": Counts,
    "data_format": Literal["channels_last", "channels_first"],
    "equation": str,
    "exclude_layers": list[str],
    "fill_mode": Literal["constant", "nearest", "reflect", "wrap"],
    "interpolation": Literal["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "area"],
    "output_mode": Literal["int", "one_hot", "multi_hot", "count"],
    "merge_mode": Literal["sum", "mul", "concat", "ave"],
    "bias_axes": str,
    "output_shape": int | list[int | None],
    "padding": Literal["valid", "same"],
    "score_mode": Literal["dot", "concat"],
    "tile_grid_size": types.Pair,
}  # fmt: skip
BY_ENDING: dict[str, Any] = {
    "_initializer": types.Initializer,
    "_regularizer": types.Regularizer,
    "_constraint": types.Constraint,
}
SIZED = ("kernel_size", "pool_size", "strides", "dilation_rate", "size", "output_size", "output_padding")
# What dlx decides itself, or what makes no sense in a spec, with the reason.
SILENT = {
    "seed": "the spec's own `seed` decides: seed: 42",
    "dtype": "say `precision` for the whole network",
    "weights": "`weights: RUN` at the top of the spec starts from another run's",
    "stateful": "a batch keeps no state for the next one",
    "return_state": "a layer has one output",
    "trainable": "every layer is trained; `pretrained` has a parameter of that name",
    "noise_shape": "spatial_dropout1d, 2d and 3d drop whole channels",
    "input_shape": "it follows from the data",
    "batch_input_shape": "it follows from the data",
}
HIDDEN = {
    *SILENT, "self", "lora_rank", "lora_alpha", "quantization_config", "gptq_unpacked_column_size", "autocast",
    "use_cudnn", "flash_attention", "synchronized", "renorm", "renorm_clipping", "renorm_momentum", "sparse", "ragged",
    "backward_layer", "reverse_dtype", "learning_rate", "salt", "zero_output_for_mask",
    "use_ema", "ema_momentum", "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps",
}  # fmt: skip


@functools.cache
def exported(package: str) -> dict[str, tuple[str, str]]:
    """Every class that keras.`package` exports: exported name -> (module, its own name there)."""
    text = (_root() / package / "__init__.py").read_text(encoding="utf-8")
    rows = re.findall(r"from keras\.src\.([\w.]+) import \(?\s*(\w+)(?: as (\w+))?,?\s*\)?", text)
    return {alias or name: (module, name) for module, name, alias in rows if name[:1].isupper()}


def _root() -> Path:
    located = importlib.util.find_spec("keras")
    assert located is not None
    return Path(str(next(iter(located.submodule_search_locations or ()))))


def parameters_of(package: str, class_name: str) -> dict[str, Any]:
    """The parameters, with their defaults, of the class `class_name` that keras.`package` exports, from its file."""
    module, name = exported(package)[class_name]
    tree = ast.parse((_root() / "src" / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))
    node = next(item for item in tree.body if isinstance(item, ast.ClassDef) and item.name == name)
    constants = {
        target.id: item.value
        for item in tree.body
        if isinstance(item, ast.Assign)
        for target in item.targets
        if isinstance(target, ast.Name)
    }
    parameters: dict[str, Any] = {}
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            arguments = item.args
            missing = len(arguments.args) - len(arguments.defaults)
            defaults = [None] * missing + list(arguments.defaults)
            for number, (argument, default) in enumerate(zip(arguments.args, defaults, strict=True)):
                parameters[argument.arg] = REQUIRED if number < missing else _literal(default, constants)
    return parameters


def _literal(node: Any, constants: Mapping[str, Any]) -> Any:
    value = ast.literal_eval(constants.get(node.id, node) if isinstance(node, ast.Name) else node)
    if isinstance(value, str) and value[:1].isupper():  # 'Zeros' is another spelling of 'zeros'
        return value.lower()
    return _plain(value)


def _plain(value: Any) -> Any:
    """A tuple as a spec would write it: (2, 2) is 2, (1, 2) is a list."""
    if not isinstance(value, tuple):
        return value
    items = [_plain(item) for item in value]
    return items[0] if isinstance(items[0], int) and len(set(map(str, items))) == 1 else items


def snake(class_name: str) -> str:
    """Keras's name of a layer in snake_case: Conv2DTranspose is conv2d_transpose, PReLU is prelu."""
    word = class_name.replace("ReLU", "Relu").replace("PRelu", "Prelu").replace("AdamW", "Adamw")
    word = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", word)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", word).lower()


def annotation(class_name: str, name: str, default: Any) -> Any:
    """What a spec may say for the parameter `name`; see the module."""
    kind = _by_name(class_name, name, default)
    return kind | None if default is None else kind


def _by_name(class_name: str, name: str, default: Any) -> Any:
    rank = (re.search(r"([123])D", class_name) or [None, "1"])[1]
    if name == "padding" and not isinstance(default, str):
        return Counts
    if name == "mode" and class_name == "RandomFlip":
        return Literal["horizontal", "vertical", "horizontal_and_vertical"]
    if name == "padding" and class_name == "Conv1D":
        return Literal["valid", "same", "causal"]
    if name in SIZED and not (name == "size" and class_name == "UpSampling1D"):
        return SIZES[str(rank)]
    if name == "size":
        return Positive
    ending = next((kind for end, kind in BY_ENDING.items() if name.endswith(end)), None)
    if ending is not None:
        return ending
    if isinstance(default, bool):
        return bool
    if name in BY_NAME:
        return BY_NAME[name]
    by_type = {int: int, float: Number, str: str, list: list[Number]}
    return by_type.get(type(default), Number | str | list[Number])


def function(package: str, class_name: str, build: Callable[[str, dict[str, Any], Given], Any], help: str = "") -> Any:
    """A part that is the class: its signature is Keras's, its help ours.

    `build` is called with the class's name, the spec's arguments, and what dlx gives (`_make`, …).
    """
    parameters = parameters_of(package, class_name)
    hidden = HIDDEN if package == "layers" else {*HIDDEN, "name"}
    kinds = {n: annotation(class_name, n, d) for n, d in parameters.items() if n not in hidden}
    defaults = {n: parameters[n] for n in kinds}
    if package == "layers":
        kinds["name"], defaults["name"] = Name, None
    given = ("_make",) if package == "layers" else ("_learning_rate",)

    def part(**arguments: Any) -> Any:
        return build(
            class_name,
            {k: v for k, v in arguments.items() if k not in given},
            {k: v for k, v in arguments.items() if k in given},
        )

    kind = inspect.Parameter.KEYWORD_ONLY
    shown = [inspect.Parameter(n, kind, default=defaults[n], annotation=kinds[n]) for n in kinds]
    shown += [inspect.Parameter(n, kind, default=parameters.get(n[1:])) for n in given]
    part.__name__, part.__doc__ = snake(class_name), help or f"keras.{package}.{class_name}, as Keras documents it."
    part.__annotations__ = kinds
    part.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    return part


def regularizer(penalty: Mapping[str, float] | None) -> Any:
    """Keras's object for {l1: …, l2: …}."""
    return None if penalty is None else keras.regularizers.L1L2(**penalty)


def constraint(value: Any) -> Any:
    """Keras's object for `non_neg`, `unit_norm` or {max_norm: …}."""
    return keras.constraints.MaxNorm(value["max_norm"]) if isinstance(value, Mapping) else value
