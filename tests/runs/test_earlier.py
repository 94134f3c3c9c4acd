"""Runs that an earlier dlx began: before scaling in float64, before dates were days, before keys had names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Dlx

from dlx.runs.run import Run
from dlx.training.experiment import spec_of

EARLIER = Path(__file__).parent / "earlier"


@pytest.fixture
def runs(world: Path) -> Path:
    shutil.copytree(EARLIER, world, dirs_exist_ok=True)
    for path in (world / "runs").iterdir():  # this machine's, or nothing could continue here
        info = json.loads((path / "run.json").read_text())
        info.pop("processor")
        info.pop("versions")
        info.pop("threads")
        (path / "run.json").write_text(json.dumps(info))
    return world / "runs"


def resumed(dlx: Dlx, name: str, *words: str) -> None:
    result = dlx("resume", name, *words)
    assert result.code == 0, result.err


@pytest.mark.parametrize("name", ["prices", "points"])
def test_a_stopped_one_becomes_the_one_without_a_stop(dlx: Dlx, runs: Path, name: str) -> None:
    resumed(dlx, f"{name}-2")
    whole, run = Run(runs / f"{name}-1"), Run(runs / f"{name}-2")
    expected, found = whole.metrics() or {}, run.metrics() or {}
    assert found["best_epoch"] == expected["best_epoch"]
    for key, value in expected.items():
        if key.startswith(("val_", "test_")) and key != "test_r2":
            assert found[key] == pytest.approx(value, rel=2e-4), key
    cut = 14  # the epoch in which it was stopped, at step 40 of 90: a regression counts it anew
    for before, now in zip(whole.history(), run.history(), strict=True):
        for key, value in before.items():
            if key != "seconds" and not (now["epoch"] == cut and key.startswith("train_")):
                assert now[key] == pytest.approx(value, rel=1e-3, abs=1e-4), (now["epoch"], key)


@pytest.mark.parametrize("name", ["prices", "points"])
def test_it_predicts_and_draws_what_it_was_trained_on(dlx: Dlx, runs: Path, world: Path, name: str) -> None:
    resumed(dlx, f"{name}-2")
    resumed(dlx, f"{name}-1", "-s", "epochs=35", "-s", "early_stop=null")
    with np.load(world / "points.npz") as points:
        np.save(world / "x.npy", points["x"])
    data = {"prices": "prices.csv", "points": "x.npy"}[name]
    for run in (1, 2, 3):
        with np.load(runs / f"{name}-{run}/predictions.npz") as saved:
            index, prediction = saved["index"], saved["prediction"]
        lines = dlx("predict", f"{name}-{run}", data, "--json").lines
        for row, expected in zip(index, prediction, strict=True):
            _same(lines[row], expected)
    assert dlx("plot", f"{name}-3", f"{name}-2", "-o", "pictures").code == 0


def _same(answer: dict[str, Any], expected: Any) -> None:
    """Whether an answer is that of predictions.npz, which held class numbers once."""
    if "value" in answer:
        assert answer["value"] == pytest.approx(expected[0], rel=1e-5)
    elif np.ndim(expected) == 0:
        assert answer["label"] == str(expected)
    else:
        assert list(answer["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-6)


def test_it_is_stopped_twice_and_keeps_the_best_epoch(dlx: Dlx, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlx.training.tracker import CheckpointKeeper

    monkeypatch.setattr(CheckpointKeeper, "due", lambda keeper: True)
    stopped = dlx("resume", "prices-2", "--max-time", "0s")
    assert stopped.code == 75
    resumed(dlx, "prices-2")
    run = Run(runs / "prices-2")
    best = min(run.history(), key=lambda row: row["val_mae"])
    assert (run.metrics() or {})["best_epoch"] == best["epoch"]


def test_it_is_the_same_experiment_as_now(dlx: Dlx, runs: Path) -> None:
    """A sweep takes a finished one, and compare shows no key that it lacks."""
    assert dlx("run", "points.yaml").code == 0
    head = dlx("compare", "points-1", "points-3", "--csv").out.splitlines()[0]
    assert head.split(",")[:4] == ["run", "status", "n", "val_loss"]
    done = dlx("sweep", "points.yaml", "-s", "seed=42,43", "--json")
    assert next(line["run"] for line in done.lines) in ("runs/points-1", "runs/points-3")


@pytest.mark.parametrize(("more", "expected"), [({}, 500), ({"scaling": {}}, None)])
def test_one_limit_was_that_of_both_splits(world: Path, more: dict[str, Any], expected: int | None) -> None:
    run = Run.create(world / "runs", "r")
    run.begin("dataset: {mnist: {limit: 500}}\nlayers: [output]\n", {"settings": {"dataset.mnist.limit": 500}, **more})
    assert run.info()["settings"].get("dataset.mnist.test_limit") == expected
    assert spec_of(run).dataset.args["test_limit"] == expected
    run.release()
