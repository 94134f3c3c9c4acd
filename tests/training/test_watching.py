"""A training that is watched: rows by step, weights on the way, the weights that are kept, and where it ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import GATE, SMALL, Dlx

from dlx.runs.run import Run


def trained(dlx: Dlx, world: Path, text: str, *words: str) -> tuple[Run, str]:
    (world / "w.yaml").write_text(text)
    result = dlx("run", "w.yaml", *words)
    assert result.code == 0, result.err
    run = Run(max((world / "runs").glob("w-*"), key=lambda path: int(path.name[2:])))
    return run, result.out


def figures(run: Run) -> dict[str, float]:
    metrics = run.metrics()
    assert metrics is not None
    return metrics


def test_rows_by_step_are_in_a_file_and_in_tensorboard(dlx: Dlx, world: Path) -> None:
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    run, _ = trained(dlx, world, SMALL + "log_every: 5\nregularization: {l2: 0.001}\n")
    rows = run.steps.rows()
    assert [row["step"] for row in rows] == list(range(5, figures(run)["steps"] + 1, 5))
    assert set(rows[0]) == {"step", "epoch", "train_loss", "train_data_loss", "train_accuracy", "learning_rate"}
    reader = EventMultiplexer().AddRunsFromDirectory(str(world / "runs"))
    reader.Reload()
    events = reader.Scalars("w-1/tensorboard/train", "batch_loss")
    assert [event.step for event in events] == [row["step"] for row in rows]
    assert [event.value for event in events] == pytest.approx([row["train_loss"] for row in rows])
    assert reader.Graph("w-1/tensorboard/validation").node


def test_a_run_without_log_every_has_no_such_file(dlx: Dlx, world: Path) -> None:
    run, _ = trained(dlx, world, GATE)
    assert not (run.path / "steps.jsonl").exists()
    assert not run.snapshots.exists()


def test_weights_of_chosen_epochs_are_kept(dlx: Dlx, world: Path) -> None:
    run, _ = trained(dlx, world, GATE + "snapshots: [0, 7, 50, 99]\nhistograms: 25\nkeep: last\n")
    assert run.snapshot_epochs() == [0, 7, 50]
    kept = {epoch: dict(np.load(run.snapshots / f"{epoch}.npz")) for epoch in (0, 7, 50)}
    assert [name.partition("/")[2] for name in kept[0]] == ["kernel", "bias"]
    assert (kept[0]["1:dense/bias"] == 0).all()
    assert not np.array_equal(kept[7]["0:dense/kernel"], kept[50]["0:dense/kernel"])
    shown = dlx("show", "w", "--weights").out
    assert f"{kept[50]['1:dense/bias'][0]:.4f}" in shown
    assert "dense/kernel, 2 × 1" in shown


def test_histograms_are_where_tensorboard_looks(dlx: Dlx, world: Path) -> None:
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    trained(dlx, world, GATE + "histograms: 25\n")
    reader = EventMultiplexer().AddRunsFromDirectory(str(world / "runs"))
    reader.Reload()
    events = reader.Tensors("w-1/tensorboard/train", "dense/kernel/histogram")
    assert [event.step for event in events] == [0, 25, 50]
    assert events[0].tensor_proto.tensor_shape.dim[0].size == 30


def test_no_epochs_are_a_run_as_well(dlx: Dlx, world: Path) -> None:
    run, out = trained(dlx, world, SMALL, "-s", "epochs=0")
    found = figures(run)
    assert (found["epochs"], found["steps"], found["best_epoch"]) == (0, 0, 0)
    assert run.history() == []
    assert not any(key.startswith(("train_loss", "train_accuracy")) for key in found)
    assert 0 <= found["test_accuracy"] < 0.5
    assert "before the training" in out
    assert dlx("predict", "w", "--random", "2").code == 0
    for words in (["list"], ["show", "w"], ["compare", "w"]):
        assert dlx(*words).code == 0


def test_the_last_weights_are_kept_where_the_spec_says_so(dlx: Dlx, world: Path) -> None:
    text = SMALL.replace("epochs: 3", "epochs: 12") + "lr: 0.05\nseed: 3\n"
    best, out = trained(dlx, world, text)
    last, _ = trained(dlx, world, text, "-s", "keep=last")
    rows = best.history()
    lowest = min(rows, key=lambda row: row["val_loss"])
    assert lowest is not rows[-1]
    assert figures(best)["val_loss"] == pytest.approx(lowest["val_loss"], rel=1e-5)
    assert figures(last)["val_loss"] == pytest.approx(rows[-1]["val_loss"], rel=1e-5)
    assert figures(best)["last_val_accuracy"] == rows[-1]["val_accuracy"]
    assert "last_val_loss" not in figures(last)
    assert figures(last)["best_epoch"] == figures(best)["best_epoch"] == lowest["epoch"]
    assert "last weights, epoch 12" in out
    compared = dlx("compare", "w-1", "w-2").out
    assert "last_val_accuracy" in compared
    assert "keep" in compared


def test_a_run_that_validates_on_test_says_what_its_last_epoch_was(dlx: Dlx, world: Path) -> None:
    run, _ = trained(dlx, world, SMALL + "validation: test\nkeep: last\n")
    found = figures(run)
    assert found["test_is_validation"] is True
    assert found["last_val_accuracy"] == pytest.approx(found["test_accuracy"])


def test_a_training_stops_at_its_goal(dlx: Dlx, world: Path) -> None:
    text = GATE.replace("epochs: 50", "epochs: 5000") + "stop_at: {train_loss: 0.01}\n"
    run, out = trained(dlx, world, text)
    rows = run.history()
    assert rows[-1]["train_loss"] <= 0.01 < rows[-2]["train_loss"]
    assert f"stopped after epoch {len(rows):,} of 5,000: train_loss" in out
    assert "reached 0.01" in out


def test_goals_that_no_run_has_are_errors(dlx: Dlx, world: Path) -> None:
    (world / "w.yaml").write_text(GATE + "stop_at: {val_loss: 0.1, train_acuracy: 0.9}\n")
    result = dlx("check", "w.yaml")
    assert result.code == 2
    assert "stop_at.val_loss: 'val_loss' is not a figure of this run (there is no validation)" in result.err
    assert "did you mean 'train_accuracy'?" in result.err


def test_none_is_what_leaves_a_key_out(dlx: Dlx, world: Path) -> None:
    text = GATE + "histograms: none\nlog_every: none\nstop_at: none\nsnapshots: []\nearly_stop: none\n"
    run, _ = trained(dlx, world, text)
    assert not {"histograms", "log_every", "stop_at", "early_stop"} & {
        key.split(".")[0] for key in run.info()["settings"]
    }


def test_a_gate_prints_its_truth_table(dlx: Dlx, world: Path) -> None:
    _, out = trained(dlx, world, GATE.replace("epochs: 50", "epochs: 2000"))
    for line in ("0 0 → 0.0", "0 1 → 0.9", "1 0 → 0.9", "1 1 → 1.0"):
        assert line in out
    assert "(true 0)" in out


def test_folds_have_every_row_once_and_what_they_predict_is_in_one_file(dlx: Dlx, world: Path) -> None:
    (world / "f.yaml").write_text("dataset: iris\npreprocess: [normalize]\nlayers: [output]\nepochs: 4\n")
    result = dlx("run", "f.yaml", "--folds", "4", "--json")
    assert result.code == 0, result.err
    lines = [json.loads(line) for line in result.out.splitlines()]
    kept = np.load(world / "runs" / "f-folds.npz")
    assert kept["index"].tolist() == list(range(150))
    assert kept["prediction"].shape == (150, 3)
    assert np.allclose(kept["prediction"].sum(axis=1), 1, atol=1e-5)
    for number, line in enumerate(lines, 1):
        rows = kept["fold"] == number
        assert np.bincount(kept["label"][rows], minlength=3).tolist() in ([13, 13, 13], [13, 12, 12], [12, 13, 13],
                                                                           [12, 13, 12], [13, 13, 12], [12, 12, 13], [13, 12, 13])  # fmt: skip
        right = (kept["prediction"][rows].argmax(axis=1) == kept["label"][rows]).mean()
        assert line["metrics"]["val_accuracy"] == pytest.approx(right)
    assert "f (4 folds)" in dlx("compare", "f-*").out
    again = dlx("run", "runs/f-2/spec.yaml", "--json")
    assert json.loads(again.out)["metrics"]["val_loss"] == lines[1]["metrics"]["val_loss"]


def test_no_fold_is_cut_through_a_group(dlx: Dlx, world: Path) -> None:
    generator = np.random.default_rng(0)
    lines = ["patient,x,y"]
    lines += [f"p{number // 5},{generator.normal():.3f},{'ab'[number // 5 % 2]}" for number in range(100)]
    (world / "t.csv").write_text("\n".join(lines) + "\n")
    (world / "g.yaml").write_text(
        "dataset: {csv: {path: t.csv, label: y, group: patient}}\ntest: 0.2\nlayers: [output]\nepochs: 1\n"
    )
    assert dlx("run", "g.yaml", "--folds", "4").code == 0
    kept = np.load(world / "runs" / "g-folds.npz")
    assert len(kept["index"]) == 80  # the test split stays apart
    patients = kept["index"] // 5
    assert all(len(set(kept["fold"][patients == patient])) == 1 for patient in set(patients))
    assert sorted(np.bincount(kept["fold"])[1:]) == [20, 20, 20, 20]
    assert Run(world / "runs" / "g-1").info()["input"]["shape"] == [1]  # nothing is learned from the group


def test_resampling_cuts_anew_and_the_seed_stays(dlx: Dlx, world: Path) -> None:
    (world / "r.yaml").write_text("dataset: iris\nlayers: [output]\nepochs: 2\nvalidation: 0.3\n")
    assert dlx("run", "r.yaml", "--resample", "3").code == 0
    settings = [Run(world / "runs" / f"r-{n}").info()["settings"] for n in (1, 2, 3)]
    assert [s["split_seed"] for s in settings] == [0, 1, 2]
    assert {s["seed"] for s in settings} == {42}
    losses = {figures(Run(world / "runs" / f"r-{n}"))["val_loss"] for n in (1, 2, 3)}
    assert len(losses) == 3
    assert "r (3 splits)" in dlx("compare", "r-*").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--resample", "3", "--folds", "3"], "expected one of --repeat, --resample and --folds"),
        (["--resample", "3", "-s", "validation=none"], "the spec has no share for test or validation"),
        (["-s", "validation=fold 6 of 5"], "there is no fold 6 of 5; expected fold 1 of 5"),
        (["-s", "validation=fold 1 of 151"], "151 folds need as many examples, and there are 150"),
        (["-s", "validation=fold one"], "validation: expected test or none or"),
    ],
)
def test_cuts_that_cannot_be(dlx: Dlx, world: Path, words: list[str], message: str) -> None:
    (world / "r.yaml").write_text("dataset: iris\nlayers: [output]\nepochs: 1\n")
    result = dlx("run", "r.yaml", *words)
    assert result.code in (2, 3)
    assert message in result.err


def test_a_diverged_run_keeps_its_best_weights_whatever_keep_says(dlx: Dlx, world: Path) -> None:
    (world / "d.yaml").write_text(
        "dataset: moons\nlayers: [{dense: 8}, {output: {activation: linear}}]\noptimizer: sgd\nlr: 1.0e6\n"
        "schedule: {cosine: {warmup: 0.9}}\nbatch_size: full\nepochs: 3000\n"
    )
    shown = []
    for number, keep in enumerate(("best", "last"), 1):
        assert dlx("run", "d.yaml", "-s", f"keep={keep}").code == 4
        assert Run(world / "runs" / f"d-{number}").history()
        shown.append(dlx("show", f"d-{number}", "--weights").out)
    assert shown[0] == shown[1]


def test_two_specs_of_one_name_have_a_file_of_folds_each(dlx: Dlx, world: Path) -> None:
    for number, data in enumerate(("iris", "{moons: {samples: 60}}")):
        (world / f"s{number}.yaml").write_text(f"dataset: {data}\nlayers: [output]\nepochs: 1\n")
    assert dlx("run", "s0.yaml", "s1.yaml", "--folds", "3", "--name", "z").code == 0
    sizes = [len(np.load(world / "runs" / name)["index"]) for name in ("z-folds.npz", "z-folds-2.npz")]
    assert sizes == [150, 60]


def test_a_goal_of_float32_is_reached_as_the_loop_says(dlx: Dlx, world: Path) -> None:
    text = (
        "dataset: {moons: {samples: 20}}\nvalidation: none\nlayers: [{dense: {units: 8, activation: tanh}}, output]\n"
    )
    run, out = trained(
        dlx, world, text + "optimizer: sgd\nlr: 1\nbatch_size: full\nepochs: 3000\nstop_at: {train_accuracy: 0.9}\n"
    )
    assert len(run.history()) < 3000
    assert "reached 90.00 %" in out
    assert "no better" not in out
    again = dlx("resume", "w", "-s", "epochs=4000")
    assert again.code == 2
    assert "stopped at train_accuracy 0.9, and would again" in again.err
    assert dlx("resume", "w", "-s", "epochs=200", "-s", "stop_at=none").code == 0


def test_a_sweep_asks_for_what_is_watched(dlx: Dlx, world: Path) -> None:
    (world / "w.yaml").write_text(GATE)
    assert dlx("sweep", "w.yaml", "-s", "lr=1,2").code == 0
    again = dlx("sweep", "w.yaml", "-s", "lr=1,2", "-s", "snapshots=[0,10]")
    assert "finished before" not in again.out
    assert Run(world / "runs" / "w-3").snapshot_epochs() == [0, 10]
    assert "snapshots" not in dlx("compare", "w-1", "w-3").out


def test_groups_have_no_gaps_and_series_no_other_cuts(dlx: Dlx, world: Path) -> None:
    (world / "t.csv").write_text("p,x,y\na,1.5,u\n,2.5,v\nb,3.5,u\nc,4.5,v\n")
    (world / "g.yaml").write_text(
        "dataset: {csv: {path: t.csv, label: y, group: p}}\nvalidation: 0.5\nlayers: [output]\nepochs: 1\n"
    )
    assert "no value for the group 'p' in 1 row" in dlx("run", "g.yaml").err
    (world / "s.csv").write_text("v\n" + "\n".join(str(n % 7 + n / 10) for n in range(60)) + "\n")
    (world / "s.yaml").write_text(
        "dataset: {series_csv: {path: s.csv, target: v, window: 4, horizon: 1}}\nvalidation: 0.3\nlayers: [flatten, output]\nepochs: 1\n"
    )
    result = dlx("run", "s.yaml", "--resample", "2")
    assert result.code == 3
    assert "a series is cut by time" in result.err
