"""dlx evaluate: the figures of metrics.json, intervals that hold what they say, and data of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, Dlx
from examples import SUMS, WEATHER, train_all, write_photos, write_weather
from PIL import Image

from dlx.data.encoding import Encoding
from dlx.export.metadata import record
from dlx.inference.exact import auc
from dlx.inference.threshold import choose, moved, of_run
from dlx.insight.evaluation import Answers, Interval, bootstrap, importance, mean_interval, share_interval
from dlx.runs.run import Run

SPECS = {
    "digits": SMALL,
    "people": "dataset: {csv: {path: people.csv, label: works, id: number}}\ntest: 0.3\npreprocess: [normalize]\n"
    "layers: [{dense: {units: 8, activation: relu}}, output]\nlr: 0.02\nepochs: 30\nregularization: {l2: 0.001}\n",
    "prices": "dataset: {csv: {path: prices.csv, label: [low, high]}}\npreprocess: [normalize]\nlayers: [output]\n"
    "metrics: [mae, r2]\nepochs: 5\n",
    "weather": WEATHER,
    "sums": SUMS,
    "photos": "dataset: {image_folder: {path: photos, image_size: 8}}\nvalidation: 0.25\npreprocess: [rescale]\n"
    "layers: [flatten, output]\nlr: 0.05\nepochs: 20\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of each spec, and the files that they learned from."""
    world = tmp_path_factory.mktemp("evaluated")
    rows = [(n, n * 37 % 60, "ab"[n * 7 % 3 % 2], n * 13 % 9) for n in range(400)]
    people = "".join(f"{n},{age},{town},{noise},{'yes' if age > 30 else 'no'}\n" for n, age, town, noise in rows)
    (world / "people.csv").write_text(f"number,age,town,noise,works\n{people}")
    prices = "".join(f"{n % 17},{n % 5},{n % 17 * 3 + n % 3},{n % 17 * 4}\n" for n in range(200))
    (world / "prices.csv").write_text(f"size,rooms,low,high\n{prices}")
    write_weather(world)
    write_photos(world, {"red": (200, 30, 30), "blue": (30, 30, 200)})
    train_all(world, SPECS)
    return world


