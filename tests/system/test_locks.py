"""Locks name their owner, also on disks that know none."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import warnings
from pathlib import Path

import pytest

from dlx.errors import DiskError, RunError
from dlx.runs.run import Run
from dlx.system import locks


def test_a_disk_without_locks_lets_a_dead_run_go(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOSYS, "not here")

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(warnings, "warn", lambda *what, **how: None)  # filelock says that it has another way
    run = Run.create(world / "runs", "x")
    run.begin("dataset: or\n", {"settings": {}})
    assert run.status == "running"
    with pytest.raises(RunError, match="is running"):
        Run(run.path).take_up()
    raw = json.loads((run.path / "lock").read_text())
    (run.path / "lock").write_text(json.dumps({**raw, "pid_started": 1}))  # as if it had been killed
    assert run.status == "crashed"
    again = Run(run.path)
    again.take_up()
    assert again.status == "running"
    again.release()
    assert again.status == "crashed"


def test_locks_name_their_holder(world: Path) -> None:
    lock = locks.Lock(world / "lock")
    assert lock.take()
    assert locks.state(world, "lock")[0] == "held"
    said = json.loads((world / "lock").read_text())
    assert said["pid"] == os.getpid()
    assert locks._lives(said)
    assert not locks._lives({**said, "pid_started": 5})
    lock.release()
    assert locks.state(world, "lock")[0] == "free"
    with pytest.raises((RunError, DiskError)):
        Run(world / "nothing").take_up()
