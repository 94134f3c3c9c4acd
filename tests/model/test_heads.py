"""Heads, losses and starts of every kind: what is defined is allowed, and what is unwise is remarked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import Dlx

from dlx.parts import REGISTRIES
from dlx.parts.datasets import loading
from dlx.parts.registry import Part
from dlx.system import backend


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"random_uniform": 1}, "random_uniform is a range: expected {minval: -1, maxval: 1}"),
        ({"random_uniform": {"minval": 1, "maxval": -1}}, "minval 1 is above maxval -1"),
        ({"random_uniform": {"scale": 2}}, "random_uniform has no parameter 'scale'; expected minval or maxval"),
        ({"variance_scaling": -0.1}, "scale: expected a number above 0, got -0.1"),
        ({"variance_scaling": {"mode": "x"}}, "mode: expected fan_in or fan_out or fan_avg, got 'x'"),
        ({"random_normal": {"stddev": "wide"}}, "stddev: expected a number, got 'wide'"),
    ],
)
def test_initializers_that_keras_refuses_late_are_located(dlx: Dlx, world: Path, value: Any, message: str) -> None:
    spec = {"dataset": "moons", "layers": [{"dense": {"units": 2, "kernel_initializer": value}}, "output"]}
    (world / "i.yaml").write_text(yaml.safe_dump(spec))
    result = dlx("check", "i.yaml")
    assert result.code == 2
    assert "layers.0.dense.kernel_initializer: " + message in result.err
    assert result.err.startswith("i.yaml:")


def test_half_of_the_images_are_turned() -> None:
    images = np.random.default_rng(0).uniform(0, 255, (400, 6, 6, 1)).astype(np.float32)
    turned = REGISTRIES["augment"].make(Part("rotate", {"degrees": 40.0, "fill": "constant", "probability": 0.5}))
    after = backend.keras.ops.convert_to_numpy(turned(images, backend.keras.random.SeedGenerator(1)))
    same = np.isclose(after, images, atol=1e-3).all(axis=(1, 2, 3))
    assert 0.4 < same.mean() < 0.6


@pytest.mark.parametrize(
    ("head", "loss", "remark"),
    [
        ("{output: {units: 1, activation: tanh}}", "mean_squared_error", "outputs of tanh are no probabilities"),
        ("{output: {units: 1, activation: linear}}", "auto", "outputs of linear are no probabilities"),
        ("{output: {activation: softmax}}", "binary_crossentropy", "is categorical_crossentropy: the same number"),
        ("{output: {units: 2, activation: sigmoid}}", "categorical_crossentropy", "is usually that of softmax"),
        ("{output: {use_bias: false}}", "auto", ""),
    ],
)
def test_a_head_takes_any_activation_with_any_loss_that_is_defined(
    dlx: Dlx, world: Path, head: str, loss: str, remark: str
) -> None:
    (world / "h.yaml").write_text(
        f"dataset: moons\nlayers: [{{dense: {{units: 8, activation: tanh}}}}, {head}]\nloss: {loss}\nlr: 0.02\nepochs: 40\n"
    )
    result = dlx("run", "h.yaml", "--json")
    assert result.code == 0, result.err
    metrics = result.lines[0]["metrics"]
    assert metrics["train_accuracy"] > 0.8
    assert remark in " ".join(result.err.split())
    assert remark in " ".join(dlx("check", "h.yaml").err.split())
    kept = np.load(world / "runs" / "h-1" / "predictions.npz")["prediction"]
    assert kept.shape == (20, 2)
    assert 0 <= kept.min() <= kept.max() <= 1


def test_the_binary_crossentropy_of_a_softmax_of_two_is_the_categorical_one(dlx: Dlx, world: Path) -> None:
    (world / "h.yaml").write_text("dataset: moons\nlayers: [output]\nepochs: 3\n")
    losses = [dlx("run", "h.yaml", "-s", f"loss={name}", "--json").lines[0]["metrics"]["val_loss"]
              for name in ("binary_crossentropy", "categorical_crossentropy")]  # fmt: skip
    assert losses[0] == losses[1]


def test_a_digit_as_a_single_number(dlx: Dlx, world: Path) -> None:
    (world / "n.yaml").write_text(
        "dataset: digits\ntask: regression\npreprocess: [rescale]\nlayers: [flatten, {dense: {units: 32, activation: relu}}, output]\nepochs: 8\n"
    )
    result = dlx("run", "n.yaml", "--json")
    assert result.code == 0, result.err
    assert result.lines[0]["metrics"]["val_mae"] < 1.5
    answer = dlx("predict", "n", "--rows", "0", "--json").lines[0]
    assert isinstance(answer["value"], float)
    assert answer["truth"] in [float(n) for n in range(10)]


def test_fresh_moons_are_the_test_split() -> None:
    plain, more = (
        loading.load(Part("moons", {"samples": 50, "noise": 0.2, "seed": 0, "test_samples": n})) for n in (0, 30)
    )
    assert plain.test is None
    assert more.test is not None
    assert len(more.test) == 30
    assert np.array_equal(plain.train.inputs, more.train.inputs)
    assert plain.fingerprint != more.fingerprint
    assert not np.isin(more.test.inputs[:, 0], more.train.inputs[:, 0]).any()


def test_outputs_beyond_one_keep_their_order(dlx: Dlx, world: Path) -> None:
    (world / "l.yaml").write_text(
        "dataset: digits\ntest: 0.2\npreprocess: [{rescale: 0.0625}]\nlayers: [flatten, {output: {activation: linear}}]\nepochs: 2\n"
    )
    result = dlx("run", "l.yaml", "--json")
    assert result.code == 0, result.err
    kept = np.load(world / "runs" / "l-1" / "predictions.npz")
    right = (kept["prediction"].argmax(axis=1) == kept["label"]).mean()
    assert right == pytest.approx(result.lines[0]["metrics"]["test_accuracy"], abs=1e-6)
    assert 0 <= kept["prediction"].min() <= kept["prediction"].max() <= 1


def test_labels_may_share_a_softmax(dlx: Dlx, world: Path) -> None:
    (world / "b.yaml").write_text(
        "dataset: {binary_addition: {bits: 3, samples: 20, test_samples: 5}}\nlayers: [flatten, {output: {activation: softmax}}]\nepochs: 1\n"
    )
    result = dlx("run", "b.yaml")
    assert result.code == 0, result.err
    assert "softmax lets labels compete" in result.out


def test_a_network_that_is_no_chain_has_no_diagram(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text("dataset: digits\nlayers: [{dense: 4}, flatten, output]\nepochs: 1\n")
    assert dlx("run", "s.yaml").code == 0
    done = dlx("plot", "s")
    assert done.code == 0, done.err
    assert "network" not in done.out