@pytest.fixture
def here(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


@pytest.mark.parametrize("name", SPECS)
def test_the_figures_are_those_of_metrics_json(here: Path, dlx: Dlx, name: str) -> None:
    result = dlx("evaluate", f"{name}-1", "--json")
    assert result.code == 0, result.err
    (found,) = result.lines
    split = {"test": "test", "validation": "val"}[found["split"]]
    kept = json.loads((here / f"runs/{name}-1/metrics.json").read_text())
    known = {key: value for key, value in kept.items() if key.startswith(f"{split}_") and key != "test_is_validation"}
    assert len(known) >= 2
    for key, value in known.items():
        figure = found["figures"][key.removeprefix(f"{split}_")]
        assert figure["value"] == pytest.approx(value, rel=1e-6)
        assert figure["low"] is None or figure["low"] <= value <= figure["high"]
    assert found["figures"]["loss"]["low"] <= found["figures"]["loss"]["high"]
    losses = [row["loss"] for row in found["worst"]]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 5 or len(losses) == found["n"]


def test_what_it_says_of_classes_values_and_columns(here: Path, dlx: Dlx) -> None:
    text = dlx("evaluate", "people-1", "--by", "town", "--importance").out
    for words in ("people-1 on test: 120 examples", "95 % interval", "precision", "true, across: answer", "calibration",
                  "accuracy lost", "worst"):  # fmt: skip
        assert words in text, words
    (found,) = dlx("evaluate", "people-1", "--by", "town", "--importance", "--json").lines
    assert next(iter(found["importance"])) == "age"
    assert found["importance"]["age"]["value"] > 0.1
    assert abs(found["importance"]["noise"]["value"]) < 0.1
    assert sum(part["n"] for part in found["by"]["slices"]) == found["n"] == 120
    assert {part["name"] for part in found["by"]["slices"]} == {"a", "b"}
    assert sum(map(sum, found["confusion"])) == 120
    values = dlx("evaluate", "prices-1", "--json").lines[0]["residuals"]
    assert len(values) == 2
    assert values[0]["q5"] <= values[0]["median"] <= values[0]["q95"]
    assert "prediction − truth" in dlx("evaluate", "prices-1").out


def test_slices_are_of_the_rows_that_were_evaluated(here: Path, dlx: Dlx) -> None:
    (found,) = dlx("evaluate", "people-1", "--by", "works", "--json").lines
    slices = {part["name"]: part for part in found["by"]["slices"]}
    assert {name: part["n"] for name, part in slices.items()} == {
        name: row["n"] for name, row in found["classes"].items()
    }
    for name, row in found["classes"].items():
        assert slices[name]["value"] == pytest.approx(row["recall"])


def test_own_data_with_labels(here: Path, dlx: Dlx, world: Path) -> None:
    (whole,) = dlx("evaluate", "people-1", "people.csv", "--json").lines
    assert whole["n"] == 400
    assert whole["split"] == "people.csv"
    slices = dlx("evaluate", "people-1", "people.csv", "--by", "town", "--json").lines[0]["by"]["slices"]
    assert sum(part["n"] for part in slices) == 400
    (photos,) = dlx("evaluate", "photos-1", "photos", "--json").lines
    assert photos["n"] == 16
    assert photos["figures"]["accuracy"]["value"] > 0.9
    split = np.load(here / "runs/digits-1/predictions.npz")
    x = np.zeros((3, 8, 8, 1), np.uint8)
    np.savez(world / "d.npz", x=x, y=split["label"][:3])
    assert dlx("evaluate", "digits-1", world / "d.npz", "--json").lines[0]["n"] == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("age,town,noise\n3,a,1\n", "has no label 'works'"),
        ("age,town,noise,works\n3,a,1,maybe\n", "holds the label 'maybe', but the run has no, yes"),
        ("age,town,noise,works\n3,a,1,\n", "has no label 'works'"),
    ],
)
def test_labels_that_are_none_are_an_error(here: Path, dlx: Dlx, world: Path, content: str, words: str) -> None:
    (world / "x.csv").write_text(content)
    result = dlx("evaluate", "people-1", world / "x.csv")
    assert result.code == 3
    assert words in result.err


def test_what_cannot_be_asked(here: Path, dlx: Dlx, world: Path) -> None:
    for words, message in (
        (["digits-1", "--by", "town"], "of a table of columns, and this data is none"),
        (["digits-1", "--importance"], "importance is of a table's columns"),
        (["people-1", "--by", "twon"], "did you mean 'town'"),
        (["photos-1", "--split", "test"], "has no test split"),
        (["people-1", "people.csv", "--split", "test"], "expected one of them"),
    ):
        result = dlx("evaluate", *words)
        assert result.code in (2, 3), words
        assert message in " ".join(result.err.split()), result.err
    np.savez(world / "d.npz", x=np.zeros((3, 8, 8, 1), np.uint8))
    assert "holds no y" in dlx("evaluate", "digits-1", world / "d.npz").err


