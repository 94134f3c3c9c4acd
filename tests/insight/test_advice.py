"""Each rule of advice speaks where it should and is silent where the change that it asks for is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Dlx

from dlx import spec as specs
from dlx.insight.advice import RULES
from dlx.insight.review import review

DENSE = {"dense": {"units": 16, "activation": "relu"}}
CONV = {"conv2d": {"filters": 4, "kernel_size": 3, "padding": "same", "activation": "relu"}}
LINEAR = {"dense": 16}
SIGMOID = {"dense": {"units": 8, "activation": "sigmoid"}}
DIGITS: dict[str, Any] = {"dataset": "digits", "preprocess": ["rescale"], "layers": ["flatten", DENSE, "output"]}


def net(*layers: Any, **more: Any) -> dict[str, Any]:
    """The digits through these layers, and a head."""
    return {**DIGITS, "layers": [*layers, "output"], **more}


def two(data: str, **more: Any) -> dict[str, Any]:
    return {"dataset": data, "layers": [DENSE, "output"], **more}


VALUES = {"csv": {"path": "houses.csv", "label": "price"}}
LABELS = {"csv": {"path": "labels.csv", "label": ["a", "b"]}}
RARE = {"csv": {"path": "rare.csv", "label": "kind"}}
SIDES = {"image_folder": {"path": "sides", "image_size": 8}}
TEXTS = {"text_csv": {"path": "texts.csv", "text": "text", "label": "kind", "sequence_length": 20}}
DEEP = [CONV, *({"max_pooling2d": 2} for _ in range(3)), CONV, "flatten"]
PRETRAINED = {
    "dataset": "cifar10",
    "layers": [{"pretrained": {"name": "mobilenet", "weights": "none"}}, "flatten", "output"],
}

# rule: (a spec of which it speaks, one of which it is silent)
EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sigmoid_over_exclusive_classes": (
        {**DIGITS, "layers": ["flatten", {"output": {"activation": "sigmoid"}}]},
        two("moons", layers=[DENSE, {"output": {"units": 1, "activation": "sigmoid"}}]),
    ),
    "softmax_over_labels": (
        {"dataset": LABELS, "layers": [{"output": {"activation": "softmax"}}]},
        {"dataset": LABELS, "layers": ["output"]},
    ),
    "head_without_probabilities": (
        two("moons", layers=[{"output": {"activation": "tanh"}}]), two("moons", layers=["output"]),
    ),
    "activation_on_regression": (
        {"dataset": VALUES, "layers": [{"output": {"activation": "sigmoid"}}]},
        {"dataset": VALUES, "layers": [{"output": {"activation": "softplus"}}]},
    ),
    "loss_of_another_head": (
        two("moons", loss="mean_squared_error"),
        two("moons", loss={"categorical_crossentropy": {"label_smoothing": 0.1}}),
    ),
    "dropout_before_the_loss": (
        {**DIGITS, "layers": ["flatten", {"dense": 10}, {"dropout": 0.5}, {"activation": "softmax"}]},
        net("flatten", DENSE, {"dropout": 0.5}),
    ),
    "accuracy_on_imbalanced_classes": (
        {"dataset": RARE, "layers": ["output"]},
        {"dataset": RARE, "layers": ["output"], "class_weight": "balanced"},
    ),
    "two_linear_layers": (net("flatten", DENSE, LINEAR), net("flatten", DENSE, LINEAR, "relu")),
    "no_nonlinearity": (net("flatten", LINEAR, {"dropout": 0.1}), net("flatten", LINEAR, {"activation": "tanh"})),
    "activation_twice": (net("flatten", DENSE, "relu"), net("flatten", LINEAR, "relu")),
    "bias_before_batch_normalization": (
        net("flatten", LINEAR, "batch_normalization", "relu"),
        net("flatten", {"dense": {"units": 16, "use_bias": False}}, "batch_normalization", "relu"),
    ),
    "batch_normalization_after_dropout": (
        net("flatten", DENSE, {"dropout": 0.3}, "batch_normalization", DENSE),
        net("flatten", DENSE, "batch_normalization", {"dropout": 0.3}, DENSE),
    ),
    "small_batches_with_batch_normalization": (
        net("flatten", DENSE, "batch_normalization", batch_size=4),
        net("flatten", DENSE, "batch_normalization", batch_size=16),
    ),
    "high_dropout": (net("flatten", DENSE, {"dropout": 0.95}), net("flatten", DENSE, {"dropout": 0.5})),
    "flatten_feeds_most_parameters": (
        net({"up_sampling2d": 4}, CONV, "flatten", {"dense": {"units": 300, "activation": "relu"}}),
        net({"up_sampling2d": 4}, CONV, "global_average_pooling2d", {"dense": {"units": 300, "activation": "relu"}}),
    ),
    "pooled_to_one_pixel": (net(*DEEP), net(*DEEP[:2], *DEEP[4:])),
    "deep_sigmoids": (net("flatten", SIGMOID, SIGMOID, SIGMOID), net("flatten", SIGMOID, SIGMOID)),
    "hidden_softmax": (
        net("flatten", {"dense": {"units": 16, "activation": "softmax"}}),
        {**DIGITS, "layers": ["flatten", DENSE, {"dense": {"units": 10, "activation": "softmax"}}]},
    ),
    "single_hidden_unit": (net("flatten", {"dense": {"units": 1, "activation": "relu"}}), net("flatten", DENSE)),
    "equal_units": (
        net("flatten", {"dense": {"units": 8, "activation": "relu", "kernel_initializer": "zeros"}}),
        {**DIGITS, "layers": ["flatten", {"output": {"kernel_initializer": "zeros"}}]},
    ),
    "dead_at_the_start": (
        net("flatten", {"dense": {"units": 8, "activation": "relu", "bias_initializer": {"constant": -2}}}),
        net("flatten", {"dense": {"units": 8, "activation": "relu", "bias_initializer": {"constant": 0.1}}}),
    ),
    "relu_in_a_recurrent_layer": (
        net({"reshape": [8, 8]}, {"lstm": {"units": 4, "activation": "relu"}}), net({"reshape": [8, 8]}, {"lstm": 4}),
    ),
    "long_sequence": (
        net({"up_sampling2d": 4}, {"reshape": [1024, 1]}, {"simple_rnn": 4}), net({"reshape": [8, 8]}, {"simple_rnn": 4}),
    ),
    "strong_penalty": (net("flatten", DENSE, regularization={"l2": 0.5}), net("flatten", DENSE, regularization={"l2": 1e-4})),
    "more_parameters_than_examples": (
        {**net("flatten", {"dense": {"units": 4000, "activation": "relu"}}, DENSE), "validation": "none", "test": 0.97},
        net("flatten", {"dense": {"units": 4000, "activation": "relu"}}, DENSE),
    ),
    "unscaled_inputs": ({**DIGITS, "preprocess": []}, DIGITS),
    "two_scalings": ({**DIGITS, "preprocess": ["rescale", "standardize"]}, {**DIGITS, "preprocess": ["standardize"]}),
    "scaling_before_pretrained": (
        {**PRETRAINED, "preprocess": [{"rescale": 1}]}, {**PRETRAINED, "preprocess": [{"resize": 40}]},
    ),
    "flip_changes_the_class": ({**DIGITS, "augment": [{"flip": "horizontal"}]}, {**DIGITS, "augment": [{"shift": 0.1}]}),
    "rotation_changes_the_class": ({**DIGITS, "augment": [{"rotate": 180}]}, {**DIGITS, "augment": [{"rotate": 15}]}),
    "vocabulary_misses_words": (
        {"dataset": {"text_csv": {**TEXTS["text_csv"], "max_tokens": 4}}, "layers": [{"embedding": {"input_dim": 4, "output_dim": 2}}, "flatten", "output"]},
        {"dataset": TEXTS, "layers": [{"embedding": {"input_dim": 20000, "output_dim": 2}}, "flatten", "output"]},
    ),
    "rate_far_from_usual": (two("moons", lr=0.5), two("moons", lr=0.5, optimizer="sgd")),
    "long_warmup": (two("moons", schedule={"cosine": {"warmup": 0.6}}), two("moons", schedule={"cosine": {"warmup": 0.1}})),
    "patience_as_long_as_the_training": (two("moons", early_stop=10, epochs=10), two("moons", early_stop=3, epochs=10)),
    "patience_of_single_steps": (
        two("moons", early_stop=5, batch_size="full", epochs=900), two("moons", early_stop=100, batch_size="full", epochs=900),
    ),
    "batch_of_all_examples": (two("moons", batch_size=1000, epochs=90), two("moons", batch_size="full", epochs=90)),
    "few_steps": (two("moons", batch_size="full", epochs=9), two("moons", batch_size="full", epochs=90)),
    "validated_on_test": ({**DIGITS, "test": 0.2, "validation": "test"}, {**DIGITS, "test": 0.2}),
    "noisy_validation": (two("moons"), two("moons", validation="none")),
    "stops_by_train": (
        two("moons", early_stop=2, monitor="train_loss"), two("moons", early_stop=2, monitor="val_loss"),
    ),
    "keeps_the_last_of_an_early_stop": (two("moons", early_stop=2, keep="last"), two("moons", early_stop=2)),
    "two_decays": (
        two("moons", optimizer={"adamw": {"weight_decay": 0.01}}, regularization={"l2": 0.001}),
        two("moons", optimizer={"adamw": {"weight_decay": 0.01}}),
    ),
    "stops_before_the_plateau": (
        two("moons", early_stop=3, schedule={"plateau": {"patience": 5}}, epochs=90),
        two("moons", early_stop=20, schedule={"plateau": {"patience": 5}}, epochs=90),
    ),
    "finetuned_at_a_high_rate": (
        {**PRETRAINED, "layers": [{"pretrained": {"name": "mobilenet", "weights": "none", "trainable": True}}, "flatten", "output"]},
        {**PRETRAINED, "lr": 0.00003, "layers": [{"pretrained": {"name": "mobilenet", "weights": "none", "trainable": True}}, "flatten", "output"]},
    ),
    "class_weights_inverted": (
        {"dataset": RARE, "layers": ["output"], "class_weight": {"odd": 1, "usual": 9}},
        {"dataset": RARE, "layers": ["output"], "class_weight": {"odd": 9, "usual": 1}},
    ),
    "unseen_pixels": (
        net({"conv2d": {"filters": 4, "kernel_size": 2, "strides": 4, "activation": "relu"}}, "flatten"),
        net({"conv2d": {"filters": 4, "kernel_size": 4, "strides": 4, "activation": "relu"}}, "flatten"),
    ),
    "activation_on_logits": (
        {**DIGITS, "layers": ["flatten", {"dense": {"units": 10, "activation": "relu"}}, {"activation": "softmax"}]},
        {**DIGITS, "layers": ["flatten", {"dense": 10}, {"activation": "softmax"}]},
    ),
    "extreme_momentum": (
        two("moons", optimizer={"sgd": {"momentum": 0.999}}, lr=0.001), two("moons", optimizer={"sgd": {"momentum": 0.9}}),
    ),
}  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = "".join(f"{a:.3f},{b:.3f},{a * 3 + b:.3f}\n" for a, b in rng.normal(size=(150, 2)))
    (tmp_path / "houses.csv").write_text(f"x,y,price\n{rows}")
    labels = "".join(f"{a:.3f},{int(a > 0)},{int(a > 0.5)}\n" for a in rng.normal(size=150))
    (tmp_path / "labels.csv").write_text(f"x,a,b\n{labels}")
    rare = "".join(f"{a:.3f},{'odd' if n % 12 == 0 else 'usual'}\n" for n, a in enumerate(rng.normal(size=150)))
    (tmp_path / "rare.csv").write_text(f"x,kind\n{rare}")
    words = "".join(f"{' '.join(f'w{k}' for k in rng.integers(0, 50, 9))},{'ab'[n % 2]}\n" for n in range(150))
    (tmp_path / "texts.csv").write_text(f"text,kind\n{words}")
    return tmp_path


def rules(path: Path, content: dict[str, Any]) -> dict[str, str]:
    """The rules that speak of a spec, each with the place that it names."""
    path.write_text(json.dumps(content))
    spec = specs.load(str(path))
    found = review(spec, path.parent / "runs", quick=False)
    assert found is not None
    return {one.rule: spec.locate(one.where) for one in found.advice}


def test_every_rule_has_an_example_and_a_help_of_a_line() -> None:
    assert set(EXAMPLES) == set(RULES)
    assert len(RULES) >= 40
    for rule in RULES.values():
        assert rule.__doc__
        assert "\n" not in rule.__doc__


@pytest.mark.parametrize("rule", EXAMPLES)
def test_a_rule_speaks_of_what_is_unwise_alone(rule: str, data: Path) -> None:
    bad, good = EXAMPLES[rule]
    assert rule in rules(data / "bad.yaml", bad)
    assert rules(data / "bad.yaml", bad)[rule].startswith(f"{data / 'bad.yaml'}:")
    assert rule not in rules(data / "good.yaml", good)


# What the shipped specs are told, beside that most validate on test as their authors did: all of it is right.
SHIPPED = {
    "flatten_feeds_most_parameters": "cifar_dropout_slip cifar_dropout cifar_l2 cifar_large_batch cifar_large_lr"
    " cifar_medium_lr cifar_no_dropout cifar_no_l2 cifar_one_layer_set cifar_small_batch cifar_small_lr mnist_cnn",
    "loss_of_another_head": "binary_addition",
}


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("[!_]*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_spec_is_clean_or_its_advice_is_right(path: Path) -> None:
    spec = specs.load(str(path))
    if spec.dataset.name == "image_folder":
        pytest.skip("its images are not here")
    found = review(spec, ROOT / "runs" / "tutorials", quick=False)
    assert found is not None
    told = {one.rule for one in found.advice} - {"validated_on_test"}
    assert told == {rule for rule, names in SHIPPED.items() if path.stem in names.split()}


BAD = """dataset: digits
layers:
  - flatten
  - dense: 16
  - dense: {units: 16, activation: relu}
  - dropout: 0.9
  - output
