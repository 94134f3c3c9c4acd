"""The experiments of `configs/`: each is sound, and the short ones show what they say that they show."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import Dlx
from PIL import Image

from dlx import spec as specs
from dlx.runs import Run

CONFIGS = Path(__file__).parents[1] / "configs"
NAMES = [path.stem for path in sorted(CONFIGS.glob("[!_]*.yaml"))]
# Every experiment of the tutorials that dlx grew from.
TUTORIALS = """
    or_gate and_gate not_gate xor_gate cifar_one_layer_set cifar_three_layer_sets cifar_no_dropout cifar_dropout
    cifar_no_l2 cifar_l2 cifar_small_batch cifar_large_batch cifar_small_lr cifar_medium_lr cifar_large_lr
    cifar_convnet cifar_convnet_deep cifar_lasagne cifar_resnet moons_logistic moons_mlp moons_hidden_sizes
    mnist_softmax mnist_softmax_1000 mnist_cnn cats_dogs_mlp binary_addition mobilenet_transfer
""".split()


def config(name: str) -> str:
    return str(CONFIGS / f"{name}.yaml")


def trained(dlx: Dlx, world: Path, name: str, *words: str) -> Run:
    result = dlx("run", config(name), *words, "--json")
    assert result.code == 0, result.err
    return Run(world / json.loads(result.out)["run"])


def figures(run: Run) -> dict[str, float]:
    found = run.metrics()
    assert found is not None
    return found


def test_every_tutorial_has_its_spec() -> None:
    assert set(TUTORIALS) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_is_sound_says_what_it_shows_and_what_to_compare(dlx: Dlx, name: str) -> None:
    result = dlx("check", config(name))
    assert result.code == 0, result.err
    spec = specs.load(config(name))
    assert spec.name == name
    if name in TUTORIALS:
        text = Path(config(name)).read_text().partition("description: >-\n")[2]
        assert 2 <= len(re.match(r"(  .*\n)*", text)[0].splitlines()) <= 3  # type: ignore[index]
        assert (
            any(other in spec.description for other in NAMES if other != name)
            or "dlx plot" in spec.description
            or (name == "binary_addition")
        )


@pytest.mark.parametrize("name", ["or_gate", "and_gate", "not_gate", "xor_gate"])
def test_a_gate_gets_every_row_right(dlx: Dlx, world: Path, name: str) -> None:
    run = trained(dlx, world, name)
    assert figures(run)["train_accuracy"] == 1.0
    if name == "or_gate":  # the author saw 0.00072
        assert figures(run)["train_loss"] < 0.00072


def test_xor_cannot_do_without_its_hidden_layer(dlx: Dlx, world: Path) -> None:
    run = trained(dlx, world, "xor_gate", "-s", "layers.hidden=null")
    assert figures(run)["train_accuracy"] <= 0.75


def test_the_hidden_layer_follows_the_moons(dlx: Dlx, world: Path) -> None:
    with_hidden = figures(trained(dlx, world, "moons_mlp"))
    without = figures(trained(dlx, world, "moons_logistic", "-s", "epochs=5000"))
    assert with_hidden["train_accuracy"] >= 0.97
    assert 0.8 <= without["train_accuracy"] <= 0.9
    found = dlx("compare", "runs/*").out
    assert "dense[0]" in found


def test_binary_addition_adds_pairs_that_it_never_saw(dlx: Dlx, world: Path) -> None:
    run = trained(dlx, world, "binary_addition", "-s", "epochs=8")
    assert figures(run)["test_exact_match"] >= 0.99
    bits = [[[a >> place & 1, b >> place & 1] for place in range(9)] for a, b in ((200, 100), (255, 255), (0, 0))]
    np.save(world / "sums.npy", np.array(bits, np.float32))
    lines = [json.loads(line) for line in dlx("predict", "latest", "sums.npy", "--json").out.splitlines()]
    assert [sum(int(place) for place in line["label"]) for line in lines] == [300, 510, 0]
    assert "4, 8, 32, 256" in dlx("predict", "latest", "sums.npy").out
    assert ":1,2 4 8 16 32 64 128 256," in dlx("predict", "latest", "sums.npy", "--csv").out


def test_cats_and_dogs_are_told_apart_by_the_names_of_their_files(dlx: Dlx, world: Path) -> None:
    folder = world / "photos"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for kind, colour in (("cat", (200, 120, 60)), ("dog", (60, 120, 200))):
        for number in range(40):
            noise = generator.integers(-50, 50, (24, 30, 3))
            Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(folder / f"{kind}.{number}.jpg")
    run = trained(dlx, world, "cats_dogs_mlp", "-s", f"dataset.path={folder}", "-s", "batch_size=16", "-s", "epochs=10")
    assert figures(run)["test_accuracy"] >= 0.9
    assert run.info()["classes"] == ["cat", "dog"]
    assert run.info()["dataset"]["test"] == 20


def test_a_slip_shows_as_the_one_removed_layer(dlx: Dlx, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooling layer removed where the dropout was meant: seen in the differing columns alone."""
    from dlx import comparison

    base = specs.flat(specs.resolved(specs.load(config("cifar_dropout"))))
    slip = specs.flat(specs.resolved(specs.load(config("cifar_dropout_slip"))))
    rows = [comparison.Row([comparison.Entry(Path(name), "done", settings)])
            for name, settings in (("a", base), ("b", slip))]  # fmt: skip
    columns = comparison.differences(rows)
    assert [(c.title, c.cells) for c in columns] == [("max_pooling2d[4]", ["2", comparison.ABSENT])]
    right = specs.flat(specs.resolved(specs.load(config("cifar_no_dropout"))))
    rows[1].entries[0].settings = right
    assert [(c.title, c.cells) for c in comparison.differences(rows)] == [("dropout[7]", ["0.5", comparison.ABSENT])]


def test_specs_that_are_the_same_network_differ_in_their_labels_alone() -> None:
    for one, two in (("cifar_no_l2", "cifar_no_dropout"), ("cifar_medium_lr", "cifar_dropout")):
        first, second = (specs.resolved(specs.load(config(name))) for name in (one, two))
        assert {key for key in first if first[key] != second[key]} == {"name", "description", "tags"}
