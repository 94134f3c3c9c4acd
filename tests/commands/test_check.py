"""`dlx check`: shapes alone give the verdict of the backend that trains, and more than they can tell is left to it."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import Dlx, modules_after

from dlx.spec.parse import write_value
from dlx.training import check

ROOT = Path(__file__).parents[2]
needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX")

# (dataset, layers, more) that Keras or the backend refuses: initializers, axes, ranks.
TRICKY = [
    ("digits", "[{conv2d: {filters: 2, kernel_size: 3, kernel_initializer: identity}}, flatten, output]", ""),
    ("digits", "[flatten, {dense: {units: 3, bias_initializer: orthogonal}}, output]", ""),
    ("digits", "[{reshape: [8, 8]}, {lstm: {units: 3, bias_initializer: identity}}, output]", ""),
    ("iris", "[{softmax: {axis: 5}}, output]", ""),
    ("iris", "[{softmax: {axis: []}}, output]", ""),
    ("digits", "[{layer_normalization: {axis: [1, 1]}}, flatten, output]", ""),
    ("digits", "[{rescaling: {scale: [1, 2]}}, flatten, output]", ""),
    ("iris", "[{transformer_block: {num_heads: 2, key_dim: 4, ff_dim: 8}}, output]", ""),
    ("or", "[output]", "preprocess: [{resize: 8}]"),
]

# The verdict on each spec of a list: its layers and head, or its problems; null where shapes cannot tell.
VERDICTS = """
import json, sys
from pathlib import Path
from dlx import spec as specs
from dlx.errors import DlxError
from dlx.model.network import layer_table
from dlx.system import backend
from dlx.training.check import check, check_shapes, shapes_suffice

def verdict(path, quick):
    try:
        spec = specs.load(path)
        if quick and not (shapes_suffice(spec) and backend.load_jax()):
            return None
        network = (check_shapes if quick else check)(spec, Path("runs"))
        return None if network is None else [layer_table(network), network.head]
    except DlxError as error:
        return str(error)

