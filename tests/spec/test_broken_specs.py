"""Broken specs: each exits 2, says where and what, and leaves no run directory and no traceback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Dlx, modules_after

GOOD = "dataset: digits\nlayers: [flatten, output]\nepochs: 1\n"

# name: (text, what the message must hold). {at} stands for the place of the problem, x.yaml:LINE:COLUMN.
READER: dict[str, tuple[str, str]] = {
    "unknown_key": (GOOD + "learning_rat: 0.1\n", "x.yaml:4:1: unknown key 'learning_rat'"),
    "key_of_other_tools": (GOOD + "learning_rate: 0.1\n", "x.yaml:4:1: unknown key 'learning_rate' (did you mean 'lr'?)"),
    "code_that_is_not_there": (GOOD + "imports: [my.py]\n", "x.yaml:4:11: imports: no such file: my.py"),
    "sweep_is_no_mapping": (GOOD + "sweep: lr\n", "x.yaml:4:8: sweep: expected a mapping of a text to a list of"),
    "sweep_without_a_list": (GOOD + "sweep: {lr: 0.1}\n", "x.yaml:4:13: sweep: expected a mapping of a text to a list"),
    "sweep_of_a_wrong_value": (GOOD + "sweep: {lr: [0.1, -1]}\n", "x.yaml:4:19: lr: expected a number (above 0), got -1"),
    "plots_is_no_bool": (GOOD + "plots: all\n", "x.yaml:4:8: plots: expected true or false, got 'all'"),
    "lr_is_a_word": (GOOD + "lr: fast\n", "x.yaml:4:5: lr: expected a number (above 0), got 'fast'"),
    "lr_is_negative": (GOOD + "lr: -1\n", "x.yaml:4:5: lr: expected a number (above 0), got -1"),
    "lr_is_nan": (GOOD + "lr: .nan\n", "x.yaml:4:5: lr: expected a number"),
    "lr_is_infinite": (GOOD + "lr: .inf\n", "x.yaml:4:5: lr: expected a number"),
    "lr_is_true": (GOOD + "lr: true\n", "x.yaml:4:5: lr: expected a number"),
    "lr_is_a_list": (GOOD + "lr: [0.1, 0.2]\n", "x.yaml:4:5: lr: expected a number"),
    "epochs_is_half": (GOOD.replace("epochs: 1", "epochs: 1.5"), "x.yaml:3:9: epochs: expected a whole number"),
    "epochs_is_negative": (GOOD.replace("epochs: 1", "epochs: -1"), "x.yaml:3:9: epochs: expected a whole number (at least 0), got -1"),
    "epochs_and_steps": (GOOD + "steps: 5\n", "x.yaml:4:1: steps: epochs and steps are both set"),
    "batch_size_is_a_word": (GOOD + "batch_size: all\n", "x.yaml:4:13: batch_size: expected"),
    "task_is_misspelt": (GOOD + "task: clasification\n", "did you mean 'classification'?"),
    "validation_is_everything": (GOOD + "validation: 1.0\n", "x.yaml:4:13: validation: expected"),
    "precision_is_unknown": (GOOD + "precision: float8\n", "x.yaml:4:12: precision: expected one of float32"),
    "seed_is_negative": (GOOD + "seed: -3\n", "x.yaml:4:7: seed: expected a whole number"),
    "name_is_a_path": (GOOD + "name: ../../etc\n", "x.yaml:4:7: name: expected a text"),
    "tags_is_a_word": (GOOD + "tags: one\n", "x.yaml:4:7: tags: expected a list of texts"),
    "monitor_is_unknown": (GOOD + "monitor: val_los\n", "x.yaml:4:1: monitor: 'val_los' is not a figure of this run"),
    "monitor_without_validation": (GOOD + "validation: none\nmonitor: val_loss\n", "there is no validation"),
    "early_stop_is_a_word": (GOOD + "early_stop: soon\n", "early_stop.patience: expected a whole number"),
    "early_stop_without_patience": (GOOD + "early_stop: {min_delta: 0.1}\n", "early_stop needs patience"),
    "regularization_is_a_number": (GOOD + "regularization: 0.1\n", "regularization: expected a mapping like {l2: 0.001}"),
    "except_names_nobody": (GOOD + "regularization: {l2: 0.1, except: dens}\n", "except names 'dens', which is not a layer"),
    "no_dataset": ("layers: [flatten, output]\n", "the spec has no dataset"),
    "no_layers": ("dataset: digits\n", "the spec has no layers"),
    "layers_is_empty": ("dataset: digits\nlayers: []\n", "x.yaml:2:1: layers: the list is empty"),
    "layers_is_a_mapping": ("dataset: digits\nlayers: {dense: 3}\n", "x.yaml:2:9: layers: expected a list"),
    "dataset_is_a_list": ("dataset: [digits]\nlayers: [output]\n", "x.yaml:1:10: dataset: expected a dataset"),
    "dataset_is_unknown": ("dataset: mnits\nlayers: [output]\n", "unknown dataset 'mnits' (did you mean 'mnist'?)"),
    "dataset_parameter": ("dataset: {moons: {noize: 1}}\nlayers: [output]\n", "unknown parameter 'noize' (did you mean 'noise'?)"),
    "bad_layer": ("dataset: digits\nlayers:\n  - flaten\n  - output\n", "x.yaml:3:5: layers.0: unknown layer 'flaten' (did you mean 'flatten'?)"),
    "tflearn_layer": ("dataset: digits\nlayers: [{fully_connected: 3}, output]\n", "did you mean 'dense'?"),
    "tflearn_conv": ("dataset: digits\nlayers: [{conv_2d: 3}, output]\n", "did you mean 'conv2d'?"),
    "torch_layer": ("dataset: digits\nlayers: [{Linear: 3}, output]\n", "did you mean 'dense'?"),
    "torch_pool": ("dataset: digits\nlayers: [{max_pool2d: 3}, output]\n", "did you mean 'max_pooling2d'?"),
    "old_keras_norm": ("dataset: digits\nlayers: [batch_norm, output]\n", "did you mean 'batch_normalization'?"),
    "keras_class": ("dataset: digits\nlayers: [{Conv2D: 3}, output]\n", "did you mean 'conv2d'?"),
    "bad_parameter": ("dataset: digits\nlayers:\n  - dense: {unit: 3}\n  - output\n", "x.yaml:3:13: layers.0.dense: unknown parameter 'unit' (did you mean 'units'?)"),
    "missing_parameter": ("dataset: digits\nlayers: [dense, output]\n", "dense needs units"),
    "wrong_type": ("dataset: digits\nlayers: [{dense: many}, output]\n", "layers.0.dense.units: expected a whole number (above 0), got 'many'"),
    "rate_of_one": ("dataset: digits\nlayers: [{dropout: 1}, output]\n", "layers.0.dropout.rate: expected a number (at least 0, below 1)"),
    "two_names_in_a_part": ("dataset: digits\nlayers:\n  - dense: 3\n    activation: relu\n  - output\n", "put parameters inside: dense: {activation: …}"),
    "parameter_of_none": ("dataset: digits\nlayers: [output]\npreprocess: [{normalize: 3}]\n", "normalize has no parameters"),
    "output_in_the_middle": ("dataset: digits\nlayers: [output, flatten]\n", "output must be the last layer"),
    "output_inside": ("dataset: digits\nlayers: [{repeat: {times: 2, layers: [output]}}, output]\n", "output cannot stand inside"),
    "one_name_twice": ("dataset: digits\nlayers: [{dense: {units: 2, name: a}}, {dense: {units: 2, name: a}}, output]\n", "two layers have the name 'a'"),
    "optimizer_lr": (GOOD + "optimizer: {adam: {learning_rate: 0.1}}\n", "the learning rate is a key of its own"),
    "optimizer_unknown": (GOOD + "optimizer: adma\n", "unknown optimizer 'adma' (did you mean 'adam'?)"),
    "schedule_unknown": (GOOD + "schedule: cosin\n", "did you mean 'cosine'?"),
    "duplicate_key": (GOOD + "epochs: 2\n", "x.yaml:4:1: duplicate key 'epochs', first at x.yaml:3:1"),
    "tab": ("dataset: digits\nlayers:\n\t- flatten\n", "YAML indents with spaces, not tabs"),
    "anchor": ("dataset: &d digits\nlayers: [output]\n", "x.yaml:1:10: anchors and aliases"),
    "alias": ("dataset: digits\nlayers: *all\n", "x.yaml:2:9: anchors and aliases"),
    "tag": ("dataset: !!python/object:os.system digits\nlayers: [output]\n", "x.yaml:1:10: tags"),
    "merge_key": ("dataset: digits\n<<: {lr: 1}\nlayers: [output]\n", "unknown key '<<'"),
    "deep": ("dataset: " + "[" * 40 + "]" * 40 + "\n", "nested deeper than 32 levels"),
    "empty": ("", "is empty"),
    "comments_alone": ("# nothing\n", "is empty"),
    "indented_one_too_far": ("dataset: digits\nlayers:\n  - flatten\n   - dense: 8\n  - output\n", "indented like its neighbours?"),
    "colon_forgotten": (GOOD + "lr 0.1\nseed: 3\n", "a colon is missing in the line before"),
    "layer_as_a_call": ("dataset: digits\nlayers: [dense(8), output]\n", "write it as dense: 8"),
    "layer_with_a_space": ("dataset: digits\nlayers: [dense 8, output]\n", "write it as dense: 8"),
    "a_list": ("- dataset\n- layers\n", "x.yaml:1:1: expected keys"),
    "a_word": ("digits\n", "x.yaml:1:1: expected keys"),
    "unclosed": ("dataset: {moons: {noise: 1}\nlayers: [output]\n", "not valid YAML"),
    "two_documents": (GOOD + "---\n" + GOOD, "not valid YAML"),
    "list_as_key": ("? [a, b]\n: 1\n", "a key must be a word"),
    "extends_nobody": ("extends: nobody.yaml\n" + GOOD, "x.yaml:1:10: extends: no file 'nobody.yaml'"),
    "extends_itself": ("extends: x.yaml\n" + GOOD, "extends in a circle: x.yaml → x.yaml"),
    "extends_a_number": ("extends: 3\n" + GOOD, "extends: expected a path"),
    "set_is_a_list": (GOOD + "set: [lr]\n", "set: expected addresses with values"),
    "set_nowhere": (GOOD + "set: {layers.7.rate: 1}\n", "x.yaml:4:7: layers has 2 entries, numbered from 0: there is no 7"),
    "set_unknown": (GOOD + "set: {lx: 1}\n", "x.yaml:4:7: unknown key 'lx'"),
    "huge_number": (GOOD + "seed: " + "9" * 5000 + "\n", "is not a number that can be read"),
}  # fmt: skip

# What only the data or Keras can find; still located, still exit 2.
SHAPES: dict[str, tuple[str, str]] = {
    "no_flatten": ("dataset: digits\nlayers:\n  - conv2d: {filters: 2, kernel_size: 3}\n  - output\n", "x.yaml:4:5: layers.1.output: output expects one row an example"),
    "kernel_too_large": ("dataset: digits\nlayers:\n  - conv2d: {filters: 2, kernel_size: 9}\n  - flatten\n  - output\n", "x.yaml:3:5: layers.0.conv2d: cannot follow"),
    "conv_after_flatten": ("dataset: digits\nlayers:\n  - flatten\n  - conv2d: {filters: 2, kernel_size: 3}\n  - output\n", "x.yaml:4:5: layers.1.conv2d: cannot follow"),
    "rnn_on_images": ("dataset: digits\nlayers: [{lstm: 3}, output]\n", "layers.0.lstm: cannot follow"),
    "rnn_after_rnn": ("dataset: digits\nlayers: [{reshape: [8, 8]}, {lstm: 3}, {lstm: 3}, output]\n", "return_sequences: true"),
    "reshape_does_not_fit": ("dataset: digits\nlayers: [{reshape: [7, 7]}, flatten, output]\n", "layers.0.reshape: cannot follow"),
    "wrong_units": ("dataset: digits\nlayers: [flatten, {dense: {units: 7, activation: softmax}}]\n", "the data has 10 classes"),
    "no_softmax": ("dataset: digits\nlayers: [flatten, {dense: 10}]\n", "expected softmax"),
    "loss_does_not_fit": ("dataset: digits\nlayers: [flatten, output]\nloss: binary_focal_crossentropy\n", "expects a head with sigmoid"),
    "crossentropy_of_tanh": ("dataset: moons\nlayers: [{output: {activation: tanh}}]\nloss: categorical_crossentropy\n", "mean_squared_error takes any"),
    "crossentropy_of_one_unit": ("dataset: moons\nlayers: [{output: 1}]\nloss: categorical_crossentropy\n", "expects a head with softmax"),
    "classes_as_values": ("dataset: digits\ntask: regression\nlayers: [flatten, output]\nmetrics: [accuracy]\n", "accuracy is not a metric of a regression"),
    "words_as_values": ("dataset: iris\ntask: regression\nlayers: [output]\n", "task: regression, but iris holds classes"),
    "augment_points": ("dataset: moons\nlayers: [output]\naugment: [flip]\n", "augmentations change images"),
    "metric_of_regression": (GOOD + "metrics: [mae]\n", "mae is not a metric of a classification"),
    "nesterov_alone": (GOOD + "optimizer: {sgd: {nesterov: true}}\n", "optimizer.sgd"),
    "residual_does_not_fit": ("dataset: digits\nlayers: [{residual: [flatten]}, flatten, output]\n", "layers.0.residual: cannot follow"),
    "inside_a_block": ("dataset: digits\nlayers:\n  - repeat:\n      times: 5\n      layers:\n        - max_pooling2d\n  - flatten\n  - output\n", "x.yaml:6:11: layers.0.repeat.layers.0.max_pooling2d: cannot follow"),
    "bidirectional_dense": ("dataset: digits\nlayers: [{reshape: [8, 8]}, {bidirectional: {dense: 3}}, output]\n", "expected a recurrent layer"),
    "groups_do_not_divide": ("dataset: digits\nlayers: [{conv2d: {filters: 3, kernel_size: 2, groups: 2}}, flatten, output]\n", "layers.0.conv2d"),
}  # fmt: skip


def refused(dlx: Dlx, world: Path, text: str, expected: str) -> None:
    (world / "x.yaml").write_text(text)
    result = dlx("run", "x.yaml")
    assert result.code == 2, result.err
    assert expected in result.err
    place = r"x\.yaml: is empty" if expected == "is empty" else r"(x|e)\.yaml(:\d+)?:\d+: |not valid YAML"
    assert re.search(place, result.err), result.err
    assert "Traceback" not in result.err
    assert result.out == "" or "done" not in result.out
    assert not (world / "runs").exists()


@pytest.mark.parametrize("name", READER)
def test_refused_by_the_reader(dlx: Dlx, world: Path, name: str) -> None:
    refused(dlx, world, *READER[name])


@pytest.mark.parametrize("name", SHAPES)
def test_refused_by_shapes(dlx: Dlx, world: Path, name: str) -> None:
    refused(dlx, world, *SHAPES[name])


def test_there_are_fifty() -> None:
    assert len(READER) + len(SHAPES) >= 50


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (bytes(range(256)), "is not text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\x00", "is not text in UTF-8"),
        (b"dataset: \x00digits\n", "not valid YAML"),
        (b"x: " + b"a" * 2**20, "is larger than 1.0 MB"),
    ],
    ids=["binary", "png", "nul", "large"],
)
def test_not_text(dlx: Dlx, world: Path, content: bytes, expected: str) -> None:
    (world / "x.yaml").write_bytes(content)
    result = dlx("run", "x.yaml")
    assert result.code == 2
    assert expected in result.err


def test_missing_file_and_folder(dlx: Dlx, world: Path) -> None:
    (world / "digits.yaml").write_text(GOOD)
    result = dlx("run", "digit.yaml")
    assert (result.code, "did you mean 'digits.yaml'?" in result.err) == (2, True)
    assert "is a folder" in dlx("run", ".").err


def test_a_circle_of_three(dlx: Dlx, world: Path) -> None:
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        (world / f"{name}.yaml").write_text(f"extends: {base}.yaml\n")
    result = dlx("check", "a.yaml")
    assert result.code == 2
    assert "extends in a circle: a.yaml → b.yaml → c.yaml → a.yaml" in result.err


def test_all_problems_at_once(dlx: Dlx, world: Path) -> None:
    (world / "x.yaml").write_text("dataset: digit\nlayers: [{dense: {unit: 3}}, conv]\nlr: -1\nepoch: 3\n")
    (world / "y.yaml").write_text("layers: [output]\n")
    result = dlx("run", "x.yaml", "y.yaml", "-s", "seed=x")
    found = [line for line in result.err.splitlines() if not line.startswith("  ")]
    assert result.code == 2
    assert len(found) == 7, found


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("lr", "-s lr: expected address=value"),
        ("lr=fast", "-s lr=fast: lr: expected a number"),
        (
            "layers.1.dense.unit=4",
            "-s layers.1.dense.unit=4: layers.1.dense: unknown parameter 'unit' (did you mean 'units'?)",
        ),
        ("layers.dropout.rate=0.1", "layers has no 'dropout'"),
        ("layers.dense.units=4", "2 entries of layers are called 'dense'"),
        ("layers.0.dropout.rate=0.1", "layers.0 is flatten, not dropout"),
        ("optimizer.sgd.momentum=0.9", "optimizer is adam, not sgd"),
        ("optimizer.momentum=0.9", "optimizer.adam: unknown parameter 'momentum'"),
        ("lrr=1", "unknown key 'lrr' (did you mean 'lr'?)"),
        ("lr.x=1", "lr holds no 'x'"),
        ("lr=[", "-s lr=[: not valid YAML"),
    ],
)
def test_broken_overrides(dlx: Dlx, world: Path, override: str, expected: str) -> None:
    text = "dataset: digits\nlayers: [flatten, {dense: 3}, {dense: 4}, output]\nlr: 0.1\n"
    (world / "x.yaml").write_text(text)
    result = dlx("check", "x.yaml", "-s", override)
    assert result.code == 2
    assert expected in result.err


def test_the_reader_loads_no_keras(world: Path) -> None:
    for name, (text, _) in READER.items():
        (world / f"{name}.yaml").write_text(text)
    names = [f"{name}.yaml" for name in READER]
    code = f"from dlx.cli import main\nfor name in {names!r}:\n  try: main(['run', name])\n  except SystemExit as e: assert e.code == 2, name"
    loaded = modules_after(code)
    assert not loaded & {"keras", "tensorflow"}
    assert not (world / "runs").exists()


DATA: dict[str, tuple[str, str, str]] = {
    "no_columns": ("y\na\nb\n", "{csv: {path: t.csv, label: y}}", "has no column to predict 'y' from"),
    "one_class": ("x,y\n1,a\n2,a\n", "{csv: {path: t.csv, label: y}}", "every example is of the class 'a'"),
    "infinite": ("x,y\n1,a\ninf,b\n", "{csv: {path: t.csv, label: y}}", "1 of the values of 'x' is NaN, infinite"),
    "beyond_float32": ("x,y\n1,a\n1e300,b\n", "{csv: {path: t.csv, label: y}}", "is NaN, infinite or beyond 3.4e38"),
    "infinite_target": ("x,y\n1,0.5\n2,1e999\n", "{csv: {path: t.csv, label: y}}", "1 of the values of 'y' is NaN"),
    "semicolons": ("x;y\n1;a\n2;b\n", "{csv: {path: t.csv, label: y}}", "has no column 'y'; it has x;y"),
    "no_share": ("x,y\n1,a\n2,b\n", "{csv: {path: t.csv, label: y}}\nvalidation: 0.1", "0.1 of 2 examples leaves none"),
}


@pytest.mark.parametrize("name", DATA)
@pytest.mark.filterwarnings("error")
def test_data_from_which_nothing_can_be_learned(dlx: Dlx, world: Path, name: str) -> None:
    table, dataset, expected = DATA[name]
    (world / "t.csv").write_text(table)
    (world / "x.yaml").write_text(f"dataset: {dataset}\nlayers: [output]\n")
    result = dlx("run", "x.yaml")
    assert result.code == 3
    assert expected in result.err
    assert "internal" not in result.err
    assert not (world / "runs").exists()


@pytest.mark.parametrize(
    "arrays", [{"x": 0.0, "y": 0}, {"x": [], "y": []}, {"x": [[], []], "y": [0, 1]}], ids=["scalar", "empty", "wide"]
)
def test_arrays_that_hold_nothing(dlx: Dlx, world: Path, arrays: dict[str, object]) -> None:
    import numpy as np

    np.savez(world / "a.npz", **{key: np.array(value) for key, value in arrays.items()})
    (world / "x.yaml").write_text("dataset: {npz: a.npz}\nlayers: [flatten, output]\nvalidation: none\n")
    result = dlx("run", "x.yaml")
    assert (result.code, "internal" in result.err) == (3, False), result.err


def test_tokens_beyond_the_embedding_and_names_given_twice(dlx: Dlx, world: Path) -> None:
    import numpy as np

    np.savez(world / "a.npz", x=np.arange(40).reshape(10, 4), y=np.arange(10) % 2)
    head = "dataset: {npz: a.npz}\nvalidation: none\nlayers:\n"
    (world / "x.yaml").write_text(head + "  - embedding: {input_dim: 9, output_dim: 2}\n  - flatten\n  - output\n")
    result = dlx("run", "x.yaml")
    assert result.code == 3
    assert "x.yaml:4:5: layers.0.embedding: the inputs go from 0 to 39" in result.err
    assert "input_dim: 40" in result.err
    for layers in (
        "  - repeat: {times: 2, layers: [{dense: {units: 2, name: a}}]}\n",
        "  - dense: {units: 2, name: input}\n",
    ):
        (world / "x.yaml").write_text(head + layers + "  - output\n")
        result = dlx("run", "x.yaml")
        assert result.code == 2
        assert "x.yaml:3:1: layers: " in result.err
        assert "give each layer another name" in result.err


@pytest.mark.parametrize(
    "text",
    [
        GOOD + 'description: "\\ud800"\n',
        GOOD + 'description: "\\U00110000"\n',
        GOOD + "seed: 0x" + "f" * 5000 + "\n",
        GOOD.replace("epochs: 1", "epochs: 99999999999999999999"),
        GOOD + "early_stop: 99999999999999999999\n",
        "dataset: digits\nlayers: [{repeat: {times: 100000, layers: [flatten]}}, output]\n",
        "dataset: digits\nlayers: [" + "flatten, " * 600 + "output]\n",
        "dataset: {moons: {seed: 4294967296}}\nlayers: [output]\n",
        "dataset: {npz: ~nobody-of-that-name/x.npz}\nlayers: [output]\n",
        GOOD + "set: {layers.²: 1}\n",
        GOOD + "optimizer: {adam: {clipnorm: 1e300}}\n",
        "extends: x.yaml\n",
    ],
    ids=lambda text: text[-40:-1].encode("ascii", "backslashreplace").decode(),
)
def test_extremes_are_refused_too(dlx: Dlx, world: Path, text: str) -> None:
    refused(dlx, world, text, "x.yaml:")


def test_a_name_is_a_name_whatever_yaml_would_make_of_it(dlx: Dlx, gate: Path, world: Path) -> None:
    assert dlx("run", gate, "--name", "12").code == 0
    assert (world / "runs" / "12-1").is_dir()
    for name in ("", "a/b", "[x", "#x"):
        assert dlx("run", gate, "--name", name).code == 2, name


def test_an_override_may_lead_into_a_parameter(dlx: Dlx, world: Path) -> None:
    (world / "x.yaml").write_text("dataset: digits\nlayers: [flatten, {dense: 3}, output]\n")
    result = dlx("check", "x.yaml", "--print", "-s", "layers.dense.kernel_regularizer.l2=0.1")
    assert "kernel_regularizer: {l2: 0.1}" in result.out
