"""`dlx plot`: which pictures a run gets, that they show what is there, and what is said where there is nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Dlx
from matplotlib.figure import Figure
from PIL import Image

from dlx.data.dataset import Dataset, Split
from dlx.data.splits import Splits
from dlx.errors import RunError
from dlx.model.restore import restore, with_snapshot
from dlx.plots import style
from dlx.plots.boundary import Boundary, draw_boundaries
from dlx.plots.classification import confusion, draw_confusion, mistakes, verdict
from dlx.plots.curves import draw_curves
from dlx.plots.diagram import draw_network
from dlx.plots.history import Curve, Setting, points_of
from dlx.plots.regression import draw_residuals
from dlx.plots.style import distinct
from dlx.plots.subject import Subject
from dlx.runs.run import Run

SPECS = {
    "pixels": "dataset: digits\nlayers: [{conv2d: {filters: 4, kernel_size: 3, activation: relu}}, max_pooling2d, flatten, {dropout: 0.2}, output]\nepochs: 2\n",
    "flat": "dataset: digits\nlayers: [flatten, output]\nepochs: 1\n",
    "moon": "dataset: moons\ntest: 0.3\nlayers: [{dense: {units: 3, activation: tanh}}, output]\noptimizer: sgd\nlr: 1\nepochs: 2\n",
    "gate": "dataset: or\nvalidation: none\nlayers: [{output: {units: 1}}]\noptimizer: sgd\nepochs: 2\n",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: one of each spec, and three moons of a sweep."""
    from dlx import spec as specs
    from dlx.training.experiment import prepare
    from dlx.training.train import train

    folder = tmp_path_factory.mktemp("plot")
    for name, text in SPECS.items():
        (folder / f"{name}.yaml").write_text(text)
        outcome = train(prepare(specs.load(folder / f"{name}.yaml")), folder / "runs")
        assert outcome.status == "done"
    for units in (1, 4):
        spec = specs.load(folder / "moon.yaml", [f"layers.dense.units={units}"])
        train(prepare(spec), folder / "runs")
    return folder / "runs"


@pytest.fixture
def runs(trained: Path, world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLX_RUNS", str(trained))
    return world


def drawn(folder: Path) -> set[str]:
    """The pictures in a folder, each opened and found to hold more than one colour."""
    for path in folder.glob("*.png"):
        with Image.open(path) as picture:
            assert len(picture.convert("RGB").getcolors(10**6) or range(9)) > 5, path
            assert min(picture.size) >= 80
            assert max(picture.size) <= 2400
    assert not list(folder.glob(".*"))
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("pixels", "overview curves confusion mistakes filters activations layers"),
        ("flat", "overview curves confusion mistakes filters activations layers"),
        ("moon", "overview curves boundary confusion probabilities network layers"),
        ("gate", "overview curves boundary confusion probabilities network layers"),
    ],
)
def test_a_run_gets_every_picture_that_fits_it(dlx: Dlx, runs: Path, name: str, kinds: str) -> None:
    done = dlx("plot", f"{name}-1", "-o", "p")
    assert done.code == 0, done.err
    assert drawn(runs / "p") == {f"{name}-1-{kind}.png" for kind in kinds.split()}
    assert done.out.split() == [f"p/{name}-1-{kind}.png" for kind in kinds.split()]


def test_several_runs_share_their_curves_and_boundaries(dlx: Dlx, runs: Path) -> None:
    done = dlx("plot", "moon-*", "--svg")
    assert done.code == 0, done.err
    assert drawn(runs / "plots") == {"moon-1..3-curves.svg", "moon-1..3-settings.svg", "moon-1..3-boundary.svg"}
    titles = (runs / "plots/moon-1..3-boundary.svg").read_text()
    assert all(f"dense units {units}" in titles for units in (1, 3, 4))
    for path in (runs / "plots").iterdir():
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    before = titles
    assert dlx("plot", "moon-*", "--svg").code == 0
    assert (runs / "plots/moon-1..3-boundary.svg").read_text() == before
    assert dlx("plot", "moon-1", "moon-2", "--only", "curves,boundary", "--pdf", "--dark").code == 0
    assert {"moon-1+2-curves.pdf", "moon-1+2-boundary.pdf"} < drawn(runs / "plots")