names = json.loads(Path("names.json").read_text())
Path(sys.argv[1]).write_text(json.dumps({name: verdict(name, sys.argv[1] == "quick") for name in names}))
"""


def texts() -> Iterator[tuple[str, str]]:
    """(name, text) of every spec of the tests, good and broken, that the reader takes or refuses."""
    import test_broken_data as data
    import test_broken_specs as broken
    import test_parts as parts

    for kind, cases in (("reader", broken.READER), ("shapes", broken.SHAPES), ("tasks", data.TASKS)):
        for name, case in cases.items():
            yield f"{kind}_{name}", case[0]
    for number, layer in enumerate([*data.LAYERS, *data.SHAPES, *data.REFUSED]):
        yield f"layer_{number}", data.images_spec("{" + layer + "}" if ":" in layer else layer)
    for number, line in enumerate(data.KEYS):
        yield f"key_{number}", f"dataset: digits\nlayers: [flatten, output]\n{line}\n"
    for number, (dataset, layers, more) in enumerate(TRICKY):
        yield f"tricky_{number}", f"dataset: {dataset}\nlayers: {layers}\n{more}\n"
    for name, (shape, example) in parts.EXAMPLES.items():
        np.savez(f"{name}.npz", x=np.zeros((9, *shape)), y=np.arange(9) % 3)
        layers = [example] if name == "output" else [example, "flatten", "output"]
        for precision in ("float32", "mixed_bfloat16", "mixed_float16") if name != "pretrained" else ():
            yield (
                f"{precision}_{name}",
                f"dataset: {{npz: {{path: {name}.npz}}}}\nlayers: {write_value(layers)}\nprecision: {precision}\n",
            )


@needs_jax
@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_shapes_alone_give_the_verdict_of_the_backend_that_trains(
    world: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """Of every spec of the tests and configs, or of every ninth and all that are tricky."""
    for room in ("spec", "parts"):  # whose specs these are
        monkeypatch.syspath_prepend(ROOT / "tests" / room)
    shutil.copytree(ROOT / "configs", world / "configs")
    names = [str(path.relative_to(world)) for path in sorted((world / "configs").glob("[!_]*.yaml"))]
    for number, (name, text) in enumerate(texts()):
        if number % every == 0 or name.startswith("tricky"):
            (world / f"{name}.yaml").write_text(text)
            names.append(f"{name}.yaml")
    (world / "names.json").write_text(json.dumps(names))
    for kind in ("quick", "full"):
        subprocess.run([sys.executable, "-c", VERDICTS, kind], check=True, timeout=900)
    quick, full = (json.loads((world / kind).read_text()) for kind in ("quick", "full"))
    judged = [name for name in names if quick[name] is not None]
    assert {name: quick[name] for name in judged} == {name: full[name] for name in judged}
    good = [name for name in judged if not isinstance(full[name], str)]
    assert len(judged) > 300 // every
    assert len(good) > 100 // every
    # What the layers' names do not show, and shapes alone would let pass.
    for number in range(len(TRICKY)):
        assert isinstance(full[f"tricky_{number}.yaml"], str), TRICKY[number]


@needs_jax
def test_a_check_by_shapes_loads_neither_tensorflow_nor_scikit_learn(world: Path) -> None:
    (world / "x.yaml").write_text("dataset: digits\nlayers: [flatten, {dense: 8}, output]\n")
    loaded = modules_after("from dlx.cli import cli; cli(['check', 'x.yaml'], standalone_mode=False)")
    assert "keras" in loaded
    assert not loaded & {"tensorflow", "sklearn", "pandas", "matplotlib"}


@needs_jax
def test_what_shapes_cannot_tell_is_asked_of_the_backend_that_trains(shell: Dlx, world: Path) -> None:
    (world / "x.yaml").write_text("dataset: digits\nlayers: [flatten, {dense: 8}, output]\n")
    (world / "y.yaml").write_text("dataset: digits\nlayers: [aug_mix, flatten, output]\n")
    by_shapes = shell("check", "x.yaml", "-s", "layers.dense=7")
    assert by_shapes.code == 0
    assert "dense(10), softmax" in by_shapes.out
    assert " 7 " in by_shapes.out
    assert shell("check", "--full", "x.yaml", "-s", "layers.dense=7").out == by_shapes.out
    both = shell("check", "x.yaml", "y.yaml")
    assert both.code == 0
    assert "aug_mix" in both.out


def test_sure_of_common_layers_with_common_arguments_alone() -> None:
    from dlx import spec as specs

    def spec(layers: list[object], **keys: object) -> bool:
        return check.shapes_suffice(specs.load({"dataset": "digits", "layers": [*layers, "output"], **keys}))

    assert spec([{"conv2d": {"filters": 2, "kernel_size": 3}}, "flatten"])
    assert not spec([{"conv2d": {"filters": 2, "kernel_size": 3, "dilation_rate": 2}}, "flatten"])
    assert not spec([{"residual": [{"conv2d": {"filters": 2, "kernel_size": 3, "groups": 2}}]}, "flatten"])
    assert spec([{"lstm": 3}])
    assert not spec([{"lstm": 3}], precision="mixed_float16")
    assert not spec([{"rand_augment": {}}, "flatten"])
    assert spec([{"conv2d": {"filters": 2, "kernel_size": 3, "dilation_rate": [1, 1]}}, "flatten"])


def test_a_device_is_looked_for_and_an_explicit_spec_loads_no_backend(shell: Dlx, world: Path) -> None:
    (world / "x.yaml").write_text("dataset: digits\nlayers: [flatten, output]\n")
    absent = shell("check", "x.yaml", "--device", "gpu:77")
    assert absent.code == 4
    assert "sees" in absent.err
    text = shell("check", "x.yaml", "--print").out
    explicit = re.sub(r" *#.*", "", text)
    for key, value in (("test", "none"), ("task", "classification"), ("loss", "categorical_crossentropy"), ("metrics", "[accuracy]"), ("monitor", "val_loss")):  # fmt: skip
        explicit = re.sub(rf"^{key}: auto", f"{key}: {value}", explicit, flags=re.MULTILINE)
    explicit = explicit.replace("units: auto", "units: 10").replace("activation: auto", "activation: softmax")
    (world / "explicit.yaml").write_text(explicit)
    code = "from dlx.cli import cli; cli(['check', 'explicit.yaml', '--print'], standalone_mode=False)"
    assert not modules_after(code) & {"keras", "jax", "tensorflow"}


def test_a_jax_that_cannot_be_loaded_stops_no_check(shell: Dlx, world: Path) -> None:
    (world / "jax").mkdir()
    (world / "jax/__init__.py").write_text("raise ImportError('broken')\n")
    (world / "x.yaml").write_text("dataset: digits\nlayers: [flatten, output]\n")
    assert shell("check", "x.yaml", PYTHONPATH=str(world)).code == 0
