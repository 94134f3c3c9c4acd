"""`dlx compare` at several widths and in a pipe: what is shown beside what, and on how many lines."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from conftest import Dlx

from dlx.commands.comparison_screen import _as_written
from dlx.runs.run import Run

FIGURES = {"val_loss": 0.5, "val_accuracy": 0.75, "train_loss": 0.4, "train_accuracy": 0.9, "best_epoch": 3,
           "epochs": 5, "train_seconds": 12.5}  # fmt: skip


def made(world: Path, name: str, settings: dict[str, Any], **figures: float) -> None:
    run = Run.create(world / "runs", name)
    whole = {"settings": {"name": name, "seed": 1, "dataset": "moons", **settings}, "monitor": "val_loss", "started": 1}
    run.begin("dataset: moons\n", whole)
    run.epochs.append([{"epoch": number, "val_loss": 1 / number} for number in range(1, 6)])
    run.finish({**FIGURES, **figures})
    run.release()


@pytest.fixture
def unlike(world: Path) -> list[str]:
    """Twenty runs, each with settings that no other has."""
    for number in range(20):
        own = {f"layers.0.dense.{key}": f"{key}-{number}" for key in ("activation", "kernel_initializer")}
        rest = {"lr": number / 1000, "batch_size": 2**number, "optimizer": "adam" if number % 2 else "sgd"}
        made(world, "drop", {**own, **rest, "schedule.cosine.warmup": number / 40}, val_loss=1 / (number + 1))
    return [f"drop-{number}" for number in range(1, 21)]


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_twenty_unlike_runs_take_two_screens_at_most(
    dlx: Dlx, unlike: list[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = dlx("compare", *unlike).out.splitlines()
    assert len(lines) <= 48
    assert max(map(len, lines)) <= columns


def test_so_do_twenty_runs_that_differ_in_little(dlx: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for number in range(1, 21):
        made(world, "r", {"lr": number / 100}, val_loss=1 / number)
    lines = dlx("compare", *(f"r-{number}" for number in range(1, 21))).out.splitlines()
    assert len(lines) <= 48
    assert lines[0].split()[:3] == ["run", "lr", "val_loss"]


def test_in_a_pipe_a_run_is_a_line(dlx: Dlx, unlike: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = dlx("compare", *unlike).out.splitlines()
    assert len(lines) == 21
    assert "kernel_initializer-13" in lines[14]


def test_few_unlike_runs_have_a_line_a_setting(dlx: Dlx, unlike: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    figures, *_, settings = dlx("compare", *unlike[:3]).out.split("\n\n")
    assert "val_accuracy" in figures
    lines = settings.splitlines()
    head = next(line for line in lines if "drop-1 " in line)
    assert head.split() == ["drop-1", "drop-2", "drop-3"]
    assert next(line for line in lines if line.startswith("batch_size")).split() == ["batch_size", "1", "2", "4"]


def test_settings_that_are_words_alone_have_a_line_each(dlx: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for word in ("relu", "tanh"):
        made(world, word, {f"layers.{place}.dense.activation": f"{word} of layer {place}" for place in range(4)})
    out = dlx("compare", "relu-1", "tanh-1").out
    assert "relu of layer 3" in out
    assert "tanh of layer 3" in out


def test_runs_on_other_data_are_groups_of_their_own(dlx: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    for name, data, value in (("a", "moons", 0.1), ("b", "moons", 0.2), ("c", "iris", 0.3), ("d", "iris", 0.4)):
        made(world, name, {"dataset": data, "lr": value}, val_loss=value)
    made(world, "e", {"dataset": "digits", "lr": 1.0}, val_loss=0.01)
    blocks = dlx("compare", *(f"{name}-1" for name in "abcde")).out.split("\n\n")
    assert [block.split()[0] for block in blocks] == ["moons", "iris", "alone"]
    assert [[word for word in block.split() if word.endswith("*")] for block in blocks] == [
        ["0.1000*"],
        ["0.3000*"],
        [],
    ]


def test_rows_of_one_name_are_told_apart_where_settings_stand_below(
    dlx: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for rate in (0.1, 0.5):
        for seed in (1, 2):
            long = {f"layers.{place}.dense.activation": f"{rate} of layer {place}" for place in range(4)}
            made(world, "drop", {"seed": seed, "lr": rate, **long}, val_loss=rate + seed / 100)
    out = dlx("compare", *(f"drop-{number}" for number in range(1, 5))).out
    assert "drop (n=2)  lr 0.1" in out
    assert "drop (n=2)  lr 0.5" in out


def test_csv_has_numbers_alone(dlx: Dlx, world: Path) -> None:
    for seed, loss in ((1, 0.2), (2, 0.4)):
        made(world, "x", {"seed": seed, "lr": 0.1}, val_loss=loss)
    made(world, "y", {"lr": 0.2})
    rows = list(csv.DictReader(io.StringIO(dlx("compare", "x-1", "x-2", "y-1", "--csv").out)))
    assert [(row["run"], row["n"], row["seed"]) for row in rows] == [("x", "2", ""), ("y-1", "1", "1")]
    assert float(rows[0]["val_loss"]) == pytest.approx(0.3)
    assert float(rows[0]["val_loss_sd"]) == pytest.approx(0.1414, abs=1e-4)
    assert rows[1]["val_loss_sd"] == ""


@pytest.mark.parametrize(
    ("cells", "written"),
    [
        (["0.00392156862745098", "–"], ["1/255", "–"]),
        (["0.023876123", "0.1"], ["0.0239", "0.1"]),
        (["0.0238761", "0.0238762"], ["0.0238761", "0.0238762"]),
        (["1000000", "relu"], ["1000000", "relu"]),
    ],
)
def test_numbers_are_as_a_person_writes_them(cells: list[str], written: list[str]) -> None:
    assert _as_written(cells) == written


def test_regressions_are_compared_in_the_unit_of_their_target(dlx: Dlx, world: Path) -> None:
    (world / "t.csv").write_text("size,price\n" + "".join(f"{n},{3000 * n + n % 5}.5\n" for n in range(60)))
    spec = "dataset: {csv: {path: t.csv, label: price}}\npreprocess: [normalize]\nlayers: [output]\nepochs: 2\n"
    (world / "t.yaml").write_text(spec)
    assert dlx("run", "t.yaml").code == 0
    assert dlx("run", "t.yaml", "-s", "lr=0.1").code == 0
    out = dlx("compare", "t-*").out
    assert "mae in the unit of price" in out
    head = out.splitlines()[0].split()
    assert head.index("val_mae") < head.index("val_loss")


def test_a_figure_that_is_sorted_by_is_shown(dlx: Dlx, world: Path) -> None:
    (world / "t.csv").write_text("a,b,kind\n" + "".join(f"{n % 7},{n % 5},{'xy'[n % 2]}\n" for n in range(60)))
    (world / "t.yaml").write_text(
        "dataset: {csv: {path: t.csv, label: kind}}\ntest: 0.3\nlayers: [output]\nepochs: 1\n"
    )
    for rate in ("0.1", "0.01"):
        assert dlx("run", "t.yaml", "-s", f"lr={rate}").code == 0
    assert "test_auc" not in dlx("compare", "t-*").out
    assert "test_auc" in dlx("compare", "t-*", "--sort", "test_auc").out
    assert "test_auc" in dlx("compare", "t-*", "--sort", "test_auc", "--csv").out
