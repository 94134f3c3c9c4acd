"""A network as one function of TensorFlow: raw inputs in, probabilities or values out, all between inside.

Every format is made of it. What converters get wrong is written in operations that they get right: nothing else of the
network changes.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from dlx.data.scaling import Scaling
from dlx.inference.onnx_model import INPUT, OUTPUTS
from dlx.model.network import Network
from dlx.system.backend import keras


def function(network: Network, info: Mapping[str, Any], scaling: Scaling | None, double: bool = True) -> Any:
    """A tf.function of one argument, `input`, for a network that takes inputs as `scaling` leaves them.

    Its argument (n, *shape) has the dtype of the data, or float64 where inputs are scaled in float64. It returns one
    array by its name: (n, classes) float32 probabilities, or (n, targets) values, in float64 where they are scaled.
    double: False keeps float32 where that would be, for runtimes that have nothing else.
    """
    import tensorflow as tf

    shape, stored = tuple(info["input"]["shape"]), str(info["input"]["dtype"])
    float64 = "float64" if double else "float32"
    dtype = float64 if scaling is not None else {"float64": "float32", "int64": "int32"}.get(stored, stored)
    taken = network.model.inputs[0].dtype

    def answer(inputs: Any) -> Any:
        if scaling is not None:
            mean, deviation = (tf.constant(numbers, dtype) for numbers in (scaling.mean, scaling.deviation))
            inputs = (inputs - mean) / deviation
        inputs = tf.cast(inputs, taken)
        if (targets := network.target_scaling) is not None and network.scales:
            values = tf.cast(network.logits(inputs, training=False), float64)
            return values * tf.constant(targets.deviation, float64) + tf.constant(targets.mean, float64)
        return _probabilities(network.model(inputs, training=False), info, network)

    name = output_name(info)
    signature = tf.TensorSpec((None, *shape), dtype, name=INPUT)
    return tf.function(lambda inputs: {name: answer(inputs)}, input_signature=[signature], autograph=False)


def output_name(info: Mapping[str, Any]) -> str:
    """What a model's one output is called: probabilities, or value."""
    return OUTPUTS[info["task"] == "regression"]


def _probabilities(outputs: Any, info: Mapping[str, Any], network: Network) -> Any:
    """What `dlx.inference.forward.class_probabilities` makes of outputs."""
    import tensorflow as tf

    if info["task"] == "regression":
        return outputs
    if info["task"] == "classification" and outputs.shape[-1] > 1:
        if network.model.layers[-1].activation.__name__ == "softmax":
            return outputs
        moved = outputs - tf.minimum(tf.reduce_min(outputs, axis=-1, keepdims=True), 0.0)
        return moved / tf.maximum(tf.reduce_max(moved, axis=-1, keepdims=True), 1.0)
    outputs = tf.clip_by_value(outputs, 0.0, 1.0)
    return tf.concat([1.0 - outputs, outputs], axis=-1) if info["task"] == "classification" else outputs


@contextlib.contextmanager
def convertible(network: Network, unroll: bool = False) -> Iterator[None]:
    """Within it the network computes the same in operations that converters know.

    Fitted statistics are constants and no inputs of the graph; a grouped convolution, which Keras hands to XLA, is one
    convolution a group; no random number is drawn. unroll: recurrent layers are written out step by step, for LiteRT.
    """
    import numpy as np

    changed: list[tuple[Any, str, Any]] = []

    def change(owner: Any, name: str, value: Any) -> None:
        changed.append((owner, name, vars(owner).get(name, _MISSING)))
        _set(owner, name, value)

    operations = importlib.import_module("keras.src.backend.tensorflow.nn")
    change(operations, "conv", _grouped(operations.conv))
    for layer in _layers(network.model):
        if type(layer).__name__ == "Normalization":
            for name in ("mean", "variance"):
                change(layer, name, np.asarray(getattr(layer, name)))
        if unroll and hasattr(layer, "unroll"):
            change(layer, "unroll", True)
        for value in list(vars(layer).values()):  # some draw also where they change nothing, and count it
            if isinstance(value, keras.random.SeedGenerator):
                change(value, "next", lambda ordered=True: keras.ops.zeros((2,), "int32"))
    try:
        yield
    finally:
        for owner, name, value in reversed(changed):
            if value is _MISSING:
                object.__delattr__(owner, name)
            else:
                _set(owner, name, value)


_MISSING = object()


def _layers(model: Any) -> list[Any]:
    """Every layer of a model, those inside others too."""
    return [layer for layer in model._flatten_layers(include_self=False) if layer is not model]


def _set(owner: Any, name: str, value: Any) -> None:
    """Set an attribute of a layer without Keras's tracking, or of a module."""
    vars(owner)[name] = value


def _grouped(conv: Any) -> Any:
    """Keras's convolution, in groups one group at a time."""

    def convolve(inputs: Any, kernel: Any, *args: Any, **options: Any) -> Any:
        import tensorflow as tf

        axis = 1 if options.get("data_format") == "channels_first" else -1
        kernel = tf.convert_to_tensor(kernel)
        groups = inputs.shape[axis] // kernel.shape[-2]
        if groups == 1:
            return conv(inputs, kernel, *args, **options)
        pairs = zip(tf.split(inputs, groups, axis), tf.split(kernel, groups, -1), strict=True)
        return tf.concat([conv(*pair, *args, **options) for pair in pairs], axis)

    return convolve
