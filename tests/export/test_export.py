"""dlx export, and model.onnx: every kind of run in every format, equal, described, and nothing half-written."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import Dlx
from examples import SUMS, WEATHER, train_all, write_weather
from PIL import Image

import dlx as api
from dlx.commands.export import ENDS
from dlx.errors import DataError, RunError, TrainingError
from dlx.export import agreement, conversion, keep
from dlx.export import onnx as onnx_format
from dlx.export.subject import made_up
from dlx.inference import onnx_model, predictor
from dlx.inference.predictor import load_predictor
from dlx.runs.run import Run
from dlx.system import files
from dlx.training.exporting import subject_of

SPECS = {
    "image": "dataset: digits\npreprocess: [rescale]\nlayers: [{conv2d: {filters: 4, kernel_size: 3}}, max_pooling2d, flatten, output]\nepochs: 2\n",
    "table": "dataset: iris\npreprocess: [normalize]\nlayers: [output]\nlr: 0.1\nepochs: 20\n",
    "one_unit": "dataset: {moons: {samples: 200}}\nlayers: [{dense: {units: 8, activation: tanh}}, {output: {units: 1}}]\n"
    "epochs: 3\n",
    "values": "dataset: {csv: {path: t.csv, label: price}}\npreprocess: [normalize]\nlayers: [{dense: 8}, output]\n"
    "epochs: 3\n",
    "series": "dataset: {series_csv: {path: s.csv, target: y, window: 6, horizon: 2}}\npreprocess: [normalize]\n"
    "layers: [{gru: 4}, output]\nepochs: 2\n",
    "text": "dataset: {text_csv: {path: w.csv, text: words, label: mood, max_tokens: 20, sequence_length: 5}}\n"
    "layers: [{embedding: {input_dim: 20, output_dim: 4}}, global_average_pooling1d, output]\nepochs: 2\n",
    "multi_label": WEATHER,
    "sequence": SUMS,
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of each kind."""
    world = tmp_path_factory.mktemp("exported")
    far = 2e7  # float32 keeps one digit of such values
    (world / "t.csv").write_text(
        "a,b,price\n" + "".join(f"{n % 7},{far + n % 30 / 8},{far + n % 5 + n / 9}\n" for n in range(90))
    )
    (world / "s.csv").write_text("y,z\n" + "".join(f"{n % 9},{n % 4}.5\n" for n in range(120)))
    (world / "w.csv").write_text("words,mood\n" + "a good day,up\nno bad night,down\n" * 40)
    write_weather(world)
    train_all(world, SPECS)
    return world / "runs"


@pytest.mark.parametrize("form", ["onnx", "litert", "saved_model"])
@pytest.mark.parametrize("kind", SPECS)
def test_every_kind_of_run_is_equal_in_every_format(runs: Path, world: Path, kind: str, form: str) -> None:
    subject = subject_of(Run.open(runs / f"{kind}-1"))
    path = world / f"model{ENDS[form]}"
    if kind == "values" and form == "litert":  # it has float32 alone, too coarse for these columns
        with pytest.raises(TrainingError, match="differ from those of the network"):
            conversion.convert(subject, form, path)
        return
    found = conversion.convert(subject, form, path)
    assert found.difference <= agreement.TOLERANCE
    assert found.rows == min(len(subject.examples.inputs), conversion.ROWS)
    assert found.data in ("test", "validation")
    if form == "onnx":
        record = onnx_model.open_model(world).record
    elif form == "litert":
        record = json.loads(zipfile.ZipFile(path).read("dlx.json"))
    else:
        record = json.loads((path / "dlx.json").read_text())
    assert record["model"] == subject.record["model"]
    assert record["classes"] == list(subject.info["classes"])
    assert record["check"]["difference"] == found.difference


def numbers(answer: object) -> list[float]:
    """Every number of an answer, in order."""
    if isinstance(answer, dict):
        return [number for value in answer.values() for number in numbers(value)]
    if isinstance(answer, list):
        return [number for value in answer for number in numbers(value)]
    return [float(answer)] if isinstance(answer, (int, float)) else []


def keras_is_asked(*_: object) -> None:
    raise AssertionError("Keras was asked")


