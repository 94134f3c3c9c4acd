"""`dlx data show`: every set that needs no file of the user's, in the terminal."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Dlx

from dlx.data.store import KNOWN
from dlx.parts.datasets import loading

BUILT_IN = [
    name
    for name in loading.registry
    if name not in KNOWN and not any(parameter.required for parameter in loading.registry.parameters(name).values())
]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_set_is_shown(dlx: Dlx, name: str) -> None:
    result = dlx("data", "show", name)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0] == f"name         {name}"
    assert max(map(len, lines)) <= 80
    assert len(lines) > 8


def test_what_is_shown_is_what_there_is(dlx: Dlx) -> None:
    gate = dlx("data", "show", "xor").out
    assert "0 1 → 1" in gate
    assert "1 1 → 0" in gate
    assert {line.split(" → ")[1] for line in dlx("data", "show", "iris").out.splitlines()[-5:]} == {
        "setosa", "versicolor", "virginica",
    }  # fmt: skip
    digits = dlx("data", "show", "digits").out
    assert "1,797 train (scikit-learn)" in digits
    assert "8 × 8 × 1, uint8, 0 to 255" in digits
    assert "3  ████████████████████████ 183" in digits
    points = dlx("data", "show", "moons").out.splitlines()[-20:]
    assert {letter for line in points for letter in line} == {" ", "0", "1"}


def test_a_set_of_files_says_what_it_needs(dlx: Dlx) -> None:
    result = dlx("data", "show", "csv")
    assert result.code == 3
    assert "csv reads files of your own: it needs path, label" in result.err
    assert "did you mean 'moons'?" in dlx("data", "show", "moon").err


def test_a_set_of_the_store_shows_examples(dlx: Dlx, world: object, tmp_path: object) -> None:
    generator = np.random.default_rng(0)
    arrays = {"x_train": generator.integers(0, 255, (60, 28, 28)), "x_test": generator.integers(0, 255, (20, 28, 28))}
    np.savez("m.npz", **{name: array.astype(np.uint8) for name, array in arrays.items()},
             y_train=np.arange(60) % 10, y_test=np.arange(20) % 10)  # fmt: skip
    assert dlx("data", "add", "mnist", "m.npz").code == 0
    out = dlx("data", "show", "mnist").out
    assert "60 train, 20 test" in out
    assert "0  ████████████████████████ 6" in out
