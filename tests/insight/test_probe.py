"""The probe finds what is wrong with a network before its training, and nothing wrong with good ones."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from conftest import Dlx

from dlx import spec as specs
from dlx.insight.outlook import outlook
from dlx.insight.probe import checks, probe
from dlx.insight.rates import proposal
from dlx.training.experiment import prepare

DENSE: dict[str, Any] = {"units": 32, "activation": "relu"}
GOOD: dict[str, Any] = {
    "dataset": "digits", "preprocess": ["rescale"], "layers": ["flatten", {"dense": DENSE}, "output"], "epochs": 5,
}  # fmt: skip
SIGMOIDS = [{"dense": {"units": 16, "activation": "sigmoid"}}] * 6


def hidden(**arguments: Any) -> list[Any]:
    return ["flatten", {"dense": {**DENSE, **arguments}}, "output"]


# what is changed: the questions that fail for it
BROKEN: dict[str, tuple[dict[str, Any], set[str]]] = {
    "good": ({}, set()),
    "zeros in one layer": ({"layers": ["flatten", {"output": {"kernel_initializer": "zeros"}}]}, set()),
    "sgd": ({"optimizer": "sgd", "lr": 0.1}, set()),
    "unscaled": ({"preprocess": []}, {"input_scale"}),
    "dead": ({"layers": hidden(bias_initializer={"constant": -9})}, {"dead_units", "outputs_depend_on_inputs"}),
    "vanishing": ({"layers": ["flatten", *SIGMOIDS, "output"]}, {"gradients"}),
    "large": ({"lr": 0.5}, {"update_ratio"}),
    "small": ({"lr": 1e-6}, {"update_ratio", "one_batch"}),
    "penalty": ({"regularization": {"l2": 5.0}}, {"one_batch"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_probe_fails_what_is_broken_and_passes_what_is_good(name: str, tmp_path: Path) -> None:
    changes, failing = BROKEN[name]
    (tmp_path / "s.yaml").write_text(json.dumps({**GOOD, **changes}))
    experiment = prepare(specs.load(str(tmp_path / "s.yaml")))
    figures = probe(experiment)
    assert figures.even == pytest.approx(math.log(10), abs=1e-3)
    answered = checks(figures, experiment)
    failed = {check.rule for check in answered if not check.passed}
    assert failing <= failed
    assert bool(failing) == bool(failed)
    assert all(check.change for check in answered)


def test_a_table_of_values_is_probed_too(tmp_path: Path) -> None:
    rows = "".join(f"{x / 50},{math.sin(x / 50) * 3 + 7}\n" for x in range(200))
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}")
    spec = {"dataset": {"csv": {"path": "t.csv", "label": "y"}}, "layers": [{"dense": DENSE}, "output"], "lr": 0.01}
    (tmp_path / "s.yaml").write_text(json.dumps(spec))
    experiment = prepare(specs.load(str(tmp_path / "s.yaml")))
    assert [check.rule for check in checks(probe(experiment), experiment) if not check.passed] == []


def test_the_outlook_is_measured(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(json.dumps(GOOD))
    found = outlook(prepare(specs.load(str(tmp_path / "s.yaml"))), trainings=3)
    assert 0 < found.seconds[0] < found.seconds[1] < 60
    assert found.batch == 1617
    assert found.memory is None or found.memory > 10**8
    assert found.rates.proposed is not None
    assert 1e-4 < found.rates.proposed < 0.1
    assert found.record()["trainings"] == 3


def test_a_rate_is_proposed_where_the_loss_falls_fastest_and_none_where_it_does_not() -> None:
    rates = [10 ** (-6 + n * 7 / 199) for n in range(200)]
    falls = [2.3 - 2 / (1 + math.exp(-4 * (math.log10(rate) + 2.5))) for rate in rates]
    blown = [loss + max(0.0, math.log10(rate) + 1) * 20 for loss, rate in zip(falls, rates, strict=True)]
    assert proposal(rates, blown).proposed == pytest.approx(3e-3 * 1.6, rel=0.6)
    assert len(proposal(rates, blown).rates) < 200
    assert proposal(rates, [2.3] * 200).proposed is None
    assert proposal(rates, [*falls[:150], math.nan]).proposed is not None


def test_check_probe_shows_its_questions_and_its_picture(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text(json.dumps({**GOOD, "lr": 0.5}))
    result = dlx("check", "s.yaml", "--probe", "-o", "rates.png")
    assert result.code == 4
    text = " ".join(result.out.split())
    assert "ok loss at the start" in text
    assert "FAIL a step changes weights by" in text
    assert "s.yaml:1:1" in text
    assert (world / "rates.png").read_bytes()[:4] == b"\x89PNG"
    assert dlx("check", "s.yaml", "-o", "x.png").code == 2


def test_check_probe_as_json(dlx: Dlx, world: Path) -> None:
    (world / "s.yaml").write_text(json.dumps(GOOD))
    result = dlx("check", "s.yaml", "--probe", "--json")
    assert result.code == 0
    (line,) = result.lines
    assert [list(item) for item in line["probe"]] == [["rule", "where", "message", "change", "passed"]] * 7
    assert set(line["plan"]) == {"seconds", "trainings", "memory", "disk", "device", "batch_size", "lr"}
    assert not list(world.glob("*.png"))
