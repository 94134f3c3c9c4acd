"""A run as one file, there and back, and archives from anybody."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from conftest import Dlx

from dlx.errors import DataError, RunError
from dlx.export import packed
from dlx.runs.run import Run

SPEC = "dataset: or\nvalidation: none\nlayers: [{dense: 3}, output]\nepochs: 3\nlr: 0.1\n"


@pytest.fixture
def run(dlx: Dlx, world: Path) -> Path:
    (world / "s.yaml").write_text(SPEC)
    assert dlx("run", "s.yaml").code == 0
    return world / "runs" / "s-1"


def files_of(run: Path) -> dict[str, bytes]:
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_run_goes_into_a_file_and_comes_out_the_same(dlx: Dlx, run: Path, world: Path) -> None:
    said = dlx("pack", "s-1")
    assert said.code == 0
    assert "dlx unpack s-1.zip" in said.out
    before = files_of(run)
    assert dlx("unpack", "s-1.zip", "--runs-dir", "theirs").code == 0
    there = files_of(world / "theirs" / "s-1")
    assert there == {
        name: raw for name, raw in before.items() if name != "lock" and not name.startswith("checkpoints/")
    }
    assert [path.name for path in (world / "theirs").iterdir()] == ["s-1"]
    inputs = (world / "x.csv").write_text("a,b\n0,1\n1,1\n") and "x.csv"
    answers = [dlx("predict", "s-1", inputs, "--exact", "--json", "--runs-dir", root) for root in ("runs", "theirs")]
    assert answers[0].out == answers[1].out
    assert answers[0].code == 0
    again = dlx("unpack", "s-1.zip")
    assert "unpacked runs/s-2" in again.out  # the name is taken here
    assert dlx("resume", "s-2", "-s", "epochs=5").code == 2
    assert dlx("pack", "s-1", "-o", "all.zip", "--checkpoints").code == 0
    assert dlx("unpack", "all.zip").code == 0
    assert dlx("resume", "s-3", "-s", "epochs=5").code == 0


def test_what_cannot_be_packed_is_said(dlx: Dlx, run: Path, world: Path) -> None:
    assert "ends in .zip" in dlx("pack", "s-1", "-o", "x.tar").err
    assert "is inside the run s-1" in dlx("pack", "s-1", "-o", str(run / "x.zip")).err
    (run / "metrics.json").unlink()
    held = Run(run)
    held.take_up()
    with pytest.raises(RunError, match="is running"):
        packed.pack(Run(run), world / "x.zip")
    held.release()
    (run / "link").symlink_to(world / "s.yaml")
    with pytest.raises(RunError, match="holds link, which is a link"):
        packed.pack(Run(run), world / "x.zip")
    assert not (world / "x.zip").exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["../x/run.json"], "leaves the folder"),
        (["/etc/run.json"], "leaves the folder"),
        (["s-1/run.json"], "holds no run"),
        (["run.json"], "expected one folder"),
        ([".hidden/run.json"], "expected one folder"),
        (["a/run.json", "b/run.json"], "expected one folder"),
        ([], "expected one folder"),
    ],
)
def test_archives_from_anybody_leave_nothing(world: Path, names: list[str], message: str) -> None:
    with zipfile.ZipFile(world / "x.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "{}")
    with pytest.raises((DataError, RunError), match=message):
        packed.unpacked(world / "x.zip", world / "runs")
    assert list((world / "runs").iterdir()) == []


def test_links_bombs_and_what_is_no_archive_are_refused(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = zipfile.ZipInfo("s-1/run.json")
    link.external_attr = 0o120777 << 16
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    (world / "x.zip").write_bytes(raw.getvalue())
    with pytest.raises(DataError, match="is a link or a device"):
        packed.unpacked(world / "x.zip", world / "runs")
    with zipfile.ZipFile(world / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("s-1/run.json", bytes(10_000))
    monkeypatch.setattr("dlx.data.store.archives.MAX_UNPACKED", 1000)
    with pytest.raises(DataError, match="unpacks to more than"):
        packed.unpacked(world / "x.zip", world / "runs")
    (world / "x.zip").write_bytes(b"no archive")
    with pytest.raises(DataError, match="cannot be unpacked"):
        packed.unpacked(world / "x.zip", world / "runs")
    assert list((world / "runs").iterdir()) == []
