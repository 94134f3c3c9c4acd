"""A training as it goes on, in a terminal and in a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

from dlx.commands.training_screen import no_better
from dlx.data.dataset import Split
from dlx.data.splits import Splits
from dlx.training.progress_bar import epoch_line

SPEC = "dataset: moons\nlayers: [output]\nepochs: 40\nvalidation: 0.2\nseed: 1\n"
ROW = {
    "epoch": 9, "step": 90, "train_loss": 0.4791, "train_accuracy": 0.8336, "val_loss": 0.7307, "val_accuracy": 0.7705,
    "learning_rate": 0.0008, "seconds": 50.1,
}  # fmt: skip


def in_terminal(folder: Path, columns: int, *words: str, code: int = 0) -> str:
    """What a terminal of so many columns is sent by a command that ends with the code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "dlx", *words]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            parts.append(part)
    os.close(ours)
    assert process.returncode == code, b"".join(parts)
    return b"".join(parts).decode()


def test_in_a_terminal_epochs_stay_and_a_bar_moves_under_them(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(SPEC)
    sent = in_terminal(tmp_path, 120, "run", "m.yaml")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent)
    kept = re.findall(r"epoch +(\d+)/40[ *] loss [0-9.]+  accuracy [0-9.]+ %  val_loss", plain)
    assert list(map(int, kept)) == list(range(2, 41, 2))
    assert "reading the data …" in plain
    assert "loading TensorFlow …" in plain or "loading JAX …" in plain
    assert re.search(r"━.* epoch \d+/40  loss [0-9.]+  val_loss [0-9.]+  best val_loss [0-9.]+ \(\d+\)", plain)
    assert plain.index("done in") > plain.rindex("━")


def test_in_a_pipe_nothing_moves(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(SPEC)
    done = subprocess.run(
        [sys.executable, "-m", "dlx", "run", "m.yaml"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
    )  # fmt: skip
    assert "\x1b" not in done.stdout + done.stderr
    assert len(re.findall(r"^epoch ", done.stderr, re.M)) == 20
    assert "loading" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (40, "epoch  9/50* loss 0.4791"),
        (60, "epoch  9/50* loss 0.479  val_loss 0.731  val_accuracy 77.0 %"),
        (80, "epoch  9/50* loss 0.479  accuracy 83.4 %  val_loss 0.731  val_accuracy 77.0 %"),
        (120, "epoch  9/50* loss 0.4791  accuracy 83.36 %  val_loss 0.7307  val_accuracy 77.05 %  lr 0.0008  50 s"),
    ],
)
def test_a_line_holds_what_its_width_does(monkeypatch: pytest.MonkeyPatch, columns: int, line: str) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert epoch_line(ROW, 50, best=True, scheduled=True) == line


def test_a_figure_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "val_loss nan" in epoch_line({**ROW, "val_loss": None}, 50, best=False)
    assert epoch_line(ROW, 50, best=False).startswith("epoch  9/50  loss")


def test_in_a_terminal_an_error_has_a_mark_what_was_meant_and_a_caret(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("dataset: digits\nlayers:\n  - densee: {units: 3}\n  - output\n")
    sent = in_terminal(tmp_path, 60, "check", "bad.yaml", code=2)
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent).splitlines()]
    assert lines == [
        "✗ bad.yaml:3:5: layers.0: unknown layer 'densee'",
        "  → did you mean 'dense'?",
        "  3 │   - densee: {units: 3}",
        "          ^",
    ]
    assert "\x1b[31m✗" in sent  # red


def test_in_a_terminal_no_word_of_an_error_is_broken(tmp_path: Path) -> None:
    sent = in_terminal(tmp_path, 40, "compare", "a-run-that-nobody-has-made", code=2)
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent).splitlines()]
    assert all(len(line) <= 40 for line in lines)
    assert "'a-run-that-nobody-has-made'" in " ".join(lines).split()


def test_done_is_green_above_guessing_and_else_yellow(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(SPEC)
    assert "\x1b[1;32mdone in" in in_terminal(tmp_path, 100, "run", "m.yaml", "-s", "lr=0.1")
    # The network answers the same to all, so it is right on the most frequent class alone.
    constant = "dataset: moons\nlayers: [{dense: {units: 1, kernel_initializer: zeros}}, {output: {kernel_initializer: zeros}}]\n"
    (tmp_path / "c.yaml").write_text(constant + "epochs: 0\nvalidation: none\ntest: 0.5\n")
    sent = in_terminal(tmp_path, 100, "run", "c.yaml")
    assert "\x1b[1;33mdone in" in sent
    assert "no better than guessing the most frequent class (5" in sent


@pytest.mark.parametrize(
    ("task", "metrics", "words"),
    [
        ("classification", {"test_accuracy": 0.6}, ""),
        ("classification", {"test_accuracy": 0.57}, "no better than guessing the most frequent class (50.0 %)"),
        ("regression", {"test_mae": 0.4}, ""),
        ("regression", {"test_mae": 0.5}, "no better than always answering the mean of train (mae 0.5)"),
        ("multi_label", {"test_accuracy": 0.1}, ""),
    ],
)
def test_what_is_no_better_than_guessing(task: str, metrics: dict[str, float], words: str) -> None:
    targets = np.arange(100) % 2
    split = Split(targets[:, None], targets, np.arange(100))
    facts = SimpleNamespace(task=task, classes=("a", "b"))
    experiment: Any = SimpleNamespace(splits=Splits(split, None, split), facts=facts)
    assert no_better(experiment, metrics) == words
