"""dlx run, end to end: outcomes, signals, repeats, and the same numbers every time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CONFIGS, GATE, SMALL, Dlx

import dlx as api
from dlx import spec as specs
from dlx.engine.plan import Progress
from dlx.errors import DataError, DiskError
from dlx.runs.run import Run
from dlx.training import program_cache
from dlx.training.experiment import prepare
from dlx.training.tracker import Tracker


def history(path: Path) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in Run(path).history()]


def test_a_gate_learns_its_truth_table(dlx: Dlx, world: Path) -> None:
    result = dlx("run", CONFIGS / "or_gate.yaml", "--json")
    (line,) = result.lines
    assert line["metrics"]["train_loss"] <= 0.00065
    assert line["metrics"]["train_accuracy"] == 1.0
    assert line["metrics"]["epochs"] == 2000
    (world / "gate.csv").write_text("0,0\n0,1\n1,0\n1,1\n")
    answers = dlx("predict", "or_gate", "gate.csv", "--json").lines
    assert [answer["label"] for answer in answers] == ["0", "1", "1", "1"]
    assert set(answers[0]["probabilities"]) == {"0", "1"}


def test_xor_needs_its_hidden_layer(dlx: Dlx) -> None:
    whole = dlx("run", CONFIGS / "xor_gate.yaml", "--json").lines[0]["metrics"]
    without = dlx("run", CONFIGS / "xor_gate.yaml", "-s", "layers.hidden=null", "--json").lines[0]["metrics"]
    assert whole["train_accuracy"] == 1.0
    assert without["train_accuracy"] <= 0.75


def test_the_same_spec_gives_the_same_history_in_another_process(shell: Dlx, dlx: Dlx, world: Path) -> None:
    (world / "r.yaml").write_text(SMALL + "augment: [{shift: 0.1}]\nschedule: {cosine: {warmup: 0.1}}\n")
    assert dlx("run", "r.yaml").code == 0
    assert shell("run", "r.yaml").code == 0
    first, second = history(world / "runs/r-1"), history(world / "runs/r-2")
    assert len(first) == 3
    assert first == second
    assert dlx("run", "r.yaml", "-s", "seed=1").code == 0
    assert history(world / "runs/r-3") != first


def test_repeat_counts_the_seed_up(dlx: Dlx, gate: Path, world: Path) -> None:
    assert dlx("run", gate, "--repeat", 3).code == 0
    seeds = [Run(world / "runs" / f"gate-{n}").info()["settings"]["seed"] for n in (1, 2, 3)]
    assert seeds == [42, 43, 44]


def test_several_specs_and_one_that_fails(dlx: Dlx, gate: Path, world: Path) -> None:
    (world / "bad.yaml").write_text(SMALL + "optimizer: sgd\nlr: 1.0e+30\nregularization: {l2: 1.0e+10}\n")
    result = dlx("run", "bad.yaml", gate, "--json")
    assert result.code == 4
    assert [line["status"] for line in result.lines] == ["failed", "done"]
    assert "the loss is not finite at step" in result.err
    assert "try the rate that this optimizer is usually used with" in result.err
    failure = json.loads((world / "runs/bad-1/failure.json").read_text())
    assert failure["kind"] == "failed"
    assert not (world / "runs/bad-1/metrics.json").exists()
    assert dlx("list").out.count("failed") == 1


def test_what_is_wrong_with_one_spec_is_said_before_another_starts(dlx: Dlx, gate: Path, world: Path) -> None:
    (world / "shape.yaml").write_text(SMALL.replace("flatten, ", ""))
    result = dlx("run", gate, "shape.yaml")
    assert result.code == 2
    assert result.err.index("shape.yaml:4") < result.err.index("epoch")
    assert [path.name for path in (world / "runs").iterdir()] == ["gate-1"]


def test_steps_instead_of_epochs(dlx: Dlx, small: Path) -> None:
    metrics = dlx("run", small, "-s", "epochs=null", "-s", "steps=30", "--json").lines[0]["metrics"]
    assert (metrics["steps"], metrics["epochs"]) == (30, 2)


def test_full_batches_and_no_validation(dlx: Dlx, small: Path) -> None:
    metrics = dlx("run", small, "-s", "batch_size=full", "-s", "validation=none", "-s", "test=none", "--json").lines[0][
        "metrics"
    ]
    assert metrics["steps"] == 3
    assert not [key for key in metrics if key.startswith(("val_", "test_"))]


def test_validation_on_the_test_split_is_marked(dlx: Dlx, small: Path) -> None:
    metrics = dlx("run", small, "-s", "validation=test", "--json").lines[0]["metrics"]
    assert metrics["test_is_validation"] is True
    assert metrics["val_loss"] == metrics["test_loss"]


def test_a_regression(dlx: Dlx, world: Path) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 3))
    rows = "\n".join(f"{a:.4f},{b:.4f},{c:.4f},{2 * a - b + 0.5:.4f}" for a, b, c in x)
    (world / "t.csv").write_text(f"a,b,c,y\n{rows}\n")
    (world / "r.yaml").write_text(
        "dataset: {csv: {path: t.csv, label: y}}\npreprocess: [normalize]\nlayers: [output]\ntest: 0.2\nlr: 0.05\nepochs: 60\n"
    )
    metrics = dlx("run", "r.yaml", "--json").lines[0]["metrics"]
    assert metrics["test_mae"] < 0.02
    (world / "new.csv").write_text("c,b,a\n9,1,2\n")
    (line,) = dlx("predict", "r", "new.csv", "--json").lines
    assert set(line) == {"input", "value"}
    assert line["value"] == pytest.approx(3.5, abs=0.1)


def test_a_deeper_net_of_every_kind_trains(dlx: Dlx, world: Path) -> None:
    (world / "deep.yaml").write_text(
        "dataset: digits\ntest: 0.2\npreprocess: [{standardize: channel}]\n"
        "augment: [{flip: horizontal}, {rotate: 10}, {zoom: 0.1}, {crop: 1}]\nlayers:\n"
        "  - conv2d: {filters: 8, kernel_size: 3, padding: same, use_bias: false}\n  - batch_normalization\n"
        "  - repeat:\n      times: 2\n      layers:\n        - residual: [{conv2d: {filters: 8, kernel_size: 3, padding: same}}]\n"
        "  - global_average_pooling2d\n  - output\nregularization: {l2: 0.0001, except: output}\nepochs: 2\n"
        "early_stop: 2\nmonitor: val_accuracy\noptimizer: {adamw: {clipnorm: 1.0}}\nprecision: mixed_bfloat16\n"
    )
    result = dlx("run", "deep.yaml", "--json")
    assert result.code == 0, result.err
    assert result.lines[0]["metrics"]["best_epoch"] in (1, 2)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_politely(dlx: Dlx, small: Path, world: Path, number: int, code: int) -> None:
    words = [sys.executable, "-m", "dlx", "run", str(small), str(small), "-s", "epochs=1000000"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ), text=True)
    run = Run(world / "runs" / "small-1")
    deadline = time.monotonic() + 90
    while len(run.history()) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert run.status == "running"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "interrupted; the best weights so far and the history are in runs/small-1" in out
    assert "Traceback" not in err
    assert run.status == "interrupted"
    assert json.loads((run.path / "failure.json").read_text())["kind"] == "interrupted"
    assert not (world / "runs" / "small-2").exists()
    np.save(world / "x.npy", np.zeros((2, 8, 8, 1), np.uint8))
    assert dlx("predict", "small", "x.npy").code == 0


def test_a_gpu_that_is_not_there_is_exit_4(shell: Dlx, gate: Path, world: Path) -> None:
    result = shell("run", gate, "--device", "gpu:77")
    assert result.code == 4
    assert "--device gpu:77: TensorFlow sees" in result.err
    assert not (world / "runs").exists()


def test_the_terminal_is_quiet_and_says_the_plan_first(shell: Dlx, small: Path) -> None:
    result = shell("run", small)
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].startswith("small")
    assert "guessing the most frequent one scores 10" in result.out
    assert max(map(len, lines + result.err.splitlines())) <= 80
    for noise in ("tensorflow", "cuda", "oneDNN", "WARNING", "I0000", "absl"):
        assert noise not in result.err
    assert "\x1b" not in result.out + result.err


def test_without_a_terminal_about_twenty_lines(shell: Dlx, small: Path) -> None:
    for epochs in (3, 200):
        result = shell("run", small, "-s", f"epochs={epochs}")
        lines = [line for line in result.err.splitlines() if line.startswith("epoch")]
        assert min(epochs, 3) <= len(lines) <= 22
        assert lines[-1].startswith(f"epoch {epochs}/{epochs}")


def test_json_is_alone_on_standard_output(shell: Dlx, gate: Path) -> None:
    result = shell("run", gate, gate, "--json")
    assert [line["status"] for line in result.lines] == ["done", "done"]
    assert "epoch" in result.err


# The Python API


def test_the_python_api_twice_in_one_process(small: Path, world: Path) -> None:
    first = api.run(str(small), lr=0.01, **{"layers.dropout.rate": 0.3})
    second = api.run(str(small), lr=0.01, **{"layers.dropout.rate": 0.3})
    assert first.settings["layers.2.dropout.rate"] == 0.3
    assert history(first.path) == history(second.path)
    array = np.random.default_rng(0).integers(0, 255, (300, 8, 8, 1)).astype(np.uint8)
    for path in (first.path, second.path):
        predictions = api.load(path).predict(array)
        assert predictions.shape == (300, 10)
        assert np.allclose(predictions.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(api.predict(first.path, array), api.predict(second.path, array))
    records = api.compare([first.path, second.path])
    assert [set(record) for record in records] == [{"run", "status", "settings", "metrics"}] * 2


def test_the_python_api_compiles_once_for_runs_that_differ_in_numbers(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []
    compile_program = program_cache.compile_program
    monkeypatch.setattr(program_cache, "compile_program", lambda *a: compiled.append(a) or compile_program(*a))
    new = {"layers.dense.units": 13}  # of which no other test has made a program
    rates = [api.run(str(small), lr=lr, **new).settings["lr"] for lr in (0.01, 0.02)]
    assert (rates, len(compiled)) == ([0.01, 0.02], 1)
    api.run(str(small), lr=0.01, batch_size=32, **new)
    assert len(compiled) == 2


def test_check_finds_the_run_of_its_weights_in_the_runs_folder(dlx: Dlx, gate: Path, world: Path) -> None:
    assert dlx("run", gate, "--runs-dir", "elsewhere").code == 0
    assert "there are no runs in runs yet" in dlx("check", gate, "-s", "weights=gate").err
    assert dlx("check", gate, "-s", "weights=gate", "--runs-dir", "elsewhere").code == 0


def test_the_saved_model_predicts_the_same_in_plain_keras(dlx: Dlx, small: Path, world: Path) -> None:
    assert dlx("run", small).code == 0
    array = np.random.default_rng(0).integers(0, 255, (40, 8, 8, 1)).astype(np.uint8)
    np.save(world / "x.npy", array)
    code = (
        "import keras, numpy as np, sys; model = keras.models.load_model('runs/small-1/model.keras'); "
        "np.save('out.npy', model.predict(np.load('x.npy'), verbose=0)); assert 'dlx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert np.allclose(np.load(world / "out.npy"), api.load("runs/small-1").predict(array), atol=1e-6)


def test_every_config_has_a_description() -> None:
    for path in CONFIGS.glob("[!_]*.yaml"):
        assert "description: " in path.read_text(), path


def _real_data() -> Path:
    """The folder with real data sets that DLX_TEST_DATA names."""
    return Path(os.environ.get("DLX_TEST_DATA", "nowhere"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file", "spec"),
    [("mnist", "mnist.npz", "mnist_softmax"), ("cifar10", "cifar10-jpeg.tar.xz", "cifar_medium_lr")],
)
def test_real_data(dlx: Dlx, name: str, file: str, spec: str) -> None:
    if not (_real_data() / file).is_file():
        pytest.skip(f"DLX_TEST_DATA names no folder with {file}")
    assert dlx("data", "add", name, _real_data() / file).code == 0
    metrics = dlx("run", CONFIGS / f"{spec}.yaml", "-s", "epochs=1", "-s", "dataset.limit=10000", "--json").lines[0][
        "metrics"
    ]
    assert metrics["val_accuracy"] > (0.8 if name == "mnist" else 0.3)


def test_a_step_that_ruins_the_weights_is_a_failure(dlx: Dlx, world: Path) -> None:
    """The loss of an epoch is known before its last update: the weights must be looked at too."""
    (world / "x.yaml").write_text(
        "dataset: moons\nvalidation: none\nlayers: [{dense: {units: 4, activation: relu}}, output]\n"
        "optimizer: sgd\nlr: 1.0e+38\nregularization: {l2: 1000}\nbatch_size: full\nepochs: 1\n"
    )
    result = dlx("run", "x.yaml", "--json")
    assert result.code == 4, result.err
    assert result.lines[0]["status"] == "failed"
    assert not (world / "runs/x-1/model.keras").exists()


def test_missing_data_stops_only_its_own_run(dlx: Dlx, gate: Path, world: Path) -> None:
    (world / "miss.yaml").write_text("dataset: {npz: nowhere.npz}\nlayers: [output]\n")
    for order in (("miss.yaml", gate), (gate, "miss.yaml")):
        result = dlx("run", *order, "--json")
        assert result.code == 3
        assert sorted(line["status"] for line in result.lines) == ["done", "failed"]


def test_the_command_in_a_run_names_no_folder(world: Path) -> None:
    from dlx.training.provenance import _relative

    words = [
        "dataset={csv: {path: /home/someone/t.csv, label: y}}",
        "/home/someone/x.yaml",
        "path=~/secret/x.npz",
        "configs/a.yaml",
        "lr=0.1",
    ]
    assert [_relative(word) for word in words] == [
        "dataset={csv: {path: …/t.csv, label: y}}", "…/x.yaml", "path=…/x.npz", "configs/a.yaml", "lr=0.1"
    ]  # fmt: skip


def test_activity_regularizers_are_in_the_final_figures(dlx: Dlx, world: Path) -> None:
    (world / "a.yaml").write_text(
        "dataset: iris\nlayers: [{dense: {units: 4, activity_regularizer: {l2: 0.01}}}, output]\nepochs: 2\nmonitor: val_loss\n"
    )
    result = dlx("run", "a.yaml", "--json")
    assert result.code == 0, result.err
    best = min(row["val_loss"] for row in Run(world / "runs/a-1").history())
    assert result.lines[0]["metrics"]["val_loss"] == pytest.approx(best, rel=1e-4)


def test_an_image_that_breaks_in_the_middle_of_a_training_costs_no_weights(dlx: Dlx, world: Path) -> None:
    from PIL import Image

    for number in range(40):
        path = world / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 6), 250 * (number % 2)).save(path)
    (world / "s.yaml").write_text(
        "dataset: {image_folder: {path: photos, grayscale: true, in_memory: false}}\ntest: none\nvalidation: 0.2\n"
        "layers: [flatten, output]\nbatch_size: 8\nepochs: 400\n"
    )
    from dlx.data import images

    read, count = images.read_image, [0]

    def broken(*args: Any, **more: Any) -> Any:
        count[0] += 1
        if count[0] > 300:
            raise DataError("cannot be read as an image", where="photos/a/0.png")
        return read(*args, **more)

    images.read_image = broken
    try:
        result = dlx("run", "s.yaml")
    finally:
        images.read_image = read
    assert result.code == 3
    assert "photos/a/0.png" in result.out + result.err
    assert (world / "runs" / "s-1" / "model.keras").is_file()
    assert Run(world / "runs" / "s-1").status == "failed"


# Several specs, and ends at which something cannot be written


def test_the_good_ones_of_several_specs_are_trained(dlx: Dlx, gate: Path, world: Path) -> None:
    """What is wrong with the others is said before the first begins: of the spec, of its size, of its weights."""
    (world / "typo.yaml").write_text(GATE.replace("lr:", "learnrate:"))
    (world / "big.yaml").write_text(GATE.replace("layers: [", "layers: [{dense: 100000000}, {dense: 100000000}, "))
    (world / "from.yaml").write_text(GATE + "weights: nobody\n")
    words = ("typo.yaml", "gate.yaml", "big.yaml", "from.yaml", "gate.yaml")
    result = dlx("run", *words, "-s", "epochs=2", "--json")
    assert result.code == 2
    assert [line["status"] for line in result.lines] == ["failed", "failed", "failed", "done", "done"]
    assert sorted(path.name for path in (world / "runs").iterdir()) == ["gate-1", "gate-2"]
    for text in ("typo.yaml:5:1: unknown key 'learnrate'", "big.yaml:3:1: layers", "weights: unknown run 'nobody'"):
        assert result.err.index(text) < result.err.index("epoch 2/2")
    assert result.err.count("unknown key") == 1


@pytest.mark.parametrize("product", ["model.keras", "predictions.npz"])
def test_a_full_disk_at_the_end_costs_no_figures(
    dlx: Dlx, small: Path, world: Path, monkeypatch: pytest.MonkeyPatch, product: str
) -> None:
    """The run is failed, its figures are in failure.json, and it ends as it would have when there is room."""
    assert dlx("run", small, "--name", "whole").code == 0
    replacing = Run.replacing

    def full(run: Run, name: str) -> Any:
        if name == product:
            raise DiskError("cannot write (No space left on device)", where=str(run.path))
        return replacing(run, name)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "replacing", full)
        result = dlx("run", small, "--name", "full")
    assert result.code == 5
    assert f"{product} cannot be written" in result.out + result.err
    failure = json.loads((world / "runs/full-1/failure.json").read_text())
    whole = json.loads((world / "runs/whole-1/metrics.json").read_text())
    assert failure["metrics"]["test_loss"] == whole["test_loss"]
    assert dlx("resume", "full").code == 0
    ended = json.loads((world / "runs/full-1/metrics.json").read_text())
    assert {k: v for k, v in ended.items() if "second" not in k} == {
        k: v for k, v in whole.items() if "second" not in k
    }


@pytest.mark.parametrize("breaks", ["dlx.training.results._save_model", "dlx.training.tensorboard.TensorBoard.ended"])
def test_what_cannot_be_written_for_another_reason_costs_nothing_else(
    dlx: Dlx, gate: Path, world: Path, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    def broken(*_: Any) -> None:
        raise DeprecationWarning("of a library")

    monkeypatch.setattr(breaks, broken)
    result = dlx("run", gate)
    assert result.code == 0, result.err
    assert "cannot be written: DeprecationWarning: of a library" in " ".join(result.out.split())
    assert (world / "runs/gate-1/metrics.json").exists()
    assert "cannot be written" in (world / "runs/gate-1/log.txt").read_text()
    assert len(list((world / "runs/gate-1/checkpoints").iterdir())) == 1


def test_warnings_that_are_errors_lose_no_training(shell: Dlx, gate: Path, world: Path) -> None:
    result = shell("run", gate, "-s", "epochs=2", PYTHONWARNINGS="error")
    assert result.code == 0, result.err
    assert (world / "runs/gate-1/model.keras").exists()


def test_names_outside_ascii_in_a_locale_of_ascii(shell: Dlx, gate: Path, world: Path) -> None:
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (world / "words.csv").write_text("a,b,kind\n" + "1,2,x\n3,4,y\n" * 10)
    (world / "words.csv").rename(world / "wörter.csv")
    (world / "t.yaml").write_text(GATE.replace("dataset: or", "dataset: {csv: {path: wörter.csv, label: kind}}"))
    result = shell(
        "run", "t.yaml", "-s", "epochs=2", "--name", "naïve_样", "--tag", "été", "-s", "description=où", **ascii_alone
    )
    assert result.code == 0, result.err
    run = world / "runs/naïve_样-1"
    settings = json.loads((run / "run.json").read_text())["settings"]
    assert (settings["name"], settings["tags"], settings["description"]) == ("naïve_样", ["été"], "où")
    assert (run / "metrics.json").exists()


def test_a_full_disk_for_the_last_checkpoint_costs_no_figures(
    dlx: Dlx, small: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise DiskError("cannot keep a checkpoint (No space left on device)")

    with monkeypatch.context() as patch:
        patch.setattr("dlx.training.checkpoints.commit", full)
        patch.setattr("dlx.training.tracker.CheckpointKeeper.due", lambda keeper: False)
        result = dlx("run", small)
    assert result.code == 5
    assert "test_loss" in (world / "runs/small-1/failure.json").read_text()
    assert (world / "runs/small-1/model.keras").exists()
    assert "best weights, epoch" in result.err


def test_metrics_of_user_code_get_one_kind_of_number(dlx: Dlx, world: Path) -> None:
    (world / "own.py").write_text(
        "import keras\nimport dlx\n\n@dlx.metric\ndef close(targets, predictions):\n"
        '    """Twice the absolute error."""\n'
        "    return keras.ops.convert_to_tensor([2.0]) * keras.ops.abs(targets - predictions)\n"
    )
    np.savez(world / "v.npz", x=np.arange(60.0)[:, None], y=1e6 + np.arange(60.0))
    (world / "v.yaml").write_text(
        "imports: [own.py]\ndataset: {npz: v.npz}\ntask: regression\npreprocess: [normalize]\nlayers: [output]\n"
        "metrics: [mae, close]\nepochs: 2\n"
    )
    result = dlx("run", "v.yaml", "--allow-code", "--json")
    assert result.code == 0, result.err
    metrics = result.lines[0]["metrics"]
    assert metrics["val_close"] == pytest.approx(2 * metrics["val_mae"], rel=1e-2)  # of 1e6 in float32


def test_the_rate_is_that_of_the_training_without_its_validations(world: Path) -> None:
    spec = world / "m.yaml"
    spec.write_text("dataset: moons\nlayers: [output]\nvalidation: 0.5\nbatch_size: 10\nepochs: 2\n")
    experiment = prepare(specs.load(spec))
    tracker = Tracker(experiment)
    step = 0
    for steps, seconds, ends in ((1, 9.0, False), (5, 1.0, False), (4, 5.0, True), (5, 1.0, False), (5, 5.0, True)):
        step += steps
        tracker.add(Progress(
            step=step, epochs=step // 10, state={}, rows=[{"epoch": 1}] if ends else [], logged=[], seconds=seconds,
            best_epoch=None, stopped=False, carried=0.0, resumable=True,
        ))  # fmt: skip
    examples = len(experiment.splits.train) / experiment.steps_per_epoch
    assert tracker.examples_per_second() == pytest.approx(10 * examples / 2.0)
