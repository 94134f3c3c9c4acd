"""The contract on JAX: what a person types works where TensorFlow is not installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from conftest import CONFIGS, SMALL, Dlx, modules_after

from dlx.errors import TrainingError
from dlx.system import backend

here = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
CONVOLUTIONS = SMALL.replace("flatten,", "{conv2d: {filters: 4, kernel_size: 3}}, batch_normalization, flatten,")


def installed(monkeypatch: pytest.MonkeyPatch, *names: str, gpu: bool = False) -> None:
    """As if these backends were installed, and JAX saw a GPU or not."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in names else None)
    monkeypatch.setattr(backend, "_jax_sees_gpu", lambda: gpu)


def test_auto_is_tensorflow_on_a_cpu_and_jax_on_a_gpu_that_it_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "tensorflow", "jax")
    assert backend.choose("auto", "auto") == "tensorflow"
    installed(monkeypatch, "tensorflow", "jax", gpu=True)
    assert backend.choose("auto", "auto") == backend.choose("auto", "gpu:1") == "jax"
    assert backend.choose("auto", "cpu") == "tensorflow"
    assert backend.choose("tensorflow", "gpu") == "tensorflow"
    installed(monkeypatch, "jax")
    assert backend.choose("auto", "auto") == backend.choose("auto", "cpu") == "jax"
    installed(monkeypatch, "tensorflow", gpu=True)
    assert backend.choose("auto", "gpu") == "tensorflow"


def test_a_backend_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "tensorflow")
    with pytest.raises(TrainingError, match="'jax' is not installed") as caught:
        backend.choose("jax", "auto")
    assert "pip install jax" in caught.value.hint
    installed(monkeypatch)
    with pytest.raises(TrainingError, match="neither TensorFlow nor JAX"):
        backend.choose("auto", "auto")


@here
@pytest.mark.slow  # .ci/run has such an experiment where TensorFlow is not installed
def test_an_experiment_on_jax_from_end_to_end(shell: Dlx, world: Path) -> None:
    (world / "small.yaml").write_text(CONVOLUTIONS)
    first = shell("run", "small.yaml", "--backend", "jax", "--json")
    assert first.code == 0, first.err
    done = first.lines[0]
    assert done["metrics"]["test_accuracy"] > 0.3
    info = json.loads((world / done["run"] / "run.json").read_text())
    assert (info["backend"], info["device"]) == ("jax", "cpu")
    assert "jax" in info["versions"]
    assert "tensorflow" not in info["versions"]
    again = shell("run", "small.yaml", "--backend", "jax", "--json")
    assert {k: v for k, v in again.lines[0]["metrics"].items() if "second" not in k} == {
        k: v for k, v in done["metrics"].items() if "second" not in k
    }
    picture = CONFIGS.parent / "tests" / "data" / "seven.png"
    found = [
        shell("predict", "small", str(picture), "--json", "--backend", name)
        for name in ("jax", *(["tensorflow"] if importlib.util.find_spec("tensorflow") else []))
    ]
    for result in found:  # the other backend reads the same model
        assert result.code == 0, result.err
        assert result.lines[0]["probabilities"] == pytest.approx(found[0].lines[0]["probabilities"], abs=1e-4)
    assert shell("compare", "runs/*").code == 0


@here
def test_jax_imports_no_tensorflow(world: Path) -> None:
    (world / "small.yaml").write_text(SMALL)
    code = (
        "from dlx.cli import main\n"
        "try: main(['run', 'small.yaml', '-s', 'epochs=1', '--backend', 'jax'])\nexcept SystemExit as e: assert e.code == 0"
    )
    modules = modules_after(code)
    assert "jax" in modules
    assert not modules & {"tensorflow", "torch", "matplotlib"}


def test_tensorflow_imports_nothing_that_dlx_does_not_use() -> None:
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("TensorFlow is not installed")
    modules = modules_after("from dlx.system import backend\nbackend.want('tensorflow')\nbackend.load()")
    assert "tensorflow" in modules
    assert not modules & {"jax", "torch", "matplotlib", "pandas", "sklearn", "scipy"}
