"""list, show and compare: what differs, what resulted, and nothing that lies."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Dlx

from dlx.runs.compare import fold, sparkline
from dlx.runs.diff import align, differences
from dlx.runs.metrics import figure_text, mean_text
from dlx.runs.run import Run
from dlx.runs.summary import read
from dlx.system import terminal


def made(root: Path, name: str, settings: dict[str, Any], metrics: dict[str, Any] | None = None, **info: Any) -> Path:
    """A run directory with these settings and figures."""
    run = Run.create(root, name)
    run.begin(
        "dataset: or\n",
        {"settings": {"name": name, "seed": 42, **settings}, "monitor": "val_loss", "started": 1.0, **info},
    )
    if metrics is not None:
        run.epochs.append([{"epoch": n, "val_loss": 1 / n} for n in range(1, 4)])
        run.finish(metrics)
    run.release()
    return run.path


def layers(*parts: Any, section: str = "layers") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, part in enumerate(parts):
        if isinstance(part, str):
            found[f"{section}.{number}"] = part
        else:
            ((name, args),) = part.items()
            found |= {f"{section}.{number}.{name}.{key}": value for key, value in args.items()}
    return found


CONV32, CONV64 = {"conv2d": {"filters": 32, "kernel_size": 3}}, {"conv2d": {"filters": 64, "kernel_size": 3}}
POOL, DROP = {"max_pooling2d": {"pool_size": 2}}, {"dropout": {"rate": 0.5}}


def columns(root: Path, *settings: dict[str, Any]) -> dict[str, list[str]]:
    paths = [made(root, f"r{number}", setting, {"val_loss": 1.0}) for number, setting in enumerate(settings)]
    rows = [row for path in paths for row in fold([read(path)])]
    return {column.address: column.cells for column in differences(rows)}


def test_only_what_differs_is_shown(world: Path) -> None:
    assert columns(world, {"lr": 0.1, "epochs": 5}, {"lr": 0.2, "epochs": 5}) == {"lr": ["0.1", "0.2"]}


def test_one_removed_layer_is_one_removed_layer(world: Path) -> None:
    whole = layers(CONV32, POOL, CONV64, CONV64, POOL, "flatten", DROP, "output")
    without_pool = layers(CONV32, CONV64, CONV64, POOL, "flatten", DROP, "output")
    assert columns(world / "a", whole, without_pool) == {"layers.1.max_pooling2d": ["2", "–"]}
    assert columns(world / "b", without_pool, whole) == {"layers.1.max_pooling2d": ["–", "2"]}


def test_an_argument_of_an_aligned_layer_is_one_column(world: Path) -> None:
    other = {"dropout": {"rate": 0.3}}
    found = columns(world, layers(CONV32, "flatten", DROP), layers(CONV32, CONV64, "flatten", other))
    assert found == {"layers.1.conv2d": ["–", "64"], "layers.2.dropout.rate": ["0.5", "0.3"]}


def test_parts_of_different_names_do_not_mix_their_arguments(world: Path) -> None:
    sgd = {"optimizer.sgd.momentum": 0.9, "optimizer.sgd.nesterov": False}
    found = columns(world, sgd, {**sgd, "optimizer.sgd.momentum": 0.5}, {"optimizer.adam.beta_1": 0.9})
    assert found == {"optimizer": ["sgd", "sgd", "adam"], "optimizer.sgd.momentum": ["0.9", "0.5", "–"]}


def test_other_data_under_the_same_settings_is_shown(world: Path) -> None:
    paths = [made(world, f"r{n}", {"dataset": "csv"}, {}, dataset={"fingerprint": str(n) * 64}) for n in range(2)]
    rows = [row for path in paths for row in fold([read(path)])]
    assert [(c.address, c.cells) for c in differences(rows)] == [("data", ["00000000", "11111111"])]


def test_alignment_keeps_every_layer_in_order() -> None:
    a = [("x", {"k": n}) for n in range(4)]
    b = [("x", {"k": n}) for n in (0, 2, 3, 9)]
    pairs = align(a, b)
    assert [i for i, _ in pairs if i is not None] == [0, 1, 2, 3]
    assert [j for _, j in pairs if j is not None] == [0, 1, 2, 3]
    assert (2, 1) in pairs
    assert (3, 2) in pairs


def test_runs_that_differ_in_the_seed_alone_fold(dlx: Dlx, world: Path) -> None:
    for seed, value in ((1, 0.2), (2, 0.4), (3, 0.6)):
        made(world / "runs", "x", {"seed": seed, "lr": 0.1}, {"val_loss": value})
    made(world / "runs", "y", {"seed": 1, "lr": 0.2}, {"val_loss": 0.5})
    out = dlx("compare", "runs/x-1", "runs/x-2", "runs/x-3", "runs/y-1").out
    assert "x (n=3)" in out
    assert "0.40 ± 0.20" in out
    records = json.loads(dlx("compare", "runs/x-1", "runs/x-2", "runs/x-3", "--json").out)["runs"]
    assert [record["metrics"]["val_loss"] for record in records] == [0.2, 0.4, 0.6]


def test_the_same_seed_twice_does_not_fold(world: Path) -> None:
    paths = [made(world, "x", {"seed": 1}, {"val_loss": 1.0}) for _ in range(2)]
    assert [len(row.entries) for row in fold([read(path) for path in paths])] == [1, 1]


def test_the_best_is_marked_and_a_nan_never_is(dlx: Dlx, world: Path) -> None:
    made(world / "runs", "good", {"lr": 1}, {"val_loss": 0.5, "val_accuracy": 0.8})
    made(world / "runs", "nan", {"lr": 2}, {"val_loss": math.nan, "val_accuracy": math.nan})
    made(world / "runs", "bad", {"lr": 3}, {"val_loss": 0.7, "val_accuracy": 0.6})
    out = dlx("compare", "runs/good-1", "runs/nan-1", "runs/bad-1", "--sort", "val_loss").out
    assert "0.5000*" in out
    assert "80.00 %*" in out
    assert out.count("*") == 2
    names = [line.split()[0] for line in out.splitlines() if "-1" in line][:3]
    assert names == ["good-1", "bad-1", "nan-1"]
    reverse = dlx("compare", "runs/good-1", "runs/bad-1", "--sort", "val_accuracy").out
    assert reverse.index("good-1") < reverse.index("bad-1")


def test_unknown_metrics_are_errors_with_the_known_ones(dlx: Dlx, world: Path) -> None:
    made(world / "runs", "x", {}, {"val_loss": 0.5})
    for words in (("--sort", "val_los"), ("--columns", "val_los")):
        result = dlx("compare", "runs/x-1", *words)
        assert result.code == 2
        assert "did you mean 'val_loss'?" in result.err


def test_what_a_shell_expands(dlx: Dlx, world: Path) -> None:
    root = world / "runs"
    made(root, "x", {"lr": 0.1}, {"val_loss": 0.5})
    made(root, "y", {"lr": 0.2}, {"val_loss": 0.4})
    made(root / "old", "z", {}, {"val_loss": 1.0})
    (root / "README.md").write_text("runs")
    (root / "foreign").mkdir()
    (root / "torn-1").mkdir()
    (root / "torn-1" / "run.json").write_text('{"format": 1, "sett')
    words = sorted(str(path.relative_to(world)) for path in root.iterdir())
    result = dlx("compare", *words)
    assert result.code == 0
    assert "README" not in result.out + result.err
    assert "runs/foreign: is not a run" in result.out
    assert "runs/torn-1: run.json cannot be read" in result.out
    assert "z-1" in result.out  # a folder of runs means its runs
    everything = json.loads(dlx("compare", *words, "--json").out)["runs"]
    assert {Path(entry["run"]).name: entry["status"] for entry in everything} == {
        "foreign": "damaged", "torn-1": "damaged", "x-1": "done", "y-1": "done", "z-1": "done"
    }  # fmt: skip


@pytest.mark.parametrize(
    "damage",
    [
        {
            "run.json": '{"format": 1, "settings": {"lr": [1, {"a": null}], "layers.x": 3, "layers.0.dense": {}, "seed": "x"}}'
        },
        {"run.json": '{"format": 1, "settings": {}, "monitor": 3, "dataset": []}'},
        {"metrics.json": "[1, 2]"},
        {"metrics.json": '{"val_loss": "low", "val_accuracy": [1], "epochs": {}}'},
        {"metrics.json": '{"val_loss": 1e999}'},
        {"failure.json": "null"},
        {"history.jsonl": "\x00\x01\n[]\n{}\n3\n"},
        {"run.json": '{"format": 1, "settings": {"name": "\\u001b[31mred", "lr": "\\u001b]0;title\\u0007"}}'},
    ],
)
def test_damaged_runs_never_end_the_command(dlx: Dlx, world: Path, damage: dict[str, str]) -> None:
    good = made(world / "runs", "good", {"lr": 0.1}, {"val_loss": 0.5})
    bad = made(world / "runs", "bad", {"lr": 0.2}, {"val_loss": 0.4})
    for name, text in damage.items():
        (bad / name).write_text(text)
    for words in (
        ["compare", good, bad],
        ["compare", good, bad, "--json"],
        ["compare", good, bad, "--csv"],
        ["list"],
        ["list", "--json"],
    ):
        result = dlx(*words)
        assert result.code == 0, (words, result.err)
        assert "bad-1" in result.out + result.err
        assert "\x1b" not in result.out + result.err
    assert dlx("show", bad).code in (0, 2)


def test_csv_and_markdown(dlx: Dlx, world: Path) -> None:
    made(world / "runs", "x", {"lr": 0.1}, {"val_loss": 0.123456789, "epochs": 3})
    made(world / "runs", "y", {"lr": 0.2}, {"val_loss": 0.5, "epochs": 3})
    rows = list(csv.DictReader(io.StringIO(dlx("compare", "runs/x-1", "runs/y-1", "--csv").out)))
    assert [(row["run"], row["lr"], row["val_loss"]) for row in rows] == [
        ("x-1", "0.1", "0.123456789"),
        ("y-1", "0.2", "0.5"),
    ]
    lines = dlx("compare", "runs/x-1", "runs/y-1", "--markdown").out.splitlines()
    assert lines[0].startswith("| run | status | n | lr | val_loss")
    assert len({line.count("|") for line in lines}) == 1


def test_eighty_columns_with_twenty_runs_and_long_names(dlx: Dlx, world: Path) -> None:
    for number in range(20):
        name = f"a_very_long_name_of_an_experiment_with_convolutions_{number:02d}"
        metrics = {f"{s}_{m}": 0.123456 * (number + 1) for s in ("train", "val", "test") for m in ("loss", "accuracy")}
        made(
            world / "runs",
            name,
            {"lr": 10.0**-number, "batch_size": 2**number, "epochs": number},
            {**metrics, "best_epoch": 7},
        )
    result = dlx("compare", *sorted((world / "runs").iterdir()))
    assert result.code == 0
    assert max(map(len, result.out.splitlines())) <= 80
    assert "1e-19" in result.out
    assert "524288" in result.out
    assert "2.4691" in result.out
    listed = dlx("list").out
    assert max(map(len, listed.splitlines())) <= 80
    assert listed.count("done") == 20


def test_list_says_what_changed(dlx: Dlx, world: Path) -> None:
    made(world / "runs", "x", {"lr": 0.1}, {"val_loss": 0.5})
    made(world / "runs", "x", {"lr": 0.2}, {"val_loss": 0.4})
    out = dlx("list").out
    assert "lr=0.2" in out
    assert "val_loss 0.4000" in out
    assert "no runs in nowhere yet" in dlx("list", "--runs-dir", "nowhere").out


def test_list_compares_a_run_with_its_own_spec_alone(dlx: Dlx, world: Path) -> None:
    made(world / "runs", "x", {"lr": 0.1}, {"val_loss": 0.5}, started=1.0)
    made(world / "runs", "y", {"lr": 0.7, "epochs": 3}, {"val_loss": 0.4}, started=2.0)
    made(world / "runs", "x", {"lr": 0.1, "seed": 7}, {"val_loss": 0.5}, started=3.0)
    made(world / "runs", "fine", {"lr": 0.01}, {"val_loss": 0.5}, started=4.0, parent="x-1")
    found = {line.split()[0]: line.split("000", 1)[1].strip() for line in dlx("list").out.splitlines()[1:]}
    assert found == {"x-1": "", "y-1": "", "x-2": "x-1 again, seed=7", "fine-1": "lr=0.01"}


def test_list_shows_the_figure_that_it_is_sorted_by(dlx: Dlx, world: Path) -> None:
    for name, accuracy in (("a", 0.7), ("b", 0.9)):
        made(world / "runs", name, {}, {"val_loss": 0.5, "val_accuracy": accuracy})
    head, *rows = dlx("list", "--sort", "val_accuracy").out.splitlines()
    assert "val_accuracy" in head
    assert [row.split()[0] for row in rows] == ["b-1", "a-1"]
    assert "90.00 %" in rows[0]


def test_numbers_as_people_read_them() -> None:
    values = {
        0.76312: "0.7631",
        0.00064: "0.00064",
        12.3456: "12.35",
        123456.7: "123,457",
        3.0: "3",
        1e-12: "1e-12",
        -0.5: "-0.5000",
    }
    assert {value: figure_text("val_loss", value) for value in values} == values
    assert figure_text("test_accuracy", 0.977777) == "97.78 %"
    assert figure_text("last_val_top_5_accuracy", 1.0) == "100.00 %"
    assert mean_text("val_loss", 0.16312, 0.0123) == "0.163 ± 0.012"
    assert mean_text("val_accuracy", 0.94444, 0.00712) == "94.44 ± 0.71 %"
    assert mean_text("val_mae", 1739.4, 120.7) == "1,739 ± 121"
    assert mean_text("val_loss", 0.0012, 0.0) == "0.0012 ± 0"
    assert mean_text("val_loss", 1.2e-9, 1e-10) == "1.2e-09 ± 1e-10"
    assert all(
        terminal.are_numbers([text]) for text in ("97.78 %", "94.44 ± 0.71 %", "1,739 ± 121", "24 (12–40)", "nan")
    )


def test_the_sparkline_shows_the_monitored_figure(world: Path) -> None:
    path = made(world, "x", {}, {"val_loss": 0.3})
    assert sparkline(read(path)) == "█▃▁"


def test_settings_that_differ_in_the_seventh_digit_differ(world: Path) -> None:
    assert columns(world, {"lr": 0.12345671}, {"lr": 0.12345674}) == {"lr": ["0.12345671", "0.12345674"]}


def test_a_spec_with_terminal_escapes_is_shown_without_them(dlx: Dlx, world: Path) -> None:
    path = made(world, "x", {}, {"val_loss": 0.5})
    (path / "spec.yaml").write_bytes(b"# \x1b]0;title\x07\xff\ndataset: or\n")
    result = dlx("show", path)
    assert result.code == 0
    assert "\x1b" not in result.out


def test_a_long_layer_is_shown_in_eighty_columns(dlx: Dlx, world: Path) -> None:
    path = made(world, "x", {}, {"val_loss": 0.5})
    layer = {"dense": {f"a_long_name_{number}": f"and a value {number}" for number in range(9)}}
    said = {"description": "words " * 40, "layers": [layer, "flatten"]}
    (path / "spec.yaml").write_text(f"description: '{said['description']}'\nlayers:\n- {layer}\n- flatten\n")
    shown = dlx("show", path).out.split("settings\n")[1].split("\nfigures")[0]
    assert max(map(len, shown.splitlines())) <= 80
    assert yaml.safe_load(shown) == said


def test_what_differs_among_those_that_have_a_layer_is_shown_beside_its_absence(world: Path) -> None:
    relu, tanh = ({"dense": {"units": 8, "activation": name}} for name in ("relu", "tanh"))
    found = columns(world, layers("flatten", relu), layers("flatten", tanh), layers("flatten"))
    assert found == {"layers.1.dense": ["8", "8", "–"], "layers.1.dense.activation": ["relu", "tanh", "–"]}


def test_a_setting_and_a_figure_of_one_name_are_two_columns(dlx: Dlx, world: Path) -> None:
    made(world / "runs", "x", {"epochs": 5}, {"val_loss": 0.1, "epochs": 3})
    made(world / "runs", "y", {"epochs": 9}, {"val_loss": 0.5, "epochs": 9})
    head = dlx("compare", "runs/x-1", "runs/y-1", "--csv").out.splitlines()[0].split(",")
    assert "epochs" in head
    assert "metrics.epochs" in head
    assert len(set(head)) == len(head)


# What a comparison is judged by


def test_test_figures_stand_apart_and_choose_nothing(dlx: Dlx, world: Path) -> None:
    for number, (val, test) in enumerate([(0.5, 0.9), (0.6, 0.7)]):
        figures = {"train_loss": 1.0, "val_loss": 1 - val, "val_accuracy": val, "test_loss": 0.1, "test_accuracy": test}
        made(world / "runs", "r", {"lr": number}, figures, monitor="val_accuracy")
    head, *_ = dlx("compare", "runs/r-1", "runs/r-2", "--csv").out.splitlines()
    figures = ["val_accuracy", "val_loss", "train_loss", "test_loss", "test_accuracy"]
    assert head.split(",")[-5:] == figures
    out = dlx("compare", "runs/r-1", "runs/r-2", "--columns", "val_accuracy,test_accuracy").out
    assert "60.00 %*" in out
    assert "0.9000*" not in out
    alone = [made(world / "runs", "s", {"lr": n}, {"test_accuracy": 0.5 + n / 10}) for n in range(2)]
    assert "60.00 %*" in dlx("compare", *alone).out


def test_conditions_are_shown_where_they_differ(dlx: Dlx, world: Path) -> None:
    cpu = {"backend": "tensorflow", "device": "cpu", "device_name": "no GPU found; CPU, 2 cores"}
    gpu = {"backend": "jax", "device": "gpu:0", "device_name": "NVIDIA L4"}
    paths = [made(world / "runs", "r", {"lr": 1}, {"val_loss": 0.5}, **where) for where in (cpu, gpu, cpu)]
    out = dlx("compare", *paths, "--csv").out.splitlines()
    assert out[0].split(",")[:5] == ["run", "status", "n", "backend", "device"]
    assert [line.split(",")[3:5] for line in out[1:]] == [
        ["tensorflow", "cpu"],
        ["jax", "NVIDIA L4"],
        ["tensorflow", "cpu"],
    ]
    alike = dlx("compare", paths[0], paths[2], "--csv").out.splitlines()
    assert "backend" not in alike[0]
    seeds = [made(world / "runs", "s", {"seed": n}, {"val_loss": 0.5}, **where) for n, where in enumerate((cpu, gpu))]
    assert len(dlx("compare", *seeds, "--csv").out.splitlines()) == 3


def test_published_runs_are_found_by_their_names(dlx: Dlx, world: Path) -> None:
    root = world / "runs"
    for name in ("gate", "moons_sizes-1", "moons_sizes-2"):
        path = made(root / "tutorials", "x", {"name": name}, {"val_loss": 0.5})
        path.rename(path.parent / name)
    assert "moons_sizes-2" in dlx("list").out
    assert dlx("list", "-q").out.splitlines() == ["gate", "moons_sizes-1", "moons_sizes-2"]
    assert "runs/tutorials/gate" in dlx("show", "gate").out
    assert "runs/tutorials/moons_sizes-2" in dlx("show", "moons_sizes").out
    assert [run["run"] for run in dlx("compare", "moons_*", "--json").lines[0]["runs"]] == [
        "runs/tutorials/moons_sizes-1", "runs/tutorials/moons_sizes-2",
    ]  # fmt: skip
    made(root, "gate", {"name": "gate"}, {"val_loss": 0.1})
    assert (
        "runs/gate-1" in dlx("show", "gate").out.splitlines()[0] or "runs/tutorials/gate" not in dlx("show", "gate").out
    )
    for words in (["rm", "moons_sizes-1"], ["note", "moons_sizes-1", "mine"]):  # what was published stays as it is
        assert dlx(*words).code == 2
    assert "did you mean" in dlx("show", "moon_sizes").err


def test_losses_of_unlike_penalties_are_compared_without_them(dlx: Dlx, world: Path) -> None:
    root = world / "runs"
    made(root, "plain", {}, {"val_loss": 0.83, "val_accuracy": 0.75})
    rule = {"regularization.l2": 0.0005}
    made(root, "l2", rule, {"val_loss": 0.94, "val_data_loss": 0.70, "val_accuracy": 0.77})
    out = dlx("compare", "plain-1", "l2-1").out
    assert "val_data_loss" in out
    assert "0.7000*" in out
    assert "0.8300*" not in out
    assert "0.8300" in out
    both = dlx(
        "compare", "l2-1", str(made(root, "l2", {**rule, "lr": 0.1}, {"val_loss": 0.8, "val_data_loss": 0.6}))
    ).out
    assert "val_data_loss" not in both
    assert "0.8000*" in both
    best = dlx("compare", "plain-1", "l2-1", "--columns", "val_data_loss").out
    assert "0.8300" in best


def test_when_a_figure_was_first_reached(dlx: Dlx, world: Path) -> None:
    for name, pace in (("fast", 2), ("slow", 1), ("never", 0)):
        run = Run(made(world / "runs", name, {"batch_size": pace}, {"val_accuracy": 0.5 * pace}))
        (run.path / "history.jsonl").unlink()
        run.epochs.append(
            [
                {"epoch": n, "step": 10 * n, "val_accuracy": round(0.2 * n * pace, 3), "seconds": 1.5}
                for n in range(1, 5)
            ]
        )
    result = dlx("compare", "fast-1", "slow-1", "never-1", "--reach", "val_accuracy=0.6", "--json").lines[0]["runs"]
    found = [
        (r["metrics"].get("reach_steps"), r["metrics"].get("reach_epochs"), r["metrics"].get("reach_seconds"))
        for r in result
    ]
    assert found == [(20, 2, 3.0), (30, 3, 4.5), (None, None, None)]
    out = dlx("compare", "fast-1", "slow-1", "never-1", "--reach", "val_accuracy=0.6").out
    assert "reach_steps" in out
    assert "20*" in out
    assert dlx("compare", "fast-1", "--reach", "val_acuracy=0.6").code == 2
    assert "did you mean 'val_accuracy'?" in dlx("compare", "fast-1", "--reach", "val_acuracy=0.6").err
    assert "expected a figure and a number" in dlx("compare", "fast-1", "--reach", "soon").err


def test_many_runs_of_several_data_sets_take_a_table_each(dlx: Dlx, world: Path) -> None:
    root = world / "runs"
    for number in range(14):
        data = ("mnist", "cifar10", "iris")[0 if number < 7 else 1 if number < 13 else 2]
        figures = {"val_accuracy": number / 20, "val_loss": 1.0, "train_accuracy": 0.9, "best_epoch": 3, "epochs": 5}
        made(
            root,
            f"r{number}",
            {"dataset": data, "lr": number / 10, **layers(CONV32, {"dropout": {"rate": number / 20}})},
            figures,
        )
    out = dlx("compare", *[f"r{number}-1" for number in range(14)]).out
    lines = out.splitlines()
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if "val_accuracy" in line] == ["mnist", "cifar10", "r13-1"]
    assert "alone with its data  data" in out
    assert "60.00 %*" in out
    assert "lr" in lines[0]
    assert "more settings differ" in out or "dropout" in out


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ([{"seed": 1}, {"seed": 2}], "x (n=2)"),
        ([{"split_seed": 0}, {"split_seed": 1}], "x (2 splits)"),
        ([{"validation": "fold 1 of 3"}, {"validation": "fold 2 of 3"}], "x (2 folds)"),
    ],
)
def test_what_is_folded_is_named_after_what_differs(world: Path, settings: list[dict[str, Any]], name: str) -> None:
    paths = [made(world / "runs", "x", setting, {"val_loss": 1.0}) for setting in settings]
    rows = fold([read(path) for path in paths])
    assert [row.name for row in rows] == [name]
    others = [made(world / "runs", "x", {**settings[0], "validation": "fold 1 of 4"}, {"val_loss": 1.0})]
    assert len(fold([read(path) for path in [*paths, *others]])) == 2