def test_unlike_runs_are_drawn_one_by_one_on_request(dlx: Dlx, runs: Path) -> None:
    done = dlx("plot", "moon-1", "pixels", "--only", "confusion", "--only", "curves", "-o", "p")
    assert done.code == 0, done.err
    assert drawn(runs / "p") == {"moon-1+pixels-1-curves.png", "moon-1-confusion.png", "pixels-1-confusion.png"}


def test_the_activations_of_a_given_image(dlx: Dlx, runs: Path) -> None:
    seven = str(ROOT / "tests/data/seven.png")
    assert dlx("plot", "pixels", "--image", seven, "--only", "activations", "-o", "p").code == 0
    assert drawn(runs / "p") == {"pixels-1-activations.png"}
    missing = dlx("plot", "pixels", "--image", "nothing.png", "--only", "activations", "-o", "p")
    assert missing.code == 3
    assert "nothing.png: no such file" in missing.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["pixels", "--only", "boundary"], 2, "a decision boundary needs a network with two inputs"),
        (["gate", "--only", "mistakes"], 2, "gate-1: has no picture of mistakes: its data does not fit one"),
        (["nothing"], 2, "unknown run 'nothing'"),
        (["pixels", "--only", "colours"], 2, "'colours' is not one of"),
        (["pixels", "-o", "file"], 5, "cannot write"),
    ],
)
def test_what_cannot_be_drawn_is_said(dlx: Dlx, runs: Path, words: list[str], code: int, said: str) -> None:
    (runs / "file").write_text("")
    done = dlx("plot", *words)
    assert done.code == code
    assert said in done.err


def test_curves_over_steps_and_seconds(dlx: Dlx, runs: Path) -> None:
    for x, label in (("step", "step"), ("seconds", "seconds of training"), ("epoch", "epoch")):
        assert dlx("plot", "pixels", "moon-1", "--only", "curves", "--x", x, "--svg", "-o", x).code == 0
        drawing = (runs / x / "pixels-1+moon-1-curves.svg").read_text()
        assert re.search(rf">{label}( \(logarithmic\))?</text>", drawing)  # text is text
    rows = [{"epoch": n, "step": 5 * n, "train_loss": 1.0 / n, "seconds": 0.5} for n in (1, 2)]
    curve = Curve("a", rows, None, [{"step": n, "train_loss": 2.0 / n} for n in range(1, 11)])
    assert curve.places("seconds") == [0.5, 1.0]
    assert points_of(curve, "train_loss", "step") == [(float(n), 2.0 / n) for n in range(1, 11)]
    assert points_of(curve, "train_loss", "epoch") == [(1.0, 1.0), (2.0, 0.5)]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("dataset: digits\naugment: [{rotate: 20}, cutmix]\nlayers: [flatten, output]\n", "data classes augmented"),
        ("dataset: moons\ntest: 0.2\nlayers: [output]\n", "data classes"),
        ("dataset: iris\npreprocess: [normalize]\nlayers: [output]\n", "data classes"),
        ("dataset: {blobs: {features: 5}}\ntask: regression\nlayers: [output]\n", "data"),
    ],
)
def test_the_data_of_a_spec_is_drawn_before_any_training(dlx: Dlx, world: Path, text: str, kinds: str) -> None:
    (world / "s.yaml").write_text(text)
    done = dlx("plot", "s.yaml", "-o", "p")
    assert done.code == 0, done.err
    assert drawn(world / "p") == {f"s-{kind}.png" for kind in kinds.split()}
    assert not (world / "runs").exists()
    assert dlx("plot", "s.yaml", "--only", "data,classes", "-s", "name=other", "-o", "q").code == (kinds == "data") * 2
    assert (world / "q" / "other-data.png").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["s.yaml", "--only", "curves"], "--only curves is a picture of a run"),
        (["s.yaml", "--only", "augmented"], "s: has no picture of augmented: it has no `augment`"),
        (["s.yaml", "gate"], "s.yaml is a spec, the others are runs"),
        (["gate", "--only", "data"], "--only data is a picture of a spec"),
        (["gate", "-s", "lr=1"], "-s changes a spec"),
    ],
)
def test_pictures_of_specs_and_of_runs_are_not_mixed(dlx: Dlx, runs: Path, words: list[str], said: str) -> None:
    (runs / "s.yaml").write_text("dataset: moons\nlayers: [output]\n")
    done = dlx("plot", *words)
    assert done.code == 2
    assert said in done.err


