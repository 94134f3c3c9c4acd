"""Every layer as a small network, and runs of several kinds: what tests of more than one room are tried on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import dlx as api
from dlx import spec as specs
from dlx.data.dataset import Facts
from dlx.spec.parse import write_value
from dlx.spec.sections import Spec

# One line a layer: the shape of an input, and how a spec says the layer.
EXAMPLES: dict[str, tuple[tuple[int, ...], Any]] = {
    "activation": ((6,), {"activation": "tanh"}),
    "activity_regularization": ((6,), {"activity_regularization": {"l2": 0.1}}),
    "adaptive_average_pooling1d": ((8, 2), {"adaptive_average_pooling1d": 4}),
    "adaptive_average_pooling2d": ((8, 8, 2), {"adaptive_average_pooling2d": [4, 2]}),
    "adaptive_average_pooling3d": ((4, 4, 4, 2), {"adaptive_average_pooling3d": 2}),
    "adaptive_max_pooling1d": ((8, 2), {"adaptive_max_pooling1d": 4}),
    "adaptive_max_pooling2d": ((8, 8, 2), {"adaptive_max_pooling2d": 4}),
    "adaptive_max_pooling3d": ((4, 4, 4, 2), {"adaptive_max_pooling3d": 2}),
    "additive_attention": ((5, 4), "additive_attention"),
    "alpha_dropout": ((6,), {"alpha_dropout": 0.3}),
    "attention": ((5, 4), {"attention": {"score_mode": "concat", "use_scale": True}}),
    "aug_mix": ((8, 8, 3), "aug_mix"),
    "auto_contrast": ((8, 8, 3), "auto_contrast"),
    "average_pooling1d": ((8, 2), {"average_pooling1d": 2}),
    "average_pooling2d": ((8, 8, 2), {"average_pooling2d": 2}),
    "average_pooling3d": ((4, 4, 4, 2), {"average_pooling3d": [2, 1, 2]}),
    "batch_normalization": ((6,), "batch_normalization"),
    "bidirectional": ((5, 3), {"bidirectional": {"lstm": 4}}),
    "category_encoding": ((5,), {"category_encoding": 10}),
    "center_crop": ((8, 8, 2), {"center_crop": {"height": 4, "width": 6}}),
    "contrast_limited_adaptive_histogram_equalization": ((16, 16, 1), {"contrast_limited_adaptive_histogram_equalization": {"tile_grid_size": [4, 4]}}),
    "conv1d": ((9, 3), {"conv1d": {"filters": 4, "kernel_size": 3, "padding": "causal"}}),
    "conv1d_transpose": ((9, 3), {"conv1d_transpose": {"filters": 4, "kernel_size": 3, "strides": 2}}),
    "conv2d": ((8, 8, 2), {"conv2d": {"filters": 4, "kernel_size": [3, 2], "activation": "relu", "kernel_constraint": {"max_norm": 2.0}}}),
    "conv2d_transpose": ((4, 4, 2), {"conv2d_transpose": {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}}),
    "conv3d": ((4, 4, 4, 1), {"conv3d": {"filters": 3, "kernel_size": [2, 2, 3]}}),
    "conv3d_transpose": ((2, 2, 2, 1), {"conv3d_transpose": {"filters": 3, "kernel_size": 2}}),
    "conv_lstm1d": ((3, 6, 2), {"conv_lstm1d": {"filters": 3, "kernel_size": 3, "dropout": 0.1}}),
    "conv_lstm2d": ((3, 5, 5, 1), {"conv_lstm2d": {"filters": 3, "kernel_size": 3}}),
    "conv_lstm3d": ((2, 3, 3, 3, 1), {"conv_lstm3d": {"filters": 2, "kernel_size": 2}}),
    "cropping1d": ((8, 2), {"cropping1d": [1, 2]}),
    "cropping2d": ((8, 8, 2), {"cropping2d": [[1, 2], [0, 1]]}),
    "cropping3d": ((4, 4, 4, 2), {"cropping3d": 1}),
    "dense": ((6,), {"dense": {"units": 5, "activation": "gelu", "kernel_initializer": {"random_normal": 0.02}, "kernel_regularizer": {"l1": 0.01, "l2": 0.01}, "activity_regularizer": {"l2": 0.01}}}),
    "dense_block": ((8, 8, 2), {"dense_block": {"times": 2, "growth_rate": 3, "bottleneck": True, "dropout": 0.1}}),
    "depthwise_conv1d": ((9, 3), {"depthwise_conv1d": {"kernel_size": 3, "depth_multiplier": 2}}),
    "depthwise_conv2d": ((8, 8, 2), {"depthwise_conv2d": 3}),
    "discretization": ((6,), {"discretization": {"bin_boundaries": [2.0, 5.0, 7.5], "output_mode": "one_hot"}}),
    "dropout": ((6,), {"dropout": 0.5}),
    "einsum_dense": ((5, 4), {"einsum_dense": {"equation": "abc,cd->abd", "output_shape": [5, 3], "bias_axes": "d"}}),
    "elu": ((6,), "elu"),
    "embedding": ((5,), {"embedding": {"input_dim": 10, "output_dim": 4}}),
    "flatten": ((3, 4), "flatten"),
    "gaussian_dropout": ((6,), {"gaussian_dropout": 0.3}),
    "gaussian_noise": ((6,), {"gaussian_noise": 0.3}),
    "global_average_pooling1d": ((8, 2), "global_average_pooling1d"),
    "global_average_pooling2d": ((8, 8, 2), "global_average_pooling2d"),
    "global_average_pooling3d": ((4, 4, 4, 2), "global_average_pooling3d"),
    "global_max_pooling1d": ((8, 2), "global_max_pooling1d"),
    "global_max_pooling2d": ((8, 8, 2), "global_max_pooling2d"),
    "global_max_pooling3d": ((4, 4, 4, 2), "global_max_pooling3d"),
    "group_normalization": ((8, 8, 4), {"group_normalization": 2}),
    "group_query_attention": ((5, 8), {"group_query_attention": {"head_dim": 4, "num_query_heads": 4, "num_key_value_heads": 2}}),
    "gru": ((5, 3), {"gru": {"units": 4, "dropout": 0.2, "recurrent_dropout": 0.2}}),
    "gru_cell": ((5, 3), {"rnn": {"gru_cell": 4}}),
    "identity": ((6,), "identity"),
    "layer_normalization": ((6,), "layer_normalization"),
    "leaky_relu": ((6,), {"leaky_relu": 0.1}),
    "lstm": ((5, 3), {"lstm": {"units": 4, "return_sequences": True}}),
    "lstm_cell": ((5, 3), {"rnn": {"cell": {"lstm_cell": 4}, "return_sequences": True}}),
    "masking": ((5, 3), {"sequential": ["masking", {"lstm": 3}]}),
    "max_pooling1d": ((8, 2), {"max_pooling1d": 2}),
    "max_pooling2d": ((8, 8, 2), {"max_pooling2d": {"pool_size": 3, "strides": 2, "padding": "same"}}),
    "max_pooling3d": ((4, 4, 4, 2), {"max_pooling3d": 2}),
    "mel_spectrogram": ((512,), {"mel_spectrogram": {"fft_length": 64, "sequence_stride": 32, "num_mel_bins": 8}}),
    "multi_head_attention": ((5, 4), {"multi_head_attention": {"num_heads": 2, "key_dim": 3, "dropout": 0.1}}),
    "output": ((6,), "output"),
    "parallel": ((8, 8, 2), {"parallel": {"layers": [{"conv2d": {"filters": 2, "kernel_size": 1}}, {"sequential": [{"conv2d": {"filters": 2, "kernel_size": 3, "padding": "same"}}, "relu"]}, "identity"], "merge": "add"}}),
    "permute": ((3, 4), {"permute": [2, 1]}),
    "position_embedding": ((5, 4), "position_embedding"),
    "prelu": ((6,), {"sequential": [{"dense": 4}, "prelu"]}),
    "pretrained": ((32, 32, 3), {"pretrained": {"name": "mobilenet", "weights": "none", "trainable": True}}),
    "rand_augment": ((8, 8, 3), "rand_augment"),
    "random_brightness": ((8, 8, 3), {"random_brightness": 0.2}),
    "random_color_degeneration": ((8, 8, 3), {"random_color_degeneration": 0.5}),
    "random_color_jitter": ((8, 8, 3), {"random_color_jitter": {"brightness_factor": 0.2, "hue_factor": 0.1}}),
    "random_contrast": ((8, 8, 3), {"random_contrast": 0.2}),
    "random_elastic_transform": ((8, 8, 3), "random_elastic_transform"),
    "random_erasing": ((8, 8, 3), "random_erasing"),
    "random_flip": ((8, 8, 3), {"random_flip": "horizontal"}),
    "random_gaussian_blur": ((8, 8, 3), "random_gaussian_blur"),
    "random_grayscale": ((8, 8, 3), "random_grayscale"),
    "random_hue": ((8, 8, 3), {"random_hue": 0.2}),
    "random_invert": ((8, 8, 3), "random_invert"),
    "random_perspective": ((8, 8, 3), "random_perspective"),
    "random_rotation": ((8, 8, 3), {"random_rotation": [-0.1, 0.1]}),
    "random_saturation": ((8, 8, 3), {"random_saturation": 0.3}),
    "random_sharpness": ((8, 8, 3), {"random_sharpness": 0.3}),
    "random_translation": ((8, 8, 3), {"random_translation": {"height_factor": 0.1, "width_factor": 0.1}}),
    "random_zoom": ((8, 8, 3), {"random_zoom": 0.1}),
    "relu": ((6,), {"relu": {"max_value": 6.0}}),
    "repeat": ((6,), {"repeat": {"times": 2, "layers": [{"dense": 6}, {"activation": "relu"}]}}),
    "repeat_vector": ((6,), {"repeat_vector": 3}),
    "rescaling": ((6,), {"rescaling": 0.1}),
    "reshape": ((6,), {"reshape": [3, 2]}),
    "residual": ((8, 8, 2), {"residual": {"layers": [{"conv2d": {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}}], "activation": "relu"}}),
    "resizing": ((8, 8, 2), {"resizing": {"height": 4, "width": 5}}),
    "reversible_embedding": ((5,), {"reversible_embedding": {"input_dim": 10, "output_dim": 4}}),
    "rms_normalization": ((6,), "rms_normalization"),
    "rnn": ((5, 3), {"rnn": {"simple_rnn_cell": 4}}),
    "separable_conv1d": ((9, 3), {"separable_conv1d": {"filters": 4, "kernel_size": 3}}),
    "separable_conv2d": ((8, 8, 2), {"separable_conv2d": {"filters": 4, "kernel_size": 3}}),
    "sequential": ((6,), {"sequential": [{"dense": 4}, "relu"]}),
    "simple_rnn": ((5, 3), {"simple_rnn": 4}),
    "simple_rnn_cell": ((5, 3), {"rnn": {"simple_rnn_cell": 3}}),
    "softmax": ((6,), "softmax"),
    "solarization": ((8, 8, 3), {"solarization": {"threshold_factor": 0.5}}),
    "spatial_dropout1d": ((8, 2), {"spatial_dropout1d": 0.3}),
    "spatial_dropout2d": ((8, 8, 2), {"spatial_dropout2d": 0.3}),
    "spatial_dropout3d": ((4, 4, 4, 2), {"spatial_dropout3d": 0.3}),
    "spectral_normalization": ((8, 8, 2), {"spectral_normalization": {"conv2d": {"filters": 3, "kernel_size": 3}}}),
    "squeeze_excite": ((8, 8, 4), {"squeeze_excite": 2}),
    "stacked_rnn_cells": ((5, 3), {"rnn": {"stacked_rnn_cells": [{"lstm_cell": 4}, {"lstm_cell": 3}]}}),
    "stft_spectrogram": ((256, 1), {"stft_spectrogram": {"frame_length": 64, "frame_step": 32}}),
    "time_distributed": ((5, 3), {"time_distributed": {"dense": 4}}),
    "transformer_block": ((5, 8), {"transformer_block": {"num_heads": 2, "key_dim": 4, "ff_dim": 6, "dropout": 0.1}}),
    "unit_normalization": ((6,), "unit_normalization"),
    "up_sampling1d": ((4, 2), {"up_sampling1d": 2}),
    "up_sampling2d": ((4, 4, 2), {"up_sampling2d": {"size": [2, 1], "interpolation": "bilinear"}}),
    "up_sampling3d": ((2, 2, 2, 2), {"up_sampling3d": 2}),
    "zero_padding1d": ((4, 2), {"zero_padding1d": [1, 2]}),
    "zero_padding2d": ((4, 4, 2), {"zero_padding2d": [[1, 0], [2, 1]]}),
    "zero_padding3d": ((2, 2, 2, 2), {"zero_padding3d": 1}),
}  # fmt: skip


def make_spec(world: Path, layers: list[Any], **more: Any) -> Spec:
    lines = [
        "dataset: digits",
        f"layers: {write_value(layers)}",
        *(f"{k}: {write_value(v)}" for k, v in more.items()),
    ]
    (world / "part.yaml").write_text("\n".join(lines) + "\n")
    return specs.load(world / "part.yaml")


def data(shape: tuple[int, ...], count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    return generator.integers(0, 10, (count, *shape)).astype(np.float32), generator.integers(0, 3, count).astype(
        np.int32
    )


def facts(shape: tuple[int, ...]) -> Facts:
    return Facts(shape, "classification", ("a", "b", "c"))


# Whole runs


WEATHER = """\
dataset: {csv: {path: weather.csv, label: [wet, cold]}}
task: multi_label
preprocess: [normalize]
layers: [output]
epochs: 2
"""

SUMS = """\
dataset: {binary_addition: {bits: 6, samples: 200, test_samples: 40}}
layers: [{simple_rnn: {units: 6, return_sequences: true}}, output]
epochs: 2
"""


def write_weather(world: Path) -> None:
    """The table of WEATHER: two labels a row."""
    rows = "".join(f"{n % 9},{n % 5},{n % 2},{n % 3 == 0:d}\n" for n in range(200))
    (world / "weather.csv").write_text(f"t,h,wet,cold\n{rows}")


def write_photos(world: Path, colours: Mapping[str, tuple[int, int, int]]) -> None:
    """A folder `photos` with eight images, each a little larger and lighter, of each class."""
    for kind, colour in colours.items():
        (world / "photos" / kind).mkdir(parents=True)
        for number in range(8):
            shade = tuple(min(255, c + 5 * number) for c in colour)
            Image.new("RGB", (10 + number, 12), shade).save(world / "photos" / kind / f"{number}.png")


def train_all(world: Path, texts: Mapping[str, str]) -> None:
    """Write a spec of each name into a folder, and train it there."""
    before = Path.cwd()
    os.chdir(world)
    try:
        for name, text in texts.items():
            (world / f"{name}.yaml").write_text(text)
            api.run(f"{name}.yaml")
    finally:
        os.chdir(before)
