"""What the machine has, in a container and outside one."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from dlx.system import machine


@pytest.fixture
def limited(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 8,000 bytes of memory, 6,000 of them available, and the folder of a container's limits."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=8000, available=6000))
    monkeypatch.setattr(machine, "CGROUP", world)
    return world


def test_memory_is_that_of_the_machine_or_of_the_container(limited: Path) -> None:
    assert (machine.memory(), machine.free_memory()) == (8000, 6000)
    (limited / "memory.max").write_text("max\n")
    (limited / "memory.current").write_text("1000\n")
    (limited / "memory.stat").write_text("anon 700\nactive_file 100\ninactive_file 200\n")
    assert (machine.memory(), machine.free_memory()) == (8000, 6000)
    (limited / "memory.max").write_text("3000\n")
    assert machine.memory() == 3000
    assert machine.free_memory() == 3000 - (1000 - 300)  # pages of files make room


def test_a_system_without_the_figure_has_an_unknown_memory(limited: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> None:
        raise NotImplementedError

    monkeypatch.setattr(psutil, "virtual_memory", unknown)
    assert (machine.memory(), machine.free_memory()) == (None, None)


def test_cores_are_those_that_the_process_may_use() -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system binds no process to cores")
    assert machine.cores() == len(os.sched_getaffinity(0))
