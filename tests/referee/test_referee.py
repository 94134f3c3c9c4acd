"""A few rounds of the referee, and plain Keras's loops; `python tests/referee --full` judges two thousand data sets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from loops import LOOPS, compare
from rounds import rounds

FEW = ("sgd_nesterov", "adamw", "cosine_restarts", "residual", "class_weights")


def test_a_second_implementation_agrees() -> None:
    record = rounds(6, seed=1)
    assert record.judged == 6
    assert record.wrong == []
    assert sum(record.refused.values()) < 4


@pytest.mark.parametrize("name", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in LOOPS])
def test_a_loop_in_plain_keras_has_the_same_losses(tmp_path: Path, name: str) -> None:
    for ours, theirs in compare(name, tmp_path):
        assert ours == pytest.approx(theirs, rel=1e-6, abs=1e-7)
