"""`dlx tensorboard`: runs by their names, as they come and go."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import Dlx


def served(port: int, until: set[str], process: subprocess.Popen[bytes]) -> set[str]:
    """The runs that TensorBoard shows, as soon as they are those, or else after a minute."""
    names: set[str] = set()
    for _ in range(120):
        assert process.poll() is None
        try:
            with urllib.request.urlopen(f"http://localhost:{port}/data/runs", timeout=5) as answer:
                names = {name.partition("/train")[0].partition("/validation")[0] for name in json.load(answer)}
        except OSError:
            pass
        if names == until:
            break
        time.sleep(0.5)
    return names


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_it_shows_runs_by_name_and_none_that_was_removed(dlx: Dlx, gate: Path, world: Path) -> None:
    assert dlx("run", gate, "--repeat", "2").code == 0
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dlx", "tensorboard", "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=world)
    try:
        assert served(port, {"gate-1", "gate-2"}, process) == {"gate-1", "gate-2"}
        assert dlx("rm", "gate-1").code == 0
        assert served(port, {"gate-2"}, process) == {"gate-2"}
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 143, errors
    assert b"Traceback" not in errors


def test_a_run_that_is_not_there_is_said_at_once(dlx: Dlx) -> None:
    result = dlx("tensorboard", "nobody")
    assert (result.code, "unknown run 'nobody'" in result.err) == (2, True)


def test_each_of_many_runs_is_one_entry_and_their_names_sort(tmp_path: Path) -> None:
    from dlx.commands.tensorboard import _in_order, _paths

    for number in range(1, 46):
        folder = tmp_path / f"small-{number}" / "tensorboard"
        (folder / "train").mkdir(parents=True)
        (folder / "validation").mkdir()
        (folder.parent / "run.json").write_text("{}")
        os.utime(folder.parent / "run.json", (number, number))
    newest = _paths((), tmp_path, False)
    assert list(newest) == [f"small-{number:02d}" for number in range(6, 46)]
    assert {path.name for path in newest.values()} == {"validation"}
    assert len(_paths((), tmp_path, True)) == 45
    few = _paths(("small-1", "small-12"), tmp_path, False)
    assert {name: path.name for name, path in few.items()} == {"small-01": "tensorboard", "small-12": "tensorboard"}
    assert _in_order(["a-1", "a-01", "b"]) == ["a-1", "a-01", "b"]  # two runs never get one name
