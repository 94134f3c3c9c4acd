"""Simpler methods on a network's splits: kept as runs, made once, honest about what they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Dlx
from sklearn.linear_model import LogisticRegression

from dlx import spec as specs
from dlx.insight.simple_models import METHODS, Problem, rows_for
from dlx.training.experiment import prepare

SPEC = "dataset: iris\ntest: 0.3\npreprocess: [normalize]\nlayers: [output]\nepochs: 2\n"


def test_each_method_is_a_run_with_the_networks_splits(dlx: Dlx, world: Path) -> None:
    (world / "i.yaml").write_text(SPEC)
    result = dlx("baseline", "i.yaml", "--json")
    assert result.code == 0, result.err
    assert [Path(line["run"]).name for line in result.lines] == [f"i_baseline_{method}-1" for method in METHODS]
    splits = prepare(specs.load(str(world / "i.yaml"))).splits
    assert splits.test is not None
    for line in result.lines:
        with np.load(world / line["run"] / "predictions.npz") as file:
            kept = dict(file)
        assert np.array_equal(kept["index"], splits.test.index)
        accuracy = float((kept["prediction"].argmax(1) == kept["label"]).mean())
        assert line["metrics"]["test_accuracy"] == pytest.approx(accuracy)
        assert np.allclose(kept["prediction"].sum(axis=1), 1)
    guess, linear = (line["metrics"]["test_accuracy"] for line in result.lines[:2])
    assert guess < 0.5 < linear
    x = (splits.train.inputs - splits.train.inputs.mean(0)) / splits.train.inputs.std(0)
    z = (splits.test.inputs - splits.train.inputs.mean(0)) / splits.train.inputs.std(0)
    theirs = LogisticRegression(max_iter=200).fit(x, splits.train.targets).score(z, splits.test.targets)
    assert linear == pytest.approx(theirs, abs=0.03)


def test_the_same_data_has_its_baselines_once(dlx: Dlx, world: Path) -> None:
    (world / "i.yaml").write_text(SPEC)
    (world / "other.yaml").write_text(SPEC.replace("[output]", "[{dense: {units: 3, activation: relu}}, output]"))
    assert dlx("baseline", "i.yaml").code == 0
    assert dlx("baseline", "other.yaml").out.count("made before") == 4
    assert dlx("baseline", "other.yaml", "-s", "split_seed=1").out.count("made before") == 0
    assert len(list((world / "runs").iterdir())) == 8


def test_compare_shows_the_lift_and_a_run_its_baselines(dlx: Dlx, world: Path) -> None:
    (world / "i.yaml").write_text(SPEC)
    assert dlx("baseline", "i.yaml").code == 0
    run = dlx("run", "i.yaml")
    assert "baselines" in run.out
    assert "the best of 4 baselines here" in " ".join(run.out.split())
    result = dlx("compare", "runs/*")
    text = " ".join(result.out.split())
    assert "the best of 4 baselines here" in text
    assert "optimizer" not in text
    record = json.loads(dlx("compare", "runs/*", "--json").out)
    assert [run["settings"].get("baseline") for run in record["runs"]].count(None) == 1
    (one,) = record["statistics"]
    assert one["n"] == [1, 1]
    assert Path(one["b"]).name.startswith("i_baseline_")


def test_a_baseline_is_no_network(dlx: Dlx, world: Path) -> None:
    (world / "i.yaml").write_text(SPEC)
    dlx("baseline", "i.yaml")
    name = "i_baseline_linear-1"
    assert "has no network" in dlx("predict", name, "i.csv").err
    assert "there is no training to continue" in dlx("resume", name, "-s", "epochs=9").err
    assert dlx("show", name).code == 0
    assert dlx("list").code == 0


@pytest.mark.parametrize("task", ["classification", "regression", "multi_label"])
def test_every_method_answers_every_task(task: str) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(120, 4))
    targets = {
        "classification": np.digitize(inputs[:, 0], [-1, 1]).astype(np.int32),
        "regression": inputs[:, :2] * 3 + 1,
        "multi_label": np.stack([inputs[:, 0] > 0, inputs[:, 1] > 5], axis=1).astype(np.float32),
    }[task]
    problem = Problem(task, 3 if task == "classification" else 0, inputs, targets, seed=0)
    for name, method in METHODS.items():
        answers = method(problem)(inputs)
        assert answers.shape == (120, 3 if task == "classification" else 2), name
        assert np.isfinite(answers).all()
        if task != "regression":
            assert 0 <= answers.min() <= answers.max() <= 1
    few = problem.at_most(50)
    assert few.inputs.shape == (50, 4)
    assert rows_for("trees", problem) > 10**5


def test_texts_are_counted_by_word(dlx: Dlx, world: Path) -> None:
    lines = "".join(
        f"{'good fine' if n % 2 else 'bad poor'} word{n % 7},{'yes' if n % 2 else 'no'}\n" for n in range(80)
    )
    (world / "t.csv").write_text(f"text,kind\n{lines}")
    (world / "t.yaml").write_text(
        "dataset: {text_csv: {path: t.csv, text: text, label: kind, max_tokens: 50, sequence_length: 5}}\n"
        "layers: [{embedding: {input_dim: 50, output_dim: 2}}, flatten, output]\n"
    )
    result = dlx("baseline", "t.yaml", "--json")
    assert result.lines[1]["metrics"]["val_accuracy"] == 1
