"""What a person mistypes, and what dlx says to it: where, what, and what to type next."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Dlx

GOOD = "dataset: moons\nlayers: [{dense: 4}, output]\nepochs: 1\n"
TABLE = "x,y\n1,a\n2,b\n3,a\n4,b\n"

MISTAKES = {
    "a_folder_as_dataset": (
        ["check", "s.yaml"], "dataset: photos/\nlayers: [output]\n", 2,
        "s.yaml:1:10: dataset: unknown dataset 'photos/'\n  a folder of images is dataset: {image_folder: {path: photos/}}",
    ),
    "a_table_as_dataset": (
        ["check", "s.yaml"], "dataset: t.csv\nlayers: [output]\n", 2, "{csv: {path: t.csv, label: COLUMN}}; dlx init t.csv",
    ),
    "arrays_as_dataset": (["check", "s.yaml"], "dataset: a.npz\nlayers: [output]\n", 2, "{npz: {path: a.npz}}"),
    "a_file_that_is_not_there": (
        ["check", "s.yaml"], "dataset: {csv: {path: no.csv, label: y}}\nlayers: [output]\n", 3,
        "s.yaml:1:11: dataset.csv: ",
    ),
    "a_torn_row": (
        ["run", "s.yaml"], "dataset: {csv: {path: torn.csv, label: y}}\nlayers: [output]\n", 3,
        "torn.csv:3: 3 fields, expected 2 as in the header",
    ),
    "a_torn_row_in_the_spec": (
        ["run", "s.yaml"], "dataset: {csv: {path: torn.csv, label: y}}\nlayers: [output]\n", 3, "s.yaml:1:11: dataset.csv: ",
    ),
    "an_address_that_is_not_there": (
        ["check", "s.yaml", "-s", "layers.dropout.rate=0.3"], GOOD, 2,
        "-s layers.dropout.rate=0.3: layers has no 'dropout'\n  it has dense, output",
    ),
    "an_address_without_its_section": (
        ["check", "s.yaml", "-s", "dense.units=3"], GOOD, 2, "unknown key 'dense' (did you mean layers.dense.units?)",
    ),
    "an_optimizer_that_is_another": (
        ["check", "s.yaml", "-s", "optimizer.sgd.momentum=0.9"], GOOD, 2, "-s optimizer=sgd would make it sgd",
    ),
    "mse": (["check", "s.yaml"], f"{GOOD}loss: mse\n", 2, "did you mean 'mean_squared_error'?"),
    "cross_entropy": (["check", "s.yaml"], f"{GOOD}loss: cross_entropy\n", 2, "did you mean 'categorical_crossentropy'?"),
    "learning_rat": (["check", "s.yaml"], f"{GOOD}learning_rat: 1\n", 2, "did you mean 'lr'?"),
    "conv1d_on_a_row": (
        ["check", "s.yaml"], "dataset: moons\nlayers: [{conv1d: {filters: 4, kernel_size: 1}}, output]\n", 2,
        "it expects a sequence, (steps, features): `reshape: [2, 1]` before it",
    ),
    "conv2d_on_a_row": (
        ["check", "s.yaml"], "dataset: moons\nlayers: [{conv2d: {filters: 4, kernel_size: 1}}, output]\n", 2,
        "it expects images: (height, width, channels)",
    ),
    "a_rate_of_1000": (
        ["run", "s.yaml", "-s", "lr=1000", "-s", "optimizer=sgd", "-s", "loss=mean_squared_error", "-s",
         "layers=[{dense: 50}, {dense: 50}, {output: {activation: linear}}]", "-s", "epochs=50"], GOOD, 4,
        "try the rate that this optimizer is usually used with (-s lr=0.01)",
    ),
    "a_folder_as_spec": (["run", "folder"], GOOD, 2, "folder: is a folder, expected a YAML file"),
    "a_run_as_spec": (["run", "folder/x-1"], GOOD, 2, "of a run it is folder/x-1/spec.yaml; dlx resume x-1 goes on with it"),
    "a_file_as_runs_folder": (["run", "s.yaml", "--runs-dir", "t.csv"], GOOD, 5, "--runs-dir names another folder"),
    "an_unknown_run_to_evaluate": (["evaluate", "x"], GOOD, 2, "unknown run 'x'"),
    "train": (["train", "s.yaml"], GOOD, 2, "no such command 'train' (did you mean 'run'?)"),
    "a_spec_alone": (["s.yaml"], GOOD, 2, "did you mean `dlx run s.yaml`?"),
    "a_spec_that_is_not_there": (["run", "t.yaml"], GOOD, 2, "t.yaml: no such file"),
    "a_run_that_is_not_there": (["show", "moon"], GOOD, 2, "unknown run 'moon'"),
    "a_figure_that_is_not_there": (["list", "--sort", "acc"], GOOD, 0, "no runs in runs yet"),
    "a_wrong_width": (
        ["check", "s.yaml"], "dataset: iris\nlayers: [{dense: 4}]\n", 2, "the network ends in the shape (4,)",
    ),
    "softmax_of_one": (
        ["check", "s.yaml"], "dataset: moons\nlayers: [{dense: {units: 1, activation: softmax}}]\n", 2,
        "softmax over one unit is always 1",
    ),
    "a_setting_as_option": (["run", "s.yaml", "--lr", "0.01"], GOOD, 2, "a setting of the spec is -s lr=0.01"),
    "another_tools_option": (["check", "s.yaml", "--batch-size=8"], GOOD, 2, "a setting of the spec is -s batch_size=8"),
    "several_values": (["run", "s.yaml", "-s", "lr=0.1,0.01"], GOOD, 2, "dlx sweep takes several values, a run for each"),
    "a_table_as_spec": (["run", "t.csv"], GOOD, 2, "t.csv: is a table, no spec\n  dlx init t.csv writes a spec for it"),
    "a_folder_that_is_there_as_dataset": (
        ["check", "s.yaml"], "dataset: folder\nlayers: [output]\n", 2,
        "a folder of images is dataset: {image_folder: {path: folder}}; dlx init folder writes a spec",
    ),
    "one_of_two": (
        ["check", "s.yaml", "-s", "layers.dense=8"], "dataset: moons\nlayers: [{dense: 4}, {dense: 4}, output]\n", 2,
        "write which one: layers.0, layers.1; or give one a name (name: first), and write layers.first",
    ),
    "a_file_as_run": (["show", "./t.csv"], GOOD, 2, "./t.csv: is a file, no run"),
    "no_column_to_predict": (["init", "t.csv", "--label", "z"], GOOD, 3, "has no column 'z'\n  it has x, y"),
    "no_layers": (["check", "s.yaml"], "dataset: iris\n", 2, "the spec has no layers"),
}  # fmt: skip


def test_a_sweep_is_not_told_to_sweep(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text(GOOD)
    done = dlx("sweep", "s.yaml", "-s", "lr=0.1,fast")
    assert done.code == 2
    assert "got 'fast'" in done.err
    assert "dlx sweep takes" not in done.err


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered(dlx: Dlx, world: Path, name: str) -> None:
    words, text, code, said = MISTAKES[name]
    (world / "s.yaml").write_text(text)
    (world / "t.csv").write_text(TABLE)
    (world / "torn.csv").write_text("x,y\n1,a\n2,b,3\n")
    (world / "folder" / "x-1").mkdir(parents=True)
    (world / "folder" / "x-1" / "spec.yaml").write_text(GOOD)
    done = dlx(*words)
    assert said in done.err + done.out
    assert done.code == code
    assert "Traceback" not in done.err


def test_check_says_where_the_data_is_not_there_yet(dlx: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLX_DATA", str(world / "empty"))
    (world / "s.yaml").write_text("dataset: cifar10\nlayers: [flatten, output]\n")
    done = dlx("check", "s.yaml")
    assert done.code == 0
    assert "cifar10 is not in the store yet: dlx run fetches it, dlx data add cifar10 PATH takes a copy" in done.out
