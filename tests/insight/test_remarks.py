"""The verdict on a run: each rule speaks of what it is for, in its order, and none of a good training."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import Dlx

from dlx.insight.evidence import Evidence, falls
from dlx.insight.probed import Probed
from dlx.insight.remarks import RULES, notes, verdict

GOOD_PROBE: dict[str, Any] = {
    "optimizer": "adam", "even": math.log(10), "start": 2.35, "rms": 0.5, "update": 0.02, "largest_update": 0.03,
    "dead": 0.1, "dead_layer": "dense", "gradient": 0.5, "without": [], "spread": 0.2, "same": False, "own": 0.3,
    "adam": 0.3, "highest": 2.4, "steps": 100,
}  # fmt: skip
SETTINGS: dict[str, Any] = {"dataset": "digits", "lr": 0.002, "epochs": 20, "loss": "auto", "optimizer": "adam"}
NAMES = tuple("0123456789")


def probe(**changes: Any) -> Probed:
    made = Probed.of_record({**GOOD_PROBE, **changes})
    assert made is not None
    return made


def run(
    train: list[float], val: list[float] | None = None, accuracy: float = 0.9, settings: Any = None, **more: Any
) -> Evidence:
    rows = [
        {"epoch": n, "step": 41 * n, "train_loss": a, "train_accuracy": accuracy, **({} if val is None else {"val_loss": val[n - 1], "val_accuracy": accuracy})}
        for n, a in enumerate(train, 1)
    ]  # fmt: skip
    given: dict[str, Any] = {"status": "done", "diverged": False, "majority": 0.1, **more}
    return Evidence("r-1", given.pop("status"), given.pop("diverged"), {**SETTINGS, **(settings or {})}, rows, {},
                    "classification", NAMES, **given)  # fmt: skip


FLAT = [2.3] * 20
LEARNS = [2.3 * 0.5**n + 0.05 for n in range(20)]
RISES = [0.6 - 0.02 * n for n in range(10)] + [0.4 + 0.06 * n for n in range(10)]

CASES: dict[str, Evidence] = {
    "diverged": run([2.3, math.inf], accuracy=0.1, status="failed", diverged=True),
    "unscaled": run(FLAT, FLAT, 0.1, probed=probe(rms=86.0, dead=0.9)),
    "dead": run(FLAT, FLAT, 0.1, {"layers.1.dense.bias_initializer.constant": -3}, probed=probe(dead=0.98)),
    "vanishing": run(FLAT, FLAT, 0.1, {"layers.1.dense.activation": "sigmoid"}, probed=probe(gradient=1e-5)),
    "imbalance": run([0.3] * 20, [0.3] * 20, 0.972, majority=0.97),
    "step_large": run(FLAT, FLAT, 0.1, {"lr": 0.3}, probed=probe(update=3.0)),
    "step_small": run(FLAT, FLAT, 0.15, {"lr": 1e-7}, probed=probe(own=2.3, largest_update=1e-5)),
    "cannot_fit": run(FLAT, FLAT, 0.1, {"layers.2.dropout.rate": 0.95}, probed=probe(own=2.2, adam=2.1)),
    "nothing_learned": run(FLAT, FLAT, 0.1),
    "overfit": run([0.6 - 0.028 * n for n in range(20)], RISES),
    "still_falling": run([2.3 * 0.9**n for n in range(20)], [2.3 * 0.9**n for n in range(20)], 0.8),
    "learned_little": run([2.3 * 0.99 ** min(n, 9) for n in range(20)], [2.0] * 20, 0.3),
}


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_speaks_of_what_it_is_for(rule: str) -> None:
    remark = verdict(CASES[rule])
    assert remark is not None
    assert remark.rule == rule
    assert remark.message


def test_every_rule_has_a_case() -> None:
    assert [rule.__name__ for rule in RULES] == list(CASES)


def test_remedies_name_the_setting() -> None:
    def change(rule: str) -> list[str]:
        remark = verdict(CASES[rule])
        assert remark is not None
        return list(remark.change)

    assert change("unscaled") == ["preprocess=[normalize]"]
    assert change("dead") == ["layers.1.dense.bias_initializer=zeros"]
    assert change("vanishing") == ["layers.1.dense.activation=relu"]
    assert change("imbalance") == ["class_weight=balanced"]
    assert change("step_large") == ["lr=0.002"]
    assert change("cannot_fit") == ["layers.2.dropout.rate=0.3"]
    assert change("still_falling") == ["epochs=40"]


def test_nothing_is_said_of_a_good_training() -> None:
    good = run(LEARNS, [loss + 0.01 for loss in LEARNS], 0.97)
    assert verdict(good) is None
    assert not good.suspicious
    assert verdict(run(LEARNS, [loss + 0.01 for loss in LEARNS], 0.97, probed=probe())) is None
    by_heart = run([2.3 * 0.8**n for n in range(20)], accuracy=0.97)  # without a validation nobody knows
    assert verdict(by_heart) is None


def test_weights_of_classes_are_noted() -> None:
    weighed = run(LEARNS, LEARNS, 0.97, {"class_weight": "balanced"}, majority=0.96)
    assert verdict(weighed) is None
    assert "cannot be compared" in notes(weighed)[0]
    assert notes(run(LEARNS)) == []


def test_a_fall_is_of_medians_and_of_few_epochs_of_the_last() -> None:
    assert falls([1.0] * 20) == 0
    assert falls([3.0, 2.0, 1.0]) == pytest.approx(0.5)
    assert falls([3.0, 1.0, 2.0, 1.0]) == 0
    assert falls([1.0, math.inf, 0.5, 0.4, 0.3]) == 0


def test_what_a_probe_left_is_read_and_what_is_none_is_not() -> None:
    whole = probe(own=math.inf)
    assert whole.record()["own"] is None
    assert Probed.of_record(json.loads(json.dumps(whole.record()))) == whole
    for broken in ({}, {**GOOD_PROBE, "rms": "much"}, {**GOOD_PROBE, "without": 3}, {**GOOD_PROBE, "optimizer": None}):
        assert Probed.of_record(broken) is None


# Through the command line

SMALL = "dataset: digits\npreprocess: [rescale]\nlayers: [flatten, {dense: {units: 16, activation: relu}}, output]\n"


def test_a_run_that_failed_says_why_and_its_remedy_says_that_it_helped(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text(f"{SMALL}lr: 1.0e-6\nepochs: 3\n")
    first = dlx("run", "s.yaml")
    text = " ".join(first.out.split())
    assert "remark a step changes the weights by" in text
    assert "try dlx run runs/s-1/spec.yaml -s lr=0.001" in text
    assert json.loads((world / "runs" / "s-1" / "probe.json").read_text())["optimizer"] == "adam"
    shown = dlx("show", "s-1")
    assert "the training hardly moves" in " ".join(shown.out.split())
    record = json.loads(dlx("show", "s-1", "--json").out)["remark"]
    assert record["rule"] == "step_small"
    assert record["command"] == "dlx run runs/s-1/spec.yaml -s lr=0.001"
    second = dlx(*record["command"].split()[1:])
    assert second.code == 0
    assert json.loads((world / "runs" / "s-2" / "run.json").read_text())["parent"] == "s-1"
    text = " ".join(second.out.split())
    assert "change better than s-1: val_accuracy" in text
    assert "one seed each; dlx compare s-1 s-2 says what the test split shows" in text


def test_a_diverged_run_gets_a_remark(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text(
        "dataset: digits\nlayers: [flatten, {dense: 16}, {dense: 16}, {output: {activation: linear}}]\noptimizer: sgd\nlr: 100\nepochs: 3\n"
    )
    result = dlx("run", "s.yaml")
    assert result.code == 4
    assert "RMS" in result.err
    assert "preprocess=[standardize]" in result.err


def test_a_good_run_has_no_remark_and_no_probe(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text(f"{SMALL}lr: 0.01\nepochs: 12\n")
    result = dlx("run", "s.yaml")
    assert "remark" not in result.out
    assert not (world / "runs" / "s-1" / "probe.json").exists()
    assert json.loads(dlx("show", "s-1", "--json").out)["remark"] is None