def test_a_run_with_snapshots_is_drawn_epoch_by_epoch(dlx: Dlx, world: Path) -> None:
    (world / "m.yaml").write_text(SPECS["moon"] + "snapshots: [0, 1, 2]\n")
    assert dlx("run", "m.yaml").code == 0
    done = dlx("plot", "m", "--only", "boundary,network", "-o", "p")
    assert done.code == 0, done.err
    kinds = ("boundary.png", "network.png", "boundary-epochs.png", "boundary-epochs.gif", "network-epochs.png",
             "network-epochs.gif")  # fmt: skip
    assert {path.name for path in (world / "p").iterdir()} == {f"m-1-{kind}" for kind in kinds}
    with Image.open(world / "p" / "m-1-boundary-epochs.gif") as film:
        assert film.n_frames == 3  # type: ignore[attr-defined]
        frames = []
        for number in range(3):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB")))
    assert all((frames[0] != frame).any() for frame in frames[1:])


@pytest.mark.parametrize(("targets", "panels"), [(1, 2), (3, 6), (7, 8)])
def test_a_regression_is_drawn_against_the_truth_and_the_mean(targets: int, panels: int) -> None:
    random = np.random.default_rng(0)
    true = random.normal(50, 10, (40, targets))
    pairs = [(f"y{n}", true[:, n], true[:, n] + random.normal(size=40), 50.0) for n in range(min(targets, 4))]
    figure = draw_residuals(pairs, np.arange(100, 140), "x-1: 40 examples of test")
    assert len(figure.axes) == panels
    marked = [text.get_text() for text in figure.axes[0].texts]
    off = np.abs(pairs[0][2] - pairs[0][1])
    assert marked == [f"row {100 + place}" for place in np.argsort(-off, kind="stable")[:5]]
    assert [text.get_text() for text in figure.axes[1].texts] == [
        f"the network: mae {off.mean():.3g}", f"the mean of train: mae {np.abs(50 - true[:, 0]).mean():.3g}"
    ]  # fmt: skip


def test_a_run_of_a_regression_has_the_picture(dlx: Dlx, world: Path) -> None:
    (world / "t.csv").write_text("x,y\n" + "".join(f"{n / 40},{n / 20 + n % 3}\n" for n in range(60)))
    (world / "r.yaml").write_text(
        "dataset: {csv: {path: t.csv, label: y}}\ntask: regression\ntest: 0.3\nlayers: [output]\nepochs: 2\n"
    )
    done = dlx("run", "r.yaml")
    assert "a value to predict; always answering the mean is off by" in " ".join(done.out.split())
    assert "to compare: always answering the mean of train has mae " in done.out
    assert dlx("plot", "r", "--only", "residuals", "-o", "p").code == 0
    assert [path.name for path in (world / "p").iterdir()] == ["r-1-residuals.png"]


