"""What a sweep varies: alternatives, ranges, settings that depend on others, several layers at once."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx import spec as specs
from dlx.errors import SpecError
from dlx.parts import REGISTRIES
from dlx.search.samplers import drawn
from dlx.spec.dimensions import Dimension
from dlx.spec.ranges import Range, parse_range
from dlx.spec.space import Space

SPEC = """\
dataset: digits
layers: [flatten, {dense: {units: 8, activation: relu}}, {dropout: 0.1}, {repeat: {times: 2, layers: [{dense: 8}, {dropout: 0.2}]}}, output]
"""


def space(world: Path, sweep: str, *overrides: str, **search: Any) -> Space:
    (world / "s.yaml").write_text(f"{SPEC}{sweep}\n")
    return specs.space_of(world / "s.yaml", overrides, {"by": "random", **search})


def chosen(made: Space, **values: Any) -> dict[str, Any]:
    """The settings of the trial of first values, but for `values` (. is _)."""
    given = {name.replace("__", "."): value for name, value in values.items()}
    return made.trial(lambda d: given.get(d.name, d.first)).settings


@pytest.mark.parametrize(
    ("text", "low", "high", "log", "step", "whole"),
    [
        ("16..512", 16, 512, False, None, True),
        ("log 1e-5..1e-1", 1e-5, 0.1, True, None, False),
        ("log 16..512", 16, 512, True, None, True),
        ("0..0.6 step 0.1", 0, 0.6, False, 0.1, False),
        ("0..10 step 5", 0, 10, False, 5, True),
        ("-1.5 .. 2", -1.5, 2, False, None, False),
        (".5..1.", 0.5, 1, False, None, False),
    ],
)
def test_a_range_is_one_scalar(text: str, low: float, high: float, log: bool, step: float | None, whole: bool) -> None:
    assert parse_range(text) == Range(text, low, high, log, step, whole)


@pytest.mark.parametrize("text", ["relu", "1", "..2", "log", "../a", "1/../b", "fold 1 of 5", "step 1", 3, None])
def test_what_is_no_range(text: object) -> None:
    assert parse_range(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5..5", "the smaller end first"),
        ("9..1", "the smaller end first"),
        ("log 0..1", "a log range begins above 0"),
        ("log 1..9 step 2", "a log range has no step"),
        ("0..1 step 2", "does not fit"),
        ("0..1 step 0", "does not fit"),
        ("1..1e999", "no number"),
        ("1e-4...1", "three dots"),
        ("0.1..", "is no range"),
        ("1e-4..inf", "is no range"),
    ],
)
def test_a_range_says_what_is_wrong_with_it(world: Path, text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        space(world, f"sweep: {{lr: {text}}}")


@given(st.floats(1e-6, 1e6), st.floats(1.001, 1e6), st.floats(0, 1), st.booleans(), st.booleans())
def test_a_number_of_a_range_lies_in_it_and_its_place_leads_back(
    low: float, factor: float, share: float, log: bool, whole: bool
) -> None:
    high = low * factor
    if whole:
        low, high = max(round(low), 1), max(round(high), 1) + 1
    numbers = Range("", low, high, log, None, whole)
    value = numbers.between(share)
    assert low <= value <= high
    assert math.isclose(numbers.between(numbers.place(value)), value, rel_tol=1e-6, abs_tol=1e-9)
    assert not whole or numbers.number(value) in numbers


def test_a_range_of_many_steps_is_drawn_from_without_a_list_of_them() -> None:
    numbers = parse_range("0..1000000000000 step 2")
    assert numbers is not None
    assert numbers.count == 500_000_000_001
    dimension = Dimension("units", "units", "", range=numbers)
    found = [drawn(dimension, random.Random(seed)) for seed in range(20)]
    assert all(value in numbers for value in found)
    assert len(set(found)) == 20


def test_steps_are_counted() -> None:
    numbers = parse_range("0..0.6 step 0.1")
    assert numbers is not None
    assert list(numbers.values()) == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert all(value in numbers for value in numbers.values())
    assert 0.25 not in numbers
    assert 0.7 not in numbers
    assert "0.1" not in numbers


def test_every_dropout_moves_at_once(world: Path) -> None:
    spec = space(world, "sweep: {layers.*.dropout.rate: [0.3, 0.4]}").trial(lambda d: 1).spec
    inner = spec.layers[3].args["layers"]
    assert [spec.layers[2].args["rate"], inner[1].args["rate"]] == [0.4, 0.4]
    (world / "t.yaml").write_text(SPEC + "set: {layers.*.dropout.rate: 0.6}\n")
    assert specs.load(world / "t.yaml").layers[2].args["rate"] == 0.6
    by_shell = specs.load(world / "t.yaml", ["layers.*.dropout.rate=0.7"])
    assert [by_shell.layers[2].args["rate"], by_shell.layers[3].args["layers"][1].args["rate"]] == [0.7, 0.7]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("layers.*.dropot.rate", "did you mean 'dropout'?"),
        ("layers.*.lstm.units", "layers has no 'lstm' for layers.* to mean"),
        ("layers.*", "expects the name of a layer and a parameter"),
        ("layers.*.dropout.rat", "did you mean 'rate'?"),
    ],
)
def test_a_star_that_means_nothing_says_so(world: Path, address: str, said: str) -> None:
    with pytest.raises(SpecError, match=said.replace("?", r"\?")):
        space(world, f"sweep: {{{address}: [0.1, 0.2]}}")


def test_a_setting_of_what_is_not_chosen_is_no_dimension(world: Path) -> None:
    made = space(
        world, "sweep: {optimizer.sgd.momentum: 0..0.9, optimizer: [adam, {sgd: {momentum: 0.5}}], lr: [1, 2]}"
    )
    assert [d.name for d in made.dimensions] == ["optimizer", "lr", "optimizer.sgd.momentum"]
    assert chosen(made) == {"optimizer": "adam", "lr": 1}
    assert chosen(made, optimizer=1, optimizer__sgd__momentum=0.4)["optimizer.sgd.momentum"] == 0.4


def test_a_range_inside_an_alternative_belongs_to_it_alone(world: Path) -> None:
    made = space(world, "sweep: {layers.1: [{dense: {units: 4..8}}, {dropout: {rate: 0.1..0.2}}, batch_normalization]}")
    assert [(d.name, d.parent) for d in made.dimensions] == [
        ("layers.1", None), ("layers.1.dense.units", ("layers.1", 0)), ("layers.1.dropout.rate", ("layers.1", 1)),
    ]  # fmt: skip
    trial = made.of({"layers.1": 0, "layers.1.dense.units": 7})
    assert trial.spec.layers[1].args["units"] == 7
    assert trial.label == "layers.1=dense layers.1.dense.units=7"
    assert made.of({"layers.1": 2}).values == {"layers.1": 2}
    assert made.words({"layers.1": 0, "layers.1.dense.units": 7}) == {"layers.1": "dense", "layers.1.dense.units": 7}
    assert made.places({"layers.1": "dense", "layers.1.dense.units": 7}) == {"layers.1": 0, "layers.1.dense.units": 7}


def test_every_counts_what_depends_on_others(world: Path) -> None:
    made = space(world, "sweep: {optimizer: [adam, {sgd: {momentum: 0..0.4 step 0.2}}], layers.repeat.times: 1..3}")
    assert made.count() == (1 + 3) * 3
    assert len({made.of(values).key for values in made.every()}) == 12
    assert space(world, "sweep: {lr: 0.1..0.2}").count() is None


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        ("sweep: {layers.dropout.rate: 0..1.5}", "expected a number (at least 0, below 1), got 1.5"),
        ("sweep: {layers.1.units: log 0.5..9}", "expected a whole number"),
        ("sweep: {optimizer: [adam, sgd], optimizer.sgd.momentun: 0..0.9}", "unknown parameter 'momentun'"),
        ("sweep: {optimizer: [adam, sgd], optimizer.rmsprop.rho: 0.1..0.9}", "optimizer is sgd, not rmsprop"),
        ("sweep: {lr: 0.1}", "expected a list of alternatives"),
        ("sweep: {lr: [0.1, 0.2]}\nsearch: {tpe: {objectives: test_accuracy}}", "would choose by the test split"),
        ("sweep: {lr: [0.1, 0.2]}\nsearch: {tpe: {objectives: val_acuracy}}", "did you mean 'val_accuracy'?"),
        ("sweep: {lr: [0.1, 0.2]}\nsearch: tpee", "unknown search 'tpee' (did you mean 'tpe'?)"),
        ("sweep: {lr: [0.1, 0.2]}\nsearch: {tpe: {trails: 3}}", "unknown parameter 'trails' (did you mean 'trials'?)"),
    ],
)
def test_a_mistake_is_found_before_anything_trains(world: Path, sweep: str, said: str) -> None:
    (world / "s.yaml").write_text(f"{SPEC}{sweep}\n")
    search = {} if "search" in sweep else {"by": "random"}
    with pytest.raises(SpecError) as caught:
        specs.space_of(world / "s.yaml", [], search)
    assert said in str(caught.value)
    assert "s.yaml:" in str(caught.value)


def test_a_grid_takes_no_range(world: Path) -> None:
    (world / "s.yaml").write_text(f"{SPEC}sweep: {{lr: log 0.1..1, layers.dropout.rate: 0..0.5}}\n")
    with pytest.raises(SpecError) as caught:
        specs.trials_of(world / "s.yaml")
    assert len(caught.value.problems) == 2
    assert "--search tpe" in str(caught.value)


def test_the_command_line_changes_what_the_spec_says_of_the_search(world: Path) -> None:
    said = "sweep: {lr: [0.1, 0.2]}\nsearch: {tpe: {trials: 30, prune: asha, startup: 4}}"
    search = space(world, said, by="random", trials=7).search
    assert search is not None
    assert (search.name, search.args["trials"], search.args["prune"].name) == ("random", 7, "asha")
    assert "startup" not in search.args


def test_every_search_and_pruner_has_its_help() -> None:
    for kind in ("search", "pruner"):
        for name in REGISTRIES[kind]:
            assert len(REGISTRIES[kind].help(name)) > 40, name
            REGISTRIES[kind].parameters(name)


@given(st.floats(-100, 100), st.floats(0.01, 50), st.floats(0.001, 1), st.floats(0, 1), st.booleans())
def test_a_number_with_steps_is_one_of_the_range(low: float, size: float, share: float, at: float, whole: bool) -> None:
    step = size * share
    if whole:
        low, size, step = round(low), max(round(size), 1), max(round(step), 1)
    numbers = Range("", low, low + size, False, min(step, size), whole)
    assert numbers.number(numbers.between(at)) in numbers
