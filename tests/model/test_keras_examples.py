"""Example networks that Keras publishes, as specs: exactly as many parameters as the same in Keras code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dlx import spec as specs
from dlx.data.dataset import Facts
from dlx.model.build import build
from dlx.model.network import parameter_count
from dlx.system import backend

keras = backend.keras


def mnist_convnet() -> Any:
    x = inputs = keras.Input((28, 28, 1))
    for filters in (32, 64):
        x = keras.layers.Conv2D(filters, 3, activation="relu")(x)
        x = keras.layers.MaxPooling2D(2)(x)
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))


def residual_cifar() -> Any:
    layers = keras.layers
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(32, 3, activation="relu")(inputs)
    x = layers.Conv2D(64, 3, activation="relu")(x)
    block = layers.MaxPooling2D(3)(x)
    for _ in range(2):
        x = layers.Conv2D(64, 3, activation="relu", padding="same")(block)
        x = layers.Conv2D(64, 3, activation="relu", padding="same")(x)
        block = layers.add([x, block])
    x = layers.Conv2D(64, 3, activation="relu")(block)
    x = layers.Dense(256, activation="relu")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(10)(layers.Dropout(0.5)(x)))


def lstm_text() -> Any:
    layers = keras.layers
    inputs = keras.Input((200,), dtype="int32")
    x = layers.Embedding(20000, 128)(inputs)
    x = layers.Bidirectional(layers.LSTM(64, return_sequences=True))(x)
    x = layers.Bidirectional(layers.LSTM(64))(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def transformer_text() -> Any:
    layers = keras.layers
    inputs = keras.Input((200,), dtype="int32")
    x = layers.Embedding(20000, 32)(inputs)
    places = keras.ops.cumsum(keras.ops.ones_like(inputs), axis=1) - 1
    x = x + layers.Embedding(200, 32)(places)
    attended = layers.Dropout(0.1)(layers.MultiHeadAttention(num_heads=2, key_dim=32)(x, x))
    x = layers.LayerNormalization(epsilon=1e-6)(x + attended)
    fed = layers.Dropout(0.1)(layers.Dense(32)(layers.Dense(32, activation="relu")(x)))
    x = layers.LayerNormalization(epsilon=1e-6)(x + fed)
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling1D()(x))
    x = layers.Dropout(0.1)(layers.Dense(20, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x))


def structured_data() -> Any:
    inputs = keras.Input((136,))  # the encoded features of the heart disease table
    x = keras.layers.Dropout(0.5)(keras.layers.Dense(32, activation="relu")(inputs))
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))


def timeseries_transformer() -> Any:
    layers = keras.layers
    x = inputs = keras.Input((500, 1))
    for _ in range(4):
        y = layers.MultiHeadAttention(key_dim=256, num_heads=4, dropout=0.25)(x, x)
        y = layers.LayerNormalization(epsilon=1e-6)(layers.Dropout(0.25)(y))
        x = y + x
        y = layers.Dropout(0.25)(layers.Conv1D(4, 1, activation="relu")(x))
        y = layers.LayerNormalization(epsilon=1e-6)(layers.Conv1D(1, 1)(y))
        x = y + x
    x = layers.GlobalAveragePooling1D(data_format="channels_last")(x)
    x = layers.Dropout(0.4)(layers.Dense(128, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x))


CASES: dict[str, tuple[Any, Facts, str, int]] = {
    "mnist_convnet": (mnist_convnet, Facts((28, 28, 1), "classification", tuple("0123456789")), """
  - conv2d: {filters: 32, kernel_size: 3, activation: relu}
  - max_pooling2d: 2
  - conv2d: {filters: 64, kernel_size: 3, activation: relu}
  - max_pooling2d: 2
  - flatten
  - dropout: 0.5
  - output
""", 34_826),
    "residual_cifar": (residual_cifar, Facts((32, 32, 3), "classification", tuple("0123456789")), """
  - conv2d: {filters: 32, kernel_size: 3, activation: relu}
  - conv2d: {filters: 64, kernel_size: 3, activation: relu}
  - max_pooling2d: 3
  - repeat:
      times: 2
      layers:
        - residual:
            - conv2d: {filters: 64, kernel_size: 3, activation: relu, padding: same}
            - conv2d: {filters: 64, kernel_size: 3, activation: relu, padding: same}
  - conv2d: {filters: 64, kernel_size: 3, activation: relu}
  - global_average_pooling2d
  - dense: {units: 256, activation: relu}
  - dropout: 0.5
  - output
""", 223_242),
    "lstm_text": (lstm_text, Facts((200,), "classification", ("0", "1"), integer=True), """
  - embedding: {input_dim: 20000, output_dim: 128}
  - bidirectional: {lstm: {units: 64, return_sequences: true}}
  - bidirectional: {lstm: 64}
  - output: {activation: sigmoid}
""", 2_757_761),
    "transformer_text": (transformer_text, Facts((200,), "classification", ("0", "1"), integer=True), """
  - embedding: {input_dim: 20000, output_dim: 32}
  - position_embedding
  - transformer_block: {num_heads: 2, key_dim: 32, ff_dim: 32, dropout: 0.1}
  - global_average_pooling1d
  - dropout: 0.1
  - dense: {units: 20, activation: relu}
  - dropout: 0.1
  - output
""", 657_758),
    "structured_data": (structured_data, Facts((136,), "classification", ("0", "1")), """
  - dense: {units: 32, activation: relu}
  - dropout: 0.5
  - output: {activation: sigmoid}
""", 4_417),
    "timeseries_transformer": (timeseries_transformer, Facts((500, 1), "classification", ("0", "1")), """
  - repeat:
      times: 4
      layers:
        - residual:
            - multi_head_attention: {key_dim: 256, num_heads: 4, dropout: 0.25}
            - dropout: 0.25
            - layer_normalization: {epsilon: 1e-6}
        - residual:
            - conv1d: {filters: 4, kernel_size: 1, activation: relu}
            - dropout: 0.25
            - conv1d: {filters: 1, kernel_size: 1}
            - layer_normalization: {epsilon: 1e-6}
  - global_average_pooling1d
  - dense: {units: 128, activation: relu}
  - dropout: 0.4
  - output
""", 29_258),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_published_network_has_the_same_parameters_as_a_spec(world: Path, name: str) -> None:
    code, facts, layers, count = CASES[name]
    (world / "x.yaml").write_text(f"dataset: digits\nlayers:{layers}")
    spec = specs.load(world / "x.yaml")
    backend.prepare(spec.seed, spec.precision)
    ours = parameter_count(build(spec, facts))
    theirs = sum(int(weight.size) for weight in [v.numpy() for v in code().trainable_weights])
    assert ours == theirs == count
