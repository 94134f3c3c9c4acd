"""What others made is opened without links, and what dlx makes is the user's alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dlx.system import files


def test_contents_takes_plain_files_beneath_the_root_alone(world: Path) -> None:
    (world / "outside.txt").write_text("secret")
    root = world / "root"
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "a").write_text("here")
    (root / "link").symlink_to(world / "outside.txt")
    (root / "away").symlink_to(world)
    os.mkfifo(root / "pipe")
    assert files.contents(root, "inner/a", 10) == b"here"
    for name, reason in (
        ("link", "is a link"),
        ("away/outside.txt", "is a link"),
        ("pipe", "is not a regular file"),
        ("inner", "is not a regular file"),
    ):
        with pytest.raises(files.UnsafeFileError, match=reason):
            files.contents(root, name, 10)
    with pytest.raises(files.UnsafeFileError, match="is larger than"):
        files.contents(root, "inner/a", 3)
    with pytest.raises(FileNotFoundError):
        files.contents(root, "nothing", 3)


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "fifo"])
def test_strange_things_beneath_a_run_are_found(world: Path, kind: str) -> None:
    root = world / "r" / "inner"
    root.mkdir(parents=True)
    (world / "o").write_text("x")
    assert files.special_file(world / "r") is None
    {"symlink": lambda p: p.symlink_to(world / "o"), "hardlink": lambda p: os.link(world / "o", p), "fifo": os.mkfifo}[
        kind
    ](root / "it")
    assert files.special_file(world / "r") == "inner/it"


def test_what_is_made_is_for_whom_it_says(world: Path) -> None:
    before = os.umask(0o002)
    try:
        files.make_private(world / "own" / "inner")
        files.make_folder(world / "shared" / "inner")
    finally:
        os.umask(before)
    modes = [(world / name).stat().st_mode & 0o777 for name in ("own", "own/inner", "shared", "shared/inner")]
    assert modes == [0o700, 0o700, 0o775, 0o775]
