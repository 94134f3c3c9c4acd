"""One training on several devices of JAX: the same figures as on one, whatever the batch, and what cannot be had."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
from conftest import Dlx

from dlx.search.places.workers import asked
from dlx.spec import load

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")

DENSE = """\
dataset: digits
test: 0.2
validation: 0.2
preprocess: [rescale]
layers: [flatten, {dense: {units: 16}}, batch_normalization, relu, {dropout: 0.3}, output]
batch_size: 50
epochs: 3
log_every: 9
"""
CONVOLUTIONS = DENSE.replace(
    "[flatten,", "[{conv2d: {filters: 4, kernel_size: 3, use_bias: false}}, batch_normalization, relu, flatten,"
).replace("layers:", "augment: [{shift: {fraction: 0.1}}]\nlayers:")
IMAGES = """\
dataset: {image_folder: {path: cats, in_memory: false}}
layers: [flatten, {dense: 8}, output]
batch_size: 6
epochs: 2
"""


def trained(shell: Dlx, spec: str, world: Path, devices: int) -> list[dict]:
    """The history of a spec, on so many devices."""
    name = f"on{devices}"
    (world / "spec.yaml").write_text(spec)
    done = shell("run", "spec.yaml", "--backend", "jax", "--device", "cpu", "--devices", devices, "--name", name)
    assert done.code == 0, done.err
    assert json.loads((world / f"runs/{name}-1/run.json").read_text())["devices"] == devices
    lines = (world / f"runs/{name}-1/history.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def apart(one: list[dict], other: list[dict]) -> float:
    """The largest difference of the losses and shares of two histories."""
    assert len(one) == len(other)
    names = [name for name in one[0] if name.startswith(("train_", "val_"))]
    assert len(names) == 4
    return float(max(abs(a[name] - b[name]) for a, b in zip(one, other, strict=True) for name in names))


def test_figures_are_those_of_one_device(shell: Dlx, world: Path) -> None:
    """Batches of 50, of which four devices share as two, a smaller last one, normalization over the whole batch."""
    assert apart(trained(shell, DENSE, world, 1), trained(shell, DENSE, world, 4)) < 2e-4


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 3, 4])
@pytest.mark.parametrize("spec", [DENSE, CONVOLUTIONS, DENSE.replace("batch_size: 50", "batch_size: full")])
def test_figures_are_those_of_one_device_for_every_kind(shell: Dlx, world: Path, spec: str, devices: int) -> None:
    assert apart(trained(shell, spec, world, 1), trained(shell, spec, world, devices)) < 2e-4


SCRIPT = """
import json, jax, numpy as np
from dlx.system import backend
backend.want("jax", "cpu", devices="6")
backend.load()
from dlx.engine.jax_devices import devices
six = devices()
shapes = {}
for length in (12, 9, 8, 7):
    batch = jax.jit(six.spread)(six.place(np.arange(2.0 * length).reshape(length, 2)))
    assert batch.sharding.num_devices == 6
    np.testing.assert_array_equal(batch, np.arange(2.0 * length).reshape(length, 2))
    shapes[length] = [batch.addressable_shards[0].data.shape[0], six.among(length)]
print(json.dumps(shapes))
"""


def test_a_batch_is_divided_among_as_many_as_can_share_it(world: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"12": [2, 6], "9": [3, 3], "8": [4, 2], "7": [7, 1]}


def test_more_devices_than_there_are(shell: Dlx, gate: Path) -> None:
    wrong = shell("run", gate, "--backend", "jax", "--devices", 3)
    assert wrong.code != 0
    assert "--devices 3: JAX sees 1 CPU" in wrong.err
    assert "--device cpu makes several" in wrong.err
    assert "expected a number of devices or all" in shell("run", gate, "--devices", "0").err
    both = shell("run", gate, "--backend", "jax", "--device", "gpu:1", "--devices", 2)
    assert both.code != 0
    assert "--device gpu:1 names one device, --devices 2 several" in both.err


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_tensorflow_has_one(shell: Dlx, gate: Path) -> None:
    wrong = shell("run", gate, "--backend", "tensorflow", "--devices", 2)
    assert wrong.code != 0
    assert "TensorFlow trains on one device here" in wrong.err
    assert "--backend jax" in wrong.err


@pytest.mark.slow
def test_streams_and_stops_on_several(shell: Dlx, world: Path) -> None:
    """Images that stay on disk come in blocks; a stopped training continues on as many devices, to the bit."""
    from PIL import Image

    random = np.random.default_rng(0)
    for name, bright in (("a", 60), ("b", 180)):
        (world / "cats" / name).mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, bright, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(world / "cats" / name / f"{number}.png")
    one = trained(shell, IMAGES, world, 1)
    assert apart(one, trained(shell, IMAGES, world, 2)) < 2e-4
    (world / "long.yaml").write_text(DENSE.replace("epochs: 3", "epochs: 400"))
    words = ("--backend", "jax", "--device", "cpu", "--devices", 2)
    whole = shell("run", "long.yaml", *words, "--name", "whole")
    assert whole.code == 0, whole.err
    assert shell("run", "long.yaml", *words, "--name", "cut", "--max-time", "8").code == 75
    again = shell("resume", "cut-1")
    assert again.code == 0, again.err
    rows = [
        [json.loads(line) for line in (world / f"runs/{name}-1/history.jsonl").read_text().splitlines()]
        for name in ("whole", "cut")
    ]
    figures = [[{k: v for k, v in row.items() if k != "seconds"} for row in history] for history in rows]
    assert figures[0] == figures[1]


HELLO = {"command": ["dlx"], "parent": None, "backend": "jax", "device": "cpu", "devices": "2", "cores": []}


@pytest.mark.slow
@pytest.mark.parametrize("spec", [DENSE, CONVOLUTIONS])
def test_figures_of_two_processes_are_those_of_one_device(shell: Dlx, world: Path, spec: str) -> None:
    """Two processes with two devices each, as a cluster of Ray begins them."""
    one = trained(shell, spec, world, 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    job = asked(load(str(world / "spec.yaml")))
    workers = [
        subprocess.Popen([sys.executable, "-m", "dlx.search.places.worker"], text=True, stdin=PIPE, stdout=PIPE)
        for _ in range(2)
    ]
    for rank, process in enumerate(workers):
        hello = {**HELLO, "root": str(world / f"host{rank}"), "hosts": [address, 2, rank]}
        assert process.stdin is not None
        process.stdin.write(f"{json.dumps(hello)}\n{json.dumps(job)}\n")
        process.stdin.flush()
    heard = [next(line for line in process.stdout or () if '"ended"' in line) for process in workers]
    for process in workers:
        process.kill()
        process.communicate()
    assert [json.loads(line)["status"] for line in heard] == ["done", "done"]
    histories = [
        [json.loads(line) for line in (world / f"host{rank}/spec-1/history.jsonl").read_text().splitlines()]
        for rank in range(2)
    ]
    assert apart(*histories) == 0.0
    assert apart(one, histories[0]) < 2e-4
    assert json.loads((world / "host0/spec-1/run.json").read_text())["devices"] == 4
