"""A run that has no room on the disk or in the memory is refused before it begins."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest
from conftest import Dlx

from dlx.system import machine


def test_no_room_on_the_disk_is_told_before_there_is_a_run(
    dlx: Dlx, small: Path, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(shutil.disk_usage("."))(10**9, 10**9 - 5000, 5000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    result = dlx("run", small)
    assert result.code == 5
    assert "twice what it may need, but 5.0 kB are free" in result.err
    assert not list((world / "runs").glob("*"))


def test_no_room_in_the_memory_names_a_batch_that_fits(dlx: Dlx, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: 150_000)
    result = dlx("run", small, "-s", "batch_size=full")
    assert result.code == 4
    assert "of memory at least, but 150.0 kB are free" in result.err
    assert "batch_size=" in result.err
    monkeypatch.setattr(machine, "free_memory", lambda: 10_000)
    assert "a smaller network, or fewer examples" in dlx("run", small).err


def test_a_network_that_cannot_fit_is_counted_and_not_built(dlx: Dlx, small: Path) -> None:
    result = dlx("run", small, "-s", "layers.1.dense.units=1000000000")
    assert result.code == 4
    assert "the network has 75,000,000,010 parameters" in result.err
    waiting = importlib.import_module("keras.src.backend.common.global_state").get_global_attribute
    assert not waiting("uninitialized_variables")  # else the next network of this process would make these, too
