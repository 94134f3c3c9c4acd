"""What compare says of differences: over seeds with an interval, of two runs as of two models, and nothing it may not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Dlx

from dlx.insight.comparison import Question, Said, compare, pilot
from dlx.runs.compare import fold
from dlx.runs.summary import Entry


def entry(name: str, lr: float, seed: int, accuracy: float, **more: Any) -> Entry:
    settings = {"name": "mine", "lr": lr, "seed": seed, "split_seed": more.pop("split_seed", 0), "validation": 0.1}
    info = {"dataset": {"fingerprint": "f", "train": 8000, "validation": 1000, "test": 2000}, "task": "classification"}
    metrics = {"val_accuracy": accuracy, "val_loss": 1 - accuracy, "test_accuracy": accuracy - 0.01, "test_loss": 0.5}
    return Entry(Path(name), "done", settings, metrics, {**info, **more})


def group(lr: float, accuracies: list[float], first_seed: int = 0, **more: Any) -> list[Entry]:
    return [entry(f"mine-{lr}-{n}", lr, first_seed + n, a, **more) for n, a in enumerate(accuracies)]


def said(*groups: list[Entry], **asked: Any) -> Said:
    rows = fold([one for several in groups for one in several])
    against = asked.pop("against", None)
    return compare(rows, Question(None if against is None else rows[against], **asked))


LOW, HIGH = [0.90, 0.91, 0.92, 0.90, 0.91], [0.95, 0.96, 0.97, 0.95, 0.96]


def test_matched_seeds_are_compared_by_pairs() -> None:
    (one,) = said(group(0.1, LOW), group(0.2, [0.90, 0.92, 0.92, 0.91, 0.90])).statements
    assert one.record()["test"] == "paired t"
    assert one.figure == "test_accuracy"
    assert one.n == (5, 5)
    assert one.sentence.startswith("lr 0.1 89.80 ± 0.84 % (5 seeds), lr 0.2 90.0 ± 1.0 % (5): −0.20 points of")
    assert "Not shown to differ. To tell half a point apart takes about" in one.sentence
    assert "the same on both sides" in one.sentence


def test_other_seeds_are_compared_by_welch() -> None:
    (one,) = said(group(0.1, LOW), group(0.2, HIGH, first_seed=50)).statements
    assert one.finding.test == "Welch"
    assert one.finding.difference == pytest.approx(-0.05)
    assert one.sentence.endswith("Shown to differ: lr 0.2 is better.")


def test_seeds_for_a_difference_that_is_asked_for() -> None:
    small, large = (said(group(0.1, LOW), group(0.2, HIGH, 50), apart=d).statements[0].sentence for d in (0.5, 5))
    seeds = [int(text.split("takes about ")[1].split()[0].replace(",", "")) for text in (small, large)]
    assert seeds[0] > 20 * seeds[1] / 2
    assert "To tell 5 points apart takes about" in large


def test_of_three_groups_one_is_first_and_ties_are_named() -> None:
    made = said(group(0.1, LOW), group(0.2, HIGH), group(0.3, [0.95, 0.96, 0.97, 0.96, 0.95]))
    assert len(made.statements) == 3
    assert "First by val_accuracy: lr 0.2" in made.ranking[0]
    assert "tied with lr 0.3 (Holm over all 3 pairs)" in made.ranking[0]
    assert "lr 0.1" not in made.ranking[0]
    assert "chosen by val_accuracy" in made.ranking[1]
    assert all("3 pairs at once" in one.finding.test for one in made.statements)


def test_against_a_row_the_others_are_compared_with_it() -> None:
    made = said(group(0.1, LOW), group(0.2, HIGH), group(0.3, HIGH), against=2)
    assert [(one.a, one.b) for one in made.statements] == [("mine-0.3-0", "mine-0.1-0"), ("mine-0.3-0", "mine-0.2-0")]


def test_against_several_rows_p_is_adjusted_and_the_interval_holds_for_all() -> None:
    alone = said(group(0.1, LOW), group(0.2, HIGH, 50)).statements[0].finding
    several = said(group(0.1, LOW), group(0.2, HIGH, 50), group(0.3, HIGH, 90), against=0).statements[0].finding
    assert several.p >= alone.p
    assert several.low < alone.low


def test_groups_without_spread_differ_by_more_than_an_example_can_show() -> None:
    one_row = said(group(0.1, [0.9] * 3), group(0.2, [0.9005] * 3)).statements[0]
    assert one_row.finding.low < 0 < one_row.finding.high
    many_rows = said(group(0.1, [0.9] * 3), group(0.2, [0.95] * 3)).statements[0]
    assert many_rows.finding.real


def test_seeds_are_planned_from_a_pilot() -> None:
    (row,) = fold(group(0.1, LOW))
    assert "to tell half a point apart takes about" in pilot(row, Question(apart=0.5))
    assert pilot(row, Question()) == ""


def test_other_cuts_of_the_data_have_a_corrected_variance() -> None:
    rows = [
        [entry(f"r{lr}{n}", lr, 0, a, split_seed=n) for n, a in enumerate(values)]
        for lr, values in ((1, LOW), (2, HIGH))
    ]
    (one,) = said(*rows).statements
    assert one.finding.test == "corrected paired t"
    assert "(5 splits)" in one.sentence


def test_too_few_seeds_and_other_data_say_nothing_but_what_to_do() -> None:
    made = said(group(0.1, LOW), group(0.2, HIGH[:2]))
    assert not made.statements
    assert made.remarks == ["a setting needs three runs to be compared, but lr 0.1 has 5, lr 0.2 has 2: "
                            "dlx run SPEC --repeat 5 trains five seeds"]  # fmt: skip
    other = group(0.2, HIGH)
    for one in other:
        one.info["dataset"] = {"fingerprint": "g"}
    nothing = said(group(0.1, LOW), other)
    assert not nothing.statements
    assert not nothing.remarks


# Through the command line


@pytest.fixture
def two(dlx: Dlx, world: Path) -> Path:
    (world / "d.yaml").write_text(
        "dataset: digits\ntest: 0.2\npreprocess: [rescale]\nlayers: [flatten, output]\nepochs: 2\nlr: 0.01\n"
    )
    assert dlx("run", "d.yaml").code == 0
    assert dlx("run", "d.yaml", "-s", "lr=0.001", "--name", "slow").code == 0
    return world


def test_two_runs_are_two_models(dlx: Dlx, two: Path) -> None:
    result = dlx("compare", "d-1", "slow-1")
    text = " ".join(result.out.split())
    right = []
    for name in ("d-1", "slow-1"):
        with np.load(two / "runs" / name / "predictions.npz") as kept:
            right.append(kept["prediction"].argmax(1) == kept["label"])
    alone = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    assert f"On 359 test rows {alone[0]} are right in d-1 alone and {alone[1]} in slow-1 alone (mid-p" in text
    assert "about these two models; one seed each says nothing about the settings." in text
    record = json.loads(dlx("compare", "d-1", "slow-1", "--json").out)
    (one,) = record["statistics"]
    assert list(one) == ["a", "b", "figure", "difference", "low", "high", "p", "test", "n", "sentence"]
    metrics = [run["metrics"]["test_accuracy"] for run in record["runs"]]
    assert one["difference"] == pytest.approx(metrics[0] - metrics[1], abs=1e-6)
    assert one["n"] == [1, 1]


def test_flips_are_counted_listed_and_drawn(dlx: Dlx, two: Path) -> None:
    record = json.loads(dlx("compare", "d-1", "slow-1", "--flips", "--json").out)["flips"]
    flips = [*record["only_a"], *record["only_b"]]
    assert flips
    assert all(flip["truth"] == flip["a"] != flip["b"] for flip in record["only_a"])
    row = dlx("predict", "slow-1", "--split", "test", "--rows", str(flips[0]["row"]), "--json").lines[0]
    assert (row["label"], row["truth"]) == (flips[0]["b"], flips[0]["truth"])
    result = dlx("compare", "d-1", "slow-1", "--flips", "-o", "flips.png")
    assert f"{len(flips)} of 359 test rows flip" in result.out
    assert (two / "flips.png").read_bytes()[:4] == b"\x89PNG"


def test_two_runs_of_one_setting_are_two_models_too(dlx: Dlx, two: Path) -> None:
    assert dlx("run", "d.yaml", "-s", "seed=7").code == 0
    result = dlx("compare", "d-1", "d-2", "--flips")
    assert "about these two models" in " ".join(result.out.split())
    assert "of 359 test rows flip" in result.out


def test_what_cannot_be_asked_is_refused(dlx: Dlx, two: Path) -> None:
    assert "is of two runs" in dlx("compare", "d-1", "--flips").err
    assert "not among the runs compared" in dlx("compare", "d-1", "--against", "slow-1").err
    assert dlx("compare", "d-1", "slow-1", "-o", "x.png").code == 2
    for name in ("flips", "flips.txt", "."):
        assert "ends in .png or .svg or .pdf" in dlx("compare", "d-1", "slow-1", "--flips", "-o", name).err
    assert "none of these is a run" in dlx("compare", "d.yaml").err
    assert "needs two settings of three runs" in " ".join(
        dlx("compare", "d-1", "slow-1", "--seeds-for", "1").out.split()
    )
    assert "above 0" in dlx("compare", "d-1", "slow-1", "--seeds-for", "0").err
    (two / "runs" / "slow-1" / "predictions.npz").write_bytes(b"PK\x03\x04 torn")
    broken = dlx("compare", "d-1", "slow-1")
    assert broken.code == 0
    assert "cannot be read as an array" in broken.out


def test_python_has_the_same(two: Path) -> None:
    import dlx as package

    (one,) = package.compare(["d-1", "slow-1"]).statistics
    assert "about these two models" in str(one["sentence"])
    assert package.load("d-1").remark is None