@pytest.mark.parametrize("kind", SPECS)
def test_the_first_predict_leaves_what_answers_the_next(
    runs: Path, world: Path, kind: str, dlx: Dlx, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_model = shutil.ignore_patterns("model.onnx")  # a slow machine trains long enough to make it at once
    run = Run.open(shutil.copytree(runs / f"{kind}-1", world / "runs" / f"{kind}-1", ignore=no_model))
    np.save(world / "x.npy", made_up(run.info(), 5).inputs)
    exact = dlx("predict", f"{kind}-1", "x.npy", "--json").lines
    assert onnx_model.open_model(run.path).record["check"]["data"] == "made up"
    monkeypatch.setattr("dlx.inference.predictor._restored", keras_is_asked)
    fast = dlx("predict", f"{kind}-1", "x.npy", "--json").lines
    assert [line.get("label") for line in fast] == [line.get("label") for line in exact]
    assert numbers(fast) == pytest.approx(numbers(exact), rel=1e-6, abs=1e-6)
    assert len(numbers(fast)) >= 5


def test_another_model_or_spec_asks_keras_again(
    runs: Path, world: Path, dlx: Dlx, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.open(shutil.copytree(runs / "table-1", world / "runs" / "table-1"))
    np.save(world / "x.npy", np.zeros((2, 4), np.float32))
    assert dlx("predict", "table-1", "x.npy").code == 0
    assert onnx_model.of_run(run) is not None
    asked = []
    real = predictor._restored
    monkeypatch.setattr("dlx.inference.predictor._restored", lambda run: asked.append(run) or real(run))
    with run.spec_file.open("a") as stream:
        stream.write("\n")
    assert onnx_model.of_run(run) is None
    assert dlx("predict", "table-1", "x.npy").code == 0
    assert len(asked) == 1
    assert onnx_model.of_run(run) is not None  # made anew
    with zipfile.ZipFile(run.model_file, "a") as archive:
        archive.writestr("more", "1")
    assert dlx("predict", "table-1", "x.npy").code == 0
    assert dlx("predict", "table-1", "x.npy", "--exact").code == 0
    assert len(asked) == 3


def remembered(run: Run) -> str:
    """Make a run's model.onnx; why there is none."""
    return keep.remember(run, load_predictor(run).network, made_up(run.info()), files.sha256(run.model_file))


def hostile(world: Path, change: str) -> onnx.ModelProto:
    """A model.onnx that does what none of dlx does."""
    model = onnx.load_model(world / "model.onnx")
    if change == "reads a file":
        (world / "secret").write_bytes(b"\0" * 4000)
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="secret")
    elif change == "an operator of its own":
        model.opset_import.add(domain="custom", version=1)
        model.graph.node[0].domain = "custom"
    elif change == "reads a file in a sparse tensor":
        (world / "secret").write_bytes(b"\0" * 4000)
        sparse = model.graph.sparse_initializer.add(dims=[1])
        sparse.values.data_location = onnx.TensorProto.EXTERNAL
        sparse.values.external_data.add(key="location", value="secret")
    elif change == "an operator of ONNX Runtime":
        model.opset_import.add(domain="com.microsoft", version=1)
        model.graph.node[0].domain = "com.microsoft"
    elif change == "words for an answer":
        model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.STRING
    elif change == "two outputs":
        model.graph.output.append(onnx.helper.make_tensor_value_info("more", 1, None))
        model.graph.node.append(onnx.helper.make_node("Identity", [model.graph.output[0].name], ["more"]))
    elif change == "no metadata":
        del model.metadata_props[:]
    elif change == "metadata of another kind":
        model.metadata_props[0].value = "[1]"
    return model


@pytest.mark.parametrize(
    "change",
    [
        "reads a file",
        "an operator of its own",
        "two outputs",
        "no metadata",
        "metadata of another kind",
        "torn",
        "empty",
    ],
)
def test_a_strangers_file_is_data(runs: Path, world: Path, change: str) -> None:
    """Refused without a file read or code run; then the run predicts by its network."""
    run = Run.open(shutil.copytree(runs / "table-1", world / "table-1"))
    assert remembered(run) == ""
    path = run.path / "model.onnx"
    if change in ("torn", "empty"):
        path.write_bytes(path.read_bytes()[:300] if change == "torn" else b"")
    else:
        onnx.save_model(hostile(run.path, change), path)
    with pytest.raises(RunError, match="not a model that dlx has made"):
        onnx_model.open_model(run.path)
    assert onnx_model.of_run(run) is None


def test_answers_of_another_shape_are_an_error(runs: Path, world: Path) -> None:
    run = Run.open(shutil.copytree(runs / "table-1", world / "table-1"))
    assert remembered(run) == ""
    model = onnx_model.open_model(run.path)
    wrong = onnx_model.OnnxModel(model.session, {**model.record, "classes": ["a", "b"]})
    with pytest.raises(DataError, match=r"an answer has the shape \(3,\), expected \(2,\)"):
        list(wrong.answers([np.zeros((1, 4))]))


def test_a_model_takes_images_of_every_size(runs: Path, world: Path, dlx: Dlx) -> None:
    """It brings them to the shape of the training as `predict` does, but for a level of 255 here and there."""
    path = world / "model.onnx"
    subject = subject_of(Run.open(runs / "image-1"))
    conversion.convert(subject, "onnx", path)
    model = onnx_model.open_model(world)
    photo = np.random.default_rng(1).integers(0, 256, (45, 31), np.uint8)
    small = np.asarray(Image.fromarray(photo).resize((8, 8), Image.Resampling.BILINEAR))
    (whole,), (resized,) = model.answers([photo[None, ..., None]]), model.answers([small[None, ..., None]])
    assert whole == pytest.approx(resized, abs=0.02)


def test_a_published_run_is_left_as_it_is(runs: Path, world: Path) -> None:
    """Its model.onnx goes into the cache, and is found there; git, which obeys the folder, is not asked."""
    repository = world / "repository"
    run = Run.open(shutil.copytree(runs / "table-1", repository / "table-1"))
    (world / "hook").write_text(f"#!/bin/sh\ntouch {world}/harmed\n")
    (world / "hook").chmod(0o755)
    for words in (["init", "-q"], ["add", "table-1/run.json"], ["config", "core.fsmonitor", str(world / "hook")]):
        subprocess.run(["git", "-C", str(repository), *words], check=True)
    assert remembered(run) == ""
    assert not (run.path / "model.onnx").exists()
    assert onnx_model.of_run(run) is not None
    assert not (world / "harmed").exists()
    other = Run.open(shutil.copytree(runs / "table-1", repository / "table-2"))
    assert remembered(other) == ""
    assert (other.path / "model.onnx").is_file()  # of a repository, but not in it


def test_a_model_that_has_changed_meanwhile_gets_none(runs: Path, world: Path) -> None:
    run = Run.open(shutil.copytree(runs / "table-1", world / "table-1"))
    loaded = load_predictor(run, exact=False)
    with zipfile.ZipFile(run.model_file, "a") as archive:
        archive.writestr("more", "1")
    assert keep.remember(run, loaded.network, made_up(run.info()), loaded.digest) == ""
    assert not (run.path / "model.onnx").exists()


def test_what_cannot_be_made_is_said_once(runs: Path, world: Path, dlx: Dlx, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(runs / "table-1", world / "runs" / "table-1")
    np.save(world / "x.npy", np.zeros((1, 4), np.float32))
    monkeypatch.setattr(onnx_format, "OPSET", 99)
    first, second = dlx("predict", "table-1", "x.npy"), dlx("predict", "table-1", "x.npy")
    assert "no model.onnx, predict asks Keras: cannot be written as onnx" in " ".join(first.err.split())
    assert (second.code, second.err, second.out) == (0, "", first.out)


def test_a_long_training_leaves_one_and_a_failure_is_a_line_of_the_log(
    world: Path, dlx: Dlx, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world / "iris.yaml").write_text(SPECS["table"])
    assert dlx("run", "iris.yaml").code == 0
    assert not (world / "runs/iris-1/model.onnx").exists()  # it would take longer than the training
    monkeypatch.setattr(keep, "seconds", lambda network: 0.0)
    assert dlx("run", "iris.yaml").code == 0
    assert onnx_model.open_model(world / "runs/iris-2").record["check"]["data"] == "validation"
    monkeypatch.setattr(onnx_format, "OPSET", 99)
    assert dlx("run", "iris.yaml").code == 0
    assert not (world / "runs/iris-3/model.onnx").exists()
    assert "no model.onnx: cannot be written as onnx" in (world / "runs/iris-3/log.txt").read_text()


def test_a_model_that_answers_otherwise_is_none(runs: Path, world: Path) -> None:
    subject = subject_of(Run.open(runs / "table-1"))
    subject.answers[0] += 1e-4
    with pytest.raises(TrainingError, match=r"differ from those of the network by up to 0\.0001"):
        conversion.convert(subject, "onnx", world / "model.onnx")


@pytest.mark.parametrize("quantize", ["dynamic", "static", "float16"])
@pytest.mark.parametrize("form", ["onnx", "litert"])
def test_a_quantised_model_is_judged_by_its_figure(runs: Path, world: Path, form: str, quantize: Any) -> None:
    subject = subject_of(Run.open(runs / "image-1"))
    path = world / f"model{ENDS[form]}"
    found = conversion.convert(subject, form, path, quantize, tolerance=0.2)
    assert found.figure == "accuracy"
    metrics = api.load(runs / "image-1").metrics
    assert found.before == pytest.approx(metrics["val_accuracy"], abs=1e-6)
    assert abs((found.after or 0) - (found.before or 0)) < 0.2
    with pytest.raises(TrainingError, match="--tolerance allows more"):
        conversion.convert(subject, form, path, quantize, tolerance=-1.0)
    unknown = dataclasses.replace(subject, examples=made_up(subject.info))
    with pytest.raises(DataError, match="data cannot be loaded"):
        conversion.convert(unknown, form, path, quantize)


# As a user types it


def test_the_command_writes_a_whole_file_or_none(runs: Path, world: Path, dlx: Dlx) -> None:
    place = ["--runs-dir", runs]
    result = dlx("export", "table-1", "--to", "onnx", *place)
    assert result.code == 0
    assert "table-1.onnx" in result.out
    assert "examples of validation, alone and in sevens: differs by" in " ".join(result.out.split())
    assert onnx_model.open_model(world, "table-1.onnx").record["run"] == "table-1"
    assert dlx("export", "table-1", "--to", "onnx", *place).code == 0  # once more, in its place
    (world / "mine.onnx").write_text("mine")
    taken = dlx("export", "table-1", "--to", "onnx", "-o", "mine.onnx", *place)
    assert (taken.code, (world / "mine.onnx").read_text()) == (2, "mine")
    assert "is no model that dlx has exported" in taken.err
    assert "leave -o and --quantize out" in dlx("export", "table-1", "--benchmark", "-o", "x", *place).err
    refused = dlx("export", "table-1", "--to", "saved_model", "--quantize", "float16", *place)
    assert refused.code == 4
    assert "a SavedModel is not quantised" in refused.err
    assert {path.name for path in world.iterdir()} >= {"table-1.onnx", "mine.onnx"}
    assert not [path.name for path in world.iterdir() if "partial" in path.name or "saved_model" in path.name]
    assert "expected one of --to FORMAT and --benchmark" in dlx("export", "table-1", *place).err
    inside = dlx("export", "table-1", "--to", "onnx", "-o", runs / "table-1" / "x.onnx", *place)
    assert "is inside the run table-1, in which nothing but dlx writes" in " ".join(inside.err.split())


def test_nothing_of_the_users_is_lost(runs: Path, world: Path, dlx: Dlx) -> None:
    place = ["--runs-dir", runs]
    harm = f"open({str(world / 'harmed')!r}, 'w')"
    (world / "zipfile.py").write_text(harm)  # a file of the working directory is no module of dlx
    assert dlx("export", "table-1", "--to", "saved_model", "-o", "served", *place).code == 0
    assert not (world / "harmed").exists()
    (world / "served" / "notes.txt").write_text("mine")
    (world / "settings.json").write_text('{"dlx": "mine"}')
    os.mkfifo(world / "pipe")
    before = {path: path.read_bytes() for path in world.rglob("*") if path.is_file()}
    for form, target in (
        ("onnx", "served"), ("saved_model", "served"), ("onnx", "settings.json"), ("litert", "settings.json"),
        ("onnx", "pipe"), ("onnx", runs / "image-1" / "run.json"),
    ):  # fmt: skip
        result = dlx("export", "table-1", "--to", form, "-o", target, *place)
        assert (form, target, result.code) == (form, target, 2), result.err
    missing = dlx("export", "table-1", "--to", "onnx", "-o", "/proc/none/x.onnx", *place)
    assert missing.code == 5
    after = {path: path.read_bytes() for path in world.rglob("*") if path.is_file()}
    assert after == before


def test_a_process_that_dies_is_an_error(runs: Path, world: Path, dlx: Dlx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(world / "python"))
    (world / "python").write_text("#!/bin/sh\necho the converter has crashed >&2\nkill -ABRT $$\n")
    (world / "python").chmod(0o755)
    result = dlx("export", "table-1", "--to", "onnx", "--runs-dir", runs)
    assert result.code == 4
    assert "has ended: the converter has crashed" in " ".join(result.err.split())


@pytest.mark.slow
def test_the_table_of_all_formats(runs: Path, dlx: Dlx) -> None:
    result = dlx("export", "image-1", "--benchmark", "--runs-dir", runs)
    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines()]
    assert [row[0] for row in rows] == ["format", "keras", *["onnx"] * 4, *["litert"] * 4, "saved_model"]
