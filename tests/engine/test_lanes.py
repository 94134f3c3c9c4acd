"""Several trainings as one program: each lane is the training that it would be alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_fit import PLAIN, examples

from dlx import spec as specs
from dlx.data.dataset import Facts
from dlx.engine.fit import compile_program, fit
from dlx.engine.plan import Member, Plan
from dlx.errors import DivergenceError
from dlx.model.build import build, make_optimizer
from dlx.system import backend

FACTS = Facts((6, 6, 1), "classification", ("a", "b", "c"))
DROPOUT = """\
dataset: digits
layers: [flatten, {dense: {units: 8, activation: tanh}}, {dropout: 0.3}, output]
optimizer: {sgd: {momentum: 0.9, nesterov: true}}
regularization: {l2: 0.01}
"""

pytestmark = pytest.mark.skipif("not config.getoption('--backend') == 'jax'", reason="lanes are JAX's")


def made(world: Path, text: str, overrides: list[str], plan: dict[str, Any]) -> Member:
    (world / "e.yaml").write_text(text)
    spec = specs.load(world / "e.yaml", overrides)
    backend.prepare(spec.seed, spec.precision)
    whole = Plan(**{
        "seed": spec.seed, "lr": spec.lr, "batch_size": 16, "steps_per_epoch": 4, "steps": 14, "monitor": "val_loss", **plan
    })  # fmt: skip
    return Member(build(spec, FACTS), make_optimizer(spec), whole)


def alone(world: Path, text: str, overrides: list[str], plan: dict[str, Any]) -> tuple[Any, list[Any]]:
    """(the program, its rows) of one training by itself; the rows until the loss was not finite."""
    member = made(world, text, overrides, plan)
    program = compile_program(member.network, member.optimizer, member.plan, examples(50), examples(20, seed=9))
    rows: list[Any] = []
    try:
        for progress in fit(program, member.plan):
            rows += [[row[name] for name in program.columns] for row in progress.rows]
    except DivergenceError:
        pass
    return program, rows


def together(world: Path, text: str, many: list[list[str]], plan: dict[str, Any], steps: int) -> tuple[Any, Any, Any]:
    """(the lanes, their states at the end, their rows) of chunks of so many steps."""
    members = [made(world, text, overrides, plan) for overrides in many]
    first = members[0]
    program = compile_program(first.network, first.optimizer, first.plan, examples(50), examples(20, seed=9))
    assert program.lanes is not None
    lanes = program.lanes(members)
    states, rows = lanes.states, [[] for _ in many]
    for step in range(0, first.plan.steps, steps):
        states, more = lanes.chunk(states, lanes.numbers, step, min(steps, first.plan.steps - step))
        for lane, own in zip(rows, more, strict=True):
            lane += own.tolist()
    return lanes, states, rows


CASES = {
    "rates": (PLAIN, [["lr=0.001"], ["lr=0.01"], ["lr=0.03"]], {}),
    "seeds": (PLAIN, [["seed=1"], ["seed=2"], ["seed=3"]], {}),
    "numbers": (
        DROPOUT,
        [
            ["layers.dropout.rate=0.1", "optimizer.momentum=0.5"],
            ["layers.dropout.rate=0.6", "optimizer.momentum=0.9", "regularization.l2=0.1"],
        ],
        {},
    ),
    "stopping": (DROPOUT, [["lr=0.001"], ["lr=3"], ["lr=0.03", "seed=3"]], {"patience": 1}),
    "full": (PLAIN, [["lr=0.001"], ["lr=0.01"]], {"batch_size": 50, "steps_per_epoch": 1}),
}


@pytest.mark.parametrize("steps", [3, 100])
@pytest.mark.parametrize("name", CASES)
def test_a_lane_is_the_training_that_it_would_be_alone(world: Path, name: str, steps: int) -> None:
    text, many, plan = CASES[name]
    lanes, states, rows = together(world, text, many, plan, steps)
    for number, overrides in enumerate(many):
        program, expected = alone(world, text, overrides, plan)
        np.testing.assert_allclose(rows[number], expected, atol=5e-5, err_msg=str(overrides))
        lane = lanes.fetch(lanes.lane(states, number))
        assert set(lane) == set(program.state)
        assert int(lane["loop/epochs"]) == len(expected)


def test_a_lane_that_diverges_ends_and_the_others_continue(world: Path) -> None:
    many = [["lr=0.01"], ["lr=1e30"], ["lr=0.02"]]
    text = PLAIN.replace("tanh", "relu") + "optimizer: sgd\n"
    lanes, states, rows = together(world, text, many, {}, 100)
    counters = lanes.counters(states)
    assert counters["bad_step"].tolist()[::2] == [0, 0]
    assert counters["bad_step"][1] > 0
    assert counters["step"].tolist() == [14, counters["bad_step"][1], 14]
    for number in (0, 2):
        np.testing.assert_allclose(rows[number], alone(world, text, many[number], {})[1], atol=5e-5)
    assert len(rows[1]) == len(alone(world, text, many[1], {})[1])


def test_lanes_that_are_taken_continue_as_they_were(world: Path) -> None:
    text, many, plan = CASES["rates"]
    _, _, expected = together(world, text, many, plan, 100)
    members = [made(world, text, overrides, plan) for overrides in many]
    first = members[0]
    program = compile_program(first.network, first.optimizer, first.plan, examples(50), examples(20, seed=9))
    assert program.lanes is not None
    lanes = program.lanes(members)
    states, begun = lanes.chunk(lanes.states, lanes.numbers, 0, 6)
    states, numbers = lanes.take(states, lanes.numbers, [2, 0])
    _, rest = lanes.chunk(states, numbers, 6, 8)
    for lane, number in enumerate((2, 0)):
        np.testing.assert_allclose([*begun[number], *rest[lane]], expected[number], atol=5e-5)
