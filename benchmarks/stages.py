"""Where an epoch's time goes, and how much of the hardware the training uses, on TensorFlow.

    python benchmarks/stages.py configs/cifar_three_layer_sets.yaml -s precision=mixed_bfloat16 -s augment=null

Each line is a loop of its own that does one stage more than the one before; what it takes more is the stage's cost. The
last lines are what an epoch's end and the host do. Useful FLOP/s count the multiplications and additions of
convolutions and dense layers, once forward and twice back (once for the first layer), against the fastest of several
matrix products of the same type.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlx import spec as specs
from dlx.model.build import build, make_optimizer
from dlx.model.statistics import fit_preprocessing
from dlx.runs.run import Run
from dlx.system import backend
from dlx.training.experiment import plan_of, prepare
from dlx.training.tensorboard import TensorBoard


def flops(network: Any) -> float:
    """Useful floating-point operations that one example's training step takes."""
    total, first = 0.0, True
    for layer in network.logits.layers:
        if not layer.weights or not hasattr(layer, "kernel"):
            continue
        out = layer.output.shape[1:]
        places = 1
        for extent in out[:-1]:
            places *= extent
        forward = 2.0 * places * float(_size(layer.kernel.shape))
        total += forward * (2 if first else 3)
        first = False
    return total


def _size(shape: Any) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count


def peak(dtype: str) -> float:
    """The FLOP/s of the fastest matrix product of that type."""
    import tensorflow as tf

    best = 0.0
    for size in (1024, 2048, 4096):
        a, b = (tf.cast(tf.random.normal((size, size)), dtype) for _ in range(2))
        product = tf.function(tf.matmul)
        product(a, b)
        for _ in range(6):
            started = time.perf_counter()
            product(a, b).numpy()
            best = max(best, 2.0 * size**3 / (time.perf_counter() - started))
    return best


def stages(loop: Any, data: Any) -> dict[str, Callable[[Any], Any]]:
    """The stages of a step, each with those before it: rows -> a number that depends on what was computed."""
    import tensorflow as tf

    inputs, targets = data[0], data[1]

    def gathered(rows: Any) -> Any:
        return tf.gather(inputs, rows), tf.gather(targets, rows)

    def augmented(rows: Any) -> Any:
        x, y = gathered(rows)
        loop._seed(loop.loop["step"].value())
        return loop._augment(x)[0], y

    def forward(rows: Any) -> Any:
        x, y = augmented(rows)
        return y, *loop._forward(x, y, training=True)

    def backward(rows: Any) -> Any:
        with tf.GradientTape() as tape:
            y, logits, total = forward(rows)
        return y, logits, total, tape.gradient(total, loop.trainable)

    def update(rows: Any) -> Any:
        y, logits, total, gradients = backward(rows)
        loop.apply(*gradients)
        return y, logits, total

    def count(rows: Any) -> Any:
        y, logits, total = update(rows)
        loop._count(y, logits, total)
        return total

    def touched(values: Any) -> Any:
        return tf.add_n([tf.cast(tf.reshape(value, (-1,))[0], tf.float32) for value in tf.nest.flatten(values)])

    named = {
        "gather rows": lambda rows: touched(gathered(rows)),
        "cast and augment": lambda rows: touched(augmented(rows)),
        "forward": lambda rows: touched(forward(rows)[1:]),
        "backward": lambda rows: touched(backward(rows)[1:]),
        "optimizer": lambda rows: touched(update(rows)[1:]),
        "train metrics": count,
    }
    if not loop.generators:
        named.pop("cast and augment")
    return named


def seconds_a_step(stage: Callable[[Any], Any], batch: int, size: int, steps: int) -> float:
    """The median of five loops of so many steps."""
    import tensorflow as tf

    @tf.function(autograph=False)
    def run(order: Any) -> Any:
        def body(number: Any, total: Any) -> Any:
            return number + 1, total + stage(order[number * batch : (number + 1) * batch])

        return tf.while_loop(lambda number, total: number < steps, body, [0, 0.0])[1]

    order = tf.random.shuffle(tf.range(size, dtype=tf.int32))
    run(order)
    found = []
    for _ in range(5):
        started = time.perf_counter()
        run(order).numpy()
        found.append((time.perf_counter() - started) / steps)
    return statistics.median(found)


def host(row: dict[str, float], network: Any) -> dict[str, float]:
    """Seconds that the files of an epoch take, and those of a run."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder), "a")
        board = TensorBoard(run.tensorboard, {}, "a")
        board.epoch(row)
        started = time.perf_counter()
        for _ in range(50):
            run.epochs.append([row])
            board.epoch(row)
            board.flush()
        files = (time.perf_counter() - started) / 50
        started = time.perf_counter()
        network.model.save(run.path / "model.keras")
        saved = time.perf_counter() - started
        board.close()
    return {"history and TensorBoard, an epoch": files, "model.keras, once": saved}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="K=V")
    given = parser.parse_args()
    backend.want("tensorflow")
    experiment = prepare(specs.load(given.spec, given.set))
    backend.prepare(experiment.spec.seed, experiment.spec.precision)
    network = build(experiment.spec, experiment.facts)
    plan = plan_of(experiment)
    optimizer = make_optimizer(experiment.spec)
    fit_preprocessing(network, experiment.splits.train.inputs)
    from dlx.engine.tensorflow_loop import TensorFlowLoop

    splits = experiment.splits
    held = splits.validation and (splits.validation.inputs, splits.validation.targets)
    size = len(splits.train)
    loop = TensorFlowLoop(network, optimizer, plan, held is not None, size)
    import tensorflow as tf

    data = tuple(tf.convert_to_tensor(array) for array in (splits.train.inputs, splits.train.targets, *(held or ())))
    batch, steps = plan.batch_size, min(size // plan.batch_size, 60)
    print(f"{experiment.spec.name}, {experiment.spec.precision}, {size:,} examples, batches of {batch}")
    before = 0.0
    for name, stage in stages(loop, data).items():
        took = seconds_a_step(stage, batch, size, steps)
        print(f"  {name:34} {(took - before) * 1000:8.3f} ms a step")
        before = took
    dtype = "bfloat16" if "bfloat16" in experiment.spec.precision else "float32"
    last = stages(loop, data)["train metrics"]
    rounds = [(seconds_a_step(last, batch, size, steps), peak(dtype)) for _ in range(3)]  # in turn: machines are noisy
    took, most = (statistics.median(found) for found in zip(*rounds, strict=True))
    rate, useful = batch / took, flops(network) * batch / took
    print(f"  {'a step, median of 3':34} {took * 1000:8.3f} ms, {rate:,.0f} examples/s")
    if held is not None:
        evaluate = tf.function(lambda: loop.evaluate(data[2], data[3]), autograph=False)
        evaluate()
        started = time.perf_counter()
        evaluate()
        print(f"  {'validation, an epoch':34} {(time.perf_counter() - started) * 1000:8.1f} ms")
    for what, took in host(dict.fromkeys(loop.columns, 0.5) | {"epoch": 1}, network).items():
        print(f"  {what:34} {took * 1000:8.1f} ms")
    print(f"  {useful / 1e9:.0f} useful GFLOP/s of {most / 1e9:.0f} in {dtype}: {useful / most:.0%}")


if __name__ == "__main__":
    main()
