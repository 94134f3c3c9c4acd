"""`dlx sweep`: the combinations, what counts as done, what a failed one does to the rest."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Dlx
from hypothesis import given
from hypothesis import strategies as st

from dlx.errors import SpecError
from dlx.search.places.local import Finished, claimed
from dlx.spec import trials_of
from dlx.spec.dimensions import alternatives_of
from dlx.spec.parse import write_value

GATE = """\
dataset: or
validation: none
layers: [{dense: {units: 3, activation: tanh, name: hidden}}, {output: {units: 1}}]
optimizer: sgd
lr: 1
batch_size: full
epochs: 3
"""


@pytest.fixture
def spec(world: Path) -> Path:
    path = world / "gate.yaml"
    path.write_text(GATE + "sweep: {lr: [0.5, 1], layers.hidden.units: [2, 3]}\n")
    return path


def settings(path: Path, *overrides: str) -> list[dict[str, object]]:
    return [trial.settings for trial in trials_of(path, overrides)]


def test_several_keys_make_the_grid(spec: Path) -> None:
    assert settings(spec) == [
        {"lr": 0.5, "layers.hidden.units": 2},
        {"lr": 0.5, "layers.hidden.units": 3},
        {"lr": 1, "layers.hidden.units": 2},
        {"lr": 1, "layers.hidden.units": 3},
    ]
    assert [trial.spec.layers[0].args["units"] for trial in trials_of(spec)] == [2, 3, 2, 3]
    assert all(not trial.spec.sweep for trial in trials_of(spec))


def test_the_shell_replaces_and_fixes_alternatives(spec: Path) -> None:
    assert settings(spec, "lr=1", "layers.hidden.units=4,5,6") == [{"layers.hidden.units": n} for n in (4, 5, 6)]
    assert settings(spec, "sweep=null", "layers.hidden.activation=relu,tanh,null") == [
        {"layers.hidden.activation": value} for value in ("relu", "tanh", None)
    ]


@given(st.lists(st.one_of(st.integers(1, 9), st.lists(st.integers(), max_size=3), st.text("a,'\"[]{} :#", max_size=6),
                          st.dictionaries(st.sampled_from("ab"), st.integers())), min_size=2, max_size=4))  # fmt: skip
def test_commas_inside_brackets_and_quotes_part_nothing(values: list[object]) -> None:
    address, nodes = alternatives_of(f"a.b={write_value(values)[1:-1]}")
    assert (address, [node.plain() for node in nodes]) == ("a.b", values)


@pytest.mark.parametrize(
    ("sweep", "overrides", "said"),
    [
        ("sweep: {lr: 0.5}", [], "gate.yaml:8:13: sweep.lr: expected a list of alternatives, got 0.5"),
        ("sweep: {lr: []}", [], "expected a list of alternatives, got []"),
        ("sweep: [lr]", [], "gate.yaml:8:8: sweep: expected"),
        ("sweep: {lr: [0.5, fast]}", [], "gate.yaml:8:19: lr: expected a number (above 0), got 'fast'"),
        ("sweep: {rate: [1, 2]}", [], "unknown key 'rate'"),
        ("sweep: {layers.dropout.rate: [0, 0.5]}", [], "layers has no 'dropout'"),
        ("", [], "there are no alternatives to try"),
        ("", ["lr=0.1,,1"], "-s lr=0.1,,1: lr: expected a number (above 0), got '0.1,,1'"),
        ("", ["lr=0.1,-1"], "-s lr=0.1,-1: lr: expected a number (above 0), got -1"),
        ("", ["epochs=" + ",".join(["1"] * 101), "seed=" + ",".join(["1"] * 101)], "10,201 combinations"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(world: Path, sweep: str, overrides: list[str], said: str) -> None:
    (world / "gate.yaml").write_text(f"{GATE}{sweep}\n")
    with pytest.raises(SpecError) as caught:
        trials_of("gate.yaml", overrides)
    assert said in str(caught.value)


def test_a_bad_alternative_is_a_problem_of_the_spec(dlx: Dlx, world: Path) -> None:
    (world / "gate.yaml").write_text(GATE + "sweep: {lr: [0.5, fast]}\n")
    done = dlx("check", "gate.yaml")
    assert done.code == 2
    assert "gate.yaml:8:19" in done.err


def test_a_sweep_trains_each_combination_once(dlx: Dlx, spec: Path, world: Path) -> None:
    for name in ("other", "gate"):  # gate-* is the whole sweep, so a run of another name is not one of it
        assert dlx("run", "gate.yaml", "-s", "lr=0.5", "-s", "layers.hidden.units=2", "--name", name).code == 0
    first = dlx("sweep", "gate.yaml")
    assert first.code == 0
    assert "4 combinations, 1 of them finished before" in first.out
    assert sorted(path.name for path in (world / "runs").iterdir()) == [
        "gate-1",
        "gate-2",
        "gate-3",
        "gate-4",
        "other-1",
    ]
    infos = [json.loads((world / "runs" / f"gate-{n}" / "run.json").read_text()) for n in (2, 3, 4)]
    assert [info["parent"] for info in infos] == ["gate"] * 3
    assert [info["settings"]["lr"] for info in infos] == [0.5, 1.0, 1.0]
    assert not any(key.startswith("sweep") for info in infos for key in info["settings"])
    assert "other-1" not in first.out
    again = dlx("sweep", "gate.yaml")
    assert "4 of them finished before" in again.out
    assert len(list((world / "runs").iterdir())) == 5
    more = dlx("sweep", "gate.yaml", "-s", "lr=0.5,1,2")
    assert "6 combinations, 4 of them finished before" in more.out
    assert len(list((world / "runs").iterdir())) == 7


def test_one_that_fails_is_recorded_and_the_rest_go_on(dlx: Dlx, world: Path, spec: Path) -> None:
    (world / "gate.yaml").write_text(GATE)
    done = dlx("sweep", "gate.yaml", "-s", "loss=categorical_crossentropy", "-s", "layers.1.output.activation=linear",
               "-s", "dataset=or,moons", "-s", "layers.hidden.activation=linear,tanh", "--json")  # fmt: skip
    assert done.code == 2  # a linear head has no logarithm: each says so, none is silent
    assert [json.loads(line)["status"] for line in done.out.splitlines()] == ["failed"] * 4
    (world / "gate.yaml").write_text(GATE.replace("epochs: 3", "epochs: 400"))
    done = dlx("sweep", "gate.yaml", "-s", "lr=1e30,1", "-s", "loss=mean_squared_error", "-s",
               "layers.hidden.activation=exponential", "--json")  # fmt: skip
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["status"] for row in rows] == ["failed", "done"]
    assert done.code == 4
    assert json.loads((Path(rows[0]["run"]) / "failure.json").read_text())["kind"] == "failed"
    again = dlx("sweep", "gate.yaml", "-s", "lr=1e30,1", "-s", "loss=mean_squared_error", "-s",
                "layers.hidden.activation=exponential")  # fmt: skip
    assert "2 combinations, 1 of them finished before" in again.out


def test_a_dry_run_says_the_time_and_leaves_nothing(dlx: Dlx, spec: Path, world: Path) -> None:
    assert dlx("run", "gate.yaml", "-s", "lr=0.5", "-s", "layers.hidden.units=2").code == 0
    done = dlx("sweep", "gate.yaml", "--dry-run")
    assert done.code == 0
    assert done.out.count("about ") == 4  # three combinations, and the sum
    assert "done, took" in done.out
    assert len(list((world / "runs").iterdir())) == 1


def test_run_trains_a_sweep_spec_as_it_stands(dlx: Dlx, spec: Path, world: Path) -> None:
    done = dlx("run", "gate.yaml")
    assert done.code == 0
    assert "dlx sweep gate.yaml trains its alternatives of lr, layers.hidden.units" in done.err
    assert "sweep" not in (world / "runs/gate-1/spec.yaml").read_text()
    assert "sweep:" in dlx("check", "gate.yaml", "--print").out


def test_an_address_is_one_setting_however_it_is_said(spec: Path) -> None:
    assert settings(spec, "lr=1", "layers.0.units=7,8") == [{"layers.0.units": 7}, {"layers.0.units": 8}]
    fixed = trials_of(spec, ["layers.0.dense.units=7"])
    assert [trial.spec.layers[0].args["units"] for trial in fixed] == [7, 7]
    with pytest.raises(SpecError, match=r"layers\.0\.units and layers\.hidden\.units are the same setting"):
        trials_of(spec, ["layers.0.units=7,8", "layers.hidden.units=2,3"])


def test_the_same_combination_twice_is_one(spec: Path) -> None:
    assert settings(spec, "lr=0.1,0.1", "layers.hidden.units=2") == [{"lr": 0.1}]


def test_alternatives_may_be_what_the_spec_lacks(world: Path) -> None:
    lacking = GATE.replace("dataset: or\n", "") + "sweep: {dataset: [or, and], lr: [1, 2]}\n"
    (world / "gate.yaml").write_text(lacking)
    assert len(trials_of("gate.yaml")) == 4


def test_a_run_on_other_data_is_not_finished(dlx: Dlx, world: Path) -> None:
    (world / "t.csv").write_text("a,b,kind\n" + "1,2,x\n3,4,y\n" * 4)
    (world / "t.yaml").write_text(GATE.replace("dataset: or", "dataset: {csv: {path: t.csv, label: kind}}"))
    assert dlx("sweep", "t.yaml", "-s", "lr=0.1,0.2").code == 0
    assert "2 of them finished before" in dlx("sweep", "t.yaml", "-s", "lr=0.1,0.2").out
    (world / "t.csv").write_text("a,b,kind\n" + "1,2,x\n3,5,y\n" * 4)
    assert "finished before" not in dlx("sweep", "t.yaml", "-s", "lr=0.1,0.2").out


def test_a_dry_run_has_no_json(dlx: Dlx, spec: Path) -> None:
    done = dlx("sweep", "gate.yaml", "--dry-run", "--json")
    assert (done.code, done.out) == (2, "")


# Two sweeps, and weights from another run


def test_a_combination_that_is_running_counts_as_taken(dlx: Dlx, spec: Path, world: Path) -> None:
    trials = trials_of("gate.yaml")
    finished = Finished(world / "runs", lambda spec: None)
    with claimed(world / "runs", finished.identity(trials[1].spec)) as free:
        assert free
        with claimed(world / "runs", finished.identity(trials[1].spec)) as again:
            assert not again
        done = dlx("sweep", "gate.yaml", "--json")
        assert done.code == 0
        assert [line["status"] for line in done.lines] == ["done", "running", "done", "done"]
        assert "2/4  lr=0.5 layers.hidden.units=3  is running in another process" in done.err
    assert len(list((world / "runs").glob("gate-*"))) == 3
    assert [line["status"] for line in dlx("sweep", "gate.yaml", "--json").lines] == ["done"] * 4
    assert not (world / "runs/.claims").exists()


@pytest.mark.slow
def test_two_equal_sweeps_at_once_share_their_work(spec: Path, world: Path) -> None:
    words = [sys.executable, "-m", "dlx", "sweep", "gate.yaml"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for one in both:
        _, err = one.communicate(timeout=300)
        assert one.returncode == 0, err
    settings = [json.loads(path.read_text())["settings"] for path in (world / "runs").glob("gate-*/run.json")]
    assert len(settings) == len({(s["lr"], s["layers.0.dense.units"]) for s in settings}) == 4


@pytest.mark.parametrize("folder", [[], ["--runs-dir", "elsewhere"]])
def test_a_sweep_from_a_runs_weights_recognizes_its_trials(dlx: Dlx, world: Path, folder: list[str]) -> None:
    (world / "gate.yaml").write_text(GATE)
    assert dlx("run", "gate.yaml", "--name", "first", *folder).code == 0
    words = ["gate.yaml", "-s", "weights=first"]
    assert dlx("check", *words, *folder).code == 0
    assert dlx("run", *words, *folder).code == 0
    assert dlx("sweep", *words, "-s", "lr=0.1,0.2", *folder).code == 0
    assert "2 of them finished before" in dlx("sweep", *words, "-s", "lr=0.1,0.2", *folder).out
    missing = dlx("sweep", "gate.yaml", "-s", "weights=nobody", "-s", "lr=0.1,0.2", *folder)
    assert missing.code == 2
    assert "weights" in missing.err


def test_a_sweep_is_judged_by_validation(dlx: Dlx, small: Path, world: Path) -> None:
    done = dlx("sweep", small, "-s", "lr=0.0001,0.01", "-s", "epochs=1")
    assert done.code == 0, done.err
    figures = [json.loads(path.read_text()) for path in sorted((world / "runs").glob("small-*/metrics.json"))]
    best = min(range(2), key=lambda n: figures[n]["val_loss"])
    assert f"\nbest by val_loss: small-{best + 1}  " in done.out
    lines = [line for line in done.out.splitlines() if line.startswith(("1/2", "2/2"))]
    assert all("val_loss" in line and "test_" not in line for line in lines)
    table = [line for line in done.out.splitlines() if line.startswith(("run ", "small-"))]
    assert "*" in "".join(table)


def test_list_has_a_line_for_a_sweep_and_what_is_next_is_a_range(dlx: Dlx, gate: Path, world: Path) -> None:
    done = dlx("sweep", gate, "-s", "lr=0.1,0.3,1,3")
    assert done.out.rstrip().endswith("dlx plot gate-1..4")
    (line,) = dlx("list").out.splitlines()[1:]
    assert re.match(r"gate-1\.\.4  4 done .*train_loss 0\.\d+  lr; best gate-\d$", line)
    assert len(dlx("list", "--all").out.splitlines()) == 5
    assert dlx("list", "-q", "gate-2..3").out.split() == ["gate-2", "gate-3"]
