"""The compiled loop: what it computes, and that no figure depends on how it is cut up."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SMALL

from dlx import spec as specs
from dlx.data.dataset import Facts, Stream
from dlx.engine.fit import Clock, compile_program, fit, next_length
from dlx.engine.plan import Plan, Program
from dlx.errors import DataError, TrainingError
from dlx.model.build import build, make_optimizer
from dlx.system import backend
from dlx.training import program_cache
from dlx.training.experiment import plan_of, prepare
from dlx.training.program_cache import ProgramCache

RICH = """\
dataset: digits
layers:
  - conv2d: {filters: 4, kernel_size: 3, activation: relu}
  - batch_normalization
  - dropout: 0.3
  - flatten
  - output
augment: [{shift: 0.1}, flip]
regularization: {l2: 0.001}
"""
PLAIN = "dataset: digits\nlayers: [flatten, {dense: {units: 8, activation: tanh}}, output]\n"


def rows(world: Path, text: str, chunk: int | None = None, **changes: Any) -> list[dict[str, float]]:
    return run(world, text, chunk, **changes)[0]


def run(
    world: Path,
    text: str,
    chunk: int | None = None,
    wrap: Any = lambda pair: pair,
    compiled: Program | None = None,
    **changes: Any,
) -> tuple[list[dict[str, float]], Any, Any]:
    """(history, network, program) of a short training, of a new program or of a `compiled` one used again."""
    (world / "e.yaml").write_text(text)
    spec = specs.load(world / "e.yaml")
    backend.prepare(spec.seed, spec.precision)
    network = build(spec, Facts((6, 6, 1), "classification", ("a", "b", "c")))
    train, validation = examples(50), examples(20, seed=9)
    plan = Plan(**{
        "seed": spec.seed, "lr": spec.lr, "batch_size": 16, "steps_per_epoch": 4, "steps": 14, "monitor": "val_loss", **changes
    })  # fmt: skip
    if compiled is None:
        program = compile_program(network, make_optimizer(spec), plan, wrap(train), wrap(validation))
    else:
        program = compiled.reuse(network, make_optimizer(spec), plan)
    found: list[dict[str, float]] = []
    for progress in fit(program, plan, chunk):
        found += progress.rows
        program = dataclasses.replace(program, state=progress.state)
    for row in found:
        row.pop("seconds")
    program.restore(program.state, "best")
    return found, network, program


def examples(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, 3, count).astype(np.int32)
    return (generator.uniform(0, 1, (count, 6, 6, 1)) + targets[:, None, None, None]).astype(np.float32), targets


def stream(pair: tuple[np.ndarray, np.ndarray]) -> tuple[Stream, np.ndarray]:
    """The same examples, as if they stayed on disk."""
    inputs, targets = pair
    return Stream(lambda rows: inputs[rows], np.arange(len(targets)), inputs.shape[1:], inputs.dtype), targets


def test_any_chunk_length_gives_the_same_history(world: Path) -> None:
    whole, _, program = run(world, RICH)
    for chunk in (1, 3, 4, 5, 100):
        assert rows(world, RICH, chunk, compiled=program) == whole, chunk


PENALIZED = PLAIN + "regularization: {l2: 0.01}\n"


def logged(
    world: Path,
    text: str,
    chunk: int | None = None,
    wrap: Any = lambda pair: pair,
    compiled: Program | None = None,
    **changes: Any,
) -> Any:
    """(rows of the steps, rows of the epochs, (network, the program at its end)); of `compiled`, used again."""
    plan = Plan(**{
        "seed": 42, "lr": 0.01, "batch_size": 16, "steps_per_epoch": 4, "steps": 14, "monitor": "val_loss", **changes
    })  # fmt: skip
    (world / "e.yaml").write_text(text)
    spec = specs.load(world / "e.yaml")
    if compiled is not None:
        backend.prepare(spec.seed, spec.precision)
    network = build(spec, Facts((6, 6, 1), "classification", ("a", "b", "c")))
    if compiled is not None:
        program = compiled.reuse(network, make_optimizer(spec), plan)
    else:
        program = compile_program(network, make_optimizer(spec), plan, wrap(examples(50)), wrap(examples(20, seed=9)))
    steps: list[dict[str, float]] = []
    epochs: list[dict[str, float]] = []
    for progress in fit(program, plan, chunk):
        steps, epochs = steps + progress.logged, epochs + progress.rows
        program = dataclasses.replace(program, state=progress.state)
    return steps, epochs, (network, program)


@pytest.mark.parametrize("every", [1, 3])
def test_rows_of_steps_do_not_depend_on_the_chunks(world: Path, every: int) -> None:
    plain = rows(world, RICH, lr=0.01)
    backend.prepare(42, "float32")
    again, others, (_, program) = logged(world, RICH, log_every=every)
    for chunk in (1, 3, 5, 100):
        steps, epochs, _ = logged(world, RICH, chunk, compiled=program, log_every=every)
        assert steps == again
        assert [row["step"] for row in steps] == list(range(every, 15, every))
        assert [row["epoch"] for row in steps] == [(row["step"] + 3) // 4 for row in steps]
        assert set(steps[0]) == {"step", "epoch", "train_loss", "train_data_loss", "train_accuracy", "learning_rate"}
        without = [[{k: v for k, v in row.items() if k != "seconds"} for row in found] for found in (epochs, others)]
        assert without == [plain, plain]


def test_the_rows_of_an_epochs_steps_make_up_its_row(world: Path) -> None:
    steps, epochs, _ = logged(world, PLAIN, log_every=1, steps=8)
    counts = np.array([16, 16, 16, 2] * 2)
    for key in ("train_loss", "train_accuracy"):
        values = np.array([row[key] for row in steps])
        means = [np.average(values[start : start + 4], weights=counts[start : start + 4]) for start in (0, 4)]
        assert means == pytest.approx([row[key] for row in epochs], rel=1e-5), key


def test_rows_of_steps_of_inputs_that_stay_on_disk(world: Path) -> None:
    steps, _, _ = logged(world, PLAIN, 3, wrap=stream, log_every=2)
    again, _, _ = logged(world, PLAIN, 1, wrap=stream, log_every=2)
    assert [row["step"] for row in steps] == [2, 4, 6, 8, 10, 12, 14]
    assert steps == again


def test_more_rows_than_a_chunk_can_keep_are_all_there(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _, _ = logged(world, PLAIN, 100, log_every=1)
    for module in ("plan", "loop", f"{backend.load().backend}_loop"):
        monkeypatch.setattr(f"dlx.engine.{module}.LOG_ROWS", 3)
    assert logged(world, PLAIN, 100, log_every=1)[0] == whole


def test_the_loss_of_the_data_is_the_loss_without_its_penalty(world: Path) -> None:
    found, network, _ = run(world, PENALIZED, steps=4)
    inputs, targets = examples(20, seed=9)
    logits = network.logits.predict(inputs, verbose=0)
    data = float(np.mean(network.loss(backend.keras.ops.convert_to_tensor(targets), logits, network.activation)))
    assert found[0]["val_data_loss"] == pytest.approx(data, rel=1e-5)
    assert found[0]["val_loss"] == pytest.approx(data + float(sum(network.logits.losses)), rel=1e-5)
    assert "train_data_loss" not in rows(world, PLAIN, steps=4)[0]


def test_a_training_ends_when_all_its_goals_are_reached(world: Path) -> None:
    found = rows(world, PLAIN, steps=400)
    goal = sorted(row["train_loss"] for row in found)[len(found) // 2]
    for chunk in (1, 100):
        stopped = rows(world, PLAIN, chunk, steps=400, stop_at={"train_loss": goal, "val_accuracy": 0.0})
        assert stopped == found[: len(stopped)]
        assert stopped[-1]["train_loss"] <= goal
        assert all(row["train_loss"] > goal for row in stopped[:-1])
    assert len(rows(world, PLAIN, steps=40, stop_at={"train_accuracy": 1.1})) == 10


def test_chunks_end_where_weights_are_wanted() -> None:
    plan = Plan(
        seed=0, lr=0.1, batch_size=1, steps_per_epoch=10, steps=95, monitor="x", snapshots=(0, 2, 7), histograms=3
    )
    places = [0]
    while places[-1] < plan.steps:
        places.append(plan.pause(places[-1]))
    assert places == [0, 20, 30, 60, 70, 90, 95]


def test_the_last_weights_or_the_best_ones_are_kept(world: Path) -> None:
    text = PLAIN + "lr: 30\noptimizer: sgd\n"
    _, found, (network, program) = logged(world, text, lr=30.0)
    kept = {}
    for keep in ("last", "best"):  # in this order: on TensorFlow the loop trains the network's own weights
        program.restore(program.state, keep)
        kept[keep] = [backend.keras.ops.convert_to_numpy(w.value).copy() for w in network.logits.weights]
    assert min(found, key=lambda row: row["val_loss"]) is not found[-1]
    assert any(not np.array_equal(a, b) for a, b in zip(*kept.values(), strict=True))


def test_a_part_of_an_epoch_at_the_end_is_a_row(world: Path) -> None:
    found = rows(world, PLAIN)
    assert [(row["epoch"], row["step"]) for row in found] == [(1, 4), (2, 8), (3, 12), (4, 14)]


def test_another_seed_gives_another_history(world: Path) -> None:
    first = rows(world, RICH)
    assert rows(world, RICH + "seed: 43\n") != first


def test_the_numbers_are_those_of_keras_fit(world: Path) -> None:
    """With one batch an epoch the order plays no part, so that fit must give the same losses and weights."""
    text = PLAIN + "optimizer: {sgd: {momentum: 0.9}}\nlr: 0.1\nregularization: {l2: 0.01}\n"
    found, network, _ = run(world, text, batch_size=50, steps_per_epoch=1, steps=12)
    keras = backend.keras
    (world / "e.yaml").write_text(text)
    spec = specs.load(world / "e.yaml")
    backend.prepare(spec.seed, spec.precision)
    theirs = build(spec, Facts((6, 6, 1), "classification", ("a", "b", "c"))).model
    theirs.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = theirs.fit(
        *examples(50), batch_size=50, epochs=12, verbose=0, validation_data=examples(20, seed=9)
    ).history
    for name, key in (
        ("loss", "train_loss"),
        ("accuracy", "train_accuracy"),
        ("val_loss", "val_loss"),
        ("val_accuracy", "val_accuracy"),
    ):
        assert [row[key] for row in found] == pytest.approx(history[name], rel=2e-5), key
    for mine, other in zip(network.model.get_weights(), theirs.get_weights(), strict=True):
        assert np.allclose(mine, other, atol=1e-5)


def test_every_row_is_seen_once_an_epoch(world: Path) -> None:
    """With a zero rate, the mean loss over an epoch is the loss of the whole, in whatever order and batches."""
    text = PLAIN + "lr: 1.0e-30\n"
    found, network, _ = run(world, text, steps=12)
    inputs, targets = examples(50)
    logits = network.logits.predict(inputs, verbose=0)
    whole = float(np.mean(network.loss(backend.keras.ops.convert_to_tensor(targets), logits, network.activation)))
    assert [row["train_loss"] for row in found] == pytest.approx([whole] * 3, rel=1e-5)


def test_the_order_changes_from_epoch_to_epoch_and_is_a_permutation(world: Path) -> None:
    _, _, program = run(world, PLAIN, steps=1)
    orders = [program.pieces.order(7, epoch) for epoch in range(5)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 5


def test_the_best_weights_are_those_of_the_best_epoch(world: Path) -> None:
    found, network, program = run(world, PLAIN + "lr: 0.3\noptimizer: sgd\n", steps=60)
    values = [row["val_loss"] for row in found]
    counters = program.counters(program.state)
    assert counters["best_epoch"] == 1 + int(np.argmin(values))
    inputs, targets = examples(20, seed=9)
    logits = network.logits.predict(inputs, verbose=0)
    loss = float(np.mean(network.loss(backend.keras.ops.convert_to_tensor(targets), logits, network.activation)))
    assert loss == pytest.approx(min(values), rel=1e-5)


def test_early_stop_counts_epochs_without_improvement(world: Path) -> None:
    found = rows(world, PLAIN + "lr: 1.0e-30\n", steps=100, patience=3)
    assert len(found) == 4  # the first improves on nothing, three do not improve on it
    found = rows(world, PLAIN, steps=100, patience=2, min_delta=100.0)
    assert len(found) == 3


def test_a_figure_can_be_maximized(world: Path) -> None:
    found, _, program = run(world, PLAIN + "lr: 0.05\n", steps=40, monitor="val_accuracy", maximize=True)
    values = [row["val_accuracy"] for row in found]
    assert program.counters(program.state)["best_epoch"] == 1 + int(np.argmax(values))


def test_a_loss_that_is_not_finite_stops_the_run_at_its_step(world: Path) -> None:
    with pytest.raises(TrainingError, match=r"not finite at step \d+ \(epoch \d+\)") as caught:
        rows(world, PLAIN + "optimizer: sgd\nlr: 1.0e+30\nloss: mean_squared_error\nregularization: {l2: 1.0e+10}\n")
    assert "lr=" in caught.value.hint
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("chunk", [None, 1, 7])
def test_divergence_is_found_at_the_same_step_whatever_the_chunk(world: Path, chunk: int | None) -> None:
    text = PLAIN + "optimizer: sgd\nlr: 1.0e+15\nregularization: {l2: 1.0}\n"
    with pytest.raises(TrainingError) as caught:
        rows(world, text, chunk)
    with pytest.raises(TrainingError) as other:
        rows(world, text, 3)
    assert caught.value.message == other.value.message


def test_the_schedule_is_followed_step_by_step(world: Path) -> None:
    found = rows(world, PLAIN + "lr: 0.1\n", schedule=lambda progress: 1.0 - progress, steps=12)
    assert [row["learning_rate"] for row in found] == pytest.approx(
        [0.1 * (1 - step / 12) for step in (3, 7, 11)], rel=1e-5
    )


def test_chunks_grow_towards_a_quarter_of_a_second() -> None:
    assert next_length(1, 1, 2.0) == 1
    assert next_length(1, 1, 0.001) == 8
    assert next_length(100, 100, 0.5) == 50
    assert next_length(100, 100, 0.25) == 100


def test_seconds_are_shared_out_among_epochs_whatever_the_chunks() -> None:
    clock, seconds = Clock(0.0), {}
    for start, end, took, steps in ((0, 3, 3.0, []), (3, 5, 2.0, [4]), (5, 14, 4.5, [8, 12])):
        for row in clock.share([{"step": step} for step in steps], start, end, took):
            seconds[row["step"]] = row["seconds"]
    assert seconds == {4: 4.0, 8: 2.5, 12: 2.0}


FUSED = ["flatten, {dense: {units: 8, activation: tanh}}", "flatten, {dense: 8}, batch_normalization",
         "{reshape: [6, 6]}, {simple_rnn: 4}"]  # fmt: skip
BATCHES = [50, 16, 25]


@pytest.mark.parametrize(
    ("layers", "batch"),
    [
        pytest.param(layers, batch, marks=[] if FUSED.index(layers) == BATCHES.index(batch) else [pytest.mark.slow])
        for layers in FUSED
        for batch in BATCHES
    ],
)
def test_a_fused_loop_gives_the_same_history_however_it_is_cut(
    world: Path, monkeypatch: pytest.MonkeyPatch, layers: str, batch: int
) -> None:
    if backend.load().backend != "tensorflow":
        pytest.skip("JAX's loop is always XLA's")
    from dlx.engine import tensorflow, tensorflow_loop, xla

    judge, fused_loops = xla.fuses, []
    monkeypatch.setattr(tensorflow_loop, "fuses", lambda loop: fused_loops.append(judge(loop)) or fused_loops[-1])
    text = f"dataset: digits\nlayers: [{layers}, output]\n"
    how = {"batch_size": batch, "steps_per_epoch": -(-50 // batch), "steps": 61}
    plain = rows(world, text, **how)
    monkeypatch.setattr(xla, "FUSED_STEPS", 1)
    fused = rows(world, text, **how)
    for module in (tensorflow, tensorflow_loop):
        monkeypatch.setattr(module, "ROWS", 9)
    whole, _, program = run(world, text, **how)
    assert whole == run(world, text, 7, compiled=program, **how)[0] == fused
    assert fused_loops == [False, True, True]
    if batch == 50:  # XLA draws the order in its own way
        assert [row["val_loss"] for row in fused] == pytest.approx([row["val_loss"] for row in plain], rel=2e-3)


def test_an_update_that_xla_fuses_is_the_same_update(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend.load().backend != "tensorflow":
        pytest.skip("JAX's loop is always XLA's")
    from dlx.engine import xla

    plain = rows(world, RICH)
    monkeypatch.setattr(xla, "FUSED_NUMBERS", 1)
    fused = rows(world, RICH)
    assert rows(world, RICH, 3) == fused
    for row, other in zip(plain, fused, strict=True):
        assert other == pytest.approx(row, rel=1e-4)


@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_a_stream_gives_the_history_of_arrays(world: Path, chunk: int | None) -> None:
    whole, network, _ = run(world, RICH)
    streamed, other, _ = run(world, RICH, chunk, wrap=stream)
    if backend.load().backend == "tensorflow":
        assert streamed == whole
    for row, other_row in zip(whole, streamed, strict=True):  # XLA rounds as it fuses
        assert other_row == pytest.approx(row, rel=1e-5)
    for mine, theirs in zip(network.model.get_weights(), other.model.get_weights(), strict=True):
        assert np.allclose(mine, theirs, atol=1e-6)


def test_one_split_may_be_a_stream_and_the_other_not(world: Path) -> None:
    whole = rows(world, PLAIN)
    for odd in (True, False):  # the train split, then the validation split
        turn = iter((odd, not odd))
        found = rows(world, PLAIN, wrap=lambda pair: stream(pair) if next(turn) else pair)  # noqa: B023
        assert [row["val_loss"] for row in found] == pytest.approx([row["val_loss"] for row in whole], rel=1e-5)


def test_a_stream_stops_early_and_in_the_middle_of_an_epoch(world: Path) -> None:
    assert rows(world, PLAIN, 2, wrap=stream, steps=13) == rows(world, PLAIN, steps=13)
    assert len(rows(world, PLAIN + "lr: 1.0e-30\n", wrap=stream, steps=100, patience=3)) == 4


def test_an_error_of_a_stream_ends_the_training(world: Path) -> None:
    def broken(examples: tuple[np.ndarray, np.ndarray]) -> tuple[Stream, np.ndarray]:
        def read(wanted: np.ndarray) -> np.ndarray:
            raise DataError("cannot be read", where="a.png")

        return Stream(read, np.arange(len(examples[1])), (6, 6, 1), np.dtype("float32")), examples[1]

    with pytest.raises(DataError, match="cannot be read"):
        rows(world, PLAIN, wrap=broken)


@pytest.mark.parametrize("changed", ["lr: 0.02\n", "seed: 7\n", "regularization: {l2: 0.1, except: output}\n"])
def test_a_program_used_again_gives_the_history_of_a_fresh_one(world: Path, changed: str) -> None:
    """What a sweep changes most is a variable of the compiled program."""
    text = RICH.replace("{l2: 0.001}", "{l2: 0.001, except: output}")
    key = changed.split(":")[0]
    other = "".join(line for line in text.splitlines(keepends=True) if not line.startswith(key)) + changed
    fresh, network, _ = run(world, other, schedule=lambda progress: 1.0 - 0.5 * progress)
    _, _, program = run(world, text, schedule=lambda progress: 1.0 - 0.5 * progress)
    (world / "e.yaml").write_text(other)
    spec = specs.load(world / "e.yaml")
    backend.prepare(spec.seed, spec.precision)
    again = build(spec, Facts((6, 6, 1), "classification", ("a", "b", "c")))
    plan = Plan(spec.seed, spec.lr, 16, 4, 14, "val_loss", schedule=lambda progress: 1.0 - 0.5 * progress)
    program = program.reuse(again, make_optimizer(spec), plan)
    found: list[dict[str, float]] = []
    for progress in fit(program, plan):
        found += [{k: v for k, v in row.items() if k != "seconds"} for row in progress.rows]
    program.restore(progress.state, "best")
    assert found == fresh
    for mine, theirs in zip(again.model.get_weights(), network.model.get_weights(), strict=True):
        assert np.array_equal(mine, theirs)


def test_a_penalty_of_nothing_is_none(world: Path) -> None:
    text = PLAIN.replace("{dense: {", "{dense: {kernel_regularizer: {l2: 0.0}, ") + "regularization: {l2: 0.01}\n"
    assert len(rows(world, text)) == 4


def test_the_whole_split_is_seen_as_it_lies_by_a_stream_too(world: Path) -> None:
    how = {"batch_size": 50, "steps_per_epoch": 1, "steps": 3}
    text = PLAIN.replace(", output]", ", {dropout: 0.5}, output]")
    streamed = rows(world, text, wrap=stream, **how)
    for row, other in zip(rows(world, text, **how), streamed, strict=True):
        assert other == pytest.approx(row, rel=1e-5)


@pytest.mark.parametrize(
    ("changed", "compiles"),
    [
        ("lr=0.5", False),
        ("seed=1", False),
        ("regularization.l2=0.5", False),
        ("tags=[a]", False),
        ("regularization.except=output", True),
        ("regularization.l1=0.5", True),
        ("class_weight=balanced", True),
        ("layers.dropout.rate=0.3", True),
        ("batch_size=32", True),
        ("precision=mixed_bfloat16", True),
        ("validation=0.2", True),
        ("schedule=cosine", True),
        ("epochs=4", True),
    ],
)
def test_only_what_is_compiled_in_is_compiled_again(
    world: Path, monkeypatch: pytest.MonkeyPatch, changed: str, compiles: bool
) -> None:
    made: list[int] = []
    cache = ProgramCache()
    compile_it = compile_program
    monkeypatch.setattr(program_cache, "compile_program", lambda *args: made.append(1) or compile_it(*args))
    (world / "s.yaml").write_text(SMALL + "regularization: {l2: 0.01}\n")
    for settings in ([], [changed]):
        experiment = prepare(specs.load(world / "s.yaml", settings))
        backend.prepare(experiment.spec.seed, experiment.spec.precision)
        network = build(experiment.spec, experiment.facts)
        cache.program(experiment, network, make_optimizer(experiment.spec), plan_of(experiment))
    assert len(made) == (2 if compiles else 1)
