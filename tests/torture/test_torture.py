"""A few rounds of each torture; `python tests/torture --full` does what it takes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

QUICK = {"commits": 20, "faults": 6, "starts": 1, "damage": 50, "fuzz": 40}
SLOW = {"kills": 4, "labels": 2, "hostile": 12, "server": 100}


@pytest.mark.parametrize(
    ("name", "count"),
    [*QUICK.items(), *(pytest.param(name, count, marks=pytest.mark.slow) for name, count in SLOW.items())],
)
def test_nothing_goes_wrong(tmp_path: Path, name: str, count: int) -> None:
    figures, wrong = importlib.import_module(name).torture(count, tmp_path)
    assert figures
    assert wrong == []
