"""The run directory: its files, its derived status, and how a RUN is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Dlx

from dlx import __version__
from dlx.errors import DiskError, DlxError, RunError
from dlx.runs import find
from dlx.runs.run import Run

FILES = {
    "spec.yaml",
    "run.json",
    "history.jsonl",
    "metrics.json",
    "model.keras",
    "predictions.npz",
    "tensorboard",
    "log.txt",
    "checkpoints",
    "lock",
}


def make(root: Path, name: str = "x") -> Run:
    run = Run.create(root, name)
    run.begin("dataset: or\n", {"settings": {}, "started": 1.0})
    return run


def test_a_run_directory_holds_what_the_contract_says(dlx: Dlx, small: Path, world: Path) -> None:
    result = dlx("run", small, "--name", "n", "--tag", "a", "--tag", "b", "-s", "epochs=2", "--json")
    assert result.code == 0, result.err
    (line,) = result.lines
    assert set(line) == {"run", "status", "metrics"}
    assert (line["run"], line["status"]) == ("runs/n-1", "done")
    path = world / "runs" / "n-1"
    assert {entry.name for entry in path.iterdir()} == FILES

    info = json.loads((path / "run.json").read_text())
    assert info["format"] == 1
    assert info["dlx"].startswith(f"{__version__}+g") or not (ROOT / ".git").exists()
    assert info["input"]["shape"] == [8, 8, 1]
    assert info["classes"] == [str(n) for n in range(10)]
    assert info["dataset"]["train"] + info["dataset"]["validation"] + info["dataset"]["test"] == 1797
    assert len(info["dataset"]["fingerprint"]) == 64
    assert info["settings"]["layers.1.dense.units"] == 16
    assert info["settings"]["tags"] == ["a", "b"]
    assert set(info["versions"]) == {"python", "keras", "numpy", "tensorflow"}
    assert info["threads"] >= 1
    assert str(world) not in json.dumps(info)
    assert os.uname().nodename not in json.dumps(info)

    metrics = json.loads((path / "metrics.json").read_text())
    assert metrics == line["metrics"]
    expected = {f"{split}_{name}" for split in ("train", "val", "test") for name in ("loss", "accuracy")}
    rest = {"best_epoch", "epochs", "steps", "parameters", "train_seconds", "examples_per_second", "total_seconds"}
    assert set(metrics) == expected | rest
    assert metrics["steps"] == 2 * -(-info["dataset"]["train"] // 64)

    rows = [json.loads(text) for text in (path / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert set(rows[0]) == {
        "epoch", "step", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"
    }  # fmt: skip
    assert metrics["train_loss"] == rows[-1]["train_loss"]
    assert metrics["val_loss"] == pytest.approx(rows[metrics["best_epoch"] - 1]["val_loss"], rel=1e-5)

    with np.load(path / "predictions.npz", allow_pickle=False) as saved:
        assert set(saved.files) == {"index", "label", "prediction"}
        assert len(saved["index"]) == info["dataset"]["test"]
        assert saved["prediction"].shape == (info["dataset"]["test"], 10)
        chosen = saved["prediction"].argmax(axis=1)
        assert (saved["label"] == chosen).mean() == pytest.approx(metrics["test_accuracy"])
    assert json.loads((path / "lock").read_text())["pid"] == os.getpid()
    with zipfile.ZipFile(path / "model.keras") as archive:
        assert "dlx" not in archive.read("config.json").decode()


def test_running_the_resolved_spec_repeats_the_run(dlx: Dlx, small: Path, world: Path) -> None:
    dlx("run", small)
    assert dlx("run", "runs/small-1/spec.yaml").code == 0
    first, second = (Run.open(world / "runs" / f"small-{n}") for n in (1, 2))
    assert history(first) == history(second)
    assert first.info()["settings"] == second.info()["settings"]


def history(run: Run) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in run.history()]


def test_paths_in_a_run_are_relative_to_it(dlx: Dlx, world: Path) -> None:
    np.savez(world / "d.npz", x=np.random.default_rng(0).normal(size=(20, 3)), y=np.arange(20) % 2)
    (world / "p.yaml").write_text(f"dataset: {{npz: {world}/d.npz}}\nlayers: [output]\nepochs: 1\nvalidation: none\n")
    assert dlx("run", "p.yaml").code == 0
    assert "npz: {path: ../../d.npz}" in (world / "runs/p-1/spec.yaml").read_text()
    assert dlx("run", "runs/p-1/spec.yaml").code == 0


def test_status_is_derived(world: Path) -> None:
    run = make(world)
    code = f"from dlx.runs.run import Run; from pathlib import Path; print(Run(Path({str(run.path)!r})).status)"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert seen == "running"
    run.release()
    assert run.status == "crashed"
    run.fail("interrupted", "stopped")
    assert run.status == "interrupted"
    run.fail("failed", "the loss is not finite")
    assert run.status == "failed"
    run.finish({"val_loss": float("nan"), "test_loss": float("inf"), "train_loss": 0.5})
    assert run.status == "done"
    assert run.metrics() == {"val_loss": None, "test_loss": None, "train_loss": 0.5}


def test_a_killed_run_is_crashed(world: Path) -> None:
    code = (
        f"import os; from pathlib import Path; from dlx.runs.run import Run\n"
        f"run = Run.create(Path({str(world)!r}), 'k'); run.begin('', {{'settings': {{}}}}); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert Run.open(world / "k-1").status == "crashed"


def test_names_count_up_and_are_never_shared(world: Path) -> None:
    assert [Run.create(world, "x").name for _ in range(3)] == ["x-1", "x-2", "x-3"]
    (world / "x-10").mkdir()
    (world / "x-y-3").mkdir()
    assert Run.create(world, "x").name == "x-11"


def test_a_file_is_written_whole_or_not_at_all(world: Path) -> None:
    run = make(world)
    run.write("a.json", "old")

    def breaks() -> None:
        with run.replacing("a.json") as path:
            path.write_text("half")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        breaks()
    assert (run.path / "a.json").read_text() == "old"
    assert not list(run.path.glob(".*"))


def test_no_permission_is_a_disk_error(world: Path) -> None:
    (world / "file").write_text("x")
    with pytest.raises(DiskError) as caught:
        Run.create(world / "file", "x")
    assert caught.value.exit_code == 5


def test_natural_order() -> None:
    names = ["x-10", "x-2", "x-1", "a", "x2-1"]
    assert sorted(map(Path, names), key=find.natural) == [Path(n) for n in ("a", "x2-1", "x-1", "x-2", "x-10")]


def test_a_run_is_found_by_what_people_type(world: Path) -> None:
    root = world / "runs"
    for number, name in enumerate(("a-1", "a-2", "a-10", "b-1")):
        run = make(root, name.rpartition("-")[0])
        run.path.rename(root / name)
        (root / name / "run.json").write_text(json.dumps({"format": 1, "settings": {}, "started": 100.0 - number}))
    found = {word: [path.name for path in find.find(word, root)] for word in ("a-2", "a", "latest", "a-*", "runs/b-1")}
    assert found == {
        "a-2": ["a-2"],
        "a": ["a-10"],
        "latest": ["a-1"],
        "a-*": ["a-1", "a-2", "a-10"],
        "runs/b-1": ["b-1"],
    }
    with pytest.raises(RunError, match="unknown run 'aa'"):
        find.find("aa", root)
    with pytest.raises(RunError, match="no run matches"):
        find.find("z*", root)
    with pytest.raises(RunError, match="means 3 runs"):
        find.one("a-*", root)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 99, "settings": {}}', '{"format": 1}', "\xff", "[" * 100_000]
)
def test_a_damaged_run_says_why(world: Path, text: str) -> None:
    run = make(world)
    (run.path / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(RunError) as caught:
        Run.open(run.path)
    assert "run.json" in caught.value.message


def test_a_torn_last_line_of_the_history_is_left_out(world: Path) -> None:
    run = make(world)
    run.epochs.append([{"epoch": 1, "val_loss": float("nan")}, {"epoch": 2, "val_loss": 0.5}])
    with (run.path / "history.jsonl").open("a") as stream:
        stream.write('{"epoch": 3, "val')
    assert run.history() == [{"epoch": 1, "val_loss": None}, {"epoch": 2, "val_loss": 0.5}]


# A run of every format opens for ever.


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "runs").glob("format-*")), ids=lambda path: path.name)
def test_a_run_of_every_format_opens(dlx: Dlx, path: Path) -> None:
    assert Run.open(path).status == "done"
    assert dlx("show", path).code == 0
    assert dlx("compare", path).code == 0
    result = dlx("predict", path, ROOT / "tests" / "data" / "gate.csv", "--json")
    assert result.code == 0, result.err
    assert [line["label"] for line in result.lines] == ["0", "1", "1", "1"]


def test_a_folder_of_data_does_not_hide_the_run_of_its_name(world: Path) -> None:
    make(world / "runs", "photos")
    (world / "photos").mkdir()
    assert find.find("photos", world / "runs") == [world / "runs" / "photos-1"]
    assert find.find("photos/", world / "runs") == [Path("photos")]
    (world / "other").mkdir()
    assert find.find("other", world / "runs") == [Path("other")]


def test_a_run_of_before_is_read_in_todays_names(world: Path) -> None:
    from dlx import spec as specs

    old = world / "old.yaml"
    old.write_text(
        "dataset: {image_folder: {path: photos, image_size: 8, label: file_name}}\n"
        "layers: [{pretrained: {network: mobilenet, weights: none}}, flatten, output]\n"
    )
    spec = specs.load(old, alone=True)
    assert spec.dataset.args["labels"] == "filename"
    assert spec.layers[0].args["name"] == "mobilenet"
    with pytest.raises(DlxError, match="unknown parameter 'label'"):
        specs.load(old)


def test_a_regression_of_before_predicts_without_a_scale(dlx: Dlx, world: Path) -> None:
    """Runs without `scaled` in run.json have no layer that puts targets back."""
    np.savez(world / "v.npz", x=np.zeros((30, 2), np.float32), y=np.linspace(5, 6, 30))
    (world / "v.yaml").write_text("dataset: {npz: v.npz}\nlayers: [{output: {scale_targets: false}}]\nepochs: 1\n")
    assert dlx("run", "v.yaml").code == 0
    run = world / "runs" / "v-1"
    info = json.loads((run / "run.json").read_text())
    assert info.pop("scaled") is False
    (run / "run.json").write_text(json.dumps(info))
    (run / "spec.yaml").write_text(
        (run / "spec.yaml").read_text().replace("{output: {scale_targets: false}}", "output")
    )
    np.save(world / "n.npy", np.zeros((1, 2), np.float32))
    assert dlx("predict", "v", "n.npy").code == 0
