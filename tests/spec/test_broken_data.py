"""More broken specs and data sets: each ends with 2 or 3, says where and what, and shows no traceback."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import Dlx
from PIL import Image

from dlx.parts import REGISTRIES
from dlx.runs import find

REFUSED = list(REGISTRIES["layer"].refused)


def images_spec(layer: str) -> str:
    """A spec whose second line begins with the layer."""
    return f"dataset: digits\nlayers: [{layer}, flatten, output]\n"


# layer as a spec says it -> what the message must hold; refused by the reader, so no Keras is loaded.
LAYERS: dict[str, str] = {
    "conv2d": "conv2d needs filters",
    "conv2d: 3": "conv2d needs kernel_size",
    "conv2d: {filters: 0, kernel_size: 3}": "filters: expected a whole number (above 0), got 0",
    "conv2d: {filters: 3, kernel_size: [3]}": "kernel_size: expected a whole number (above 0) or a list",
    "conv2d: {filters: 3, kernel_size: [3, 3, 3]}": "kernel_size: expected",
    "conv2d: {filters: 3, kernel_size: 3, strides: 0}": "strides: expected",
    "conv2d: {filters: 3, kernel_size: 3, padding: full}": "padding: expected valid or same, got 'full'",
    "conv2d: {filters: 3, kernel_size: 3, padding: causal}": "padding: expected valid or same",
    "conv2d: {filters: 3, kernel_size: 3, activation: rely}": "did you mean 'relu'?",
    "conv2d: {filters: 3, kernel_size: 3, kernel_initializer: he}": "kernel_initializer: expected one of",
    "conv2d: {filters: 3, kernel_size: 3, kernel_initializer: {random_norm: 1}}": "kernel_initializer: expected",
    "conv2d: {filters: 3, kernel_size: 3, kernel_initializer: {class_name: Zeros, config: {}}}": "kernel_initializer: expected",
    "conv2d: {filters: 3, kernel_size: 3, kernel_regularizer: l2}": "kernel_regularizer: expected a mapping of l1 or l2",
    "conv2d: {filters: 3, kernel_size: 3, kernel_regularizer: {l2: -1}}": "kernel_regularizer: expected",
    "conv2d: {filters: 3, kernel_size: 3, kernel_constraint: {max: 2}}": "kernel_constraint: expected non_neg or unit_norm",
    "conv2d: {filters: 3, kernel_size: 3, data_format: NHWC}": "data_format: expected channels_last or channels_first",
    "conv2d: {filters: 3, kernel_size: 3, seed: 3}": "the spec's own `seed` decides",
    "conv2d: {filters: 3, kernel_size: 3, dtype: float16}": "say `precision` for the whole network",
    "conv2d: {filters: 3, kernel_size: 3, input_shape: [8, 8, 1]}": "it follows from the data",
    "conv2d: {filters: 3, kernel_size: 3, use_bias: 1}": "use_bias: expected true or false, got 1",
    "conv2d: {filter: 3, kernel_size: 3}": "did you mean 'filters'?",
    "conv2d: [32, 3]": "layers.0.conv2d",
    "conv2d: {filters: {dense: 3}, kernel_size: 3}": "filters: expected a whole number",
    "dense: 1.5": "units: expected a whole number",
    "dense: -3": "units: expected a whole number (above 0), got -3",
    "dense: {units: 3, lora_rank: 2}": "unknown parameter 'lora_rank'",
    "dense: {units: 3, trainable: false}": "every layer is trained",
    "dense: {units: 3, name: 3d}": "name: expected a text",
    "dense: {units: 9999999999999}": "that is too large",
    "dropout: {rate: 0.5, noise_shape: [1]}": "spatial_dropout1d, 2d and 3d drop whole channels",
    "dropout: -0.1": "rate: expected a number (at least 0, below 1), got -0.1",
    "dropout: half": "rate: expected a number",
    "lstm: {units: 3, return_state: true}": "a layer has one output",
    "lstm: {units: 3, stateful: true}": "a batch keeps no state for the next one",
    "lstm: {units: 3, return_sequence: true}": "did you mean 'return_sequences'?",
    "gru: {units: 3, dropout: 1.5}": "dropout: expected a number (at least 0, below 1)",
    "bidirectional": "bidirectional needs layer",
    "bidirectional: 3": "expected a layer",
    "bidirectional: {lstmm: 3}": "unknown layer 'lstmm' (did you mean 'lstm'?)",
    "bidirectional: {layer: {lstm: 3}, merge_mode: add}": "merge_mode: expected one of sum, mul, concat, ave",
    "time_distributed: {dense: {unit: 3}}": "unknown parameter 'unit' (did you mean 'units'?)",
    "rnn: {stacked_rnn_cells: [{lstm_cell: 0}]}": "units: expected a whole number",
    "rnn: [lstm_cell]": "expected a layer",
    "multi_head_attention: 2": "multi_head_attention needs key_dim",
    "multi_head_attention: {num_heads: 2, key_dim: 0}": "key_dim: expected a whole number (above 0), got 0",
    "batch_normalization: {momentum: 1}": "momentum: expected a number (at least 0, below 1), got 1",
    "batch_normalization: {epsilon: 0}": "epsilon: expected a number (above 0), got 0",
    "layer_normalization: {axis: last}": "axis: expected a whole number",
    "embedding: {input_dim: 10}": "embedding needs output_dim",
    "resizing: {height: 4, width: 4, interpolation: cubic}": "interpolation: expected one of nearest, bilinear",
    "random_flip: sideways": "mode: expected one of horizontal, vertical",
    "cropping2d: [[1, 2], [3, -4]]": "cropping: expected",
    "zero_padding2d: same": "padding: expected",
    "up_sampling2d: 0": "size: expected a whole number",
    "reshape: {target_shape: 8}": "target_shape: expected a list of whole numbers",
    "permute: [a, b]": "dims: expected a list of whole numbers",
    "repeat: {times: 0, layers: [flatten]}": "times: expected a whole number (above 0, at most 100), got 0",
    "repeat: {times: 2, layers: flatten}": "layers: expected a list",
    "parallel: [flatten]": "expected 2 entries or more, got 1",
    "parallel: {layers: [identity, identity], merge: sum}": "merge: expected one of concatenate, add",
    "parallel: {layers: [identity, idendity]}": "unknown layer 'idendity' (did you mean 'identity'?)",
    "sequential": "sequential needs layers",
    "residual: {layers: []}": "expected 1 entries or more, got 0",
    "dense_block: 0": "times: expected a whole number",
    "squeeze_excite: 0": "ratio: expected a whole number",
    "transformer_block: {num_heads: 2}": "transformer_block needs key_dim",
    "pretrained": "pretrained needs name",
    "pretrained: mobilenet_v5": "did you mean 'mobilenet_v2'?",
    "pretrained: {name: mobilenet, trainable: last}": "trainable: expected true or false",
    "pretrained: {name: mobilenet, trainable: last 0}": "trainable: expected",
    "pretrained: {network: mobilenet}": "unknown parameter 'network'",
    "MaxPool2D": "did you mean 'max_pooling2d'?",
    "BatchNorm2d": "did you mean 'batch_normalization'?",
    "ConvTranspose2d: 3": "did you mean 'conv2d_transpose'?",
    "LayerNorm": "did you mean 'layer_normalization'?",
    "Upsample": "did you mean 'up_sampling2d'?",
    "transformer": "did you mean 'transformer_block'?",
}

# the spec after its first lines -> what the message must hold
KEYS: dict[str, str] = {
    "optimizer: {adam: {lr: 1}}": "the learning rate is a key of its own",
    "optimizer: {adam: {beta1: 0.9}}": "did you mean 'beta_1'?",
    "optimizer: {adam: {beta_1: 1}}": "beta_1: expected a number (at least 0, below 1)",
    "optimizer: {adam: {use_ema: true}}": "adam has no parameter 'use_ema' here",
    "optimizer: {adam: {clipnorm: 0}}": "clipnorm: expected a number (above 0)",
    "optimizer: lossscaleoptimizer": "mixed_float16 wraps every optimizer in it",
    "optimizer: [adam]": "expected an optimizer",
    "optimizer: AdamW2": "did you mean 'adamw'?",
    "schedule: {cosine: {warmup: 1}}": "warmup: expected a number (at least 0, below 1)",
    "schedule: {one_cycle: {peak: 0}}": "peak: expected a number (above 0, at most 1)",
    "schedule: {plateau: {patience: 0}}": "patience: expected a whole number (above 0)",
    "schedule: {plateau: {factor: 1}}": "factor: expected a number (above 0, below 1)",
    "schedule: {step: {at: []}}": "at: expected a list of numbers",
    "schedule: {step: {at: [2]}}": "at: expected a list of numbers",
    "schedule: {exponential: 0}": "final: expected a number (above 0, at most 1)",
    "schedule: ReduceLROnPlateau": "did you mean 'plateau'?",
    "schedule: onecycle": "did you mean 'one_cycle'?",
    "schedule: {cosine_restarts: {cycles: 0}}": "cycles: expected a whole number",
    "loss: {categorical_crossentropy: {label_smoothing: 1}}": "label_smoothing: expected a number (at least 0, below 1)",
    "loss: focal": "did you mean 'categorical_focal_crossentropy'?",
    "loss: {huber: {delta: 0}}": "delta: expected a number (above 0)",
    "loss: [huber]": "expected a loss",
    "metrics: accuracy": "metrics: expected a list",
    "metrics: [acc]": "did you mean 'accuracy'?",
    "metrics: [f1_score]": "did you mean 'f1'?",
    "metrics: [{top_k: 0}]": "k: expected a whole number (above 0)",
    "metrics: [roc_auc]": "did you mean 'auc'?",
    "class_weight: equal": "class_weight: expected balanced or a mapping",
    "class_weight: {0: 0}": "class_weight: expected balanced or a mapping of a text to a number (above 0)",
    "class_weight: [1, 2]": "class_weight: expected balanced",
    "class_weights: balanced": "did you mean 'class_weight'?",
    "weights: 3": "weights: expected a path",
    "weights: ''": "weights: expected a path",
    "augment: [mixup, cutmix]": "mixup and cutmix cannot both mix a batch",
    "augment: [{cutout: 0}]": "fraction: expected a number (above 0, at most 1)",
    "augment: [{brightness: 2}]": "amount: expected a number (at least 0, at most 1)",
    "augment: [{noise: -1}]": "stddev: expected a number (above 0)",
    "augment: [RandomFlip]": "did you mean 'flip'?",
    "augment: flip": "augment: expected a list",
    "preprocess: [{standardize: each}]": "per: expected dataset or channel",
    "preprocess: [normalization]": "did you mean 'normalize'?",
    "imports: [3]": "imports",
    "imports: nowhere.py": "no such file: nowhere.py",
    "imports: [nowhere.py, ../other.py]": "no such file: ../other.py",
    "monitor: val_f1": "'val_f1' is not a figure of this run",
    "monitor: accuracy": "'accuracy' is not a figure of this run (did you mean 'val_accuracy'?)",
    "early_stop: -1": "patience: expected a whole number",
    "regularization: {l2: 0.1, exept: output}": "unknown parameter 'exept' (did you mean 'except'?)",
    "precision: float16": "precision: expected one of float32, mixed_bfloat16, mixed_float16",
    "batch_size: 0": "batch_size: expected",
    "plots: 1": "plots: expected true or false",
    "sweep: {lr: []}": "sweep",
    "sweep: {layers.9.rate: [1]}": "there is no 9",
}

# What only building the network can find.
SHAPES: dict[str, str] = {
    "conv1d: {filters: 3, kernel_size: 3}, conv2d: {filters: 3, kernel_size: 3}": "stands beside",
    "conv3d: {filters: 2, kernel_size: 3}": "layers.0.conv3d: cannot follow: its input has the shape (8, 8, 1)",
    "lstm: 3": "it expects a sequence",
    "conv2d: {filters: 3, kernel_size: 3, strides: 2, dilation_rate: 2}": "layers.0.conv2d",
    "conv2d: {filters: 3, kernel_size: 3, data_format: channels_first, groups: 3}": "layers.0.conv2d",
    "max_pooling2d: 9": "layers.0.max_pooling2d: cannot follow",
    "cropping2d: 4": "layers.0.cropping2d",
    "reshape: [3, 5]": "layers.0.reshape: cannot follow",
    "permute: [1, 2]": "layers.0.permute: cannot follow",
    "repeat_vector: 3": "layers.0.repeat_vector: cannot follow",
    "position_embedding": "expected (steps, features)",
    "multi_head_attention: {num_heads: 2, key_dim: 3, attention_axes: [7]}": "layers.0.multi_head_attention",
    "transformer_block: {num_heads: 1, key_dim: 2, ff_dim: 4, activation: softplus}, lstm: 3": "stands beside",
    "rnn: {dense: 3}": "layers.0.rnn",
    "stacked_rnn_cells: [{lstm_cell: 3}]": "layers.0.stacked_rnn_cells",
    "time_distributed: {conv2d: {filters: 2, kernel_size: 3}}": "layers.0.time_distributed",
    "spectral_normalization: flatten": "layers.0.spectral_normalization",
    "parallel: {layers: [{conv2d: {filters: 2, kernel_size: 3}}, identity], merge: add}": "layers.0.parallel: cannot follow",
    "parallel: [flatten, identity]": "layers.0.parallel: cannot follow",
    "einsum_dense: {equation: abc, output_shape: 3}": "layers.0.einsum_dense",
    "group_normalization: 3": "layers.0.group_normalization",
    "pretrained: {name: mobilenet, weights: none}": "mobilenet expects colour images of at least 32 × 32, got (8, 8, 1)",
    "dense_block: {times: 2}, gru: 2": "stands beside",
    "batch_normalization: {axis: 7}": "layers.0.batch_normalization",
    "discretization: {bin_boundaries: [1.0], num_bins: 3}": "layers.0.discretization",
}

TASKS: dict[str, tuple[str, str]] = {
    "labels_loss_of_values": ("dataset: moons\nlayers: [output]\nmetrics: [r2]\n", "r2 is not a metric of a classification"),
    "top_k_of_two": ("dataset: moons\nlayers: [output]\nmetrics: [{top_k: 5}]\n", "the data has 2 classes, of which the right one is always among 5"),
    "exact_match": ("dataset: moons\nlayers: [output]\nmetrics: [exact_match]\n", "exact_match is not a metric of a classification"),
    "focal_head": ("dataset: moons\nlayers: [output]\nloss: binary_focal_crossentropy\n", "expects a head with sigmoid"),
    "mixup_of_points": ("dataset: moons\nlayers: [output]\naugment: [mixup]\n", "augmentations change images"),
    "grey_rand_augment": ("dataset: digits\nlayers: [flatten, output]\naugment: [rand_augment]\nepochs: 1\n", "rand_augment expects colour images"),
    "weight_of_nobody": ("dataset: iris\nlayers: [output]\nclass_weight: {setoza: 2}\n", "'setoza' is not a class of the data (did you mean 'setosa'?)"),
    "weight_of_labels": ("dataset: binary_addition\nlayers: [{gru: {units: 4, return_sequences: true}}, output]\nclass_weight: balanced\n", "weighs classes, but the task is multi_label"),
    "smoothing_of_values": ("dataset: {npz: v.npz}\nlayers: [output]\nloss: {categorical_crossentropy: {label_smoothing: 0.1}}\n", "categorical_crossentropy expects the task classification, but the task is regression"),
    "auc_of_values": ("dataset: {npz: v.npz}\nlayers: [output]\nmetrics: [auc]\n", "auc is not a metric of a regression"),
    "monitor_of_values": ("dataset: {npz: v.npz}\nlayers: [output]\nmonitor: val_accuracy\n", "'val_accuracy' is not a figure of a regression"),
    "weights_of_nobody": ("dataset: moons\nlayers: [output]\nepochs: 1\nweights: gone\n", "weights: unknown run 'gone'"),
    "weights_of_a_folder": ("dataset: moons\nlayers: [output]\nepochs: 1\nweights: .\n", "weights"),
    "steps_flattened": ("dataset: {npz: s.npz}\ntask: classification\nlayers: [flatten, output]\n", "a class for each of 4 steps"),
    "steps_lost": ("dataset: {npz: s.npz}\ntask: classification\nlayers: [{lstm: 3}, output]\n", "return_sequences: true"),
}  # fmt: skip

CSV = "dataset: {csv: {path: t.csv, label: y%s}}\nlayers: [output]\nvalidation: none\nepochs: 1\n"
# name: (the table, the rest of csv's arguments, what the message must hold)
TABLES: dict[str, tuple[str | bytes, str, str]] = {
    "no_rows": ("x,y\n", "", "expected a header and at least one row"),
    "nothing": ("", "", "expected a header"),
    "blank_lines": ("\n\n\n", "", "expected a header"),
    "long_row": ("x,y\n1,a\n2,b,c\n", "", "t.csv:3: 3 fields, expected 2"),
    "short_row": ("x,z,y\n1,2,a\n2,b\n", "", "t.csv:3: 2 fields, expected 3"),
    "latin_1": ("x,y\n1,caf\xe9\n2,b\n".encode("latin-1"), "", "cannot be read as CSV in UTF-8"),
    "binary": (bytes(range(256)), "", "cannot be read as CSV in UTF-8"),
    "utf_16": ("x,y\n1,a\n".encode("utf-16"), "", "cannot be read as CSV in UTF-8"),
    "twice": ("x,x,y\n1,2,a\n3,4,b\n", "", "the header names x twice"),
    "nameless": ("x,,y\n1,2,a\n3,4,b\n", "", "column 2 has no name"),
    "tabs": ("x\ty\n1\ta\n2\tb\n", "", "has no column 'y'"),
    "label_case": ("x,Y\n1,a\n2,b\n", "", "has no column 'y' (did you mean 'Y'?)"),
    "gap": ("x,y\n1,a\n,b\n", "", "t.csv:3: no value for 'x' in 1 row"),
    "gaps": ("x,z,y\n,1,a\n,,b\n", "", "no value for 'x' in 2 rows, 'z' in 1 row"),
    "gap_word": ("x,y\nNA,a\n2,b\n", "", "missing: median fills the gaps"),
    "label_gap": ("x,y\n1,a\n2,\n", ", missing: median", "t.csv:3: no value for 'y' in 1 row"),
    "label_gap_number": ("x,y\n1,0.5\n2,NaN\n", ", missing: median", "no value for 'y' in 1 row"),
    "many_words": ("x,y\n" + "".join(f"w{n},{n % 2}\n" for n in range(150)), "", "150 different words in 150 rows"),
    "too_many_words": (
        "x,y\n" + "".join(f"w{n},{n % 2}\n" for n in range(10_100)),
        ", categorical: [x]",
        "10,100 different words",
    ),
    "drop_all": ("x,y\n1,a\n2,b\n", ", drop: [x]", "has no column to predict 'y' from"),
    "drop_nobody": ("x,y\n1,a\n2,b\n", ", drop: [z]", "has no column 'z'"),
    "feature_nobody": ("size,y\n1,a\n2,b\n", ", features: [sise]", "did you mean 'size'?"),
    "feature_is_label": (
        "x,y\n1,a\n2,b\n",
        ", features: [x, y]",
        "cannot be two of feature, label, id, group and dropped",
    ),
    "feature_is_id": (
        "x,y\n1,a\n2,b\n",
        ", features: [x], id: x",
        "cannot be two of feature, label, id, group and dropped",
    ),
    "id_nobody": ("x,y\n1,a\n2,b\n", ", id: nr", "has no column 'nr'"),
    "categorical_nobody": ("x,y\n1,a\n2,b\n", ", categorical: [z]", "has no column 'z'"),
    "missing_word": ("x,y\n1,a\n2,b\n", ", missing: mean", "missing: expected one of error, median, flag, got 'mean'"),
    "infinite": ("x,y\n1,a\n-inf,b\n", "", "NaN, infinite"),
    "huge": ("x,y\n1,a\n1e39,b\n", "", "beyond 3.4e38"),
    "years": ("x,y\n" + "".join(f"{n},{1900 + n}\n" for n in range(30)), "", "classes or amounts?"),
    "from_two": ("x,y\n1,2\n2,3\n", "", "classes or amounts?"),
    "no_test": ("x,y\n1,a\n2,b\n", ", test: gone.csv", "gone.csv: no such file"),
    "test_lacks": ("x,y\n1,a\n2,b\n", ", test: other.csv", "other.csv: has no column x"),
    "test_label": ("x,y\n1,a\n2,b\n", ", test: unlabelled.csv", "a table without the label is for dlx predict"),
    "test_class": ("x,y\n1,a\n2,b\n", ", test: strange.csv", "classes that train lacks: c"),
    "one_class": ("x,y\n1,a\n2,a\n", "", "every example is of the class 'a'"),
    "one_row": ("x,y\n1,a\n", "", "every example is of the class 'a'"),
}

OTHER: dict[str, tuple[str, str]] = {
    "no_table": ("{csv: {path: gone.csv, label: y}}", "gone.csv: no such file"),
    "a_folder": ("{csv: {path: ., label: y}}", "cannot be read"),
    "no_label": ("{csv: a.csv}", "csv needs label"),
    "labels_of_words": ("{csv: {path: three.csv, label: [a, b]}}", "must hold numbers for a regression"),
    "label_list_twice": ("{csv: {path: words.csv, label: []}}", "label: expected"),
    "text_nobody": ("{text_csv: {path: words.csv, text: z, label: a}}", "has no column 'z'"),
    "text_empty": ("{text_csv: {path: dots.csv, text: t, label: y}}", "column 't' holds no words"),
    "text_length": ("{text_csv: {path: words.csv, text: a, label: b, sequence_length: 0}}", "sequence_length: expected a whole number"),
    "text_tokens": ("{text_csv: {path: words.csv, text: a, label: b, max_tokens: 2}}", "max_tokens: expected a whole number (at least 3"),
    "series_short": ("{series_csv: {path: n.csv, target: v, window: 9}}", "5 rows, but window 9 and horizon 1 need 11 or more"),
    "series_nobody": ("{series_csv: {path: n.csv, target: w, window: 2}}", "has no column 'w'"),
    "series_words": ("{series_csv: {path: words.csv, target: a, window: 2}}", "column 'a' must hold numbers"),
    "series_gap": ("{series_csv: {path: gap.csv, target: v, window: 1}}", "gap.csv:3: no value for 'v' in 1 row"),
    "series_window": ("{series_csv: {path: n.csv, target: v, window: 0}}", "window: expected a whole number"),
    "images_nowhere": ("{image_folder: gone}", "gone: no such folder"),
    "images_a_file": ("{image_folder: n.csv}", "no such folder"),
    "images_none": ("{image_folder: empty}", "holds no folders of images"),
    "images_flat": ("{image_folder: flat}", "it holds 2 images without folders: labels: filename"),
    "images_sizes": ("{image_folder: sizes}", "the images have 2 different sizes (height × width): 2 of 8 × 8, 1 of 6 × 4"),
    "images_bad": ("{image_folder: {path: bad, image_size: 8}}", "1 of 3 images cannot be used"),
    "images_bad_all": ("{image_folder: {path: broken, image_size: 8, bad: skip}}", "2 of 2 images cannot be used"),
    "images_bad_word": ("{image_folder: {path: bad, bad: ignore}}", "bad: expected fail or skip, got 'ignore'"),
    "images_size": ("{image_folder: {path: bad, image_size: 0}}", "image_size: expected"),
    "images_size_three": ("{image_folder: {path: bad, image_size: [8, 8, 3]}}", "image_size: expected"),
    "images_labels": ("{image_folder: {path: flat, labels: gone.csv}}", "gone.csv: no such file"),
    "images_labels_lost": ("{image_folder: {path: flat, labels: lost.csv}}", "2 of 2 files are not in flat: ../n.csv, z.png"),
    "images_labels_columns": ("{image_folder: {path: flat, labels: n.csv}}", "expected a header and rows of two columns, file and label"),
    "images_old_key": ("{image_folder: {path: flat, label: filename}}", "unknown parameter 'label' (did you mean 'labels'?)"),
    "images_one_class": ("{image_folder: {path: lonely}}", "every example is of the class 'a'"),
    "images_class_names": ("{image_folder: {path: sizes, image_size: 8, class_names: [a, z]}}", "no images for z"),
    "images_class_twice": ("{image_folder: {path: sizes, image_size: 8, class_names: [a, a]}}", "names a class twice"),
    "npz_nowhere": ("{npz: gone.npz}", "gone.npz: no such file"),
    "npz_a_table": ("{npz: n.csv}", "cannot be read as an array"),
    "npz_steps": ("{npz: s.npz}", "classes of steps, labels or amounts?"),
    "npz_lengths": ("{npz: unlike.npz}", "expected the same number of both"),
}  # fmt: skip


def picture(path: Path, height: int = 8, width: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width), 90, np.uint8)).save(path)


@pytest.fixture
def litter(world: Path) -> Path:
    """Data sets that are broken in one way each."""
    for name, text in {
        "other.csv": "z,y\n1,a\n",
        "unlabelled.csv": "x\n1\n",
        "strange.csv": "x,y\n1,c\n",
        "three.csv": "a,b,c\nred,blue,1\nblue,red,2\n",
        "words.csv": "a,b\nred,blue\nblue,red\n",
        "dots.csv": "t,y\n...,0\n!!,1\n",
        "n.csv": "v\n1\n2\n3\n4\n5\n",
        "gap.csv": "v,w\n1,1\n,2\n3,3\n4,4\n",
        "lost.csv": "file,label\n../n.csv,a\nz.png,b\n",
    }.items():
        (world / name).write_text(text)
    (world / "empty").mkdir()
    for name in ("flat/1.png", "flat/2.png", "sizes/a/1.png", "sizes/b/1.png", "bad/a/1.png", "bad/b/1.png", "lonely/a/1.png", "lonely/a/2.png"):  # fmt: skip
        picture(world / name)
    picture(world / "sizes/b/2.png", 6, 4)
    for name in ("bad/b/2.png", "broken/a/1.jpg", "broken/b/1.jpg"):
        (world / name).parent.mkdir(parents=True, exist_ok=True)
        (world / name).write_bytes(b"no image")
    steps = {"x": np.zeros((6, 4, 1)), "y": np.arange(24).reshape(6, 4) % 3}
    np.savez(world / "s.npz", **steps)
    np.savez(world / "v.npz", x=np.zeros((20, 2)), y=np.linspace(0, 1, 20))
    np.savez(world / "unlike.npz", x=np.zeros((6, 2)), y=np.zeros(5))
    return world


def refused(dlx: Dlx, world: Path, text: str, expected: str, command: str = "check") -> str:
    (world / "x.yaml").write_text(text)
    result = dlx(command, "x.yaml")
    assert result.code in (2, 3), result.out
    assert expected in result.err
    for ugly in ("Traceback", "internal error", "<class", "object at 0x", "Annotated", "\x1b"):
        assert ugly not in result.err
    assert not find.below(world / "runs")
    return result.err


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_that_no_spec_can_say_is_refused_with_the_reason(dlx: Dlx, world: Path, name: str) -> None:
    said = refused(dlx, world, images_spec(name), f"x.yaml:2:10: layers.0: {name} cannot be a layer of a spec")
    assert REGISTRIES["layer"].refused[name] in said


@pytest.mark.parametrize(("layer", "expected"), [*LAYERS.items(), *SHAPES.items()])
def test_a_layer_that_is_wrong_or_does_not_fit(dlx: Dlx, world: Path, layer: str, expected: str) -> None:
    said = refused(dlx, world, images_spec("{" + layer + "}" if ":" in layer else layer), expected)
    assert re.match(r"x\.yaml:2:\d+: layers\.0", said)


@pytest.mark.parametrize("line", KEYS)
def test_a_wrong_key(dlx: Dlx, world: Path, line: str) -> None:
    said = refused(dlx, world, f"dataset: digits\nlayers: [flatten, output]\n{line}\n", KEYS[line])
    assert re.search(r"x\.yaml:3:\d+: ", said)


@pytest.mark.parametrize("name", TASKS)
def test_what_does_not_fit_the_task(dlx: Dlx, litter: Path, name: str) -> None:
    refused(dlx, litter, *TASKS[name], command="run")


@pytest.mark.parametrize("name", TABLES)
def test_a_broken_table(dlx: Dlx, litter: Path, name: str) -> None:
    table, arguments, expected = TABLES[name]
    (litter / "t.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    refused(dlx, litter, CSV % arguments, expected, command="run")


@pytest.mark.parametrize("name", OTHER)
def test_other_broken_data(dlx: Dlx, litter: Path, name: str) -> None:
    dataset, expected = OTHER[name]
    text = f"dataset: {dataset}\nlayers: [flatten, output]\nvalidation: none\nepochs: 1\n"
    refused(dlx, litter, text, expected, command="run")


def test_there_are_two_hundred_more() -> None:
    assert sum(map(len, (REFUSED, LAYERS, KEYS, SHAPES, TASKS, TABLES, OTHER))) >= 200
