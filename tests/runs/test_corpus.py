"""Runs of every released version and each kind, as `corpus.py` left them: this dlx can use all of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Dlx

from dlx.system import backend, machine

CORPUS = Path(__file__).parent / "corpus"
VERSIONS = sorted(path.name for path in CORPUS.iterdir())
RUNS = [(version, path.stem) for version in VERSIONS for path in sorted((CORPUS / version).glob("*.yaml"))]
ANSWERED = [(version, kind) for version, kind in RUNS if kind != "stopped"]


@pytest.fixture
def corpus(world: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the runs of a version, as if this machine had made them: another one's processor continues nothing."""
    monkeypatch.setenv("DLX_ALLOW_CODE", "1")
    shutil.copytree(CORPUS / request.param, world, dirs_exist_ok=True)
    for path in (world / "runs").glob("*/run.json"):
        info = json.loads(path.read_text())
        for key in ("processor", "versions", "threads"):
            info.pop(key)
        path.write_text(json.dumps(info))
    return world


def inputs(world: Path, kind: str) -> str:
    """What the kind's answers are about."""
    first = json.loads((world / f"{kind}.answers.jsonl").read_text().splitlines()[0])
    return str(first["input"]).split(":")[0].split("[")[0]


def figures(record: Any) -> list[float]:
    """Every number of an answer, in order."""
    if isinstance(record, dict):
        return [number for key, value in record.items() if key != "input" for number in figures(value)]
    if isinstance(record, list):
        return [number for value in record for number in figures(value)]
    return [float(record)] if isinstance(record, (int, float)) else []


@pytest.mark.parametrize("corpus", VERSIONS, indirect=True)
def test_they_are_listed_shown_and_compared(dlx: Dlx, corpus: Path) -> None:
    kinds = sorted(path.stem for path in corpus.glob("*.yaml"))
    assert len(kinds) >= 8
    records = {Path(one["run"]).name: one for one in dlx("list", "--json").lines[0]["runs"]}
    assert {name: one["status"] for name, one in records.items()} == {
        f"{kind}-1": "interrupted" if kind == "stopped" else "done" for kind in kinds
    }
    compared = dlx("compare", "runs/*", "--json").lines[0]["runs"]
    assert all(one["settings"] and "reason" not in one for one in compared)
    for kind in kinds:
        shown = dlx("show", f"{kind}-1")
        assert shown.code == 0, shown.err
        assert f"runs/{kind}-1" in shown.out


@pytest.mark.parametrize(("corpus", "kind"), ANSWERED, indirect=["corpus"])
def test_they_answer_the_same(dlx: Dlx, corpus: Path, kind: str) -> None:
    asked = inputs(corpus, kind)
    exact = dlx("predict", kind, asked, "--exact", "--json", "--allow-code")
    assert exact.code == 0, exact.err
    before = (corpus / f"{kind}.answers.jsonl").read_text()
    info = json.loads((CORPUS / corpus_version(corpus) / "runs" / f"{kind}-1" / "run.json").read_text())
    here = {**backend.versions(), "processor": machine.processor()}
    if {**info["versions"], "processor": info["processor"]} == here:  # else other kernels, and their last digits
        assert exact.out == before
    plain = dlx("predict", kind, asked, "--json", "--allow-code")
    for result in (exact, plain):
        assert len(result.lines) == len(before.splitlines())
        for now, then in zip(result.lines, map(json.loads, before.splitlines()), strict=True):
            assert now.get("label") == then.get("label")
            np.testing.assert_allclose(figures(now), figures(then), rtol=1e-5, atol=1e-5)


def corpus_version(corpus: Path) -> str:
    """The version whose runs a folder holds."""
    return str(json.loads((corpus / "runs" / "table-1" / "run.json").read_text())["dlx"]).split("+")[0]


@pytest.mark.parametrize(("corpus", "kind"), ANSWERED, indirect=["corpus"])
def test_they_are_drawn(dlx: Dlx, corpus: Path, kind: str) -> None:
    done = dlx("plot", kind, "--only", "overview,layers")
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 2


@pytest.mark.parametrize(("corpus", "kind"), RUNS, indirect=["corpus"])
def test_they_continue(dlx: Dlx, corpus: Path, kind: str) -> None:
    if kind == "jax":
        pytest.importorskip("jax")
        pytest.skip("its backend is chosen once for a process")
    history = corpus / "runs" / f"{kind}-1" / "history.jsonl"
    epochs = len(history.read_text().splitlines()) + 1
    done = dlx("resume", f"{kind}-1", "-s", f"epochs={epochs}", "--allow-code")
    assert done.code == 0, done.err
    (child,) = (path for path in (corpus / "runs").iterdir() if path.name == f"{kind}-2")
    assert len((child / "history.jsonl").read_text().splitlines()) == epochs
    kept = history.read_text().splitlines()
    assert (child / "history.jsonl").read_text().splitlines()[: len(kept)] == kept


@pytest.mark.parametrize(("corpus", "kind"), ANSWERED, indirect=["corpus"])
def test_their_weights_begin_another_training(dlx: Dlx, corpus: Path, kind: str) -> None:
    done = dlx("run", f"{kind}.yaml", "-s", f"weights={kind}-1", "-s", "epochs=0", "--name", "next", "--allow-code")
    assert done.code == 0, done.err
    with_weights = json.loads((corpus / "runs" / "next-1" / "metrics.json").read_text())
    before = json.loads((corpus / "runs" / f"{kind}-1" / "metrics.json").read_text())
    assert with_weights["val_loss"] == pytest.approx(before["val_loss"], rel=1e-4)
