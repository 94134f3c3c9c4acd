"""`dlx watch`: a training followed from its files."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Dlx

from dlx.commands.watch import curve, page

ROWS = [{"epoch": n, "step": 10 * n, "train_loss": 1 / n, "val_loss": 2 / n, "seconds": 3.0} for n in range(1, 21)]


def test_a_run_that_has_ended_is_shown_in_lines(dlx: Dlx, gate_run: Path) -> None:
    done = dlx("watch", "gate")
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line.split()[1][:3] for line in lines[:2]] == ["1/2", "2/2"]
    assert lines[2] == "gate-1: done; dlx show gate-1"


def test_where_nothing_runs_it_says_so(dlx: Dlx, gate_run: Path) -> None:
    done = dlx("watch")
    assert done.code == 2
    assert "no run is running" in done.err


def test_a_running_training_is_followed_to_its_end(dlx: Dlx, world: Path) -> None:
    (world / "m.yaml").write_text("dataset: moons\nlayers: [{dense: 8}, output]\nepochs: 3000\n")
    before = {path: path.read_bytes() for path in world.rglob("*") if path.is_file()}
    command = [sys.executable, "-m", "dlx", "run", "m.yaml"]
    with subprocess.Popen(command, cwd=world, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as training:
        history = world / "runs" / "m-1" / "history.jsonl"
        until = time.monotonic() + 60
        while not history.exists() and time.monotonic() < until:
            time.sleep(0.05)
        done = dlx("watch")
        assert training.wait() == 0
    numbers = [int(number) for number in re.findall(r"^epoch +(\d+)/3000", done.out, re.M)]
    assert numbers == list(range(1, 3001))
    assert done.out.splitlines()[-1].startswith("m-1: done")
    assert all(path.read_bytes() == raw for path, raw in before.items())


def test_a_page_has_the_curve_the_last_epochs_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = page("x-1", ROWS, "val_loss", 50, "running")
    assert lines[0] == "x-1  val_loss"
    assert sum(line.startswith("epoch ") and "/50" in line for line in lines) == 8
    assert lines[-1] == "epoch 20 of 50, running, best val_loss 0.1000 at epoch 20, about 90 s left"
    assert max(map(len, lines)) <= 80
    assert page("x-1", [], "val_loss", 50, "running") == ["x-1: running, no epoch yet"]


@pytest.mark.parametrize("values", [[1.0], [1.0, None, 3.0], [2.0, 2.0], [float("nan"), 1.0], list(range(1000))])
def test_a_curve_fits_and_leaves_gaps_where_there_is_no_figure(values: list[float | None]) -> None:
    lines = curve(values, 60)
    assert len(lines) == 8
    assert max(map(len, lines)) <= 60
    assert curve([None, float("inf")], 60) == []
    bars = lines[-1].split(" ", 1)[1]
    missing = [place for place, value in enumerate(values[:40]) if value is None or value != value]
    assert all(bars[place] == " " for place in missing)
