"""The loop on JAX: pure functions from state to state, for jitting with donated buffers and the data on the device.

The state is a flat mapping of names to arrays. Shapes are fixed, so the last, smaller batch of an epoch is a step
of its own, compiled beside the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from dlx.engine.jax_devices import devices
from dlx.engine.loop import Figures, Loop
from dlx.engine.plan import LOG_ROWS, ROWS, Keep, Plan, State
from dlx.parts import penalties
from dlx.parts.schedules import Plateau
from dlx.system.backend import keras

Arrays = dict[str, Any]
LOG = "log"  # the rows of `log_every`, which no checkpoint keeps


class JaxLoop(Loop):
    """The variables of a training, and the pure functions over their values."""

    def __init__(self, network: Any, optimizer: Any, plan: Plan, validated: bool, size: int) -> None:
        super().__init__(network, optimizer, plan, validated, size)
        self.devices = devices()
        # On a CPU, XLA's gradients of convolutions are 30 times slower inside a loop than outside.
        self.stepwise = jax.default_backend() == "cpu" and _convolves(self.model)
        self.fresh = {f"accumulators/{n}": jnp.array(v.value) for n, v in enumerate(self.counted)}
        rate = optimizer.learning_rate
        self.rate = next(f"optimizer/{n}" for n, v in enumerate(optimizer.variables) if v is rate)
        self.side_by_side: dict[bool, Any] = {}  # what is compiled for lanes of one seed, or of several
        self.own_strengths = [float(variable.value) for variable in self.strengths]
        self.counters = ("step", "epochs", "best_epoch", "bad_step", "stopped")
        self.named = {
            **{f"weights/{n}": v for n, v in enumerate(self.weights)},
            **{f"optimizer/{n}": v for n, v in enumerate(optimizer.variables)},
            **{f"accumulators/{n}": v for n, v in enumerate(self.counted)},
            **{f"strengths/{n}": v for n, v in enumerate(self.strengths)},
        }
        self.place = {id(variable): name for name, variable in self.named.items()}

    def state(self, network: Any, optimizer: Any, plan: Plan) -> Arrays:
        """Every array that a training begins with, by name; copies, because their buffers are given away."""
        loop = {
            **{name: jnp.array(value) for name, value in self.start().items()},
            "lr": jnp.float32(plan.lr),
            "bases": jnp.array(self.seeds_of(plan), jnp.uint32),
        }
        weights = network.logits.weights
        if network is self.network:  # its penalties have these very variables
            for variable, strength in zip(self.strengths, self.own_strengths, strict=True):
                variable.assign(strength)
        else:
            penalties.retune(self.strengths, network.logits.trainable_variables)
        state: Arrays = self.devices.place({
            **{f"weights/{n}": jnp.array(variable.value) for n, variable in enumerate(weights)},
            **{f"best/{n}": jnp.array(variable.value) for n, variable in enumerate(weights)},
            **{f"optimizer/{n}": jnp.array(variable.value) for n, variable in enumerate(optimizer.variables)},
            **{name: jnp.array(value) for name, value in self.fresh.items()},
            **{f"strengths/{n}": jnp.array(variable.value) for n, variable in enumerate(self.strengths)},
            **{f"loop/{name}": value for name, value in loop.items()},
            **({LOG: jnp.zeros((LOG_ROWS, len(self.log_columns)))} if plan.log_every else {}),
        })  # fmt: skip
        return state

    def restore(self, network: Any, state: State, keep: Keep) -> None:
        """Put the best weights into a network, or the last ones; these also when no epoch had a finite figure."""
        kind = "best" if keep == "best" and int(state["loop/best_epoch"]) else "weights"
        for number, weight in enumerate(network.logits.weights):
            weight.assign(self.devices.here(state[f"{kind}/{number}"]))

    def scope(self, state: State, more: Sequence[tuple[Any, Any]] = ()) -> Any:
        """Within it Keras's variables have the values of the state, and an assignment changes only the scope."""
        known = [(variable, state[name]) for name, variable in self.named.items()]
        return keras.StatelessScope(state_mapping=[*known, *more], collect_losses=True)

    def chunk(self, state: Arrays, data: tuple[Any, ...], steps: Any) -> Any:
        """Up to `steps` steps; returns the state, rows (ROWS, columns) float32, and how many are epochs finished."""
        plan = self.plan

        def going(carry: Any) -> Any:
            state, left, _, _ = carry
            return (left > 0) & ~state["loop/stopped"] & (state["loop/bad_step"] == 0)

        def segment(carry: Any) -> Any:
            state, left, finished, rows = carry
            before = state["loop/step"]
            into = before % plan.steps_per_epoch
            count = jnp.minimum(jnp.minimum(left, plan.steps_per_epoch - into), plan.steps - before)
            state = self._steps(state, data, before // plan.steps_per_epoch, into, count)
            after = state["loop/step"]
            ended = (after % plan.steps_per_epoch == 0) | (after >= plan.steps)
            ended &= state["loop/bad_step"] == 0
            nothing = jnp.zeros((len(self.columns),), jnp.float32)
            state, row = lax.cond(ended, lambda s: self.epoch_end(s, data), lambda s: (s, nothing), state)
            rows = lax.dynamic_update_index_in_dim(rows, row, finished, 0)
            return state, left - count, finished + ended.astype(jnp.int32), rows

        rows = jnp.zeros((ROWS, len(self.columns)), jnp.float32)
        state, _, finished, rows = lax.while_loop(going, segment, (state, steps, jnp.int32(0), rows))
        return state, rows, finished

    def order(self, base: Any, epoch: Any) -> Any:
        """The row numbers of an epoch, from 0, in the order in which they are seen: (n,) int32."""
        key = jax.random.fold_in(jax.random.key(base), epoch)
        return jax.random.permutation(key, self.size)

    def _steps(self, state: Arrays, data: tuple[Any, ...], epoch: Any, into: Any, count: Any) -> Arrays:
        """`count` steps of one epoch, beginning with its step number `into`."""
        batch = self.plan.batch_size
        if self.whole:
            return self.step(state, data[0], data[1])
        order, full = self.order(state["loop/bases"][0], epoch), self.size // batch

        def going(carry: Any) -> Any:
            state, number = carry
            return (number < jnp.minimum(into + count, full)) & (state["loop/bad_step"] == 0)

        def step(carry: Any) -> Any:
            state, number = carry
            return self.picked(state, data, order, number, batch), number + 1

        state, _ = lax.while_loop(going, step, (state, into))
        if left := self.size % batch:
            last = (into + count > full) & (state["loop/bad_step"] == 0)
            state = lax.cond(last, lambda s: self.picked(s, data, order, jnp.int32(full), left), lambda s: s, state)
        return state

    def picked(self, state: Arrays, data: tuple[Any, ...], order: Any, number: Any, length: int) -> Arrays:
        """Step `number` of an epoch, on the `length` rows that the order gives it."""
        if self.whole:
            return self.step(state, data[0], data[1])
        rows = self.devices.spread(lax.dynamic_slice_in_dim(order, number * self.plan.batch_size, length))
        return self.step(state, jnp.take(data[0], rows, axis=0), jnp.take(data[1], rows, axis=0))

    def block(self, state: Arrays, inputs: Any, targets: Any, count: Any) -> Arrays:
        """`count` steps on the rows of a block, in their order."""
        batch = self.plan.batch_size

        def going(carry: Any) -> Any:
            state, number = carry
            return (number < count) & (state["loop/bad_step"] == 0)

        def step(carry: Any) -> Any:
            state, number = carry
            x, y = (lax.dynamic_slice_in_dim(rows, number * batch, batch) for rows in (inputs, targets))
            return self.step(state, x, y), number + 1

        state, _ = lax.while_loop(going, step, (state, jnp.int32(0)))
        return state

    def step(self, state: Arrays, x: Any, y: Any) -> Arrays:
        """One step on a batch."""
        plan, number = self.plan, state["loop/step"]
        x, y = self.devices.spread(x), self.devices.spread(y)
        if plan.schedule is not None:
            progress = number.astype(jnp.float32) / float(plan.steps)
            rate = state["loop/lr"] * plan.schedule(progress)
            state = {**state, self.rate: jnp.asarray(rate, state[self.rate].dtype)}
        seeds = self._seeds(number, state["loop/bases"])
        with self.scope(state, seeds):
            x, mixed = self.augmented(x)
        names = [self.place[id(variable)] for variable in self.model.trainable_variables]

        def loss(values: list[Any]) -> Any:
            merged = {**state, **dict(zip(names, values, strict=True))}
            with self.scope(merged, seeds) as scope:
                logits, losses = self.forward(x, y, training=True, mixed=mixed)
                scaled = self.optimizer.scale_loss(losses[0])
                changed = self._changed(merged, scope, "weights")
            return scaled, (logits, losses, changed)

        (_, (logits, losses, changed)), gradients = jax.value_and_grad(loss, has_aux=True)([state[n] for n in names])
        state = {**state, **{name: value for name, value in changed.items() if name not in names}}
        slots = [state[f"optimizer/{n}"] for n in range(len(self.optimizer.variables))]
        values, slots = self.optimizer.stateless_apply(slots, gradients, [state[name] for name in names])
        state |= dict(zip(names, values, strict=True))
        state |= {f"optimizer/{n}": value for n, value in enumerate(slots)}
        state = self._count(state, y, logits, losses)
        if plan.log_every:
            state = lax.cond((number + 1) % plan.log_every == 0, lambda s: self._log(s, number + 1), dict, state)
        state["loop/step"] = jnp.where(state["loop/bad_step"] > 0, number, number + 1)
        first = ~jnp.isfinite(losses[0]) & (state["loop/bad_step"] == 0)
        state["loop/bad_step"] = jnp.where(first, number + 1, state["loop/bad_step"])
        return state

    def _changed(self, state: Arrays, scope: Any, kind: str) -> Arrays:
        """The values that the variables of one kind have at the end of a scope."""
        values = {}
        for name, variable in self.named.items():
            if name.startswith(f"{kind}/"):
                value = scope.get_current_value(variable)
                values[name] = state[name] if value is None else value
        return values

    def _seeds(self, step: Any, bases: Any) -> list[tuple[Any, Any]]:
        """Every random number of a step follows from (seed, purpose, step)."""
        variables = [*self.seeds, *(generator.state for generator in self.generators)]
        first = step.astype(jnp.uint32) + bases[1:]
        pairs = jnp.stack([first, jnp.zeros_like(first)], axis=1)
        return [(variable, pair.astype(variable.dtype)) for variable, pair in zip(variables, pairs, strict=True)]

    @staticmethod
    def take(array: Any, rows: Any) -> Any:
        return jnp.take(array, rows, axis=0)

    def with_penalties(self, loss: Any) -> Any:
        added = [jnp.asarray(penalty, jnp.float32) for penalty in self.model.losses]
        return loss + sum(added, jnp.float32(0.0))

    def _count(self, state: Arrays, y: Any, logits: Any, losses: tuple[Any, Any], training: bool = True) -> Arrays:
        with self.scope(state) as scope:
            self.measure(self.epoch_figures, y, logits, losses)
            if training and self.step_figures is not None:
                self.measure(self.step_figures, y, logits, losses)
        return {**state, **self._changed(state, scope, "accumulators")}

    def results(self, state: Arrays, figures: Figures | None = None) -> tuple[Arrays, Any]:
        """The figures counted so far, those of the epoch if none are given; they start over."""
        figures = figures or self.epoch_figures
        with self.scope(state):
            values = [jnp.asarray(metric.result(), jnp.float32) for metric in figures.all]
        places = {self.place[id(variable)] for variable in figures.variables}
        return {**state, **{name: self.fresh[name] for name in places}}, jnp.stack(values)

    def _log(self, state: Arrays, step: Any) -> Arrays:
        """Keep the row of `log_every` that ends at a step."""
        state, figures = self.results(state, self.step_figures)
        row = jnp.concatenate([figures, state[self.rate].astype(jnp.float32)[None]])
        return {**state, LOG: lax.dynamic_update_index_in_dim(state[LOG], row, self.slot(step), 0)}

    def epoch_end(self, state: Arrays, data: tuple[Any, ...]) -> tuple[Arrays, Any]:
        """Validate, keep the best weights, test for stopping; returns the state and the epoch's row."""
        state, figures = self.results(state)
        if self.validated:
            state = self.evaluate(state, data[2], data[3])
        return self.end(state, figures)

    def end(self, state: Arrays, figures: Any) -> tuple[Arrays, Any]:
        """What follows the validation, with the train figures; returns the state and the epoch's row."""
        state = {**state, "loop/epochs": state["loop/epochs"] + 1}
        if self.validated:
            state, validation = self.results(state)
            bad = ~jnp.isfinite(validation[0])
            state["loop/bad_step"] = jnp.where(bad, state["loop/step"], state["loop/bad_step"])
            figures = jnp.concatenate([figures, validation])
        row = jnp.concatenate([figures, state[self.rate].astype(jnp.float32)[None]])
        return self._keep_best(state, row), row

    def evaluate(self, state: Arrays, inputs: Any, targets: Any) -> Arrays:
        """Count the loss and the metrics of these examples, in batches."""
        size = len(targets)
        batch = min(max(self.plan.batch_size, 128), size)

        def count(state: Arrays, start: Any, length: int) -> Arrays:
            x, y = (self.devices.spread(lax.dynamic_slice_in_dim(a, start, length)) for a in (inputs, targets))
            with self.scope(state):
                logits, losses = self.forward(x, y, training=False)
            return self._count(state, y, logits, losses, training=False)

        state = lax.fori_loop(0, size // batch, lambda number, counted: count(counted, number * batch, batch), state)
        return count(state, size - size % batch, size % batch) if size % batch else state

    def _keep_best(self, state: Arrays, row: Any) -> Arrays:
        """A NaN compares as false, so it is never best; nor are weights that the last step left not finite."""
        plan, figure = self.plan, row[self.columns.index(self.plan.monitor)]
        trainable = [state[self.place[id(v)]] for v in self.model.trainable_variables]
        sound = jnp.all(jnp.stack([jnp.all(jnp.isfinite(value)) for value in trainable]))
        state = {**state, "loop/bad_step": jnp.where(sound, state["loop/bad_step"], state["loop/step"])}

        def better(than: Any, by: float) -> Any:
            return sound & jnp.isfinite(figure) & ((figure > than + by) if plan.maximize else (figure < than - by))

        def keep(state: Arrays) -> Arrays:
            kept = {f"best/{n}": state[f"weights/{n}"] for n in range(len(self.weights))}
            return {**state, **kept, "loop/best": figure, "loop/best_epoch": state["loop/epochs"]}

        state = lax.cond(better(state["loop/best"], 0.0), keep, lambda same: same, state)
        if plan.plateau is not None:
            state = self._plateau(plan.plateau, state, better, figure)
        if plan.patience is not None:
            state = self._wait(state, "stop_best", "waited", better, figure, plan.min_delta)
            state["loop/stopped"] = state["loop/waited"] >= plan.patience
        if plan.stop_at:
            state["loop/stopped"] |= jnp.all(jnp.stack(self.reached(row)))
        return state

    def _wait(self, state: Arrays, best: str, waited: str, better: Any, figure: Any, min_delta: float) -> Arrays:
        """Keeps the best figure, and for how many epochs it has not improved, under their names."""
        previous = state[f"loop/{best}"]
        improved = better(previous, min_delta)
        count = jnp.where(improved, 0, state[f"loop/{waited}"] + 1)
        return {**state, f"loop/{waited}": count, f"loop/{best}": jnp.where(improved, figure, previous)}

    def _plateau(self, plateau: Plateau, state: Arrays, better: Any, figure: Any) -> Arrays:
        """Lower the rate when the figure has not improved for long enough."""
        lr = state["loop/lr"]
        state = self._wait(state, "plateau_best", "plateau_waited", better, figure, plateau.min_delta)
        lowers = state["loop/plateau_waited"] >= plateau.patience
        before = state["loop/rate"]
        lowered = jnp.minimum(jnp.maximum(before * plateau.factor, plateau.min_lr / lr), before)
        state["loop/rate"] = jnp.where(lowers, lowered, before)
        state["loop/plateau_waited"] = jnp.where(lowers, 0, state["loop/plateau_waited"])
        state[self.rate] = (lr * state["loop/rate"]).astype(state[self.rate].dtype)
        return state


def _convolves(model: Any) -> bool:
    """Whether a layer, or one inside of a layer, is a convolution."""
    inner = [
        *getattr(model, "layers", ()),
        *(getattr(model, name, None) for name in ("layer", "forward_layer", "cell")),
    ]
    return "Conv" in type(model).__name__ or any(_convolves(layer) for layer in inner if layer is not None)
