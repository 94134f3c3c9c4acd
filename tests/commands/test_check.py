"""`dlx check`: shapes alone give the verdict of the backend that trains, and more than they can tell is left to it."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import Dlx, modules_after

from dlx.parts.registry import Part
from dlx.spec.parse import write_value
from dlx.training import check

ROOT = Path(__file__).parents[2]
needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX")
sys.path[:0] = [str(ROOT / "tests/spec"), str(ROOT / "tests/parts")]

# The verdict on each spec of a list: its layers and head, or its problems; null where shapes cannot tell.
VERDICTS = """
import json, sys
from pathlib import Path
from dlx import spec as specs
from dlx.errors import DlxError
from dlx.model.network import layer_table
from dlx.system import backend
from dlx.training.check import check, outline, sure

def verdict(path, quick):
    try:
        spec = specs.load(path)
        if quick and not (sure(spec) and backend.light()):
            return None
        network = (outline if quick else check)(spec, Path("runs"))
        return None if network is None else [layer_table(network), network.head, network.remarks]
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
    for name, (shape, example) in parts.EXAMPLES.items():
        np.savez(f"{name}.npz", x=np.zeros((9, *shape)), y=np.arange(9) % 3)
        layers = [example] if name == "output" else [example, "flatten", "output"]
        for precision in ("float32", "mixed_bfloat16", "mixed_float16") if name != "pretrained" else ():
            yield (
                f"{precision}_{name}",
                f"dataset: {{npz: {{path: {name}.npz}}}}\nlayers: {write_value(layers)}\nprecision: {precision}\n",
            )


@needs_jax
def test_shapes_alone_give_the_verdict_of_the_backend_that_trains(world: Path) -> None:
    shutil.copytree(ROOT / "configs", world / "configs")
    names = [str(path.relative_to(world)) for path in sorted((world / "configs").glob("[!_]*.yaml"))]
    for name, text in texts():
        (world / f"{name}.yaml").write_text(text)
        names.append(f"{name}.yaml")
    (world / "names.json").write_text(json.dumps(names))
    for kind in ("quick", "full"):
        subprocess.run([sys.executable, "-c", VERDICTS, kind], check=True, timeout=900)
    quick, full = (json.loads((world / kind).read_text()) for kind in ("quick", "full"))
    told = [name for name in names if quick[name] is not None]
    assert {name: quick[name] for name in told} == {name: full[name] for name in told}
    good = [name for name in told if not isinstance(full[name], str)]
    assert len(told) > 300
    assert len(good) > 100


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
    quick = shell("check", "x.yaml", "-s", "layers.dense=7")
    assert quick.code == 0
    assert "dense(10), softmax" in quick.out
    assert " 7 " in quick.out
    assert shell("check", "--full", "x.yaml", "-s", "layers.dense=7").out == quick.out
    both = shell("check", "x.yaml", "y.yaml")
    assert both.code == 0
    assert "aug_mix" in both.out


def test_sure_of_common_layers_with_common_arguments_alone() -> None:
    from dlx import spec as specs

    def spec(layers: list[object], **keys: object) -> bool:
        return check.sure(specs.load({"dataset": "digits", "layers": [*layers, "output"], **keys}))

    assert spec([{"conv2d": {"filters": 2, "kernel_size": 3}}, "flatten"])
    assert not spec([{"conv2d": {"filters": 2, "kernel_size": 3, "dilation_rate": 2}}, "flatten"])
    assert not spec([{"residual": [{"conv2d": {"filters": 2, "kernel_size": 3, "groups": 2}}]}, "flatten"])
    assert spec([{"lstm": 3}])
    assert not spec([{"lstm": 3}], precision="mixed_float16")
    assert not spec([{"rand_augment": {}}, "flatten"])
    assert check._common(Part("conv2d", {"groups": 1, "dilation_rate": [1, 1]}))
