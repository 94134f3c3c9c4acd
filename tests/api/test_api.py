"""What `import dlx` offers: run, Run, resume, sweep, check, load, compare, plot."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, modules_after
from PIL import Image

import dlx
from dlx.api.page import of_run
from dlx.api.page import table as page_of
from dlx.errors import DataError, RunError, SpecError

SPEC: dict[str, Any] = {
    "name": "m", "dataset": "moons", "layers": [{"dense": {"units": 4, "activation": "tanh"}}, "output"],
    "optimizer": "adam", "lr": 0.02, "epochs": 3, "validation": 0.2,
}  # fmt: skip


@pytest.fixture
def trained(world: Path) -> dlx.Run:
    return dlx.run(SPEC, verbose=0)


def test_a_run_of_a_mapping_is_one_of_its_file(world: Path, trained: dlx.Run) -> None:
    (world / "m.yaml").write_text(json.dumps(SPEC))
    again = dlx.run("m.yaml", verbose=0)
    assert again.metrics["val_loss"] == trained.metrics["val_loss"]
    assert again.settings == trained.settings
    assert (again.name, again.status, again.path) == ("m-2", "done", Path("runs/m-2"))


def test_a_run_of_a_spec_changes_one_thing(trained: dlx.Run) -> None:
    other = dlx.run(trained.spec, verbose=0, **{"layers.0.units": 7, "epochs": 1})
    assert (trained.settings["layers.0.dense.units"], other.settings["layers.0.dense.units"]) == (4, 7)
    assert len(other.history) == 1


def test_its_history_is_a_row_an_epoch(trained: dlx.Run) -> None:
    assert list(trained.history.index) == [1, 2, 3]
    assert trained.history.index.name == "epoch"
    assert {"train_loss", "val_loss", "val_accuracy", "learning_rate"} <= set(trained.history.columns)
    assert trained.history["val_loss"].min() == pytest.approx(trained.metrics["val_loss"], rel=1e-5)
    assert trained.steps.empty
    logged = dlx.run(SPEC, verbose=0, log_every=2)
    assert logged.steps.index.tolist()[:2] == [2, 4]


def test_its_model_is_what_predicts(trained: dlx.Run) -> None:
    points = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    answers = trained.predict(points)
    assert answers.shape == (9, 2)
    assert np.allclose(answers.sum(axis=1), 1)
    assert np.allclose(trained.model().predict(points, verbose=0), answers, atol=1e-6)
    assert np.array_equal(dlx.load("m").predict(points), answers)
    assert np.array_equal(dlx.predict("latest", points), answers)


def test_it_predicts_paths(world: Path) -> None:
    digits = dlx.run({"dataset": "digits", "layers": ["flatten", "output"], "epochs": 1}, verbose=0)
    image = np.random.default_rng(0).integers(0, 255, (8, 8), np.uint8)
    Image.fromarray(image).save(world / "a.png")
    Image.fromarray(255 - image).save(world / "b.png")
    together = digits.predict(["a.png", Path("b.png")])
    assert together.shape == (2, 10)
    assert np.allclose(digits.predict("a.png"), together[:1])
    assert np.allclose(digits.predict(image[None, :, :, None]), together[:1], atol=1e-6)
    (world / "c.png").write_text("no image")
    with pytest.raises(DataError, match=r"c\.png"):
        digits.predict(["a.png", "c.png"])
    with pytest.raises(DataError):
        digits.predict("nowhere.png")


def test_it_predicts_tables(world: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(40.0), "kind": ["a", "b"] * 20, "y": ["u", "v"] * 20})
    frame.to_csv("t.csv", index=False)
    run = dlx.run({"dataset": {"csv": {"path": "t.csv", "label": "y"}}, "layers": ["output"], "epochs": 1}, verbose=0)
    assert np.allclose(run.predict(frame[["x", "kind"]]), run.predict("t.csv"))


def test_its_pictures_are_figures(trained: dlx.Run) -> None:
    stream = io.BytesIO()
    for kind in ("curves", "boundary", "confusion", "network"):
        trained.plot(kind).savefig(stream)  # type: ignore[arg-type]
    assert stream.tell() > 10_000
    other = dlx.run(SPEC, lr=0.1, verbose=0)
    assert len(dlx.plot([trained, other]).axes) == 2
    assert len(dlx.plot(["m-1", "m-2"], "boundary").axes) == 2
    with pytest.raises(RunError, match="has no picture of mistakes"):
        trained.plot("mistakes")
    with pytest.raises(RunError, match="is a picture of one run"):
        dlx.plot([trained, other], "confusion")


def test_a_notebook_shows_it_in_little_room_and_names_are_escaped(world: Path) -> None:
    run = dlx.run({**SPEC, "epochs": 500, "description": "<b>"}, verbose=0)
    page = run._repr_html_()
    assert len(page) < 20_000
    assert "m-1" in page
    assert page.count("<polyline") == 4
    assert "val_loss" in repr(run)
    assert repr(run).startswith("<dlx.Run m-1: done, val_loss ")
    assert page_of(["<i>"], [["a & b"]]).count("&lt;i&gt;") == 1
    assert "a &amp; b" in page_of(["x"], [["a & b"]])
    assert "&lt;script&gt;" in of_run("<script>", "done", {}, {}, [])


def test_comparisons_take_what_commands_take(trained: dlx.Run) -> None:
    dlx.run(SPEC, lr=0.1, verbose=0)
    for words in (["m-1", "m-2"], "m-*", ["runs/m-1", "runs/m-2"], [trained, "m-2"]):
        comparison = dlx.compare(words)  # type: ignore[arg-type]
        assert [record["run"] for record in comparison] == ["runs/m-1", "runs/m-2"]
    frame = comparison.frame
    assert list(frame.index) == ["m-1", "m-2"]
    assert frame["lr"].tolist() == [0.02, 0.1]
    assert frame["val_loss"].notna().all()
    assert comparison[0]["metrics"]["val_loss"] == trained.metrics["val_loss"]
    assert [run.name for run in comparison.runs] == ["m-1", "m-2"]
    assert len(comparison) == 2
    assert "<td" in comparison._repr_html_()
    with pytest.raises(RunError, match="unknown run"):
        dlx.compare("nothing")


def test_a_sweep_trains_the_lists_and_not_twice(world: Path) -> None:
    swept = dlx.sweep(SPEC, lr=[0.1, 0.2], verbose=0)
    assert swept.frame["lr"].tolist() == [0.1, 0.2]
    assert [run.name for run in dlx.sweep(SPEC, lr=[0.1, 0.2], verbose=0).runs] == ["m-1", "m-2"]


def test_resume_trains_further(trained: dlx.Run) -> None:
    further = dlx.resume(trained, epochs=5, verbose=0)
    assert list(further.history.index) == [1, 2, 3, 4, 5]
    assert further.name == "m-2"


def test_check_returns_the_whole_spec_or_every_problem() -> None:
    assert dlx.check(SPEC).batch_size == 32
    assert dlx.check(dlx.check(SPEC), lr=0.5).lr == 0.5
    with pytest.raises(SpecError) as caught:
        dlx.check({**SPEC, "layers": ["densa"], "lrr": 1})
    assert "unknown layer 'densa' (did you mean 'dense'?)" in str(caught.value)
    assert "unknown key 'lrr' (did you mean 'lr'?)" in str(caught.value)
    with pytest.raises(SpecError, match="holds a value that no spec can have"):
        dlx.check({**SPEC, "lr": object()})


@pytest.mark.parametrize(("verbose", "lines"), [(0, 0), (1, 1), (2, 4)])
def test_what_is_printed(world: Path, capsys: pytest.CaptureFixture[str], verbose: int, lines: int) -> None:
    dlx.run(SPEC, verbose=verbose)
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == lines
    assert len(printed.err.splitlines()) == (3 if verbose == 1 else 0)


def test_the_names_are_there_and_nothing_heavy_is_loaded_before_it_is_used() -> None:
    assert set(dlx.__all__) <= set(dir(dlx))
    assert all(getattr(dlx, name) is not None for name in dlx.__all__)
    loaded = modules_after(f"import sys; sys.path.insert(0, {str(ROOT)!r}); import dlx; dlx.run, dlx.Run, dlx.compare")
    assert not loaded & {"keras", "tensorflow", "numpy", "pandas", "matplotlib"}


def test_a_program_that_has_used_keras_before_can_train(world: Path) -> None:
    code = """
import keras, numpy as np
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.predict(np.zeros((3, 2)), verbose=0)
import dlx
run = dlx.run({"dataset": "or", "layers": ["output"], "epochs": 2, "validation": "none"}, verbose=0)
print(run.status)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "done", done.stderr[-1000:]
