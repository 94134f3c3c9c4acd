"""Runs from anybody are read with bounds, and without links."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Dlx


def test_a_spec_beneath_a_run_is_no_link(dlx: Dlx, gate_run: Path, world: Path) -> None:
    (gate_run / "spec.yaml").rename(world / "moved.yaml")
    (gate_run / "spec.yaml").symlink_to(world / "moved.yaml")
    np.save(world / "x.npy", np.zeros((1, 2)))
    result = dlx("predict", gate_run, "x.npy")
    assert result.code == 2
    assert "is a link" in result.err


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"kind": "series", "encoding": {"columns": ["a"], "window": 2, "horizon": 10**10}}, "horizon 10000000000"),
        ({"kind": "text", "encoding": {"column": "a", "vocabulary": [], "sequence_length": 10**13}}, "sequence_length"),
        ({"kind": "text", "encoding": {}}, "no column"),
        ({"kind": "table", "encoding": {"columns": ["a"], "categories": [1]}}, "categories"),
        ({"kind": "table", "encoding": 5}, "lacks what prediction needs"),
    ],
)
def test_an_encoding_that_does_not_fit_is_refused(
    dlx: Dlx, gate_run: Path, world: Path, said: dict[str, Any], reason: str
) -> None:
    info = json.loads((gate_run / "run.json").read_text())
    (gate_run / "run.json").write_text(json.dumps({**info, "input": {**info["input"], **said}}))
    (world / "x.csv").write_text("a\n1\n")
    result = dlx("predict", gate_run, "x.csv")
    assert result.code == 2, result.err
    assert "run.json lacks what prediction needs" in result.err
    assert reason in " ".join(result.err.split())


def test_strange_json_of_runs_is_compared_all_the_same(dlx: Dlx, gate_run: Path) -> None:
    info = json.loads((gate_run / "run.json").read_text())
    layers = {f"layers.{number}.dense.units": number for number in range(2000)}
    changes: list[dict[str, Any]] = [
        {"dataset": None},
        {"settings": {**info["settings"], **layers}},
        {"settings": {**info["settings"], **dict(list(layers.items())[:1900]), "layers." + "9" * 5000: 1}},
        {"input": {"shape": 5}},
        {"settings": {**info["settings"], "seed": 7}},
    ]
    for number, change in enumerate(changes, 2):
        shutil.copytree(gate_run, twin := gate_run.with_name(f"gate-{number}"))
        (twin / "run.json").write_text(json.dumps({**info, **change}))
        metrics = json.loads((twin / "metrics.json").read_text())
        (twin / "metrics.json").write_text(json.dumps({**metrics, "train_loss": 1.7e308}))
        with (twin / "history.jsonl").open("a") as stream:
            stream.write('{"train_loss": 1.2.3}\n{"train_loss": 0.5}\n')
    for words in (["compare", f"{gate_run.parent}/*"], ["list"], ["plot", f"{gate_run.parent}/*", "--only", "curves"]):
        result = dlx(*words)
        assert "internal error" not in result.err, words
        assert result.code in (0, 2), result.err