def test_a_film_has_one_scale_for_all_its_epochs() -> None:
    def shown(figure: Figure) -> str:
        return [text.get_text() for legend in figure.legends for text in legend.get_texts()][-1]

    layers = [("dense", np.full((2, 1), 0.5), np.zeros(1))]
    assert shown(draw_network(layers, ["x", "y"], ["z"], "small")) == "thickest: 0.5"
    assert shown(draw_network(layers, ["x", "y"], ["z"], "small", largest=2.0)) == "thickest: 2"


def test_a_snapshot_leaves_the_weights_as_they_were(world: Path, dlx: Dlx) -> None:
    (world / "m.yaml").write_text(SPECS["moon"] + "snapshots: [0]\n")
    assert dlx("run", "m.yaml").code == 0
    run = Run(world / "runs" / "m-1")
    network, _ = restore(run)
    before = [np.array(array) for array in network.logits.get_weights()]
    with with_snapshot(network, run, 0):
        first = [np.array(array) for array in network.logits.get_weights()]
    assert all(np.array_equal(a, b) for a, b in zip(before, network.logits.get_weights(), strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(before, first, strict=True))
    np.savez(run.snapshots / "0.npz", a=np.zeros((5, 5)))
    with pytest.raises(RunError, match="holds the weights of another network"), with_snapshot(network, run, 0):
        pass


def test_small_files_alone_give_curves_and_say_what_is_missing(dlx: Dlx, runs: Path, trained: Path) -> None:
    """As a clone has the runs of the tutorials: no model, no predictions."""
    small = runs / "evidence" / "pixels"
    small.mkdir(parents=True)
    for name in ("spec.yaml", "run.json", "history.jsonl", "metrics.json"):
        shutil.copy(trained / "pixels-1" / name, small)
    done = dlx("plot", "evidence/pixels", "-o", "p")
    assert done.code == 0
    assert drawn(runs / "p") == {"pixels-curves.png"}
    assert "evidence/pixels: has no trained model" in done.err
    (small / "history.jsonl").unlink()
    done = dlx("plot", "evidence/pixels", "-o", "p", "--only", "curves")
    assert done.code == 2
    assert "finished no epoch" in done.err


def test_data_that_is_gone_or_has_changed_is_said(dlx: Dlx, world: Path) -> None:
    np.savez(world / "d.npz", x=np.random.default_rng(0).normal(size=(40, 2)), y=np.arange(40) % 2)
    (world / "d.yaml").write_text("dataset: {npz: {path: d.npz}}\nvalidation: none\nlayers: [output]\nepochs: 1\n")
    assert dlx("run", "d.yaml").code == 0
    np.savez(world / "d.npz", x=np.random.default_rng(1).normal(size=(40, 2)), y=np.arange(40) % 2)
    assert "the data has changed since the run" in dlx("plot", "d").err
    os.remove(world / "d.npz")
    done = dlx("plot", "d", "-o", "p")
    assert "its data cannot be loaded" in done.err
    assert drawn(world / "p") == {"d-1-curves.png"}


def test_plots_true_puts_the_pictures_into_tensorboard(dlx: Dlx, world: Path) -> None:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    (world / "moon.yaml").write_text(SPECS["moon"] + "plots: true\n")
    assert dlx("run", "moon.yaml").code == 0
    tags = set()
    for path in (world / "runs/moon-1/tensorboard").rglob("events*"):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                strings = value.tensor.string_val
                if len(strings) >= 3 and strings[2].startswith(b"\x89PNG"):
                    assert event.step == 2
                    tags.add(value.tag)
    kinds = ("curves", "boundary", "confusion", "probabilities", "network", "layers")
    assert tags == {f"pictures/{kind}" for kind in kinds}
    assert "no picture" not in (world / "runs/moon-1/log.txt").read_text()
    assert "plots" not in dlx("compare", "runs/*").out


def test_the_command_offers_every_picture() -> None:
    from dlx.commands import gallery
    from dlx.commands.plot import RUN_KINDS as KINDS

    assert {*gallery.TOGETHER, *gallery.ALONE} == set(KINDS)


def test_no_plot_no_matplotlib(dlx: Dlx) -> None:
    from conftest import modules_after

    assert "matplotlib" not in modules_after("import dlx.training.train, dlx.commands.gallery")


# The pictures themselves


def subject(predictions: np.ndarray, targets: np.ndarray, classes: tuple[str, ...]) -> Subject:
    images = np.arange(len(targets) * 4 * 4, dtype=np.uint8).reshape(-1, 4, 4, 1)

    class Model:
        layers: tuple[()] = ()

        def predict_on_batch(self, batch: np.ndarray) -> np.ndarray:
            return predictions[: len(batch)]

    split = Split(images, targets.astype(np.int32), np.arange(len(targets)))
    network = SimpleNamespace(model=Model(), logits=Model(), answers=lambda logits: logits)
    return Subject("run", network, Dataset(split, "classification", "", classes=classes), Splits(split, None, None))


def texts(figure: object) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]  # type: ignore[attr-defined]


