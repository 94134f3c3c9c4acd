"""The store and archives on full disks and after power cuts."""

from __future__ import annotations

import errno
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dlx.data import store
from dlx.data.store.archives import unpack
from dlx.data.store.formats import PARTS
from dlx.errors import DataError, DiskError


def test_a_full_disk_is_not_the_archives_fault(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(world / "a.zip", "w") as archive:
        archive.writestr("a.txt", "words")

    def full(*what: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(DiskError, match="No space left"):
        unpack(world / "a.zip", world / "out")


def test_an_array_that_a_power_cut_emptied_is_named(world: Path) -> None:
    for part in PARTS:
        (world / f"{part}.npy").write_bytes(b"")
    (world / "info.json").write_text("{}")
    with pytest.raises(DataError, match="the store's copy is damaged"):
        store._mapped(world)


def test_several_add_one_set_at_once(world: Path) -> None:
    import multiprocessing

    import numpy as np

    random = np.random.default_rng(0)
    arrays = {
        f"{kind}_{split}": random.integers(0, 10 if kind == "y" else 256, (count, *shape), np.uint8)
        for split, count in (("train", 40), ("test", 20))
        for kind, shape in (("x", (28, 28)), ("y", ()))
    }
    np.savez(world / "s.npz", **arrays)
    context = multiprocessing.get_context("fork")
    for _ in range(5):
        others = [context.Process(target=store.add, args=("mnist", world / "s.npz")) for _ in range(6)]
        for other in others:
            other.start()
        for other in others:
            other.join()
        assert [other.exitcode for other in others] == [0] * 6
        loaded, _ = store.load("mnist")
        assert np.array_equal(loaded["y_train"], arrays["y_train"])
    assert [path.name for path in store.home().iterdir() if not path.name.endswith(".lock")] == ["mnist"]
