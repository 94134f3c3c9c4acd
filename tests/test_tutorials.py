"""The experiments of `configs/`: each is sound, and the short ones show what they say that they show."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Dlx
from PIL import Image

from dlx import spec as specs
from dlx.runs.run import Run
from dlx.spec.sections import flat, resolved

CONFIGS = Path(__file__).parents[1] / "configs"
NAMES = [path.stem for path in sorted(CONFIGS.glob("[!_]*.yaml"))]
# Every experiment of the tutorials that dlx grew from.
TUTORIALS = """
    or_gate and_gate not_gate xor_gate cifar_one_layer_set cifar_three_layer_sets cifar_no_dropout cifar_dropout
    cifar_no_l2 cifar_l2 cifar_small_batch cifar_large_batch cifar_small_lr cifar_medium_lr cifar_large_lr
    cifar_convnet cifar_convnet_deep cifar_lasagne cifar_resnet moons_logistic moons_mlp moons_hidden_sizes
    mnist_softmax mnist_softmax_unscaled mnist_softmax_1000 mnist_cnn cats_dogs_mlp binary_addition mobilenet_transfer
""".split()


def config(name: str) -> str:
    return str(CONFIGS / f"{name}.yaml")


def trained(dlx: Dlx, world: Path, name: str, *words: str) -> Run:
    result = dlx("run", config(name), *words, "--json")
    assert result.code == 0, result.err
    return Run(world / json.loads(result.out)["run"])


def figures(run: Run) -> dict[str, float]:
    found = run.metrics()
    assert found is not None
    return found


def test_every_tutorial_has_its_spec() -> None:
    assert set(TUTORIALS) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_is_sound_says_what_it_shows_and_what_to_compare(dlx: Dlx, name: str) -> None:
    result = dlx("check", config(name))
    assert result.code == 0, result.err
    assert f"{name}.yaml: ok" in result.out
    spec = specs.load(config(name))
    assert spec.name == name
    if name in TUTORIALS:
        text = Path(config(name)).read_text().partition("description: >-\n")[2]
        assert 2 <= len(re.match(r"(  .*\n)*", text)[0].splitlines()) <= 3  # type: ignore[index]
        assert (
            any(other in spec.description for other in NAMES if other != name)
            or "dlx plot" in spec.description
            or (name == "binary_addition")
        )


@pytest.mark.parametrize("name", ["or_gate", "and_gate", "not_gate", "xor_gate"])
def test_a_gate_gets_every_row_right(dlx: Dlx, world: Path, name: str) -> None:
    run = trained(dlx, world, name)
    assert figures(run)["train_accuracy"] == 1.0
    if name == "or_gate":  # the author saw 0.00072
        assert figures(run)["train_loss"] < 0.00072


def test_xor_cannot_do_without_its_hidden_layer(dlx: Dlx, world: Path) -> None:
    run = trained(dlx, world, "xor_gate", "-s", "layers.hidden=null")
    assert figures(run)["train_accuracy"] <= 0.75


def test_the_hidden_layer_follows_the_moons(dlx: Dlx, world: Path) -> None:
    with_hidden = figures(trained(dlx, world, "moons_mlp"))
    without = figures(trained(dlx, world, "moons_logistic", "-s", "epochs=5000"))
    assert with_hidden["train_accuracy"] >= 0.97
    assert 0.8 <= without["train_accuracy"] <= 0.9
    found = dlx("compare", "runs/*").out
    assert "dense[0]" in found


def test_binary_addition_adds_pairs_that_it_never_saw(dlx: Dlx, world: Path) -> None:
    run = trained(dlx, world, "binary_addition")  # one pass, one example a step
    assert figures(run)["test_exact_match"] >= 0.99
    bits = [[[a >> place & 1, b >> place & 1] for place in range(9)] for a, b in ((200, 100), (255, 255), (0, 0))]
    np.save(world / "sums.npy", np.array(bits, np.float32))
    lines = [json.loads(line) for line in dlx("predict", "latest", "sums.npy", "--json").out.splitlines()]
    assert [sum(int(place) for place in line["label"]) for line in lines] == [300, 510, 0]
    assert "4, 8, 32, 256" in dlx("predict", "latest", "sums.npy").out
    assert ":1,2 4 8 16 32 64 128 256," in dlx("predict", "latest", "sums.npy", "--csv").out


def test_cats_and_dogs_are_told_apart_by_the_names_of_their_files(dlx: Dlx, world: Path) -> None:
    folder = world / "photos"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for kind, colour in (("cat", (200, 120, 60)), ("dog", (60, 120, 200))):
        for number in range(40):
            noise = generator.integers(-50, 50, (24, 30, 3))
            Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(folder / f"{kind}.{number}.jpg")
    run = trained(dlx, world, "cats_dogs_mlp", "-s", f"dataset.path={folder}", "-s", "batch_size=16", "-s", "epochs=10")
    assert figures(run)["test_accuracy"] >= 0.9
    assert run.info()["classes"] == ["cat", "dog"]
    assert run.info()["dataset"]["test"] == 20


def test_a_slip_shows_as_the_one_removed_layer(dlx: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooling layer removed where the dropout was meant: seen in the differing columns alone."""
    from dlx.runs.compare import ABSENT, Row
    from dlx.runs.diff import differences
    from dlx.runs.summary import Entry

    base = flat(resolved(specs.load(config("cifar_dropout"))))
    slip = flat(resolved(specs.load(config("cifar_dropout_slip"))))
    rows = [Row([Entry(Path(name), "done", settings)])
            for name, settings in (("a", base), ("b", slip))]  # fmt: skip
    columns = differences(rows)
    assert [(c.title, c.cells) for c in columns] == [("max_pooling2d[4]", ["2", ABSENT])]
    right = flat(resolved(specs.load(config("cifar_no_dropout"))))
    rows[1].entries[0].settings = right
    assert [(c.title, c.cells) for c in differences(rows)] == [("dropout[7]", ["0.5", ABSENT])]