def test_confusion_counts_each_true_class_in_its_row() -> None:
    said = np.eye(3)[[0, 0, 1, 2, 2, 2]]
    figure = confusion(subject(said, np.array([0, 0, 0, 1, 2, 2]), ("ape", "bee", "cat")))
    grid = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in figure.axes[0].texts}
    # The most frequent class first: ape, cat, bee; beside each row its recall.
    assert {place: text for place, text in grid.items() if text.isdigit()} == {
        (0, 0): "2", (0, 2): "1", (1, 1): "2", (2, 1): "1",
    }  # fmt: skip
    assert [text for text in grid.values() if "%" in text] == ["67 % of 3", "100 % of 2", "0 % of 1"]
    assert "run: 66.7 % right on train; mean class 56 %" in texts(figure)
    assert "true" in texts(figure)


def test_a_confusion_says_what_is_odd_and_names_are_distinct() -> None:
    one = np.array([[5, 0, 0], [3, 0, 0], [2, 0, 0]])
    assert verdict(one, ("a", "b", "c"), "run", "test").endswith("; always answers a")
    two = np.array([[4, 1, 0], [0, 3, 0], [1, 1, 0]])
    assert verdict(two, ("a", "b", "c"), "run", "test").endswith("; never answers c")
    assert distinct(["class of red", "class of blue"]) == ["red", "blue"]
    long = [f"{'x' * 30}{number}{'y' * 30}" for number in (1, 2)]
    assert len(set(distinct(long))) == 2


def test_an_axis_does_not_dramatise_noise() -> None:
    flat = [
        {"epoch": n, "train_accuracy": 0.1 + n % 3 / 1000, "val_accuracy": 0.1, "train_loss": 2.3, "val_loss": 2.3}
        for n in range(1, 9)
    ]
    figure = draw_curves([Curve("flat", flat, 1, classes=10, entropy=True)], "flat")
    accuracy = next(ax for ax in figure.axes if ax.get_title("left").startswith("accuracy"))
    assert accuracy.get_ylim() == (0, 1)
    high = [{"epoch": n, "train_accuracy": 0.5 + n / 20, "val_accuracy": 0.95} for n in range(1, 10)]
    figure = draw_curves([Curve("high", high[5:], 9, classes=10)], "high")
    (accuracy,) = (ax for ax in figure.axes if ax.get_title("left").startswith("accuracy"))
    assert accuracy.get_title("left") == "accuracy"  # train begins at 80 %
    figure = draw_curves([Curve("high", high[8:], 9, classes=10)], "high")
    (accuracy,) = (ax for ax in figure.axes if ax.get_title("left").startswith("accuracy"))
    assert accuracy.get_title("left") == "accuracy, axis from 90 %"
    assert accuracy.get_ylim() == (0.9, 1)


