"""What a person is told before a training, and by `dlx check`: what each `auto` stands for."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import Dlx

NUMBERS = "dataset: {csv: {path: d.csv, label: y}}\ntask: regression\nlayers: [{dense: 3}, output]\nepochs: 1\n"


def test_the_plan_says_the_range_of_the_inputs_the_head_and_the_loss(dlx: Dlx, gate: Path) -> None:
    done = dlx("run", gate, "-s", "epochs=1")
    assert "preprocess  none: the network takes the inputs as they are, 0 to 1" in done.out
    assert "output      dense(" in done.out
    assert "; loss " in done.out


def test_the_plan_of_a_regression_and_its_head(dlx: Dlx, world: Path) -> None:
    (world / "d.csv").write_text("x,y\n" + "".join(f"{x},{2 * x}\n" for x in range(40)))
    (world / "d.yaml").write_text(NUMBERS)
    done = dlx("run", "d.yaml", "-s", "preprocess=[normalize]")
    assert "output      dense(1), linear; loss mean_squared_error" in done.out
    assert "preprocess  normalize" in done.out


def test_check_names_the_function_of_an_activation_and_the_head(dlx: Dlx, world: Path) -> None:
    (world / "m.yaml").write_text("dataset: moons\nlayers: [{dense: 3}, {activation: relu}, output]\n")
    lines = dlx("check", "m.yaml").out.splitlines()
    assert [line.split()[1:3] for line in lines if "Activation" in line] == [
        ["Activation", "relu"],
        ["Activation", "softmax"],
    ]
    assert lines[-1] == "output: dense(2), softmax; loss categorical_crossentropy"


@pytest.mark.parametrize(
    ("text", "comments"),
    [
        (
            "dataset: iris\nlayers: [output]\n",
            {"task": "classification", "loss": "categorical_crossentropy", "metrics": "accuracy", "monitor": "val_loss",
             "test": "none: the data has no test split", "  - {output": "dense(3), softmax"},
        ),
        (
            "dataset: moons\nvalidation: none\nlayers: [{output: {activation: sigmoid}}]\nmetrics: [auc]\n",
            {"task": "classification", "loss": "binary_crossentropy", "monitor": "train_loss",
             "test": "none: the data has no test split", "  - {output": "dense(1), sigmoid"},
        ),
    ],
)  # fmt: skip
def test_print_says_what_each_auto_stands_for(dlx: Dlx, world: Path, text: str, comments: dict[str, str]) -> None:
    (world / "s.yaml").write_text(text)
    printed = dlx("check", "s.yaml", "--print").out
    found = {line.partition(":")[0]: line.partition("  # ")[2] for line in printed.splitlines() if "  # " in line}
    assert found == comments
    (world / "again.yaml").write_text(printed)
    assert dlx("check", "again.yaml", "--print").out == printed


def test_print_works_where_the_data_is_not_there(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text("dataset: {csv: {path: nowhere.csv, label: y}}\nlayers: [output]\n")
    done = dlx("check", "s.yaml", "--print")
    assert done.code == 0
    assert "loss: auto\n" in done.out


def test_check_watches_a_file_and_checks_it_again_when_it_is_saved(world: Path) -> None:
    spec = world / "w.yaml"
    spec.write_text("dataset: moons\nlayers: [output]\n")
    command = [sys.executable, "-m", "dlx", "check", "w.yaml", "--watch"]
    with subprocess.Popen(command, cwd=world, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as watching:
        assert watching.stdout is not None
        (limit := threading.Timer(100, watching.kill)).start()  # else a line that never comes is waited for
        lines = iter(watching.stdout.readline, "")
        assert any("watching" in line for line in lines)
        spec.write_text("dataset: moons\nlayers: [outputt]\n")
        assert any("unknown layer 'outputt' (did you mean 'output'?)" in line for line in lines)
        assert any("watching" in line for line in lines)
        spec.write_text("dataset: moons\nlayers: [{dense: 3}, output]\n")
        assert any("w.yaml: ok" in line for line in lines)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=30) == 130
        limit.cancel()
