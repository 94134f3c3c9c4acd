"""list with its filters, note, rm with its trash, and what the shell completes."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from conftest import CONFIGS, Dlx

from dlx.runs import find
from dlx.runs.run import Run


def made(root: Path, name: str, age: float = 0.0, tags: tuple[str, ...] = (), **metrics: float) -> Run:
    """A run with a record and, if there are figures, an end."""
    run = Run.create(root, name)
    start = time.time() - age
    settings = {"lr": 0.1, "tags": list(tags)}
    run.begin("dataset: digits\nlayers: [output]\n", {"started": start, "start": "2026-01-01T00:00:00", "settings": settings, "monitor": "val_loss"})  # fmt: skip
    if metrics:
        run.finish(metrics)
    else:
        run.fail("failed", "it broke")
    return run


@pytest.fixture
def root(world: Path) -> Path:
    folder = world / "runs"
    for number in range(11):
        made(folder, "x", age=number * 86400, val_accuracy=number / 10, tags=("even",) if number % 2 == 0 else ())
    made(folder, "y")
    return folder


def names(dlx: Dlx, *words: str) -> list[str]:
    result = dlx("list", "-q", *words)
    assert result.code == 0, result.err
    return result.out.split()


def test_list_filters_and_sorts(dlx: Dlx, root: Path) -> None:
    everything = [*(f"x-{n}" for n in range(1, 12)), "y-1"]
    assert names(dlx) == [*(f"x-{n}" for n in range(11, 0, -1)), "y-1"]  # the newest last
    assert names(dlx, "--sort", "name") == everything
    assert names(dlx, "x-*", "--sort", "name") == everything[:-1]
    assert names(dlx, "x-3..5", "y-1", "--sort", "name") == ["x-3", "x-4", "x-5", "y-1"]
    assert "no run is in 'x-30..40'" in dlx("list", "x-30..40").err
    assert names(dlx, "--status", "failed") == ["y-1"]
    assert names(dlx, "--status", "failed", "--status", "done", "--sort", "name") == everything
    assert names(dlx, "--tag", "even", "--sort", "name") == ["x-1", "x-3", "x-5", "x-7", "x-9", "x-11"]
    assert names(dlx, "--since", "36h", "--sort", "name") == ["x-1", "x-2", "y-1"]
    assert names(dlx, "--sort", "val_accuracy")[:3] == ["x-11", "x-10", "x-9"]
    assert names(dlx, "--sort", "start")[-1] == "y-1"
    assert names(dlx, "--status", "running") == []
    assert len(json.loads(dlx("list", "--json", "--tag", "even").out)["runs"]) == 6
    assert "no run in runs matches these options" in dlx("list", "--status", "running").out
    assert "expected a date" in dlx("list", "--since", "yesterday").err
    assert "did you mean 'val_accuracy'" in dlx("list", "--sort", "val_acuracy").err


def test_a_note_is_kept_told_and_removed(dlx: Dlx, root: Path) -> None:
    assert "x-11 has no note" in dlx("note", "x").out
    assert dlx("note", "x-1", "worth", "another look\x1b[31m").code == 0
    assert "\x1b" not in dlx("note", "x-1").out
    assert "“worth another look" in dlx("list", "x-1").out
    assert "note" in dlx("show", "x-1").out
    assert dlx("note", "x-1", "--clear").code == 0
    assert "has no note" in dlx("note", "x-1").out


def test_rm_moves_to_the_trash_and_back(dlx: Dlx, root: Path) -> None:
    assert dlx("rm", "x-2", "x-1*").code == 0
    assert names(dlx, "--sort", "name") == [*(f"x-{n}" for n in range(3, 10)), "y-1"]
    assert dlx("rm", "--restore").out.split() == ["x-1", "x-2", "x-10", "x-11"]
    assert Run.create(root, "x").name == "x-12"  # a number in the trash is not given again
    gone = dlx("show", "x-10").err
    assert "'x-10' is in the trash" in gone
    assert "dlx rm --restore x-10" in gone
    assert dlx("rm", "--restore", "x-10", "x-2").code == 0
    assert (Run.open(root / "x-10").metrics() or {})["val_accuracy"] == 0.9
    assert "'x-3' is not in the trash" in dlx("rm", "--restore", "x-3").err
    assert dlx("rm", "--empty").out.strip() == "deleted 2 runs for good"
    assert dlx("rm", "--restore").out.strip() == "the trash is empty"
    assert not (root / ".trash" / "x-1").exists()


def test_a_running_run_is_not_removed_and_nothing_else_with_it(dlx: Dlx, root: Path) -> None:
    live = Run.create(root, "live")
    live.begin("dataset: digits\nlayers: [output]\n", {"settings": {}})
    result = dlx("rm", "x-1", "live-1")
    assert result.code == 2
    assert "is running" in result.err
    assert (root / "x-1").is_dir()
    live.release()
    assert dlx("rm", "live-1").code == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "expected RUN..., --restore or --empty"),
        (["nothing"], "unknown run 'nothing'"),
        (["--empty", "x-1"], "--empty stands alone"),
        (["runs"], "is a folder of runs"),
        (["elsewhere/x-1"], "is not in runs, the runs folder"),
    ],
)
def test_rm_refuses(dlx: Dlx, root: Path, words: list[str], expected: str) -> None:
    made(root.parent / "elsewhere", "x", val_loss=1.0)
    result = dlx("rm", *words)
    assert result.code == 2
    assert expected in result.err
    assert len(find.below(root)) == 12


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dlx show x-1", ["x-1", "x-10", "x-11"]),
        ("dlx compare lat", ["latest"]),
        ("dlx parts conv2", ["conv2d", "conv2d_transpose"]),
        ("dlx pl", ["plot"]),
        ("dlx run configs/or", ["configs/or_gate.yaml"]),
        ("dlx run configs/or_gate.yaml -s prec", ["precision="]),
        ("dlx run configs/or_gate.yaml -s layers.0.output.k", ["layers.0.output.kernel_initializer.truncated_normal="]),
    ],
)
def test_the_shell_completes(shell: Dlx, root: Path, line: str, expected: list[str]) -> None:
    (root.parent / "configs").symlink_to(CONFIGS)
    count = str(len(line.split()) - 1)
    result = shell(_DLX_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=count)
    assert [row.partition(",")[2] for row in result.out.split()] == expected


def test_a_run_of_another_name_is_told_by_what_it_changed(dlx: Dlx, small: Path) -> None:
    assert dlx("run", small, "-s", "epochs=1").code == 0
    assert dlx("run", small, "-s", "epochs=1", "-s", "lr=0.5", "--name", "fast").code == 0
    assert "0.5" in next(line for line in dlx("list").out.splitlines() if line.startswith("fast-1"))


def test_no_star_among_runs_on_unlike_data(dlx: Dlx, small: Path, gate: Path) -> None:
    assert dlx("run", small, gate, "-s", "epochs=1", "-s", "validation=none").code == 0
    assert "*" not in dlx("compare", "small", "gate").out


def test_what_runs_take_is_said_and_checkpoints_are_freed(dlx: Dlx, gate: Path, world: Path) -> None:
    for epochs in (20, 20, 40):
        assert dlx("run", gate, "-s", f"epochs={epochs}").code == 0
    Run(world / "runs" / "gate-2").fail("interrupted", "stopped")
    (world / "runs" / "gate-2" / "metrics.json").unlink()
    result = dlx("list", "--size", "--sort", "size")
    assert result.code == 0, result.err
    heading, *lines = [line.split() for line in result.out.splitlines() if line.strip()]
    assert heading == ["run", "status", "size", "checkpoints", "model.onnx"]
    assert lines[3][:2] == ["3", "runs"]
    sizes = {one["run"].split("/")[-1]: one["bytes"] for one in json.loads(dlx("list", "--size", "--json").out)["runs"]}
    for name, size in sizes.items():
        files = [path for path in (world / "runs" / name).rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) <= size["total"] < 4096 * 3 * len(files)
        assert 0 < size["checkpoints"] < size["total"]
        assert (size["onnx"] > 0) == (world / "runs" / name / "model.onnx").is_file()
    assert "dlx rm --checkpoints gate-1 gate-3" in result.out  # not the one that may go on

    refused = dlx("rm", "--checkpoints", "gate-*")
    assert refused.code != 0
    assert "gate-2: is interrupted: its checkpoint is all that there is of its training" in refused.err
    freed = dlx("rm", "--checkpoints", "gate-1", "gate-3")
    assert freed.code == 0, freed.err
    assert freed.out.count(" kB") == 4
    after = {one["run"].split("/")[-1]: one["bytes"] for one in json.loads(dlx("list", "--size", "--json").out)["runs"]}
    assert after["gate-2"] == sizes["gate-2"]
    assert after["gate-1"]["total"] < sizes["gate-1"]["total"] - sizes["gate-1"]["checkpoints"] // 2
    assert names(dlx, "--status", "done") == ["gate-1", "gate-3"]
    assert "no checkpoints there" in dlx("rm", "--checkpoints", "gate-1").out
    assert dlx("resume", "gate-2").code == 0
    assert "has no whole checkpoint" in dlx("resume", "gate-1", "-s", "epochs=60").err
    assert dlx("rm", "--checkpoints").code == 2
