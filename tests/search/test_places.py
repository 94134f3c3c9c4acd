"""Where the trials of a sweep train: this process, several as one program, processes beside it."""

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
from conftest import Dlx

SPEC = """\
dataset: digits
test: 0.2
preprocess: [rescale]
layers: [flatten, {dense: {units: 8, activation: relu}}, {dropout: 0.2}, output]
batch_size: 64
epochs: 4
sweep: {lr: log 1e-3..1e-1, layers.dropout.rate: 0.1..0.5}
search: {random: {trials: 6}}
"""


@pytest.fixture
def spec(world: Path) -> Path:
    path = world / "s.yaml"
    path.write_text(SPEC)
    return path


def apart(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, whose backend is its own."""
    command = [sys.executable, "-m", "dlx", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def trials(folder: Path) -> dict[str, Path]:
    """The runs of a folder by what their trial chose."""
    found: dict[str, Path] = {}
    for path in folder.glob("s-*"):
        values = json.dumps(json.loads((path / "run.json").read_text())["trial"]["values"])
        assert values not in found, "a trial is there once"
        found[values] = path
    return found


def rows(path: Path) -> np.ndarray:
    kept = [json.loads(line) for line in (path / "history.jsonl").read_text().splitlines()]
    return np.array([[value for key, value in row.items() if key != "seconds"] for row in kept], float)


def test_lanes_are_the_runs_that_each_would_be_alone(spec: Path, world: Path) -> None:
    pytest.importorskip("jax")
    options = ("--backend", "jax", "--device", "cpu")
    together = apart("sweep", "s.yaml", *options, "--lanes", "3", "--runs-dir", "together")
    alone = apart("sweep", "s.yaml", *options, "--lanes", "0", "--runs-dir", "alone")
    assert (together.returncode, alone.returncode) == (0, 0), together.stderr + alone.stderr
    ours, theirs = trials(world / "together"), trials(world / "alone")
    assert set(ours) == set(theirs)
    assert len(ours) == 6
    for values, path in ours.items():
        np.testing.assert_allclose(rows(path)[0], rows(theirs[values])[0], atol=1e-5)
        # The last digits of float32 grow with every step, on which side of a relu's edge a number falls among them.
        np.testing.assert_allclose(rows(path), rows(theirs[values]), atol=5e-3)
        one, other = (json.loads((p / "metrics.json").read_text()) for p in (path, theirs[values]))
        assert one["test_loss"] == pytest.approx(other["test_loss"], abs=5e-3)
        assert json.loads((path / "run.json").read_text())["lanes"] == 3
        assert {p.name for p in path.iterdir()} == {p.name for p in theirs[values].iterdir()}
    again = apart("sweep", "s.yaml", *options, "--runs-dir", "together")
    assert "6 of them finished before" in again.stdout
    resumed = apart("resume", "s-1", "-s", "epochs=6", "--runs-dir", "together")
    assert resumed.returncode == 0, resumed.stderr


def test_a_lane_that_diverges_fails_alone(world: Path) -> None:
    pytest.importorskip("jax")
    (world / "s.yaml").write_text(SPEC.replace("preprocess: [rescale]\n", "optimizer: sgd\n").partition("sweep:")[0])
    words = ["-s", "lr=0.001,1e30,0.002", "--backend", "jax", "--device", "cpu", "--lanes", "3", "--json"]
    done = apart("sweep", "s.yaml", *words)
    statuses = sorted(json.loads(line)["status"] for line in done.stdout.splitlines())
    assert statuses == ["done", "done", "failed"], done.stderr
    assert done.returncode == 4
    failures = [json.loads(p.read_text()) for p in (world / "runs").glob("*/failure.json")]
    assert [failure["diverged"] for failure in failures] == [True]


def test_workers_train_what_one_process_would(spec: Path, world: Path) -> None:
    done = apart("sweep", "s.yaml", "--jobs", "2", "--device", "cpu", "--lanes", "0")
    assert done.returncode == 0, done.stderr
    found = trials(world / "runs")
    assert len(found) == 6
    infos = [json.loads((path / "run.json").read_text()) for path in found.values()]
    assert {info["threads"] for info in infos} == {max(len(os.sched_getaffinity(0)) // 2, 1)}
    assert {info["parent"] for info in infos} == {"s"}
    assert sorted(info["trial"]["number"] for info in infos) == [1, 2, 3, 4, 5, 6]
    assert all("-s lr=" not in info["command"] for info in infos)
    assert all(any(text.startswith("lr=") for text in info["changed"]) for info in infos)
    logs = sorted(path.name for path in (world / "runs/.sweeps").glob("*.log"))
    assert logs == ["s-worker-1.log", "s-worker-2.log"]


def test_a_killed_worker_is_replaced_and_a_stop_is_polite(world: Path) -> None:
    text = SPEC.replace("epochs: 4", "epochs: 1500").replace("{random: {trials: 6}}", "{random: {trials: 3}}")
    (world / "s.yaml").write_text(text)
    command = [sys.executable, "-m", "dlx", "sweep", "s.yaml", "--jobs", "2", "--device", "cpu", "--lanes", "0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    _until(lambda: len(list((world / "runs").glob("s-*/history.jsonl"))) == 2)
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True)
    victim = int(children.stdout.split()[0])
    os.kill(victim, signal.SIGKILL)
    _until(lambda: str(victim) not in _children(process.pid) and len(_children(process.pid)) == 2)
    _until(lambda: sum((path / "lock").exists() for path in (world / "runs").glob("s-*")) >= 2)
    time.sleep(6.0)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "the same command continues" in said
    assert len(trials(world / "runs")) == 2
    for path in (world / "runs").glob("s-*"):
        assert list((path / "checkpoints").iterdir())
    stopped = [json.loads(path.read_text())["kind"] for path in (world / "runs").glob("s-*/failure.json")]
    assert stopped
    assert set(stopped) == {"interrupted"}
    assert _children(process.pid) == []


def _children(pid: int) -> list[str]:
    return subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()


def _until(true: Any, most: float = 90.0) -> None:
    deadline = time.monotonic() + most
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_status_and_export_train_nothing(dlx: Dlx, spec: Path, world: Path) -> None:
    done = dlx("sweep", "s.yaml", "--status")
    assert done.code == 0
    assert "0 of 6 trials" in done.out
    assert not (world / "runs").exists()
    assert dlx("sweep", "s.yaml", "--status", "--dry-run").code == 2
    assert dlx("sweep", "s.yaml", "--status", "--json").code == 2


def test_a_search_as_a_user_types_it(dlx: Dlx, spec: Path, world: Path) -> None:
    first = dlx("sweep", "s.yaml", "--search", "tpe", "--trials", "3", "--prune", "asha")
    assert first.code == 0, first.err
    assert "tpe: 3 trials by val_loss, pruned by asha" in first.out
    assert "3 of 3 trials" in first.out
    assert "best by val_loss: s-" in first.out
    more = dlx("sweep", "s.yaml", "--search", "tpe", "--trials", "5", "--prune", "asha")
    assert "5 of 5 trials" in more.out
    assert len(trials(world / "runs")) == 5
    pruned = [p for p in trials(world / "runs").values() if (p / "failure.json").exists()]
    assert pruned
    for path in pruned:
        assert json.loads((path / "failure.json").read_text())["kind"] == "pruned"
        assert list((path / "checkpoints").iterdir())
        assert "pruned: epoch 1" in dlx("show", path.name).out
    listed = dlx("list", "--status", "pruned", "-q")
    assert sorted(listed.out.split()) == sorted(path.name for path in pruned)
    nothing = dlx("resume")
    assert "no run is interrupted" in nothing.err
    continued = dlx("resume", pruned[0].name)
    assert continued.code == 0, continued.err
    assert (pruned[0] / "metrics.json").exists()


def test_dry_run_of_a_search_measures_each_structure_once(dlx: Dlx, spec: Path) -> None:
    done = dlx("sweep", "s.yaml", "--dry-run")
    assert done.code == 0, done.err
    assert "for 6 trials like these" in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--search", "tpee"], "unknown search 'tpee' (did you mean 'tpe'?)"),
        (["--search", "grid"], "needs a search"),
        (["--prune", "ash"], "unknown pruner 'ash'"),
        (["-s", "search.objectives=test_accuracy"], "would choose by the test split"),
        (["--search", "cma_es", "-s", "lr=0.1"], "needs two ranges or more"),
        (["-s", "search.objectives=[val_loss, parameters]", "--prune", "asha"], "by one objective"),
        (["-s", "lr=log 0..1"], "a log range begins above 0"),
        (["-s", "layers.*.drop.rate=0.1,0.2"], "did you mean"),
    ],
)
def test_mistakes_are_said_before_anything_trains(
    dlx: Dlx, spec: Path, words: list[str], said: str, world: Path
) -> None:
    done = dlx("sweep", "s.yaml", *words)
    assert done.code == 2
    assert said in done.err
    assert not list((world / "runs").glob("s-*")) if (world / "runs").exists() else True


def test_lanes_train_every_epoch_however_many_a_chunk_has_room_for(world: Path) -> None:
    pytest.importorskip("jax")
    (world / "s.yaml").write_text(
        "dataset: or\nvalidation: none\nlayers: [output]\noptimizer: sgd\nbatch_size: full\nepochs: 3000\n"
    )
    words = ["-s", "lr=0.1,0.2", "--lanes", "2", "--backend", "jax", "--device", "cpu", "--json"]
    done = apart("sweep", "s.yaml", *words, timeout=200)
    assert done.returncode == 0, done.stderr
    for number in (1, 2):
        run = world / "runs" / f"s-{number}"
        assert json.loads((run / "run.json").read_text())["lanes"] == 2
        assert json.loads((run / "metrics.json").read_text())["steps"] == 3000
        assert [json.loads(line)["epoch"] for line in (run / "history.jsonl").read_text().splitlines()] == list(
            range(1, 3001)
        )
