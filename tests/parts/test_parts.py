"""The contract of every registry: each part has help, fits Keras, and does what its signature says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import EXAMPLES, data, facts, make_spec

from dlx.engine.fit import compile_program, fit
from dlx.engine.plan import Plan
from dlx.errors import DataError, DlxError, SpecError
from dlx.model.build import build, make_optimizer
from dlx.model.check import probe
from dlx.model.network import parameter_count
from dlx.model.statistics import fit_preprocessing
from dlx.parts import REGISTRIES, keras_signatures, layer_help
from dlx.parts.augment import Mix
from dlx.parts.registry import Part
from dlx.parts.types import Activation
from dlx.spec.describe import describe
from dlx.spec.parse import write_value
from dlx.system import backend

PARTS = [(kind, name) for kind, registry in REGISTRIES.items() for name in registry]


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_every_part_has_help_and_typed_parameters(kind: str, name: str) -> None:
    registry = REGISTRIES[kind]
    text = registry.help(name)
    assert re.search(r"[.:]( |$)", text.split("\n")[0]), text
    assert len(text.split("\n")[0]) > 15
    for parameter in registry.parameters(name).values():
        assert parameter.annotation is not Any, f"{name}.{parameter.name} has no type"
        assert "typing" not in describe(parameter.annotation)


def test_every_layer_has_an_example_and_words_of_its_own() -> None:
    assert set(EXAMPLES) == set(REGISTRIES["layer"])
    assert not [name for name in REGISTRIES["layer"] if "as Keras documents it" in REGISTRIES["layer"].help(name)]
    assert set(layer_help.LAYERS) <= set(REGISTRIES["layer"])


# A whole pretrained network takes ten seconds; its weights and its training have fast tests of their own. The others
# take long to compile, and are Keras's.
LONG = {
    "pretrained", "rand_augment", "aug_mix", "random_elastic_transform", "random_perspective", "conv3d_transpose",
    "conv_lstm1d", "conv_lstm3d", "contrast_limited_adaptive_histogram_equalization",
}  # fmt: skip
LAYERS = [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in EXAMPLES]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_builds_trains_saves_reloads_and_predicts_the_same(world: Path, name: str) -> None:
    shape, example = EXAMPLES[name]
    tail = [] if name == "output" else ["flatten", "output"]
    spec = make_spec(world, [example, *tail])
    backend.prepare(spec.seed, spec.precision)
    network = build(spec, facts(shape))
    probe(network, spec)
    inputs, targets = data(shape)
    before = [variable.numpy().copy() for variable in network.model.trainable_variables]
    plan = Plan(seed=1, lr=0.1, batch_size=10, steps_per_epoch=3, steps=3, monitor="train_loss")
    program = compile_program(network, make_optimizer(spec), plan, (inputs, targets), None)
    *_, progress = fit(program, plan)
    program.restore(progress.state, "best")
    assert np.isfinite(progress.rows[-1]["train_loss"])
    after = [variable.numpy() for variable in network.model.trainable_variables]
    assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))

    network.model.save(world / "m.keras")
    expected = np.asarray(network.model(inputs, training=False))
    again = build(spec, facts(shape))
    again.model.load_weights(world / "m.keras")
    assert np.array_equal(np.asarray(again.model(inputs, training=False)), expected)
    plain = backend.keras.models.load_model(world / "m.keras")
    assert np.array_equal(np.asarray(plain(inputs, training=False)), expected)


# What a penalty on every kernel and embedding counts, by the names that Keras gives its variables.
PENALIZED = ("kernel", "recurrent_kernel", "depthwise_kernel", "pointwise_kernel", "embeddings", "reverse_embeddings")


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name != "pretrained"])
def test_the_penalty_is_the_sum_over_every_kernel_and_embedding(world: Path, name: str) -> None:
    shape, example = EXAMPLES[name]
    text = write_value(example)
    own = "_regularizer" in text or "activity_regularization" in text
    tail = [] if name == "output" else ["flatten", "output"]
    spec = make_spec(world, [example, *tail], regularization={"l2": 0.01, "l1": 0.001})
    backend.prepare(spec.seed, spec.precision)
    network = build(spec, facts(shape))
    kernels = [v.numpy() for v in network.model.variables if v.name.split("/")[-1] in PENALIZED]
    expected = sum(0.01 * np.square(kernel).sum() + 0.001 * np.abs(kernel).sum() for kernel in kernels)
    losses = [float(loss) for loss in network.model.losses]
    assert own or sum(losses) == pytest.approx(expected, rel=1e-5)
    assert len(losses) >= len(kernels)


def test_a_shortcut_counts_in_the_penalty(world: Path) -> None:
    inner = {"residual": [{"dense": 7}]}
    spec = make_spec(world, ["flatten", inner, "output"], regularization={"l2": 0.01})
    network = build(spec, facts((6,)))
    kernels = [v.numpy() for v in network.model.variables if v.name == "kernel"]
    assert sorted(kernel.shape for kernel in kernels) == [(6, 7), (6, 7), (7, 3)]
    expected = sum(0.01 * np.square(kernel).sum() for kernel in kernels)
    assert sum(float(loss) for loss in network.model.losses) == pytest.approx(expected, rel=1e-5)


def kerass(package: str) -> dict[str, Any]:
    """Every class that Keras itself exports there, by our name of it."""
    module = getattr(backend.keras, package)
    name = keras_signatures.snake if package == "layers" else str.lower
    classes = {word: found for word in dir(module) if inspect.isclass(found := getattr(module, word))}
    return {name(word): found for word, found in classes.items() if found.__name__ in (word, "GroupedQueryAttention")}


@pytest.mark.parametrize(("package", "kind"), [("layers", "layer"), ("optimizers", "optimizer")])
def test_every_class_of_keras_is_a_part_or_refused_with_a_reason(package: str, kind: str) -> None:
    registry = REGISTRIES[kind]
    there = set(kerass(package))
    reached, refused = there & set(registry), there & set(registry.refused)
    assert reached | refused == there
    assert not reached & refused
    for name in refused:
        with pytest.raises(DlxError) as caught:
            registry.find(name)
        assert len(caught.value.hint) > 20


@pytest.mark.parametrize(("package", "kind"), [("layers", "layer"), ("optimizers", "optimizer")])
def test_names_and_defaults_are_kerass(package: str, kind: str) -> None:
    registry = REGISTRIES[kind]
    for name, found in kerass(package).items():
        if name not in registry:
            continue
        theirs = inspect.signature(found.__init__).parameters
        for parameter in registry.parameters(name).values():
            if parameter.name == "name":
                continue
            default = theirs[parameter.name].default
            if default is inspect.Parameter.empty:
                assert parameter.required, (name, parameter.name)
            elif isinstance(default, tuple):
                flat = {str(number) for number in re.findall(r"[^(), ]+", str(default))}
                assert set(re.findall(r"[^\[\], ]+", str(parameter.default))) == flat, (name, parameter.name)
            else:
                wanted = default.lower() if isinstance(default, str) and default[:1].isupper() else default
                assert parameter.default == wanted, (name, parameter.name)


def test_activations_are_kerass() -> None:
    from typing import get_args

    theirs = {name for name in dir(backend.keras.activations) if not name.startswith("_")}
    # glu halves its input, which no layer expects of its activation; threshold needs two numbers.
    assert set(get_args(Activation)) == theirs - {"get", "serialize", "deserialize", "glu", "threshold"}


def test_the_last_layers_of_a_pretrained_network_learn(world: Path) -> None:
    said = {"name": "mobilenet_v2", "weights": "none", "trainable": "last 4"}
    spec = make_spec(world, [{"pretrained": said}, "global_average_pooling2d", "output"])
    backend.prepare(spec.seed, spec.precision)
    network = build(spec, facts((32, 32, 3)))
    body = network.model.get_layer("mobilenet_v2")
    learning = [layer.name for layer in body.layers if layer.trainable_weights]
    weighted = [layer.name for layer in body.layers if layer.weights]
    assert set(learning) <= set(weighted[-4:])
    assert learning
    assert not any(type(body.get_layer(name)).__name__ == "BatchNormalization" for name in learning)
    frozen = make_spec(world, [{"pretrained": {**said, "trainable": False}}, "global_average_pooling2d", "output"])
    assert parameter_count(build(frozen, facts((32, 32, 3)))) == 1280 * 3 + 3


def test_a_pretrained_network_scales_its_input(world: Path) -> None:
    spec = make_spec(world, [{"pretrained": {"name": "mobilenet_v2", "weights": "none"}}, "flatten", "output"])
    backend.prepare(spec.seed, spec.precision)
    network = build(spec, facts((32, 32, 3)))
    body = network.model.get_layer("mobilenet_v2")
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    ours = backend.keras.Model(network.model.inputs, network.model.get_layer("flatten").output).predict(
        images, verbose=0
    )
    theirs = body.predict(images / 127.5 - 1.0, verbose=0).reshape(2, -1)
    assert np.allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("name", list(REGISTRIES["optimizer"]))
def test_an_optimizer_takes_the_rate_of_the_spec(name: str) -> None:
    made = REGISTRIES["optimizer"].make(Part(name), _learning_rate=0.3)
    assert float(made.learning_rate.numpy()) == pytest.approx(0.3)


@pytest.mark.parametrize("name", list(REGISTRIES["augment"]))
def test_an_augmentation_keeps_shape_and_follows_its_seed(name: str) -> None:
    keras = backend.keras
    part = Part(name, {"degrees": 30.0} if name == "rotate" else {})
    made = REGISTRIES["augment"].make(part)
    apply = (lambda *given: made.apply(*given)[0]) if isinstance(made, Mix) else made
    images = np.random.default_rng(0).uniform(0, 255, (16, 9, 7, 3)).astype(np.float32)
    once = apply(images, keras.random.SeedGenerator(5)).numpy()
    assert once.shape == images.shape
    assert once.dtype == np.float32
    assert np.array_equal(once, apply(images, keras.random.SeedGenerator(5)).numpy())
    assert not np.array_equal(once, apply(images, keras.random.SeedGenerator(6)).numpy())
    assert not np.array_equal(once, images)
    assert once.min() >= -0.01
    assert once.max() <= 255.01


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_a_mix_shares_the_label_as_it_shares_the_pixels(name: str) -> None:
    images = np.repeat(np.arange(1.0, 33.0, dtype=np.float32), 8 * 8).reshape(32, 8, 8, 1)
    mixed, partners, share = REGISTRIES["augment"].make(Part(name)).apply(images, backend.keras.random.SeedGenerator(4))
    mixed, partners, share = np.asarray(mixed), np.asarray(partners), np.asarray(share)
    assert sorted(partners) == list(range(32))
    expected = share * np.arange(1.0, 33.0) + (1 - share) * (partners + 1.0)
    assert np.allclose(mixed.mean(axis=(1, 2, 3)), expected, atol=1e-3)
    assert ((share >= 0) & (share <= 1)).all()
    assert share.std() > 0.05


def test_crop_moves_by_whole_pixels_and_fills_with_zero() -> None:
    images = np.arange(1, 1 + 8 * 6 * 6, dtype=np.float32).reshape(8, 6, 6, 1)
    moved = (
        REGISTRIES["augment"].make(Part("crop", {"padding": 2}))(images, backend.keras.random.SeedGenerator(1)).numpy()
    )
    for before, after in zip(images, moved, strict=True):
        padded = np.pad(before[..., 0], 2)
        crops = [padded[r : r + 6, c : c + 6] for r in range(5) for c in range(5)]
        assert any(np.array_equal(crop, after[..., 0]) for crop in crops)
    assert len({tuple(np.argwhere(image[..., 0] == 0).ravel()) for image in moved}) > 2


def test_rotate_by_a_right_angle_is_a_right_angle() -> None:
    from dlx.parts.augment import _affine

    image = np.arange(25, dtype=np.float32).reshape(1, 5, 5, 1)
    turned = np.asarray(_affine(image, (0.0, -1.0, 1.0, 0.0), (0.0, 0.0), "constant", "bilinear"))[0, ..., 0]
    assert np.allclose(turned, np.rot90(image[0, ..., 0])) or np.allclose(turned, np.rot90(image[0, ..., 0], -1))


def test_flip_mirrors_about_half() -> None:
    images = np.random.default_rng(0).uniform(0, 255, (400, 2, 2, 1)).astype(np.float32)
    flipped = REGISTRIES["augment"].make(Part("flip"))(images, backend.keras.random.SeedGenerator(1)).numpy()
    mirrored = np.array([np.array_equal(f, i[:, ::-1]) for f, i in zip(flipped, images, strict=True)])
    same = np.array([np.array_equal(f, i) for f, i in zip(flipped, images, strict=True)])
    assert (mirrored | same).all()
    assert 140 < mirrored.sum() < 260


@pytest.mark.parametrize(
    ("part", "points"),
    [
        (Part("cosine"), {0.0: 1.0, 0.5: 0.5, 1.0: 0.0}),
        (Part("cosine", {"warmup": 0.2, "final": 0.1}), {0.0: 0.0, 0.1: 0.5, 0.2: 1.0, 0.6: 0.55, 1.0: 0.1}),
        (Part("one_cycle", {"peak": 0.5, "start": 0.1, "final": 0.0}), {0.0: 0.1, 0.5: 1.0, 0.75: 0.5, 1.0: 0.0}),
        (Part("exponential", {"final": 0.01}), {0.0: 1.0, 0.5: 0.1, 1.0: 0.01}),
        (Part("polynomial", {"power": 2.0, "final": 0.2}), {0.0: 1.0, 0.5: 0.4, 1.0: 0.2}),
        (Part("inverse_time", {"decay": 9.0}), {0.0: 1.0, 1.0: 0.1}),
        (Part("cosine_restarts", {"cycles": 2, "shrink": 0.5}), {0.0: 1.0, 0.25: 0.5, 0.5: 0.5, 0.75: 0.25, 1.0: 0.0}),
        (Part("step", {"at": [0.5, 0.75], "factor": 0.1}), {0.0: 1.0, 0.49: 1.0, 0.5: 0.1, 0.75: 0.01, 1.0: 0.01}),
    ],
    ids=["cosine", "warmup", "one_cycle", "exponential", "polynomial", "inverse_time", "restarts", "step"],
)
def test_schedules(part: Part, points: dict[float, float]) -> None:
    factor = REGISTRIES["schedule"].make(part)
    for progress, expected in points.items():
        assert float(factor(np.float32(progress))) == pytest.approx(expected, abs=1e-6)
    assert REGISTRIES["schedule"].make(Part("constant")) is None


def test_schedules_are_kerass() -> None:
    """Those that Keras has, too: the rate at each of 400 steps of a training of which 80 warm up."""
    schedules, steps, warm = backend.keras.optimizers.schedules, 400, 80
    pairs = {
        "cosine": ({"final": 0.1}, schedules.CosineDecay(1.0, steps, alpha=0.1)),
        "warmed": ({"final": 0.1, "warmup": warm / steps}, schedules.CosineDecay(0.0, steps - warm, alpha=0.1, warmup_target=1.0, warmup_steps=warm)),
        "cosine_restarts": ({"cycles": 8, "shrink": 0.5, "final": 0.1}, schedules.CosineDecayRestarts(1.0, steps // 8, t_mul=1.0, m_mul=0.5, alpha=0.1)),
        "exponential": ({"final": 0.02}, schedules.ExponentialDecay(1.0, steps, 0.02)),
        "polynomial": ({"power": 2.0, "final": 0.2}, schedules.PolynomialDecay(1.0, steps, end_learning_rate=0.2, power=2.0)),
        "inverse_time": ({"decay": 9.0}, schedules.InverseTimeDecay(1.0, steps, 9.0)),
        "step": ({"at": [0.5, 0.75], "factor": 0.1}, schedules.PiecewiseConstantDecay([199, 299], [1.0, 0.1, 0.01])),
    }  # fmt: skip
    for name, (arguments, theirs) in pairs.items():
        factor = REGISTRIES["schedule"].make(Part("cosine" if name == "warmed" else name, arguments))
        for step in range(steps):
            expected = float(theirs(step))
            assert float(factor(np.float32(step / steps))) == pytest.approx(expected, abs=2e-6), (name, step)


def test_a_cycle_never_rises() -> None:
    factor = REGISTRIES["schedule"].make(Part("cosine_restarts", {"cycles": 8, "shrink": 0.5, "final": 0.1}))
    rates = [float(factor(np.float32((cycle + place / 50) / 8))) for cycle in range(8) for place in range(50)]
    for cycle in range(8):
        inside = rates[50 * cycle : 50 * cycle + 50]
        assert inside == sorted(inside, reverse=True)


@pytest.mark.parametrize(
    ("name", "activation", "theirs"),
    [
        ("categorical_crossentropy", "softmax", "CategoricalCrossentropy"),
        ("sparse_categorical_crossentropy", "softmax", "CategoricalCrossentropy"),
        ("binary_crossentropy", "sigmoid", "BinaryCrossentropy"),
        ("mean_squared_error", "softmax", "MeanSquaredError"),
        ("mean_absolute_error", "softmax", "MeanAbsoluteError"),
    ],
)
def test_losses_are_kerass(name: str, activation: str, theirs: str) -> None:
    keras = backend.keras
    logits = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    targets = np.array([0, 1, 2, 3, 0, 1, 2], np.int32)
    function = keras.activations.get(activation)
    ours = float(
        np.mean(
            REGISTRIES["loss"].make(Part(name))(
                keras.ops.convert_to_tensor(targets), keras.ops.convert_to_tensor(logits), function
            )
        )
    )
    wanted = getattr(keras.losses, theirs)()(np.eye(4, dtype=np.float32)[targets], function(logits))
    assert ours == pytest.approx(float(wanted), rel=1e-5)


def test_exact_match_asks_for_every_label_and_accuracy_for_each() -> None:
    targets = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1]], np.float32)
    predictions = np.array([[0.9, 0.1, 0.6], [0.4, 0.6, 0.4], [0.9, 0.9, 0.9]], np.float32)
    found = {}
    for name in ("exact_match", "accuracy"):
        metric = REGISTRIES["metric"].make(Part(name), _units=3, _task="multi_label")
        metric.update_state(targets, predictions)
        found[name] = float(metric.result())
    assert found == {"exact_match": pytest.approx(2 / 3), "accuracy": pytest.approx(8 / 9)}


def test_pretrained_weights_come_from_a_file_and_stay_as_they_are(world: Path) -> None:
    keras = backend.keras
    backend.prepare(1, "float32")
    body = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3))
    body.save_weights(world / "body.weights.h5")
    layers = [{"pretrained": {"name": "mobilenet", "weights": "body.weights.h5"}}, "flatten", "output"]
    spec = make_spec(world, layers)
    network = build(spec, facts((32, 32, 3)))
    held = network.model.get_layer("mobilenet")
    assert all(np.array_equal(a, b) for a, b in zip(held.get_weights(), body.get_weights(), strict=True))
    assert len(network.model.trainable_variables) == 2
    (world / "body.weights.h5").unlink()
    assert build(spec, facts((32, 32, 3)), restored=True)  # the run's own weights follow
    with pytest.raises(DataError, match="does not hold the weights of mobilenet"):
        build(spec, facts((32, 32, 3)))
    with pytest.raises(SpecError, match="at least 32 × 32"):
        build(spec, facts((16, 16, 3)))


def test_preprocessing_is_fitted_on_what_comes_before_it(world: Path) -> None:
    raw = np.random.default_rng(0).integers(0, 255, (5000, 4, 4, 3)).astype(np.uint8)
    raw[..., 1] //= 2
    for part, axes in (
        ({"standardize": "dataset"}, (0, 1, 2, 3)),
        ({"standardize": "channel"}, (0, 1, 2)),
        ("normalize", (0, 1, 2)),
    ):
        spec = make_spec(world, ["flatten", "output"], preprocess=["rescale", part])
        backend.prepare(1, "float32")
        network = build(spec, facts((4, 4, 3)))
        fit_preprocessing(network, raw)
        inner = backend.keras.Model(network.model.inputs[0], network.model.layers[2].output)
        out = np.asarray(inner(raw.astype(np.float32)), np.float64)
        assert np.allclose(out.mean(axis=axes), 0, atol=1e-4)
        assert np.allclose(out.std(axis=axes), 1, atol=1e-4)


def test_regularization_goes_to_kernels_and_a_layers_own_wins(world: Path) -> None:
    layers = [
        {"dense": {"units": 4}},
        {"dense": {"units": 4, "kernel_regularizer": {"l1": 0.5}, "name": "own"}},
        "output",
    ]
    spec = make_spec(world, layers, regularization={"l2": 0.01, "except": "output"})
    backend.prepare(1, "float32")
    network = build(spec, facts((6,)))
    first, own, head = (layer for layer in network.model.layers if type(layer).__name__ == "Dense")
    assert float(first.kernel_regularizer.l2) == pytest.approx(0.01)
    assert (float(own.kernel_regularizer.l1), float(own.kernel_regularizer.l2)) == (0.5, 0.0)
    assert head.kernel_regularizer is None


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_with_a_float32_head(world: Path, precision: str) -> None:
    spec = make_spec(
        world, [{"dense": {"units": 8, "activation": "relu"}}, "output"], precision=precision, preprocess=["normalize"]
    )
    backend.prepare(1, precision)
    network = build(spec, facts((6,)))
    inputs, targets = data((6,))
    fit_preprocessing(network, inputs)
    plan = Plan(seed=1, lr=0.01, batch_size=8, steps_per_epoch=3, steps=30, monitor="train_loss")
    program = compile_program(network, make_optimizer(spec), plan, (inputs, targets), None)
    losses = [row["train_loss"] for progress in fit(program, plan) for row in progress.rows]
    assert losses[-1] < losses[0]
    assert network.model.output.dtype == "float32"
    assert network.model.layers[2].compute_dtype == precision.removeprefix("mixed_")
    assert network.model.layers[1].compute_dtype == "float32"
    backend.prepare(1, "float32")
