"""Figures and predictions of data far from zero, very small or very large: right, or refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Dlx
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score

import dlx as api
from dlx.data.scaling import Scaling

ROWS = 300
RANDOM = np.random.default_rng(5)
Z = RANDOM.normal(size=(ROWS, 3))
VALUES = Z @ [1.0, 0.5, -0.3] + 0.1 * RANDOM.normal(size=ROWS)
# (offset, deviation) of values: a UTM northing, timestamps, wavelengths and others.
SCALES = [
    (1e5, 75.0),
    (1e7, 249.0),
    (5.8e6, 422.0),
    (1.7e9, 1172.0),
    (1.0, 1e-8),
    (1e6, 0.1),
    (0.0, 1e30),
    (0.0, 1e-30),
]
OFTEN = (SCALES[0], SCALES[3], SCALES[4], SCALES[6])  # one of each kind


def prediction(run: Path) -> dict[str, np.ndarray]:
    with np.load(run / "predictions.npz", allow_pickle=False) as saved:
        return dict(saved)


def record(run: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((run / name).read_text()))


def regression(world: Path, offset: float, deviation: float, **settings: str) -> None:
    np.savez(world / "v.npz", x=Z.astype(np.float32), y=offset + deviation * VALUES)
    lines = {"layers": "[{dense: {units: 4, activation: tanh}}, output]", "monitor": "val_r2", **settings}
    (world / "v.yaml").write_text(
        "dataset: {npz: v.npz}\ntask: regression\ntest: 0.2\nvalidation: 0.2\npreprocess: [normalize]\n"
        "metrics: [mae, rmse, mse, r2]\nlr: 0.02\nepochs: 6\n"
        + "".join(f"{key}: {value}\n" for key, value in lines.items())
    )


@pytest.mark.parametrize(
    ("offset", "deviation"),
    [pytest.param(*scale, marks=[] if scale in OFTEN else [pytest.mark.slow]) for scale in SCALES],
)
def test_figures_of_targets_anywhere_are_those_of_scikit_learn(
    dlx: Dlx, world: Path, offset: float, deviation: float
) -> None:
    regression(world, offset, deviation)
    result = dlx("run", "v.yaml")
    assert result.code == 0, result.err
    run = world / "runs/v-1"
    saved, figures = prediction(run), record(run, "metrics.json")
    label, answer = saved["label"], saved["prediction"]
    assert label.dtype == answer.dtype == np.float64
    np.testing.assert_array_equal(label[:, 0], (offset + deviation * VALUES)[saved["index"]])
    assert figures["test_r2"] == pytest.approx(r2_score(label, answer), rel=1e-9)
    assert figures["test_mae"] == pytest.approx(mean_absolute_error(label, answer), rel=1e-9)
    assert figures["test_rmse"] == pytest.approx(figures["test_mse"] ** 0.5, rel=1e-9)
    assert 0.3 < figures["test_r2"] < 1
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    kept = rows[figures["best_epoch"] - 1]
    assert kept["val_r2"] == max(row["val_r2"] for row in rows)
    for name in ("val_r2", "val_mae", "val_mse", "val_rmse"):
        assert kept[name] == pytest.approx(figures[name], rel=2e-5)
    np.testing.assert_array_equal(api.load(run).predict(Z.astype(np.float32)[saved["index"]]), answer)


def test_a_training_is_the_same_whatever_the_unit_of_its_targets(dlx: Dlx, world: Path) -> None:
    histories = []
    for number, (offset, deviation) in enumerate([(0.0, 1.0), *SCALES[:4]], 1):
        regression(world, offset, deviation, early_stop="{patience: 2, min_delta: 0.001}")
        assert dlx("run", "v.yaml").code == 0
        lines = (world / f"runs/v-{number}/history.jsonl").read_text().splitlines()
        histories.append([json.loads(line)["val_r2"] for line in lines])
    for history in histories:
        assert history == pytest.approx(histories[0], rel=1e-6)


def test_targets_that_float32_is_too_coarse_for_are_refused_where_nothing_scales_them(dlx: Dlx, world: Path) -> None:
    regression(world, 1.7e9, 100.0, layers="[{dense: 1}]")
    result = dlx("run", "v.yaml")
    assert result.code == 3
    assert "float32, in which networks compute, is too coarse for the targets (1.7e+09 ± " in result.err
    assert "end the network with `output`" in result.err
    assert not list((world / "runs").glob("v-*"))


@pytest.mark.parametrize(
    ("offset", "deviation"), [(0.0, 1.0), (1.7e9, 30.0), (50.0, 1e-5), (0.0, 1e25), (0.0, 1e-9), (5e8, 0.5)]
)
def test_inputs_anywhere_keep_their_digits(dlx: Dlx, world: Path, offset: float, deviation: float) -> None:
    import keras

    x, y = offset + deviation * Z, (Z[:, 0] > 0).astype(int)
    np.savez(world / "x.npz", x=x, y=y)
    (world / "x.yaml").write_text(
        "dataset: {npz: x.npz}\ntest: 0.2\nvalidation: 0.2\npreprocess: [normalize]\nstrict: true\n"
        "layers: [output]\nmetrics: [accuracy, auc]\nlr: 0.05\nepochs: 20\n"
    )
    result = dlx("run", "x.yaml")
    assert result.code == 0, result.err
    run = world / "runs/x-1"
    saved, figures, info = prediction(run), record(run, "metrics.json"), record(run, "run.json")
    assert figures["test_accuracy"] > 0.9
    assert figures["test_auc"] == pytest.approx(roc_auc_score(saved["label"], saved["prediction"][:, 1]), abs=1e-12)
    held = x[saved["index"]]
    np.testing.assert_array_equal(api.load(run).predict(held), saved["prediction"])
    np.savetxt(world / "held.csv", held, delimiter=",", fmt="%.17g")
    answers = dlx("predict", "x", "held.csv", "--json").lines
    assert [answer["probabilities"]["1"] for answer in answers] == pytest.approx(saved["prediction"][:, 1], abs=1e-6)
    centred = (held - info["input"].get("offset", 0.0)) / info["input"].get("divisor", 1.0)
    answer = keras.models.load_model(run / "model.keras").predict(centred.astype(np.float32), verbose=0)
    np.testing.assert_allclose(answer, saved["prediction"], atol=2e-3)
    assert ("offset" in info["input"]) == (offset / deviation > 1e5)
    assert ("float32 is too coarse for some inputs" in result.out) == bool({"offset", "divisor"} & set(info["input"]))


def test_inputs_that_float32_is_too_coarse_for_are_refused_where_nothing_scales_them(dlx: Dlx, world: Path) -> None:
    table = "time,height,label\n" + "".join(f"{1.7e9 + 30 * z[0]:.17g},{z[1]:.17g},{'ab'[int(z[0] > 0)]}\n" for z in Z)
    (world / "t.csv").write_text(table)
    for preprocess in ("[]", "[standardize]", "[{rescale: {scale: 0.001}}, normalize]"):
        (world / "t.yaml").write_text(
            f"dataset: {{csv: {{path: t.csv, label: label}}}}\npreprocess: {preprocess}\nlayers: [output]\nepochs: 1\n"
        )
        result = dlx("run", "t.yaml")
        assert result.code == 3, preprocess
        assert "is too coarse for column 'time' (1.7e+09 ± " in result.err
        assert "preprocess: [normalize]" in result.err
    assert dlx("run", "t.yaml", "-s", "preprocess=[normalize]").code == 0


def test_equal_inputs_are_those_of_the_file(dlx: Dlx, world: Path) -> None:
    """Rows that float32 cannot tell apart are not the same example."""
    x = 1.7e9 + 30 * Z
    assert len(np.unique(x.astype(np.float32), axis=0)) < 20
    np.savez(world / "x.npz", x=np.concatenate([x, x[:3]]), y=np.arange(ROWS + 3) % 2)
    (world / "x.yaml").write_text(
        "dataset: {npz: x.npz}\nvalidation: 0.3\npreprocess: [normalize]\nlayers: [output]\nepochs: 1\n"
    )
    assert dlx("run", "x.yaml").code == 0
    assert record(world / "runs/x-1", "run.json")["dataset"].get("shared_with_train", {}).get("validation", 0) <= 3


@pytest.mark.parametrize("scalar", [False, True])
@pytest.mark.parametrize(("offset", "deviation"), [(0.0, 1.0), (1e9, 1.0), (0.0, 1e30), (1e-30, 1e-30), (1e9, 3e-6)])
def test_statistics_are_those_of_numpy_in_float64(offset: float, deviation: float, scalar: bool) -> None:
    values = offset + deviation * RANDOM.normal(size=(5000, 4))
    values[:, 3] = values[0, 3]
    axis = None if scalar else 0
    scaling = Scaling.fit(values, scalar)
    varies = values.std(axis=axis) > 0 if scalar else np.array([True, True, True, False])
    np.testing.assert_allclose(scaling.mean, values.mean(axis=axis), rtol=1e-14, atol=1e-9 * deviation)
    near = values - values.reshape(-1)[0]  # exact, where the mean of the values as they are is not
    np.testing.assert_allclose(scaling.deviation[varies], near.std(axis=axis)[varies], rtol=1e-9)
    assert (scaling.deviation[~np.asarray(varies)] == 1).all()
    again = Scaling.of_record(json.loads(json.dumps(scaling.record())))
    np.testing.assert_array_equal(again.apply(values), scaling.apply(values))
    np.testing.assert_allclose(scaling.undo(scaling.apply(values)), values, rtol=1e-6, atol=4e-7 * deviation)


def test_images_are_augmented_as_they_are_stored(dlx: Dlx, world: Path) -> None:
    """float64 pictures train as the same in float32: scaling comes behind the augmentation."""
    shown = RANDOM.integers(0, 2, 80)
    pictures = (RANDOM.random((80, 6, 6, 1)) / 3 + shown[:, None, None, None] / 2).astype(np.float32)
    histories = []
    for number, dtype in enumerate((np.float32, np.float64), 1):
        noise = 0 if dtype is np.float32 else 1e-12 * RANDOM.random(pictures.shape)
        np.savez(world / "p.npz", x=pictures.astype(dtype) + noise, y=shown)
        (world / "p.yaml").write_text(
            "dataset: {npz: p.npz}\npreprocess: [standardize]\naugment: [{shift: 0.3}]\nlayers: [flatten, output]\nepochs: 3\n"
        )
        assert dlx("run", "p.yaml").code == 0
        lines = (world / f"runs/p-{number}/history.jsonl").read_text().splitlines()
        histories.append([json.loads(line)["train_loss"] for line in lines])
    assert histories[0] == pytest.approx(histories[1], rel=1e-5)


def test_whole_numbers_far_from_zero_are_centred(dlx: Dlx, world: Path) -> None:
    number = 16_000_000 + (Z[:, :1] > 0).astype(np.int64)
    np.savez(world / "i.npz", x=number, y=number[:, 0] - 16_000_000)
    (world / "i.yaml").write_text(
        "dataset: {npz: i.npz}\npreprocess: [normalize]\nlayers: [output]\nlr: 0.1\nepochs: 20\n"
    )
    result = dlx("run", "i.yaml", "--json")
    assert result.lines[0]["metrics"]["val_accuracy"] == 1.0
    answers = api.load(world / "runs/i-1").predict(number)
    assert (answers.argmax(axis=1) == number[:, 0] - 16_000_000).all()


def test_a_saved_model_that_rounds_its_answers_is_said(dlx: Dlx, world: Path) -> None:
    regression(world, 1.7e9, 100.0, monitor="auto")
    result = dlx("run", "v.yaml", "-s", "epochs=1")
    assert "float32 is too coarse for the targets: model.keras rounds its answers to it" in " ".join(result.out.split())
    regression(world, 1e5, 100.0, monitor="auto")
    assert "too coarse" not in dlx("run", "v.yaml", "-s", "epochs=1").out
