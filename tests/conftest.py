"""What the tests share: a small world in a temporary folder, and dlx as a person types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dlx.training.program_cache import ProgramCache

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"

GATE = """\
dataset: or
validation: none
layers: [{output: {units: 1, activation: sigmoid}}]
optimizer: sgd
lr: 2
loss: mean_squared_error
batch_size: full
epochs: 50
"""

SMALL = """\
dataset: digits
test: 0.2
preprocess: [rescale]
layers: [flatten, {dense: {units: 16, activation: relu}}, {dropout: 0.1}, output]
batch_size: 64
epochs: 3
"""


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]


Dlx = Callable[..., Result]
CACHE = ProgramCache()  # what one test compiled serves the next


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backend", default="auto", help="what Keras runs on: auto, tensorflow or jax")


def pytest_configure(config: pytest.Config) -> None:
    from dlx.system import backend

    # Named, so that no `dlx check` of this process takes JAX for it.
    backend.want(backend.choose(config.getoption("--backend"), "auto"))


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, with an empty data store and no Keras cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLX_DATA", str(tmp_path / "store"))
    monkeypatch.setenv("DLX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("dlx.training.session.ProgramCache", lambda: CACHE)
    for name in ("DLX_RUNS", "DLX_DEBUG", "DLX_ALLOW_CODE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def dlx(capsys: pytest.CaptureFixture[str]) -> Dlx:
    """dlx in this process: same code, same exit codes, without starting Keras again each time."""

    def call(*words: object) -> Result:
        from dlx.cli import main

        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        streams = capsys.readouterr()
        return Result(int(ended.value.code or 0), streams.out, streams.err)

    return call


@pytest.fixture
def shell() -> Dlx:
    """dlx as a program of its own."""

    def call(*words: object, stdin: bytes | None = None, **environment: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "dlx", *map(str, words)],
            input=stdin,
            capture_output=True,
            env={**os.environ, **environment},
            timeout=120,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


@pytest.fixture
def gate(world: Path) -> Path:
    path = world / "gate.yaml"
    path.write_text(GATE)
    return path


@pytest.fixture
def gate_run(dlx: Dlx, gate: Path, world: Path) -> Path:
    """The directory of a finished run of the gate."""
    assert dlx("run", gate, "-s", "epochs=2").code == 0
    return world / "runs" / "gate-1"


@pytest.fixture
def small(world: Path) -> Path:
    path = world / "small.yaml"
    path.write_text(SMALL)
    return path


def modules_after(code: str, *arguments: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `code`."""
    script = f"{code}\nimport sys\nprint('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("MODULES")), None)
    assert line is not None, done.stderr
    return {name.split(".")[0] for name in line.split()[1:]}
