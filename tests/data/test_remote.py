"""Data sets by address: brought once, known by what the store says of them, and nothing else may be an address."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Dlx

from dlx.data.store import remote
from dlx.errors import DataError

pytest.importorskip("fsspec")
TABLE = "a,b,label\n" + "".join(f"{n % 7},{n % 5},{'yes' if n % 7 > 3 else 'no'}\n" for n in range(120))
SPEC = "dataset: {csv: {path: 'memory://box/it is/t.csv', label: label}}\nlayers: [output]\nepochs: 1\n"


@pytest.fixture
def memory(world: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A store in the memory of this process, with a table."""
    monkeypatch.setenv("DLX_DATA", str(world / "data"))
    system = importlib.import_module("fsspec").filesystem("memory")
    system.pipe("/box/it is/t.csv", TABLE.encode())
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def test_a_table_by_address_is_that_table(dlx: Dlx, memory: Any, world: Path) -> None:
    (world / "far.yaml").write_text(SPEC)
    (world / "near.yaml").write_text(SPEC.replace("memory://box/it is/t.csv", "t.csv"))
    (world / "t.csv").write_text(TABLE)
    for name in ("far", "near"):
        done = dlx("run", f"{name}.yaml")
        assert done.code == 0, done.err
    far, near = (json.loads((world / f"runs/{name}-1/run.json").read_text()) for name in ("far", "near"))
    assert far["dataset"]["fingerprint"] == near["dataset"]["fingerprint"]
    assert "memory://box/it is/t.csv" in (world / "runs/far-1/spec.yaml").read_text()
    assert dlx("check", "runs/far-1/spec.yaml").code == 0


def test_a_copy_is_brought_once_and_again_when_it_has_changed(memory: Any, capsys: pytest.CaptureFixture[str]) -> None:
    address = "memory://box/it is/t.csv"
    first = remote.fetched(address)
    stamp = first.stat().st_mtime_ns
    assert (first.name, remote.fetched(address), first.stat().st_mtime_ns) == ("t.csv", first, stamp)
    memory.pipe("/box/it is/t.csv", (TABLE + "1,1,no\n").encode())
    second = remote.fetched(address)
    assert second != first
    assert second.read_text() == TABLE + "1,1,no\n"
    assert first.read_text() == TABLE  # a training may still read it
    assert not list(first.parents[1].glob("*.part*"))


def test_what_a_training_has_read_is_what_is_sent(memory: Any) -> None:
    address = "memory://box/it is/t.csv"
    read = remote.fetched(address)
    memory.pipe("/box/it is/t.csv", (TABLE + "1,1,no\n").encode())
    assert remote.known(address) == read
    half = read.parents[1] / "0.part-1"  # what a kill has left of another one
    half.mkdir()
    assert remote.fetched(address) == remote.known(address) != read
    assert not half.exists()


def test_a_store_that_cannot_be_reached_has_the_copy_still(
    memory: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = "memory://box/it is/t.csv"
    first = remote.fetched(address)

    def lost(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route")

    half = first.parents[1] / "0.part-1" / "t.csv"  # what a kill has left of another one
    half.parent.mkdir()
    half.write_text("a")
    monkeypatch.setattr(type(memory), "info", lost)
    assert remote.fetched(address) == first
    assert "cannot be reached (no route); the copy that was made before is used" in capsys.readouterr().err
    with pytest.raises(DataError, match="no route"):
        remote.fetched("memory://box/other.csv")


def test_a_folder_comes_whole_and_leads_nowhere_else(memory: Any, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(70):
        memory.pipe(f"/box/pets/{number % 2}/{number}.txt", str(number).encode())
    found = remote.fetched("memory://box/pets/")
    assert sorted(path.name for path in found.rglob("*.txt")) == sorted(f"{number}.txt" for number in range(70))
    assert (found / "1" / "69.txt").read_text() == "69"
    real = type(memory).find

    def hostile(self: Any, path: str, **options: Any) -> dict[str, Any]:
        return {**real(self, path, **options), f"{path}/../../../x": {"size": 1}}

    monkeypatch.setattr(type(memory), "find", hostile)
    with pytest.raises(DataError, match="a file there is called"):
        remote.fetched("memory://box/pets/")
    assert not list(world.rglob("x"))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (SPEC.replace("memory", "simplecache::s3"), "no such file"),
        (SPEC.replace("memory", "gopher"), "expected one of s3://, gs://"),
        (SPEC.replace("memory://", "s3://me:secret@"), "without a password"),
        (SPEC.replace("memory://box/it is/t.csv", "s3://"), "expected the address of a file"),
        (SPEC.replace("memory://box/it is/t.csv", "s3:///"), "expected the address of a file"),
        (SPEC.replace("memory://box/it is/t.csv", "http://[abc/x.csv"), "expected the address of a file"),
        (SPEC.replace("memory://box/it is/t.csv", "s3://b/.."), "expected the address of a file"),
        ("imports: ['https://box/mine.py']\n" + SPEC, "no such file: https://box/mine.py"),
        (SPEC + "weights: s3://box/run\n", "weights"),
    ],
)
def test_what_is_no_address_of_data_is_said(dlx: Dlx, memory: Any, world: Path, spec: str, said: str) -> None:
    (world / "s.yaml").write_text(spec)
    answer = dlx("check", "s.yaml")
    assert answer.code in (2, 3)
    assert said in answer.err
    assert "Traceback" not in answer.err
