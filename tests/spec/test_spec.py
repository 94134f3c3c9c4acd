"""Reading, inheritance, overrides, and the resolved spec."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from conftest import CONFIGS
from hypothesis import given, settings
from hypothesis import strategies as st

from dlx import spec as specs
from dlx.errors import SpecError
from dlx.parts.registry import Part
from dlx.spec.parse import read_text, write_value
from dlx.spec.sections import EarlyStop, Regularization, Spec, flat, resolved

BASE = """\
dataset: {cifar10: {limit: 500}}
layers:
  - flatten
  - dense: {units: 8, activation: relu}
  - dropout: 0.5
  - output
optimizer: {sgd: {momentum: 0.9}}
regularization: {l2: 0.001}
description: the base
"""


def load(world: Path, text: str, *overrides: str) -> Spec:
    (world / "_base.yaml").write_text(BASE)
    (world / "x.yaml").write_text(text)
    return specs.load(world / "x.yaml", overrides)


def value(text: str) -> object:
    node = read_text(f"v: {text}", "x", Path())
    assert node is not None
    return node.plain()["v"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 0.001), ("1E5", 1e5), (".5", 0.5), ("5.", 5.0), ("-0", 0), ("+7", 7), ("0o17", 15), ("0xff", 255),
        ("007", 7), ("no", "no"), ("yes", "yes"), ("on", "on"), ("true", True), ("False", False), ("null", None),
        ("~", None), ("", None), ("2026-11-21", "2026-11-21"), ("1:30", "1:30"), ("1_000", "1_000"), ("'1'", "1"),
        (".inf", math.inf), ("-.INF", -math.inf), ("0.1.2", "0.1.2"), ("e5", "e5"), ("=", "="),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(plain)
@settings(max_examples=300, deadline=None)
def test_what_is_written_is_read_back(original: object) -> None:
    node = read_text(write_value({"v": original}), "x", Path())
    assert node is not None
    assert node.plain() == {"v": original}


@given(st.text(max_size=200))
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        node = read_text(text, "x.yaml", Path())
    except SpecError as error:
        assert all(problem.where.startswith("x.yaml") for problem in error.problems)
    else:
        assert node is None or node.where.startswith("x.yaml:")


@given(
    st.lists(
        st.sampled_from(
            "dataset layers lr epochs digits flatten output dense : - [ ] { } 3 \n  ' \" & ! 0.1 units".split(" ")
        ),
        max_size=30,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_words_are_a_spec_or_located_problems(words: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_text(" ".join(words))
        try:
            specs.load(path)
        except SpecError as error:
            assert error.problems
            assert all("x.yaml" in problem.where for problem in error.problems)


def test_a_child_merges_sections_and_arguments_of_the_same_part(world: Path) -> None:
    spec = load(
        world,
        "extends: _base.yaml\noptimizer: {sgd: {nesterov: true}}\nregularization: {l1: 0.1}\ndataset: {cifar10: {path: a}}\n",
    )
    assert spec.optimizer.args["momentum"] == 0.9
    assert spec.optimizer.args["nesterov"] is True
    assert spec.regularization == Regularization(l1=0.1, l2=0.001)
    assert spec.dataset.args == {"path": str(world / "a"), "limit": 500, "test_limit": None}


def test_another_part_replaces_and_lists_replace(world: Path) -> None:
    spec = load(world, "extends: _base.yaml\noptimizer: adam\nlayers: [flatten, output]\n")
    assert spec.optimizer.name == "adam"
    assert "momentum" not in spec.optimizer.args
    assert [part.name for part in spec.layers] == ["flatten", "output"]


def test_null_removes(world: Path) -> None:
    spec = load(world, "extends: _base.yaml\nregularization: null\noptimizer: {sgd: {momentum: null}}\n")
    assert spec.regularization is None
    assert spec.optimizer.args["momentum"] == 0.0


def test_the_later_base_wins_and_names_are_not_inherited(world: Path) -> None:
    (world / "_b.yaml").write_text("lr: 0.5\nname: other\n")
    (world / "_c.yaml").write_text("lr: 0.25\n")
    spec = load(world, "extends: [_base.yaml, _b.yaml, _c.yaml]\n")
    assert (spec.lr, spec.name, spec.description) == (0.25, "x", "")


def test_set_in_a_file_is_an_override(world: Path) -> None:
    in_file = load(world, "extends: _base.yaml\nset: {layers.dropout.rate: 0.3, layers.1.units: 9}\n")
    in_shell = load(world, "extends: _base.yaml\n", "layers.dropout.rate=0.3", "layers.1.dense.units=9")
    assert in_file == in_shell
    assert in_file.layers[2] == Part("dropout", {"rate": 0.3, "name": None})


def test_addresses(world: Path) -> None:
    spec = load(
        world,
        "extends: _base.yaml\n",
        "dataset.limit=7", "dataset.cifar10.limit=8", "optimizer.momentum=0.5", "early_stop=3", "early_stop.min_delta=0.1",
        "layers.1={dense: {units: 4, name: hidden}}", "layers.hidden.activation=tanh", "layers.dropout=null", "augment=[flip]",
        "regularization.l2=null",
    )  # fmt: skip
    assert spec.dataset.args["limit"] == 8
    assert spec.optimizer.args["momentum"] == 0.5
    assert spec.early_stop == EarlyStop(3, 0.1)
    assert [part.name for part in spec.layers] == ["flatten", "dense", "output"]
    assert spec.layers[1].args["activation"] == "tanh"
    assert spec.augment == [Part("flip", {"direction": "horizontal"})]
    assert spec.regularization == Regularization()


def test_paths_are_relative_to_who_says_them(world: Path) -> None:
    (world / "bases").mkdir()
    (world / "bases" / "_b.yaml").write_text("dataset: {npz: data.npz}\nlayers: [output]\n")
    (world / "x.yaml").write_text("extends: bases/_b.yaml\n")
    assert specs.load(world / "x.yaml").dataset.args["path"] == str(world / "bases" / "data.npz")
    assert specs.load(world / "x.yaml", ["dataset.path=o.npz"]).dataset.args["path"] == str(world / "o.npz")


def test_the_three_forms_of_a_part_are_one(world: Path) -> None:
    forms = ["dropout: 0.5", "dropout: {rate: 0.5}"]
    found = [load(world, f"dataset: digits\nlayers: [{{{form}}}, flatten, output]\n") for form in forms]
    assert found[0].layers == found[1].layers
    bare = load(world, "dataset: digits\nlayers: [output]\npreprocess: [rescale]\n")
    full = load(world, "dataset: {digits: {}}\nlayers: [output: {}]\npreprocess: [{rescale: {offset: 0}}]\n")
    assert bare == full


def test_lr_defaults_to_kerass_for_the_optimizer(world: Path) -> None:
    text = "dataset: digits\nlayers: [output]\noptimizer: {}\n"
    assert load(world, text.replace("{}", "sgd")).lr == 0.01
    assert load(world, text.replace("{}", "adam")).lr == 0.001


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("[!_]*.yaml")), ids=lambda path: path.stem)
def test_a_resolved_spec_is_the_same_spec(world: Path, path: Path) -> None:
    spec = specs.load(path)
    (world / f"{path.stem}.yaml").write_text(specs.dump(spec, str(world)))
    again = specs.load(world / f"{path.stem}.yaml")
    assert again == spec
    assert specs.dump(again, str(world)) == specs.dump(spec, str(world))


def test_flat_settings_name_every_part(world: Path) -> None:
    settings = flat(resolved(load(world, "extends: _base.yaml\ntags: [a, b]\n")))
    assert settings["layers.0"] == "flatten"
    assert settings["layers.2.dropout.rate"] == 0.5
    assert settings["dataset.cifar10.limit"] == 500
    assert settings["tags"] == ["a", "b"]
    assert settings["augment"] == []


def test_a_bare_value_merges_like_the_section_it_stands_for(world: Path) -> None:
    (world / "_b.yaml").write_text("early_stop: 5\nepochs: 9\n")
    spec = load(world, "extends: [_base.yaml, _b.yaml]\nearly_stop: {min_delta: 0.1}\nsteps: 7\n")
    assert spec.early_stop == EarlyStop(5, 0.1)
    assert (spec.steps, spec.epochs) == (7, None)
    assert load(world, "extends: [_base.yaml, _b.yaml]\n", "steps=7").epochs is None


def test_a_run_reads_no_other_file(world: Path) -> None:
    (world / "_base.yaml").write_text(BASE)
    (world / "x.yaml").write_text("extends: _base.yaml\n")
    with pytest.raises(SpecError, match="unknown key 'extends'"):
        specs.load(world / "x.yaml", alone=True)


def test_a_bare_value_goes_to_the_first_parameter_of_a_part(world: Path) -> None:
    (world / "x.yaml").write_text("dataset: {moons: {noise: 0.1}}\nlayers: [{dense: 3}, {dropout: 0.2}, output]\n")
    spec = specs.load(world / "x.yaml", ["layers.dropout=0.4", "layers.0=5", "dataset=300"])
    assert (spec.layers[1].args["rate"], spec.layers[0].args["units"], spec.dataset.args["samples"]) == (0.4, 5, 300)
    with pytest.raises(SpecError, match="expected a number"):
        specs.load(world / "x.yaml", ["layers.dropout=[1]"])


def test_a_figure_of_a_metric_in_the_list_can_be_monitored(world: Path) -> None:
    text = "dataset: digits\nlayers: [output]\nmetrics: [f1]\nmonitor: "
    (world / "x.yaml").write_text(text + "val_f1\n")
    assert specs.load(world / "x.yaml").monitor == "val_f1"
    (world / "x.yaml").write_text(text + "val_f2\n")
    with pytest.raises(SpecError, match=r"'val_f2' is not a figure of this run \(did you mean 'val_f1'\?\)"):
        specs.load(world / "x.yaml")
