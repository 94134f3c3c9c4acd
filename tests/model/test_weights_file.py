"""A model file from anybody: its arrays are those of the network, or it is refused."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import Dlx

from dlx.errors import RunError
from dlx.model import weights_file


def tampered(run: Path, change: Any) -> None:
    """Change the HDF5 file inside of model.keras."""
    with zipfile.ZipFile(run / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    held = io.BytesIO(members["model.weights.h5"])
    with h5py.File(held, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        change(file, names[0])
    with zipfile.ZipFile(run / "model.keras", "w") as archive:
        for name, raw in {**members, "model.weights.h5": held.getvalue()}.items():
            archive.writestr(name, raw)


def _replace(make: Any) -> Any:
    def change(file: Any, name: str) -> None:
        del file[name]
        make(file, name)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_replace(lambda f, n: f.create_dataset(n, shape=(10**12,), dtype="f4", chunks=(1024,))), "expected"),
        (_replace(lambda f, n: f.create_dataset(n, data=np.zeros((2, 7), "f4"))), "expected"),
        (_replace(lambda f, n: f.__setitem__(n, h5py.ExternalLink("/etc/hostname", "/x"))), "holds a link"),
        (_replace(lambda f, n: f.__setitem__(n, h5py.SoftLink("/layers"))), "holds a link"),
        (_replace(lambda f, n: None), "is not there"),
        (lambda f, n: f.create_dataset("more", data=np.zeros(3)), "belongs to no layer"),
        (
            _replace(lambda f, n: f.create_dataset(n, data=np.zeros((2, 1), "f4"), compression="gzip")),
            "which is not a plain array",
        ),
        (
            _replace(lambda f, n: f.create_dataset(n, shape=(2, 1), dtype="f4", external=[("/etc/hostname", 0, 8)])),
            "which is not a plain array",
        ),
    ],
)
def test_weights_that_are_not_the_networks_are_refused(dlx: Dlx, gate_run: Path, change: Any, said: str) -> None:
    tampered(gate_run, change)
    (gate_run.parent.parent / "g.csv").write_text("0,1\n")
    result = dlx("predict", "gate", "g.csv")
    assert result.code == 2
    assert said in result.err
    assert "Traceback" not in result.err


def test_a_model_file_that_is_a_link_is_refused(dlx: Dlx, gate_run: Path, world: Path) -> None:
    shutil.move(gate_run / "model.keras", world / "elsewhere.keras")
    (gate_run / "model.keras").symlink_to(world / "elsewhere.keras")
    (world / "g.csv").write_text("0,1\n")
    result = dlx("predict", "gate", "g.csv")
    assert result.code == 2
    assert "is a link" in result.err


def test_groups_within_groups_come_to_an_end() -> None:
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        group = file
        for _ in range(40):  # each stands twice in the one above: 2^40 ways down
            inner = group.create_group("a")
            group["b"] = inner
            group = inner
    with h5py.File(held, "r") as file, pytest.raises(RunError, match="holds too much for a network"):
        weights_file._arrays(file)


def test_a_network_that_its_file_cannot_hold_is_not_made(dlx: Dlx, gate_run: Path, world: Path) -> None:
    text = (gate_run / "spec.yaml").read_text().replace("layers:\n", f"layers:\n  - dense: {10**9}\n")
    (gate_run / "spec.yaml").write_text(text)
    np.save(world / "x.npy", np.zeros((1, 2)))
    result = dlx("predict", gate_run, "x.npy")
    assert result.code != 0
    assert "parameters, which a model.keras of" in " ".join(result.err.split())


def test_a_count_of_another_backend_is_read(dlx: Dlx, world: Path) -> None:
    """JAX counts in 32 bits what TensorFlow counts in 64."""
    (world / "s.yaml").write_text("dataset: iris\npreprocess: [normalize]\nlayers: [output]\nepochs: 1\n")
    assert dlx("run", "s.yaml").code == 0
    before = dlx("evaluate", "s", "--json").lines
    path = world / "runs" / "s-1" / "model.keras"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = world / "w.h5"
    weights.write_bytes(members["model.weights.h5"])
    with h5py.File(weights, "a") as file:
        group = file["layers/normalization/vars"]
        count = group["2"][()]
        del group["2"]
        group["2"] = np.int32(count) if count.dtype == np.int64 else np.int64(count)
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in {**members, "model.weights.h5": weights.read_bytes()}.items():
            archive.writestr(name, raw)
    assert dlx("predict", "s", "--random", "3", "--exact").code == 0
    assert dlx("evaluate", "s", "--json").lines == before