def test_a_run_that_diverged_stretches_no_axis_of_others() -> None:
    good = [{"epoch": n, "train_loss": 1 / n, "val_loss": 1.1 / n} for n in range(1, 9)]
    bad = [{"epoch": n, "train_loss": 10.0**n, "val_loss": 10.0**n} for n in range(1, 9)]
    figure = draw_curves([Curve("lr 0.01", good, 8), Curve("lr 0.1", good, 8), Curve("lr 1000", bad, 1)])
    assert figure.axes[0].get_ylim()[1] < 2
    assert "↑ lr 1000" in texts(figure)
    colours = {line.get_color() for line in figure.axes[0].lines}
    assert colours <= {"#6ba5d7", "#1f68a8", "#08305a"}  # a ramp: the rates have an order


def test_mistakes_are_the_most_confident_ones_first() -> None:
    shares = np.array([[0.9, 0.1], [0.3, 0.7], [0.02, 0.98], [0.4, 0.6]])
    figure = mistakes(subject(shares, np.array([0, 0, 0, 1]), ("ape", "bee")))
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == ["ape → bee, 98 %", "ape → bee, 70 %"]
    right = mistakes(subject(shares, np.array([0, 1, 1, 1]), ("ape", "bee")))
    assert texts(right) == ["run: no mistake on 4 train images"]


def test_names_are_drawn_as_they_are() -> None:
    """No mathematics between dollars, and no warning for a script that the font lacks."""
    rows = [{"epoch": 1, "train_loss": 1.0, "train_accuracy": None}, {"epoch": 2, "train_loss": float("nan")}]
    figure = draw_curves([Curve("$x^2$ 猫\x1b", rows, 7)], "$x_")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert style.rendered(figure)[:4] == b"\x89PNG"
        assert style.png(draw_confusion(np.eye(30, dtype=int), [f"{n}$猫$" for n in range(30)]))[1][0] > 800


def test_a_boundary_lies_where_the_classes_are_equal() -> None:
    xs = ys = np.linspace(-1, 1, 21)
    right = np.broadcast_to((xs > 0.25).astype(float), (21, 21))
    panel = Boundary("t", xs, ys, np.stack([1 - right, right], -1), np.array([[0.0, 0.0], [0.5, 0.5]]), np.array([0, 1]),
                     np.array([False, True]))  # fmt: skip
    figure = draw_boundaries([panel], ["0", "1"], ["a", "b"])
    (line,) = [c for c in figure.axes[0].collections if type(c).__name__ == "QuadContourSet"]
    assert np.concatenate([path.vertices for path in line.get_paths()])[:, 0] == pytest.approx(0.25, abs=0.06)
    assert figure.axes[0].get_xlabel() == "a"
    assert any("not trained on" in text for text in texts(figure.legends[0]))


def test_many_epochs_are_thinned_and_keep_their_ends() -> None:
    rows = [{"epoch": n, "train_loss": 1 / n} for n in range(1, 20_001)]
    figure = draw_curves([Curve("run", rows, 20_000)])
    line = figure.axes[0].lines[0]
    assert len(line.get_xdata()) <= 1001
    assert (line.get_xdata()[0], line.get_xdata()[-1]) == (1, 20_000)
    assert figure.axes[0].get_xlabel() == "epoch (logarithmic)"


def test_the_same_run_gives_the_same_bytes(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained / "pixels-1/history.jsonl").read_text().splitlines()]
    first, second = (style.rendered(draw_curves([Curve("pixels", rows, 1)]), form) for form in ("svg", "svg"))
    assert first == second


def test_runs_of_one_name_in_two_folders_are_two_runs(dlx: Dlx, runs: Path, trained: Path) -> None:
    for folder, number in (("a", 1), ("b", 3)):
        shutil.copytree(trained / f"moon-{number}", runs / folder / "moon-1")
    assert dlx("plot", "a/moon-1", "b/moon-1", "--only", "confusion", "-o", "p").code == 0
    assert drawn(runs / "p") == {"a-moon-1-confusion.png", "b-moon-1-confusion.png"}
    first, second = ((runs / "p" / f"{f}-moon-1-confusion.png").read_bytes() for f in "ab")
    assert first != second