lr: 0.4
early_stop: 60
"""


def test_check_prints_advice_as_errors_are(dlx: Dlx, world: Path) -> None:
    (world / "bad.yaml").write_text(BAD)
    result = dlx("check", "bad.yaml")
    assert result.code == 0
    assert "bad.yaml: ok" in result.out
    lines = [line for line in result.err.splitlines() if not line.startswith(" ")]
    places = [line.split(": ")[0] for line in lines]
    assert places == ["bad.yaml:1:1", "bad.yaml:4:5", "bad.yaml:6:5", "bad.yaml:8:1", "bad.yaml:9:1"]
    assert lines[1].endswith("are one linear layer [two_linear_layers]")
    assert "\n  activation: relu\n" in result.err


def test_advice_can_be_ignored_and_can_be_strict(dlx: Dlx, world: Path) -> None:
    (world / "bad.yaml").write_text(BAD)
    assert dlx("check", "bad.yaml", "--strict-advice").code == 2
    names = ["unscaled_inputs", "two_linear_layers", "high_dropout", "rate_far_from_usual"]
    words = [word for name in names for word in ("--ignore", name)]
    left = dlx("check", "bad.yaml", "--strict-advice", *words)
    assert left.code == 2
    assert "[patience_as_long_as_the_training]" in left.err
    assert left.err.count("[") == 1
    assert dlx("check", "bad.yaml", "--strict-advice", *words, "--ignore", "patience_as_long_as_the_training").code == 0
    wrong = dlx("check", "bad.yaml", "--ignore", "high_dropot")
    assert wrong.code == 2
    assert "did you mean 'high_dropout'?" in wrong.err


def test_check_as_json_is_a_line_a_spec(dlx: Dlx, world: Path) -> None:
    (world / "bad.yaml").write_text(BAD)
    (world / "worse.yaml").write_text("dataset: digits\nlayers: [flaten, output]\nlr: -1\n")
    result = dlx("check", "bad.yaml", "worse.yaml", "--json")
    assert result.code == 2
    bad, worse = sorted(result.lines, key=lambda line: str(line["spec"]))
    assert list(bad) == ["format", "spec", "problems", "advice", "probe", "plan"]
    assert bad["problems"] == worse["advice"] == []
    assert [one["rule"] for one in bad["advice"]][1:3] == ["two_linear_layers", "high_dropout"]
    assert list(bad["advice"][0]) == ["rule", "where", "message", "change"]
    assert [one["where"].split(": ")[0] for one in worse["problems"]] == ["worse.yaml:2:10", "worse.yaml:3:5"]


def test_the_plan_of_a_run_has_three_lines_of_advice_at_most(dlx: Dlx, world: Path) -> None:
    (world / "bad.yaml").write_text(BAD)
    result = dlx("run", "bad.yaml", "-s", "epochs=1", "--repeat", "2")
    assert result.out.count("advice ") == 1
    assert result.out.count("3 more: dlx check says all") == 1


def test_parts_lists_the_rules(dlx: Dlx) -> None:
    result = dlx("parts", "--advice")
    assert all(f"\n{name} " in f"\n{result.out}" for name in RULES)
