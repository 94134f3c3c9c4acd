"""A run once more: equal to the bit, within rounding, or from which epoch on it differs, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Dlx

from dlx.insight.reproduction import judge, ordered
from dlx.runs.run import Run

SPEC = "dataset: digits\npreprocess: [rescale]\nlayers: [flatten, {dense: 8}, {dropout: 0.1}, output]\nepochs: 3\n"


def made(folder: Path, rows: list[dict[str, Any]]) -> Run:
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"format": 1, "settings": {}}))
    (folder / "history.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return Run(folder)


def rows(last: float | None = 0.5, count: int = 3) -> list[dict[str, Any]]:
    return [
        {"epoch": n, "step": n * 9, "train_loss": 1.0 / n if n < count else last, "seconds": 1.0 * n}
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize(
    ("other", "equal", "epoch"),
    [
        (rows(), "bits", None),
        (rows(0.5 * (1 + 1e-6)), "rounding", 3),
        (rows(0.6), "no", 3),
        (rows(None), "no", 3),
        (rows(count=2), "no", 3),
    ],
)
def test_histories_are_judged(tmp_path: Path, other: list[dict[str, Any]], equal: str, epoch: int | None) -> None:
    for row in other:
        row["seconds"] = 9.0
    found = judge(made(tmp_path / "a", rows()), made(tmp_path / "b", other))
    assert (found.equal, found.epoch) == (equal, epoch)
    assert found.sentence
    assert found.predictions is None


def test_the_most_likely_cause_comes_first() -> None:
    lines = ["numpy was 1, is 2", "threads was 1, is 2", "lr was 0.1, is 0.2", "backend was jax, is tensorflow"]
    assert [line.split(" was")[0] for line in ordered(lines)] == ["lr", "backend", "threads", "numpy"]


def test_a_run_is_reproduced_to_the_bit(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text(SPEC)
    assert dlx("run", "s.yaml").code == 0
    result = dlx("reproduce", "s-1")
    assert result.code == 0
    text = " ".join(result.out.split())
    assert "s-1 and s-2: equal to the bit: every figure of 3 epochs is the same, and so are the predictions" in text
    assert "conditions the same" in text
    assert json.loads((world / "runs" / "s-2" / "run.json").read_text())["parent"] == "s-1"
    record = dlx("reproduce", "s-1", "--json").lines[-1]
    assert record["equal"] == "bits"
    assert record["differences"] == []


def test_a_run_that_differs_says_where_and_why(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text(SPEC)
    assert dlx("run", "s.yaml").code == 0
    spec = world / "runs" / "s-1" / "spec.yaml"
    spec.write_text(spec.read_text().replace("seed: 42", "seed: 43", 1))
    result = dlx("reproduce", "s-1")
    assert result.code == 4
    text = " ".join(result.out.split())
    assert "differs from epoch 1 on: " in text
    assert "differs seed was 42, is 43" in text


def test_what_has_no_training_cannot_be_reproduced(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text(SPEC)
    dlx("baseline", "s.yaml")
    assert "no training to repeat" in dlx("reproduce", "s_baseline_guess-1").err
