"""What a training is steered by: losses, metrics over batches, class weights, plateaus, scaled targets, other weights."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Dlx

from dlx.parts import REGISTRIES, metrics
from dlx.parts.losses import HEADS
from dlx.parts.registry import Part
from dlx.runs import find
from dlx.runs.run import Run
from dlx.system import backend

keras = backend.keras
RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def fresh_numbers() -> None:
    """The same numbers in every test, whichever ran before."""
    global RANDOM
    RANDOM = np.random.default_rng(0)


def fed(part: Part, targets: np.ndarray, predictions: np.ndarray, task: str, pieces: int) -> float:
    """The metric after several batches of unlike sizes."""
    backend.prepare(1, "float32")
    metric = REGISTRIES["metric"].make(part, _units=predictions.shape[-1], _task=task)
    edges = [0, *sorted(RANDOM.choice(np.arange(1, len(targets)), pieces - 1, replace=False)), len(targets)]
    for start, end in itertools.pairwise(edges):
        metrics.update(
            metric, keras.ops.convert_to_tensor(targets[start:end]), keras.ops.convert_to_tensor(predictions[start:end])
        )
    assert metric.name == metrics.metric_name(part)
    return float(metric.result())


def classes(count: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    targets = RANDOM.integers(0, count, rows).astype(np.int32)
    logits = RANDOM.normal(size=(rows, count)) + 1.2 * np.eye(count)[targets]
    return targets, (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "f1", "auc"])
def test_a_metric_of_classes_is_right_over_batches(name: str, count: int) -> None:
    from sklearn import metrics

    targets, shares = classes(count)
    said, several = shares.argmax(axis=1), count > 2
    average = "macro" if several else "binary"
    expected = {
        "accuracy": lambda: metrics.accuracy_score(targets, said),
        "precision": lambda: metrics.precision_score(targets, said, average=average),
        "recall": lambda: metrics.recall_score(targets, said, average=average),
        "f1": lambda: metrics.f1_score(targets, said, average=average),
        "auc": lambda: (
            np.mean([metrics.roc_auc_score(targets == c, shares[:, c]) for c in range(count)])
            if several
            else metrics.roc_auc_score(targets, shares[:, 1])
        ),
    }[name]()
    found = fed(Part(name), targets, shares, "classification", 7)
    assert found == pytest.approx(expected, abs=0.003 if name == "auc" else 1e-5)
    if count == 2:  # one sigmoid unit says the same
        assert fed(Part(name), targets, shares[:, 1:], "classification", 5) == pytest.approx(found, abs=1e-5)


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_a_metric_of_labels_is_right_over_batches(name: str) -> None:
    from sklearn import metrics

    shares = RANDOM.uniform(size=(300, 4)).astype(np.float32)
    targets = (shares + RANDOM.normal(scale=0.3, size=shares.shape) > 0.5).astype(np.float32)
    expected = getattr(metrics, f"{name}_score")(targets, shares > 0.5, average="macro")
    assert fed(Part(name), targets, shares, "multi_label", 6) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["mae", "mse", "rmse", "r2"])
def test_a_metric_of_values_is_right_over_batches(name: str) -> None:
    from sklearn import metrics

    targets = RANDOM.normal(size=(200, 1)).astype(np.float32)
    found = (targets + RANDOM.normal(scale=0.5, size=targets.shape)).astype(np.float32)
    expected = {
        "mae": metrics.mean_absolute_error,
        "mse": metrics.mean_squared_error,
        "rmse": metrics.root_mean_squared_error,
        "r2": metrics.r2_score,
    }[name](targets, found)
    assert fed(Part(name), targets, found, "regression", 9) == pytest.approx(expected, abs=1e-4)


def test_top_k() -> None:
    targets, shares = classes(6)
    expected = np.mean([t in row for t, row in zip(targets, np.argsort(-shares)[:, :3], strict=True)])
    assert fed(Part("top_k", {"k": 3}), targets, shares, "classification", 4) == pytest.approx(expected, abs=1e-5)


def test_losses_are_kerass() -> None:
    backend.prepare(1, "float32")
    targets, values = np.array([0, 2, 1], np.int32), np.array([[0.5], [3.0], [-1.0]], np.float32)
    logits = RANDOM.normal(size=(3, 3)).astype(np.float32)
    one, hot = RANDOM.normal(size=(3, 1)).astype(np.float32), np.eye(3, dtype=np.float32)[targets]
    sigmoid = np.array([[0], [1], [1]], np.float32)
    cases: list[tuple[Part, Any, Any, Any]] = [
        (Part("categorical_crossentropy", {"label_smoothing": 0.1}), targets, logits,
         keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)(hot, logits)),
        (Part("categorical_focal_crossentropy"), targets, logits,
         keras.losses.CategoricalFocalCrossentropy(from_logits=True)(hot, logits)),
        (Part("binary_crossentropy", {"label_smoothing": 0.2}), sigmoid[:, 0].astype(np.int32), one,
         keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2)(sigmoid, one)),
        (Part("binary_focal_crossentropy", {"gamma": 1.0}), sigmoid[:, 0].astype(np.int32), one,
         keras.losses.BinaryFocalCrossentropy(from_logits=True, gamma=1.0)(sigmoid, one)),
        (Part("huber", {"delta": 0.7}), values, one, keras.losses.Huber(delta=0.7)(values, one)),
        (Part("log_cosh"), values, one, keras.losses.LogCosh()(values, one)),
        (Part("mean_squared_error"), values, one, keras.losses.MeanSquaredError()(values, one)),
    ]  # fmt: skip
    for part, wanted, found, expected in cases:
        made = REGISTRIES["loss"].make(part)
        head = keras.activations.get(HEADS.get(part.name, ("linear",))[0])
        each = made(keras.ops.convert_to_tensor(wanted), keras.ops.convert_to_tensor(found), head)
        assert each.shape == (3,), part
        assert float(keras.ops.mean(each)) == pytest.approx(float(expected), rel=1e-5), part


def write_npz(path: Path, x: np.ndarray, y: np.ndarray) -> None:
    np.savez(path, x=x, y=y)


def test_a_regression_learns_scaled_targets_and_predicts_in_their_own(dlx: Dlx, world: Path) -> None:
    x = RANDOM.normal(size=(600, 3)).astype(np.float32)
    y = 200_000 + 50_000 * (x @ np.array([1.0, -2.0, 0.5], np.float32))
    write_npz(world / "houses.npz", x, y)
    (world / "h.yaml").write_text(
        "dataset: {npz: houses.npz}\ntask: regression\ntest: 0.2\nlayers: [{dense: {units: 16, activation: relu}}, output]\n"
        "metrics: [mae, rmse, r2]\nlr: 0.01\nepochs: 60\n"
    )
    assert dlx("run", "h.yaml").code == 0
    run = find.one("h", world / "runs")
    figures = run.metrics() or {}
    assert figures["test_r2"] > 0.98
    assert 100 < figures["test_mae"] < 12_000
    assert figures["test_loss"] == pytest.approx((figures["test_rmse"] / y.std()) ** 2, rel=0.2)
    np.save(world / "one.npy", np.zeros((1, 3), np.float32))
    said = dlx("predict", "h", "one.npy", "--json").lines[0]["value"]
    assert said == pytest.approx(200_000, rel=0.05)
    plain = keras.models.load_model(run.model_file)
    assert float(plain.predict(np.zeros((1, 3), np.float32), verbose=0)[0, 0]) == pytest.approx(said, rel=1e-5)
    raw = dlx("run", "h.yaml", "-s", "layers.output.scale_targets=false", "-s", "epochs=1", "--name", "raw")
    assert raw.code == 0
    assert (find.one("raw", world / "runs").metrics() or {})["train_loss"] > 1e9


def test_a_class_for_each_step(dlx: Dlx, world: Path) -> None:
    x = RANDOM.integers(0, 2, (400, 6, 1)).astype(np.float32)
    y = np.cumsum(x[..., 0], axis=1).astype(np.int64) % 3
    write_npz(world / "steps.npz", x, y)
    (world / "s.yaml").write_text(
        "dataset: {npz: steps.npz}\ntask: classification\ntest: 0.2\n"
        "layers: [{gru: {units: 24, return_sequences: true}}, output]\nmetrics: [accuracy, f1]\n"
        "class_weight: balanced\nlr: 0.02\nepochs: 40\n"
    )
    result = dlx("run", "s.yaml")
    assert result.code == 0, result.err
    run = find.one("s", world / "runs")
    assert (run.metrics() or {})["test_accuracy"] > 0.9
    np.save(world / "one.npy", x[:1])
    said = dlx("predict", "s", "one.npy", "--json").lines[0]
    assert said["label"] == [str(number) for number in y[0]]
    assert len(said["probabilities"]) == 6
    assert dlx("predict", "s", "one.npy").out.split()[1:] == said["label"]
    assert dlx("predict", "s", "one.npy", "--csv").out.splitlines()[0] == "input,label"
    with np.load(run.predictions_file) as held:
        assert held["label"].shape == (80, 6)
        assert held["prediction"].shape == (80, 6, 3)


def test_class_weights_move_the_boundary(dlx: Dlx, world: Path) -> None:
    x = np.concatenate([RANDOM.normal(0, 1, (450, 1)), RANDOM.normal(1.5, 1, (50, 1))]).astype(np.float32)
    write_npz(world / "rare.npz", x, np.repeat([0, 1], [450, 50]))
    (world / "r.yaml").write_text(
        "dataset: {npz: rare.npz}\nvalidation: none\nlayers: [output]\nmetrics: [recall, accuracy]\nlr: 0.1\nepochs: 30\n"
    )
    found = {}
    for name, words in {
        "plain": (),
        "balanced": ("-s", "class_weight=balanced"),
        "said": ("-s", "class_weight.1=9"),
    }.items():
        assert dlx("run", "r.yaml", "--name", name, *words).code == 0
        found[name] = (find.one(name, world / "runs").metrics() or {})["train_recall"]
    assert found["plain"] + 0.2 < found["balanced"]
    assert found["said"] == pytest.approx(found["balanced"], abs=0.1)


def test_a_plateau_lowers_the_rate(dlx: Dlx, small: Path) -> None:
    result = dlx(
        "run",
        small,
        "-s",
        "lr=1e-12",
        "-s",
        "schedule={plateau: {factor: 0.5, patience: 2, min_lr: 1e-13}}",
        "-s",
        "epochs=12",
    )
    assert result.code == 0, result.err
    rates = [row["learning_rate"] for row in find.one("small", small.parent / "runs").history()]
    assert rates[0] == pytest.approx(1e-12)
    assert sorted(rates, reverse=True) == rates
    assert len({f"{rate:.3e}" for rate in rates}) >= 4
    assert rates[-1] >= 1e-13 * 0.999


@pytest.mark.parametrize("name", ["mixup", "cutmix", "rand_augment"])
def test_an_augmentation_of_labels_trains_the_same_twice(dlx: Dlx, world: Path, name: str) -> None:
    x = RANDOM.integers(0, 255, (60, 8, 8, 3)).astype(np.uint8)
    write_npz(world / "p.npz", x, np.arange(60) % 3)
    (world / "p.yaml").write_text(
        f"dataset: {{npz: p.npz}}\naugment: [{name}]\nlayers: [flatten, output]\npreprocess: [rescale]\nepochs: 3\n"
    )
    for _ in range(2):
        assert dlx("run", "p.yaml").code == 0
    first, second = (Run.open(world / "runs" / f"p-{n}").history() for n in (1, 2))
    assert [row["train_loss"] for row in first] == [row["train_loss"] for row in second]


def test_weights_of_another_run(dlx: Dlx, small: Path) -> None:
    world = small.parent
    assert dlx("run", small).code == 0
    again = dlx("run", small, "-s", "weights=latest", "-s", "lr=1e-12", "-s", "epochs=1", "--name", "again")
    assert again.code == 0, again.err
    assert "weights of small-1: 2 of 2 layers with weights begin from them" in again.out
    before, after = (find.one(name, world / "runs").metrics() or {} for name in ("small", "again"))
    assert after["val_loss"] == pytest.approx(before["val_loss"], rel=1e-4)
    other = dlx("run", small, "-s", "weights=runs/small-1", "-s", "layers.dense.units=8", "-s", "epochs=1")
    assert other.code == 0, other.err
    assert "0 of 2 layers" in other.out
    assert "dense (64 × 16 there, 64 × 8 here)" in other.out
    lost = dlx("run", small, "-s", "weights=nothing")
    assert lost.code == 2
    assert "unknown run 'nothing'" in lost.err
    assert json.loads((world / "runs" / "again-1" / "run.json").read_text())["settings"]["weights"]


@pytest.mark.parametrize("length", [1, 3, 7])
def test_no_figure_depends_on_the_chunks(world: Path, length: int) -> None:
    """Mixed labels, class weights, a plateau and several metrics, cut into chunks of any length."""
    from dlx import spec as specs
    from dlx.training.experiment import prepare
    from dlx.training.session import Options
    from dlx.training.train import train

    x = RANDOM.integers(0, 255, (70, 6, 6, 3)).astype(np.uint8)
    write_npz(world / "p.npz", x, np.arange(70) % 3)
    (world / "p.yaml").write_text(
        "dataset: {npz: p.npz}\naugment: [cutmix, {contrast: 0.3}]\npreprocess: [rescale]\nlayers: [flatten, {dropout: 0.3}, output]\n"
        "class_weight: {0: 3}\nschedule: {plateau: {factor: 0.5, patience: 1}}\nmetrics: [accuracy, f1, auc]\nepochs: 5\nlr: 0.05\n"
    )
    found = []
    for chunk in (length, None):
        experiment = prepare(specs.load(world / "p.yaml"))
        outcome = train(experiment, world / "runs", Options(chunk_steps=chunk))
        found.append([{k: v for k, v in row.items() if k != "seconds"} for row in outcome.run.history()])
    assert found[0] == found[1]
    assert found[0][0]["learning_rate"] > found[0][-1]["learning_rate"]


def test_a_frozen_network_keeps_its_weights_beside_those_of_another_run(dlx: Dlx, world: Path) -> None:
    x = RANDOM.integers(0, 255, (12, 32, 32, 3)).astype(np.uint8)
    write_npz(world / "p.npz", x, np.arange(12) % 2)
    body = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3))
    body.save_weights(world / "body.weights.h5")
    first = body.get_weights()[0]
    head = "validation: none\nepochs: 1\ndataset: {npz: p.npz}\n"
    (world / "o.yaml").write_text(head + "layers: [flatten, output]\n")
    assert dlx("run", "o.yaml").code == 0
    layers = "layers: [{pretrained: {name: mobilenet, weights: body.weights.h5}}, flatten, output]\n"
    (world / "q.yaml").write_text(head + layers + "weights: o\n")
    result = dlx("run", "q.yaml")
    assert result.code == 0, result.err
    assert "not from there: mobilenet" in result.out
    made = keras.models.load_model(find.one("q", world / "runs").model_file)
    assert np.array_equal(made.get_layer("mobilenet").get_weights()[0], first)
    (world / "q.yaml").write_text(head + layers.replace("body", "gone"))
    assert "no such file" in dlx("check", "q.yaml").err


def test_small_targets_are_scaled_and_constant_ones_are_not(dlx: Dlx, world: Path) -> None:
    x = RANDOM.normal(size=(200, 2)).astype(np.float32)
    y = np.stack([1e-6 * x[:, 0], np.full(200, 5.5)], axis=1)
    write_npz(world / "t.npz", x, y)
    (world / "t.yaml").write_text("dataset: {npz: t.npz}\ntask: regression\nlayers: [output]\nlr: 0.05\nepochs: 40\n")
    assert dlx("run", "t.yaml").code == 0
    np.save(world / "n.npy", np.array([[2.0, 0.0]], np.float32))
    small, constant = dlx("predict", "t", "n.npy", "--json").lines[0]["value"]
    assert small == pytest.approx(2e-6, rel=0.1)
    assert constant == pytest.approx(5.5, abs=0.2)


def test_regularization_leaves_out_all_that_is_inside(world: Path) -> None:
    from dlx import spec as specs
    from dlx.data.dataset import Facts
    from dlx.model.build import build

    (world / "r.yaml").write_text(
        "dataset: digits\nlayers: [{reshape: [8, 8]}, {transformer_block: {num_heads: 1, key_dim: 2, ff_dim: 4}}, flatten, output]\n"
        "regularization: {l2: 0.1, except: [transformer_block, output]}\n"
    )
    spec = specs.load(world / "r.yaml")
    backend.prepare(spec.seed, spec.precision)
    network = build(spec, Facts((8, 8, 1), "classification", tuple("0123456789")))
    assert network.logits.losses == []


def test_a_table_of_two_classes_has_the_figures_that_everybody_asks_for(dlx: Dlx, world: Path) -> None:
    from sklearn.metrics import precision_score, recall_score, roc_auc_score

    numbers = np.random.default_rng(3).normal(size=(300, 2))
    rows = [f"{a:.3f},{b:.3f},{'no yes'.split()[int(a + b + noise > 0.5)]}" for (a, b), noise in zip(numbers, np.random.default_rng(4).normal(size=300), strict=True)]  # fmt: skip
    (world / "t.csv").write_text("a,b,bought\n" + "\n".join(rows) + "\n")
    spec = "dataset: {csv: {path: t.csv, label: bought}}\ntest: 0.3\nlayers: [output]\nlr: 0.1\nepochs: 5\n"
    (world / "t.yaml").write_text(spec)
    result = dlx("run", "t.yaml")
    assert result.code == 0
    assert all(word in result.out for word in ("auc", "precision", "recall"))
    metrics = json.loads((world / "runs/t-1/metrics.json").read_text())
    kept = np.load(world / "runs/t-1/predictions.npz")
    label, share = kept["label"].reshape(-1), kept["prediction"][:, 1]
    assert metrics["test_auc"] == pytest.approx(roc_auc_score(label, share), abs=1e-9)
    assert metrics["test_precision"] == pytest.approx(precision_score(label, share > 0.5), abs=1e-9)
    assert metrics["test_recall"] == pytest.approx(recall_score(label, share > 0.5), abs=1e-9)
    assert "train_auc" not in metrics
    assert dlx("run", "t.yaml", "-s", "lr=0.01").code == 0
    assert "auc" not in dlx("compare", "t-*").out
    assert "test_auc" in dlx("compare", "t-*", "--columns", "test_auc").out


def test_precision_and_recall_are_of_the_larger_of_two_outputs(dlx: Dlx, world: Path) -> None:
    from sklearn.metrics import precision_score, recall_score

    rows = [f"{n % 13},{n % 7},{'no yes'.split()[n % 13 > 8]}" for n in range(200)]
    (world / "t.csv").write_text("a,b,late\n" + "\n".join(rows) + "\n")
    (world / "t.yaml").write_text(
        "dataset: {csv: {path: t.csv, label: late}}\ntest: 0.3\npreprocess: [normalize]\n"
        "layers: [{output: {activation: tanh}}]\nloss: mean_squared_error\nlr: 0.1\nepochs: 20\n"
    )
    result = dlx("run", "t.yaml")
    assert result.code == 0, result.err
    assert "auc, precision, recall: of the class yes" in result.out
    metrics = json.loads((world / "runs/t-1/metrics.json").read_text())
    kept = np.load(world / "runs/t-1/predictions.npz")
    label, decided = kept["label"].reshape(-1), kept["prediction"].argmax(axis=1)
    assert decided.sum() > 0
    assert metrics["test_precision"] == pytest.approx(precision_score(label, decided), abs=1e-9)
    assert metrics["test_recall"] == pytest.approx(recall_score(label, decided), abs=1e-9)
