"""The loop on TensorFlow: one graph holds steps, epoch ends, best weights and the stopping test.

The state lives in variables that the graph changes in place; the mapping names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from dlx.engine.loop import Figures, Loop
from dlx.engine.plan import LOG_ROWS, ROWS, Keep, Plan
from dlx.engine.xla import RECURRENT, fuses, fuses_update
from dlx.parts import penalties
from dlx.parts.schedules import Plateau
from dlx.system.backend import keras

UNROLLED_STEPS = 32  # longer sequences take too long to trace


class TensorFlowLoop(Loop):
    """The variables of a training, and the graph functions over them."""

    def __init__(self, network: Any, optimizer: Any, plan: Plan, validated: bool, size: int) -> None:
        super().__init__(network, optimizer, plan, validated, size)
        self.trainable = self.model.trainable_variables
        self.fused = fuses(self)
        self.apply = tf.function(self._apply, autograph=False, jit_compile=True) if fuses_update(self) else self._apply
        for layer in self.model.layers:  # a loop a batch costs more than the steps in it
            if type(layer).__name__ in RECURRENT:
                steps = keras.tree.flatten(layer.input)[0].shape[1]  # a mask may come with it
                layer.unroll = layer.unroll or (steps is not None and steps <= UNROLLED_STEPS)
        self.bases = tf.Variable(self.seeds_of(plan), dtype=tf.int64)
        self.lr = tf.Variable(plan.lr, dtype=tf.float32)
        self.target = network
        self.loop = {name: tf.Variable(value) for name, value in self.start().items()}
        self.best = [tf.Variable(weight.value) for weight in self.weights]
        self.log = tf.Variable(tf.zeros((LOG_ROWS if plan.log_every else 0, len(self.log_columns))))

    def begin(self, network: Any, optimizer: Any, plan: Plan) -> None:
        """Put everything back to the beginning, with the weights of another network of the same shape."""
        optimizer.build(network.logits.trainable_variables)
        self.target, self.plan = network, plan
        pairs = [*zip(self.weights, network.logits.weights, strict=True)]
        pairs += zip(self.best, network.logits.weights, strict=True)
        pairs += zip(self.optimizer.variables, optimizer.variables, strict=True)
        for mine, given in pairs:
            mine.assign(given.value)
        for variable in self.counted:
            variable.assign(tf.zeros_like(variable.value))
        for name, value in self.start().items():
            self.loop[name].assign(value)
        self.bases.assign(self.seeds_of(plan))
        self.lr.assign(plan.lr)
        penalties.retune(self.strengths, network.logits.trainable_variables)

    def state(self) -> dict[str, Any]:
        """Every variable that a chunk changes, by name."""
        return {
            **{f"weights/{n}": v for n, v in enumerate(self.weights)},
            **{f"optimizer/{n}": v for n, v in enumerate(self.optimizer.variables)},
            **{f"accumulators/{n}": v for n, v in enumerate(self.counted)},
            **{f"best/{n}": v for n, v in enumerate(self.best)},
            **{f"loop/{name}": v for name, v in self.loop.items()},
        }

    def load(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Give every variable its array; returns the state."""
        state = self.state()
        for name, value in arrays.items():
            state[name].assign(tf.cast(value, state[name].dtype))
        return state

    def restore(self, keep: Keep) -> None:
        """Put the best weights into the network, or the last ones; these also when no epoch had a finite figure."""
        best = keep == "best" and int(self.loop["best_epoch"].numpy())
        values = self.best if best else [weight.value for weight in self.weights]
        for weight, value in zip(self.target.logits.weights, values, strict=True):
            weight.assign(value)

    def chunk(self, data: tuple[Any, ...], steps: Any) -> Any:
        """Up to `steps` steps; returns rows (ROWS, columns) float32 and how many of them are epochs finished."""
        plan, loop = self.plan, self.loop
        rows = tf.TensorArray(tf.float32, size=ROWS, element_shape=(len(self.columns),), clear_after_read=False)

        def going(left: Any, finished: Any, rows: Any) -> Any:
            return (left > 0) & ~loop["stopped"].value() & self._sound()

        def segment(left: Any, finished: Any, rows: Any) -> Any:
            before = loop["step"].value()
            into = before % plan.steps_per_epoch
            count = tf.minimum(tf.minimum(left, plan.steps_per_epoch - into), plan.steps - before)
            self._steps(data, before // plan.steps_per_epoch, into, count)
            after = loop["step"].value()
            ended = (after % plan.steps_per_epoch == 0) | (after >= plan.steps)
            ended &= self._sound()
            row = tf.cond(ended, lambda: self._epoch_end(data), lambda: tf.zeros((len(self.columns),)))
            rows = rows.write(finished, row)
            return left - count, finished + tf.cast(ended, tf.int32), rows

        start = [steps, tf.constant(0, tf.int32), rows]
        _, finished, rows = tf.while_loop(going, segment, start)
        return rows.stack(), finished

    def order(self, base: Any, epoch: Any) -> Any:
        """The row numbers of an epoch, from 0, in the order in which they are seen: (n,) int32."""
        seed = tf.stack([base, epoch])
        if self.fused:  # XLA has no shuffle
            return tf.argsort(tf.random.stateless_uniform([self.size], seed, minval=None, maxval=None, dtype=tf.int32))
        return tf.random.experimental.stateless_shuffle(tf.range(self.size, dtype=tf.int32), seed)

    def _steps(self, data: tuple[Any, ...], epoch: Any, into: Any, count: Any) -> None:
        """`count` steps of one epoch, beginning with its step number `into`."""
        inputs, targets, batch = data[0], data[1], self.plan.batch_size
        if self.whole:
            self._while(lambda number: self._step(inputs, targets), into, into + count)
            return
        order = self.order(self.bases[0], epoch)

        def step(number: Any, length: int | None = None) -> None:
            end = tf.minimum((number + 1) * batch, self.size)
            rows = order[number * batch : end] if length is None else tf.slice(order, [number * batch], [length])
            self._step(tf.gather(inputs, rows), tf.gather(targets, rows))

        if not self.fused:
            self._while(step, into, into + count)
            return
        # XLA wants to know the size of a batch: a smaller last one is a step of its own.
        full, left = divmod(self.size, batch)
        self._while(partial(step, length=batch), into, tf.minimum(into + count, full))
        if left:
            last = (into + count > full) & self._sound()
            tf.cond(last, lambda: self._while(partial(step, length=left), full, full + 1), lambda: None)

    def block(self, inputs: Any, targets: Any, count: Any) -> None:
        """`count` steps on the rows of a block, in their order."""
        batch = self.plan.batch_size

        def step(number: Any) -> None:
            self._step(inputs[number * batch : (number + 1) * batch], targets[number * batch : (number + 1) * batch])

        self._while(step, tf.constant(0, tf.int64), count)

    def _while(self, step: Any, number: Any, end: Any) -> None:
        """`step` of each number below `end`, as long as the loss is finite."""

        def body(number: Any) -> Any:
            step(number)
            return number + 1

        tf.while_loop(lambda number: (number < end) & self._sound(), body, [tf.cast(number, tf.int64)])

    def _sound(self) -> Any:
        return self.loop["bad_step"].value() == 0

    def _step(self, x: Any, y: Any) -> None:
        plan, number = self.plan, self.loop["step"].value()
        self._seed(number)
        x, mixed = self.augmented(x)
        if plan.schedule is not None:
            progress = tf.cast(number, tf.float32) / float(plan.steps)
            self.optimizer.learning_rate.assign(self.lr * plan.schedule(progress))
        with tf.GradientTape() as tape:
            logits, losses = self.forward(x, y, training=True, mixed=mixed)
            scaled = self.optimizer.scale_loss(losses[0])
        self.apply(*tape.gradient(scaled, self.trainable))
        self.measure(self.epoch_figures, y, logits, losses)
        if self.step_figures is not None:
            self.measure(self.step_figures, y, logits, losses)
            due = (number + 1) % plan.log_every == 0
            tf.cond(due, lambda: self._log(number + 1), lambda: tf.constant(0))
        self.loop["step"].assign(number + 1)
        bad = ~tf.math.is_finite(losses[0])
        self.loop["bad_step"].assign(tf.where(bad, number + 1, self.loop["bad_step"].value()))

    def _apply(self, *gradients: Any) -> None:
        self.optimizer.apply(gradients, self.trainable)

    @staticmethod
    def take(array: Any, rows: Any) -> Any:
        return tf.gather(array, rows)

    def with_penalties(self, loss: Any) -> Any:
        added = self.model.losses
        return loss + tf.add_n([tf.cast(penalty, tf.float32) for penalty in added]) if added else loss

    def _seed(self, step: Any) -> None:
        """Every random number of a step follows from (seed, purpose, step)."""
        states = [*self.seeds, *(generator.state for generator in self.generators)]
        for number, variable in enumerate(states, 1):
            first = tf.cast(step + self.bases[number], tf.uint32)
            variable.assign(tf.stack([first, tf.zeros((), tf.uint32)]))

    def results(self, figures: Figures | None = None) -> list[Any]:
        """The figures counted so far, those of the epoch if none are given; they start over."""
        figures = figures or self.epoch_figures
        values = [tf.cast(metric.result(), tf.float32) for metric in figures.all]
        with tf.control_dependencies(values):
            for metric in figures.all:
                metric.reset_state()
        return values

    def _log(self, step: Any) -> Any:
        """Keep the row of `log_every` that ends at a step."""
        rate = tf.cast(self.optimizer.learning_rate.value, tf.float32)
        row = tf.stack([*self.results(self.step_figures), rate])
        self.log.scatter_nd_update([[tf.cast(self.slot(step), tf.int32)]], [row])
        return tf.constant(0)

    def _epoch_end(self, data: tuple[Any, ...]) -> Any:
        """Validate, keep the best weights, test for stopping; returns the epoch's row."""
        figures = tf.stack(self.results())
        if self.validated:
            self.evaluate(data[2], data[3])
        return self.end(figures)

    def end(self, figures: Any) -> Any:
        """What follows the validation, with the train figures; returns the epoch's row."""
        loop = self.loop
        loop["epochs"].assign_add(1)
        if self.validated:
            validation = tf.stack(self.results())
            loop["bad_step"].assign(
                tf.where(tf.math.is_finite(validation[0]), loop["bad_step"].value(), loop["step"].value())
            )
            figures = tf.concat([figures, validation], axis=0)
        row = tf.concat([figures, tf.cast(self.optimizer.learning_rate.value, tf.float32)[None]], axis=0)
        self._keep_best(row)
        return tf.ensure_shape(row, (len(self.columns),))

    def evaluate(self, inputs: Any, targets: Any) -> None:
        """Count the loss and the metrics of these examples, in batches."""
        batch = max(self.plan.batch_size, 128)

        def count(start: Any, length: int | None = None) -> None:
            if length is None:
                x, y = inputs[start : start + batch], targets[start : start + batch]
            else:
                x, y = _slice(inputs, start, length), _slice(targets, start, length)
            self.measure(self.epoch_figures, y, *self.forward(x, y, training=False))

        def each(start: Any, end: Any, by: int, length: int | None = None) -> None:
            def body(start: Any) -> Any:
                count(start, length)
                return start + by

            tf.while_loop(lambda start: start < end, body, [tf.constant(start, tf.int64)])

        if not self.fused:
            each(0, tf.shape(targets, tf.int64)[0], batch)
            return
        size = int(targets.shape[0])
        whole, left = size // batch * batch, size % batch
        if whole:
            each(0, whole, batch, batch)
        if left:
            count(whole, left)

    def _keep_best(self, row: Any) -> None:
        """A NaN compares as false, so it is never best; nor are weights that the last step left not finite."""
        loop, plan = self.loop, self.plan
        figure = row[self.columns.index(plan.monitor)]
        sound = tf.reduce_all([tf.reduce_all(tf.math.is_finite(tf.cast(v.value, tf.float32))) for v in self.trainable])
        loop["bad_step"].assign(tf.where(sound, loop["bad_step"].value(), loop["step"].value()))

        def better(than: Any, by: float) -> Any:
            return sound & tf.math.is_finite(figure) & ((figure > than + by) if plan.maximize else (figure < than - by))

        def keep() -> Any:
            loop["best"].assign(figure)
            loop["best_epoch"].assign(loop["epochs"].value())
            for best, weight in zip(self.best, self.weights, strict=True):
                best.assign(weight.value)
            return tf.constant(0)

        tf.cond(better(loop["best"].value(), 0.0), keep, lambda: tf.constant(0))
        if plan.plateau is not None:
            self._plateau(plan.plateau, better, figure)
        if plan.patience is not None:
            waited = self._wait("stop_best", "waited", better, figure, plan.min_delta)
            loop["stopped"].assign(waited >= plan.patience)
        if plan.stop_at:
            loop["stopped"].assign(loop["stopped"].value() | tf.reduce_all(self.reached(row)))

    def _wait(self, best: str, waited: str, better: Any, figure: Any, min_delta: float) -> Any:
        """For how many epochs the figure has not improved; keeps the best one and the count under their names."""
        loop = self.loop
        improved = better(loop[best].value(), min_delta)
        count = tf.where(improved, tf.constant(0, tf.int64), loop[waited].value() + 1)
        loop[best].assign(tf.where(improved, figure, loop[best].value()))
        loop[waited].assign(count)
        return count

    def _plateau(self, plateau: Plateau, better: Any, figure: Any) -> None:
        """Lower the rate when the figure has not improved for long enough."""
        loop, lr = self.loop, self.lr
        lowers = self._wait("plateau_best", "plateau_waited", better, figure, plateau.min_delta) >= plateau.patience
        rate = tf.where(lowers, tf.maximum(loop["rate"].value() * plateau.factor, plateau.min_lr / lr), loop["rate"])
        loop["rate"].assign(tf.minimum(rate, loop["rate"].value()))
        loop["plateau_waited"].assign(tf.where(lowers, tf.constant(0, tf.int64), loop["plateau_waited"].value()))
        self.optimizer.learning_rate.assign(lr * loop["rate"].value())


def _slice(rows: Any, start: Any, length: int) -> Any:
    """`length` rows from `start`, in a way that lets XLA know how many they are."""
    first = tf.stack([tf.cast(start, tf.int64), *(tf.constant(0, tf.int64) for _ in rows.shape[1:])])
    return tf.slice(rows, first, tf.constant([length, *rows.shape[1:]], tf.int64))