def test_one_column_of_two_categories_has_a_boundary(dlx: Dlx, world: Path) -> None:
    (world / "t.csv").write_text("colour,kind\n" + "red,x\nblue,y\n" * 4)
    (world / "t.yaml").write_text(
        "dataset: {csv: {path: t.csv, label: kind}}\nvalidation: none\nlayers: [output]\nepochs: 1\n"
    )
    assert dlx("run", "t.yaml").code == 0
    done = dlx("plot", "t", "-o", "p")
    assert done.code == 0, done.err
    assert "t-1-boundary.png" in drawn(world / "p")


def test_runs_of_one_colour_differ_in_their_dashes() -> None:
    rows = [{"epoch": n, "train_loss": 1 / n} for n in (1, 2)]
    names = "one two three four five six seven eight".split()
    lines = draw_curves([Curve(name, rows) for name in names]).axes[0].lines
    assert len({(line.get_color(), line.get_linestyle(), str(line._unscaled_dash_pattern)) for line in lines}) == len(
        names
    )


def test_no_run_is_best_among_unlike_data_and_equal_ones_are_named() -> None:
    def run(label: str, loss: float, data: str = "a", **more: Any) -> Curve:
        rows = [{"epoch": n, "val_accuracy": 0.5 + n / 10, "val_loss": loss} for n in (1, 2)]
        return Curve(label, rows, 2, data=data, **more)

    assert "2 runs on unlike data, whose figures say nothing of one another" in texts(
        draw_curves([run("x", 1), run("y", 2, "b")])
    )
    assert "x and y are best: 70.0 % accuracy on validation" in texts(draw_curves([run("x", 1), run("y", 2)]))
    assert "z: 60.0 % accuracy on validation, epoch 1 of 2" in texts(draw_curves([run("z", 1, kept_epoch=1)], "z"))
    lost = Curve("lost", [{"epoch": 1, "val_accuracy": None, "val_loss": None}], None, data="a")
    assert "1 of 2" not in str(
        texts(draw_curves([run("x", 1), Curve("x", lost.rows, data="a"), run("y", 1), run("y", 1)]))
    )
    title = draw_curves([run("x", 1), Curve("x", lost.rows, data="a"), run("y", 1), run("y", 1)])
    assert any(text.startswith("y is best") for text in texts(title))


def test_what_is_better_when_it_is_larger_never_diverges() -> None:
    def run(label: str, name: str, values: list[float]) -> Curve:
        return Curve(label, [{"epoch": n, f"val_{name}": value} for n, value in enumerate(values, 1)])

    figure = draw_curves([run("sgd", "r2", [0.1, 0.9]), run("adam", "r2", [0.04, 0.05])])
    assert not any("↑" in text for text in texts(figure))
    slow = draw_curves([run("a", "loss", [1, 1e-4]), run("b", "loss", [1, 1.2e-4]), run("c", "loss", [1, 0.01])])
    assert not any("↑" in text for text in texts(slow))


def test_repeated_runs_are_averaged_epoch_by_epoch() -> None:
    first = Curve("x", [{"epoch": n, "val_loss": value} for n, value in ((1, None), (2, 2.0), (3, 3.0))])
    second = Curve("x", [{"epoch": n, "val_loss": float(n)} for n in (1, 2, 3)])
    points = Setting("x", [first, second]).points("val_loss")
    assert [(point.place, point.value) for point in points] == [(1, 1), (2, 2), (3, 3)]


def test_labels_that_end_in_a_version_are_words() -> None:
    rows = [{"epoch": n, "train_loss": 1 / n} for n in (1, 2)]
    figure = draw_curves([Curve(f"path data/v1.0.{n}", rows, unit="price $\\foo$") for n in (1, 2)])
    assert style.rendered(figure)[:4] == b"\x89PNG"
