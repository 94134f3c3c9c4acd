"""A runs folder that several people share: who may read, who may write, who is at it; disks without locks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Dlx

from dlx.errors import RunError
from dlx.runs import trash
from dlx.runs.run import Run
from dlx.system import files, locks

SPEC = "dataset: or\nvalidation: none\nlayers: [output]\nepochs: 2\nlr: 0.1\n"


@pytest.fixture
def spec(world: Path) -> Path:
    (world / "s.yaml").write_text(SPEC)
    return world / "s.yaml"


def kept_private(monkeypatch: pytest.MonkeyPatch, run: Path) -> None:
    """What the system answers to somebody who may not look into a folder; the tests may be root's, who may."""
    is_file, scandir, opened, access = Path.is_file, os.scandir, files.opened, os.access

    def inside(path: Any) -> bool:
        return run in (Path(path), *Path(path).parents) or run.resolve() in Path(path).absolute().parents

    def refused(what: Any) -> Any:
        def asked(path: Any, *more: Any, **options: Any) -> Any:
            if inside(path):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return what(path, *more, **options)

        return asked

    monkeypatch.setattr(Path, "is_file", refused(is_file))
    monkeypatch.setattr(os, "scandir", refused(scandir))
    monkeypatch.setattr(files, "opened", refused(opened))
    monkeypatch.setattr(os, "access", lambda path, mode, **how: not inside(path) and access(path, mode, **how))


def test_one_run_of_another_ends_no_command(dlx: Dlx, spec: Path, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        assert dlx("run", "s.yaml", "-s", "seed=1", "--name", name).code == 0
    kept_private(monkeypatch, Path("runs/b-1"))
    owner = Path("runs/b-1").owner()
    listed = dlx("list")
    assert listed.code == 0
    line = " ".join(listed.out.split())
    assert "b-1 unreadable" in line
    assert f"belongs to {owner}" in line
    assert {run["run"]: run["status"] for run in dlx("list", "--json").lines[0]["runs"]}["runs/b-1"] == "unreadable"
    compared = dlx("compare", "a-1", "b-1", "c-1")
    assert compared.code == 0
    assert f"runs/b-1: belongs to {owner}, and you may not read it" in compared.out + compared.err
    assert "c-1" in dlx("show", "latest").out
    assert dlx("sweep", "s.yaml", "-s", "lr=0.1,0.2").code == 0
    for words in (("show", "b-1"), ("resume", "b-1"), ("note", "b-1", "x"), ("plot", "b-1"), ("evaluate", "b-1")):
        refused = dlx(*words)
        assert refused.code == 2, words
        assert f"belongs to {owner}, and you may not read it" in refused.err
    assert "no run is interrupted" in dlx("resume").err


@pytest.mark.parametrize(("umask", "group"), [(0o002, True), (0o077, False)])
def test_a_run_is_for_whom_the_umask_says(dlx: Dlx, spec: Path, world: Path, umask: int, group: bool) -> None:
    before = os.umask(umask)
    try:
        assert dlx("run", "s.yaml").code == 0
        assert dlx("sweep", "s.yaml", "-s", "lr=0.3,0.4").code == 0
    finally:
        os.umask(before)
    found = [path for path in (world / "runs").rglob("*") if not path.is_symlink()]
    assert len(found) > 20
    for path in [world / "runs", *found]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert bool(mode & stat.S_IRGRP) == bool(mode & stat.S_IWGRP) == group, (path, oct(mode))
        assert bool(mode & stat.S_IROTH) == group, (path, oct(mode))


def test_what_another_user_removes_stays_whole(dlx: Dlx, spec: Path, world: Path, monkeypatch: Any) -> None:
    assert dlx("run", "s.yaml").code == 0

    def refused(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    before = sorted((world / "runs" / "s-1").rglob("*"))
    monkeypatch.setattr(os, "rename", refused)
    answer = dlx("rm", "s-1")
    assert answer.code == 2
    assert f"belongs to {(world / 'runs').owner()}, and you may not move it" in answer.err
    assert sorted((world / "runs" / "s-1").rglob("*")) == before
    assert list(trash.trash(world / "runs").iterdir()) == []


def test_who_writes_to_a_run_is_named(world: Path) -> None:
    run = Run.create(world / "runs", "s")
    with pytest.raises(RunError) as caught:
        Run(run.path).take_up()
    assert f"process {os.getpid()} of {locks.owner()['user']} writes to it" in caught.value.hint
    run.release()
    theirs = {"host": "lab2", "boot_id": "other", "pid": 77, "pid_started": 1, "user": "ana"}
    (run.path / "lock").write_text(json.dumps(theirs))
    with pytest.raises(RunError, match="may still be running: process 77 of ana on lab2 was last seen"):
        Run(run.path).take_up()
    with pytest.raises(RunError, match="may be running: process 77 of ana on lab2 was last seen"):
        trash.removable(run.path)
    for damaged in ("", "{", '{"pid": "x", "host": "lab2"}', "[]"):
        (run.path / "lock").write_text(damaged)
        assert locks.who(run.path) == "another process"


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP])
def lockless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A disk that knows no locks."""

    def none(*_: Any) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", none)
    monkeypatch.setattr(locks, "_lockable", {})
    yield
    locks._lockable.clear()


@pytest.mark.usefixtures("lockless")
def test_a_disk_without_locks_trains_with_a_remark(dlx: Dlx, spec: Path, world: Path) -> None:
    done = dlx("run", "s.yaml")
    assert done.code == 0
    assert done.err.count("lies on a disk without locks") == 1
    assert dlx("sweep", "s.yaml", "-s", "lr=0.3,0.4").code == 0
    run = Run.create(world / "runs", "t")
    assert run.status == "running"
    with pytest.raises(RunError, match="is running"):
        Run(run.path).take_up()
    run.release()
    assert run.status == "crashed"
    Run(run.path).take_up()


def test_a_linked_run_is_listed_and_stays_where_it_is(dlx: Dlx, spec: Path, world: Path) -> None:
    assert dlx("run", "s.yaml", "--runs-dir", "elsewhere").code == 0
    (world / "runs").mkdir()
    (world / "runs" / "linked-1").symlink_to(world / "elsewhere" / "s-1")
    assert dlx("list").out.splitlines()[1].split()[:2] == ["linked-1", "done"]
    assert dlx("show", "latest").code == 0
    assert "is not in runs, the runs folder" in dlx("rm", "linked-1").err
    assert (world / "elsewhere" / "s-1" / "metrics.json").is_file()