def test_specs_that_are_the_same_network_differ_in_their_labels_alone() -> None:
    for one, two in (("cifar_no_l2", "cifar_no_dropout"), ("cifar_medium_lr", "cifar_dropout")):
        first, second = (resolved(specs.load(config(name))) for name in (one, two))
        assert {key for key in first if first[key] != second[key]} == {"name", "description", "tags"}


# What came of them


EVIDENCE = sorted((CONFIGS.parent / "runs" / "tutorials").iterdir())
FILES = {"spec.yaml", "run.json", "history.jsonl", "steps.jsonl", "metrics.json", "predictions.npz", "model.keras", "note.txt",
         "tensorboard", "snapshots"}  # fmt: skip
CHANGES = {
    "xor_gate_no_hidden": ("xor_gate", ["layers.hidden=null"]),
    "mnist_cnn_17": ("mnist_cnn", ["steps=null", "epochs=17"]),
}


def lesson_rows() -> dict[str, list[str]]:
    """The table of the lessons: the cells of each row, by the spec in its second one."""
    text = (CONFIGS.parent / "docs/guide/lessons.md").read_text()
    table = text[text.index("| lesson | spec |") :].partition("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {row[1].strip("`"): row for row in rows}


def shares(cell: str) -> list[float]:
    return [float(number) / 100 for number in re.findall(r"([\d.]+) %", cell)]


@pytest.mark.parametrize("path", EVIDENCE, ids=lambda path: path.name)
def test_evidence_is_a_finished_run_of_the_spec_that_it_names(path: Path) -> None:
    run = Run.open(path)
    assert run.status == "done"
    assert {file.name for file in path.iterdir()} <= FILES
    assert sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) < 10**6
    assert not run.model_file.exists() or run.model_file.stat().st_size < 200_000
    info, rows = run.info(), run.history()
    assert rows, "a published run has its history"
    assert rows[-1]["epoch"] == figures(run)["epochs"]
    if len(rows) < figures(run)["epochs"]:
        assert f"history.jsonl has {len(rows):,} of its {figures(run)['epochs']:,} rows" in run.note()
    assert info["git"]["dirty"] is False
    assert not re.search(r"/(tmp|home|root|work)/", json.dumps(info) + run.spec_file.read_text())
    assert any(path.glob("tensorboard/train/*tfevents*"))
    name = re.sub(r"-\d+$", "", path.name)
    spec_name, overrides = CHANGES.get(name, (name, []))
    if name == "moons_hidden_sizes":
        overrides = [f"layers.hidden.units={info['settings']['layers.0.dense.units']}"]
    ours = flat(resolved(specs.load(config(spec_name), overrides), str(CONFIGS.parent / "runs/tutorials/x")))
    free = ("name", "description", "tags", "plots", "sweep", "precision", "epochs", "seed")
    kept = [k for k in ours if k.split(".")[0] not in free and k != "dataset.image_folder.path"]
    theirs = json.loads(json.dumps({k: ours[k] for k in kept}))
    recorded = {
        k: v for k, v in info["settings"].items() if k.split(".")[0] not in free and not k.endswith("folder.path")
    }
    assert recorded == theirs


def test_all_that_is_published_is_small() -> None:
    files = [file for path in EVIDENCE for file in path.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 12 * 10**6


@pytest.mark.parametrize("path", [p for p in EVIDENCE if (p / "predictions.npz").exists()], ids=lambda path: path.name)
def test_published_predictions_are_probabilities(path: Path) -> None:
    kept = np.load(path / "predictions.npz")
    assert set(kept) == {"index", "label", "prediction"}
    assert len(kept["index"]) == len(kept["label"]) == len(kept["prediction"])
    classes = Run(path).info()["classes"]
    assert kept["prediction"].shape[1] == len(classes)
    assert 0 <= kept["prediction"].min() <= kept["prediction"].max() <= 1
    if path.name != "binary_addition":
        right = (kept["prediction"].argmax(axis=1) == kept["label"]).mean()
        assert right == pytest.approx(figures(Run(path))["test_accuracy"], abs=3e-4)  # float16 may tie


def test_a_fresh_clone_answers(dlx: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(CONFIGS.parent / "runs", world / "runs", ignore=shutil.ignore_patterns("[!t]*-[0-9]", ".*"))
    monkeypatch.delenv("DLX_RUNS", raising=False)
    np.save(world / "rows.npy", np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32))
    lines = dlx("predict", "or_gate", "rows.npy", "--json").lines
    assert [line["label"] for line in lines] == ["0", "1", "1", "1"]
    assert "runs/tutorials/cifar_dropout" in dlx("show", "cifar_dropout").out
    assert "moons_mlp" in dlx("list").out
    done = dlx("plot", "moons_mlp", "xor_gate", "--only", "boundary")
    assert done.code == 0, done.err
    overview = dlx("compare", "runs/README.md", "runs/tutorials")
    assert overview.code == 0
    assert len(overview.out.splitlines()) <= 2 * 24
    assert "finished no epoch" not in overview.out + overview.err


def test_the_readmes_table_says_what_the_runs_say() -> None:
    rows = lesson_rows()
    listed = set()
    named = {
        "xor_gate_no_hidden": "xor_gate -s layers.hidden=null",
        "mnist_cnn_17": "mnist_cnn -s steps=null -s epochs=17",
    }
    for name in [*TUTORIALS, *named, "pretrained_transfer"]:
        path = CONFIGS.parent / "runs/tutorials" / name
        if name == "mnist_cnn_17" and not path.is_dir():
            continue
        row = rows[named.get(name, name)]
        if not path.is_dir():
            assert row[3].startswith(("open", "same as")) or name == "moons_hidden_sizes", name
            continue
        listed.add(name)
        run = Run(path)
        metrics, history = figures(run), run.history()
        key = next(k for k in ("test_exact_match", "val_accuracy", "test_accuracy", "train_accuracy") if k in metrics)
        last = history[-1][key] if key in history[-1] else metrics[key]
        assert shares(row[3])[0] == pytest.approx(last, abs=6e-5), name
        if row[4]:
            best = next(epoch for epoch in history if epoch["epoch"] == metrics["best_epoch"])
            assert shares(row[4]) == [pytest.approx(best[key], abs=6e-5)], name
            assert f"({metrics['best_epoch']:,})" in row[4]
        assert row[5] == f"{metrics['epochs']:,}"
        assert row[6] == run.info()["settings"]["precision"].removeprefix("mixed_")
    folders = {path.name for path in EVIDENCE if not path.name.startswith("moons_hidden_sizes-")}
    assert listed == folders - {"cifar_dropout_slip"}


def test_seven_hidden_sizes_are_there_with_three_seeds_each() -> None:
    """With fresh points few units do better than many, which the train accuracy turns upside down."""
    found: dict[int, list[float]] = {}
    train: dict[int, list[float]] = {}
    for path in EVIDENCE:
        if path.name.startswith("moons_hidden_sizes-"):
            run = Run(path)
            units = run.info()["settings"]["layers.0.dense.units"]
            found.setdefault(units, []).append(figures(run)["test_accuracy"])
            train.setdefault(units, []).append(figures(run)["train_accuracy"])
    assert sorted(found) == [1, 2, 3, 4, 5, 20, 50]
    assert {len(values) for values in found.values()} == {3}
    three, fifty = (np.mean(found[units]) for units in (3, 50))
    assert three > fifty + 0.01
    assert np.mean(train[3]) < np.mean(train[50])
    assert shares(lesson_rows()["moons_hidden_sizes"][3]) == [
        pytest.approx(three, abs=6e-4),
        pytest.approx(fifty, abs=6e-4),
    ]