def test_labels_as_people_have_them(here: Path, dlx: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers that name classes, as floats too; images in folders below that of their class."""
    monkeypatch.chdir(world)
    (world / "n.csv").write_text("a,kind\n" + "".join(f"{n % 9},{1 + n % 3}\n" for n in range(90)))
    (world / "n.yaml").write_text(
        "dataset: {csv: {path: n.csv, label: kind}}\ntask: classification\nlayers: [output]\nepochs: 1\n"
        "batch_size: full\n"
    )
    assert dlx("run", "n.yaml").code == 0
    for labels in ([1, 3], [1.0, 3.0], ["1", "3"]):
        np.savez(world / "n.npz", x=np.zeros((2, 1), np.float32), y=np.array(labels))
        (found,) = dlx("evaluate", "n-1", "n.npz", "--json").lines
        assert [found["classes"][name]["n"] for name in "123"] == [1, 0, 1]
    for labels, words in (([1, 4], "holds the label '4'"), ([1], "1 labels"), ([1, 2, 3], "3 labels of 2 inputs"),
                          ([[1, 2], [1, 2]], "labels of the shape (2,)")):  # fmt: skip
        np.savez(world / "n.npz", x=np.zeros((2, 1), np.float32), y=np.array(labels))
        result = dlx("evaluate", "n-1", "n.npz")
        assert result.code == 3
        assert words in result.err
    photos = world / "more"
    (photos / "red" / "blue").mkdir(parents=True)
    Image.new("RGB", (10, 10), (200, 30, 30)).save(photos / "red" / "blue" / "1.png")
    (photo,) = dlx("evaluate", here / "runs/photos-1", "more", "--json").lines
    assert photo["classes"]["red"]["n"] == 1
    assert photo["worst"][0]["input"] == str(Path("more/red/blue/1.png"))


@pytest.mark.parametrize("value", ["inf", "nan", "x"])
def test_values_that_are_none_are_an_error(here: Path, dlx: Dlx, world: Path, value: str) -> None:
    (world / "p.csv").write_text(f"size,rooms,low,high\n3,2,{value},4\n")
    result = dlx("evaluate", "prices-1", world / "p.csv")
    assert result.code == 3
    assert "label" in result.err


def test_the_worth_of_a_column_without_any_is_within_its_interval() -> None:
    """Of two hundred test sets, in about nineteen of twenty."""
    generator, held = np.random.default_rng(0), 0
    encoding = Encoding(columns=["a", "b"])
    for _ in range(200):
        inputs = generator.normal(size=(200, 2))
        labels = (inputs[:, 0] + generator.normal(size=200) > 0).astype(np.int64)

        def ask(given: np.ndarray, labels: np.ndarray = labels) -> Answers:  # leans on b, which says nothing
            shares = 1 / (1 + np.exp(-given[:, 0] - given[:, 1]))
            return Answers("classification", ("no", "yes"), labels, np.stack([1 - shares, shares], 1))

        found = dict(importance(ask, inputs, encoding, ask(inputs)))["b"]
        held += (found.low or 0) <= 0.0 <= (found.high or 0)
    assert held >= 180


def test_a_share_and_its_interval() -> None:
    """As scipy has it; and it holds the truth in nineteen of twenty samples."""
    from scipy.stats import binomtest

    known = binomtest(7, 40).proportion_ci(0.95, "wilson")
    found = share_interval(7 / 40, 40)
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-8)
    generator, held = np.random.default_rng(0), 0
    for _ in range(1000):
        inside = share_interval(generator.binomial(200, 0.9) / 200, 200)
        held += (inside.low or 0) <= 0.9 <= (inside.high or 0)
    assert 930 <= held <= 970


def test_an_interval_of_means_and_of_what_is_no_mean() -> None:
    generator, held = np.random.default_rng(0), 0
    for _ in range(400):
        inside = mean_interval(generator.exponential(1.0, 300))
        held += (inside.low or 0) <= 1.0 <= (inside.high or 0)
    assert 365 <= held <= 395
    labels = generator.integers(0, 2, 300)
    shares = np.clip(labels * 0.3 + generator.normal(0.35, 0.2, 300), 0, 1)
    answers = Answers("classification", ("a", "b"), labels, np.stack([1 - shares, shares], 1))
    value = auc(answers.label, answers.prediction)
    found = bootstrap(auc, answers, value)
    assert found == bootstrap(auc, answers, value)  # no other one the second time
    assert (found.low or 1) < value < (found.high or 0)
    assert (found.high or 0) - (found.low or 0) < 0.15
    assert mean_interval(np.array([2.0])) == Interval(2.0)


def test_a_threshold_is_the_best_of_all() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        label = generator.integers(0, 2, 60)
        share = np.round(generator.random(60) * 0.6 + 0.3 * label, 2)
        for figure, score in SCORES.items():
            value, reached = choose(label, share, figure)
            assert reached == pytest.approx(score(label, share >= value))
            assert reached >= max(score(label, share >= other) for other in np.linspace(0.005, 0.995, 100)) - 1e-9


SCORES = {
    "accuracy": lambda label, second: float((label == second).mean()),
    "balanced_accuracy": lambda label, second: float((second[label == 1].mean() + (~second[label == 0]).mean()) / 2),
    "f1": lambda label, second: float(2 * (second & (label == 1)).sum() / (second.sum() + label.sum())),
}


def test_moved_probabilities_decide_as_the_threshold_does() -> None:
    share = np.array([0.0, 0.1, 0.2, 0.2 + 1e-12, 0.7, 1.0])
    found = moved(np.stack([1 - share, share], axis=1), 0.2)
    assert found.argmax(axis=1).tolist() == (share >= 0.2).astype(int).tolist()
    assert (np.diff(found[:, 1]) >= 0).all()


def test_a_threshold_is_kept_for_predict_evaluate_and_export(here: Path, dlx: Dlx) -> None:
    result = dlx("evaluate", "people-1", "--threshold", "auto:f1", "--json")
    assert result.code == 0, result.err
    assert "kept with people-1" in result.err
    kept = json.loads((here / "runs/people-1/threshold.json").read_text())
    assert (kept["figure"], kept["split"]) == ("f1", "validation")
    try:
        assert dlx("evaluate", "people-1", "--threshold", "0.999", "--json").code == 0
        (found,) = dlx("evaluate", "people-1", "--json").lines
        rows = dlx("predict", "people-1", "--split", "test", "--json").lines
        assert all(row["label"] == ("yes" if row["probabilities"]["yes"] >= 0.999 else "no") for row in rows)
        assert {row["label"] for row in rows} == {"yes", "no"}
        accuracy = np.mean([row["label"] == row["truth"] for row in rows])
        assert found["figures"]["accuracy"]["value"] == pytest.approx(accuracy)
        confusion = np.array(found["confusion"])
        assert confusion[:, 1].sum() == sum(row["label"] == "yes" for row in rows)
        wrong = dlx("predict", "people-1", "--wrong", "1000", "--split", "test", "--json").lines
        assert len(wrong) == sum(row["label"] != row["truth"] for row in rows)
        (here / "one.csv").write_text("number,age,town,noise\n1,31,a,3\n")
        for words in ((), ("--exact",)):
            (row,) = dlx("predict", "people-1", "one.csv", "--json", *words).lines
            assert row["label"] == ("yes" if row["probabilities"]["yes"] >= 0.999 else "no")
        assert (
            record(Run.open(here / "runs/people-1"), Run.open(here / "runs/people-1").info(), "x")["threshold"] == 0.999
        )
    finally:
        assert dlx("evaluate", "people-1", "--threshold", "none").code == 0
    assert not (here / "runs/people-1/threshold.json").exists()


@pytest.mark.parametrize(
    ("run", "wanted", "words"),
    [("people", "2", "between 0 and 1"), ("people", "auto:auc", "auto:f1"), ("people", "x", "auto or none"), ("prices", "auto", "two classes"),
     ("digits", "auto", "two classes")],
)  # fmt: skip
def test_a_threshold_that_is_none_is_said(here: Path, dlx: Dlx, run: str, wanted: str, words: str) -> None:
    result = dlx("evaluate", f"{run}-1", "--threshold", wanted)
    assert (result.code, words in result.err) == (2, True), result.err
    assert not (here / f"runs/{run}-1/threshold.json").exists()


def test_a_threshold_of_another_model_does_not_count(here: Path, dlx: Dlx) -> None:
    place = here / "runs/people-1/threshold.json"
    place.write_text(json.dumps({"threshold": 0.999, "model": "of another"}))
    try:
        assert of_run(Run.open(here / "runs/people-1")) is None
        place.write_text('{"threshold": 7, "model": "x"}')
        result = dlx("predict", "people-1", "--split", "test", "--json")
        assert (result.code, "--threshold none" in result.err) == (2, True)
    finally:
        place.unlink()
