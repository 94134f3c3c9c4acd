"""A training compiled on JAX: the loop's functions, jitted, as a Program.

Of a convolutional network on a CPU each step is a call of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dlx.data.dataset import Stream, padded
from dlx.engine.jax_lanes import lanes
from dlx.engine.jax_loop import LOG, JaxLoop
from dlx.engine.plan import ROWS, Block, Pieces, Plan, Program, State, plain_array


def compile_program(network: Any, optimizer: Any, plan: Plan, train: Any, validation: Any) -> Program:
    """See engine.fit.compile_program. train: (inputs, targets), arrays or streams; validation too, or None."""
    loop = JaxLoop(network, optimizer, plan, validation is not None, len(train[1]))
    data = (*train, *(validation or ()))
    if not any(isinstance(array, Stream) for array in data):
        data = tuple(loop.devices.place(jnp.asarray(np.asarray(array))) for array in data)
    compiled = _jitted(loop)(loop.chunk)

    def chunk(state: State, data: tuple[Any, ...], steps: int) -> tuple[State, np.ndarray]:
        most = min(steps, (ROWS - 2) * plan.steps_per_epoch)
        state, rows, finished = compiled(dict(state), data, np.int32(most))
        return state, np.asarray(rows)[: int(finished)]

    def counters(state: State) -> dict[str, float]:
        counters = jax.device_get({name: state[f"loop/{name}"] for name in loop.counters})
        return {name: float(value) for name, value in counters.items()}

    alone = loop.stepwise or loop.devices.count > 1 or any(isinstance(array, Stream) for array in data)
    call, pieces = _by_steps(loop) if loop.stepwise else chunk, _pieces(loop)

    def reuse(network: Any, optimizer: Any, plan: Plan) -> Program:
        optimizer.build(network.logits.trainable_variables)
        restore, begun = partial(loop.restore, network), loop.state(network, optimizer, plan)
        kinds = {name: value.dtype for name, value in begun.items()}

        def load(arrays: Mapping[str, np.ndarray]) -> State:
            # Copies: the buffers of `begun` are given away by the first chunk.
            fresh = loop.state(network, optimizer, plan)
            return {**fresh, **{name: loop.devices.array(value, kinds[name]) for name, value in arrays.items()}}

        return Program(
            state=begun,
            data=data,
            chunk=call,
            columns=loop.columns,
            counters=counters,
            restore=restore,
            logged=lambda state, step, end: loop.logged(np.asarray(state[LOG]), step, end),
            log_columns=loop.log_columns,
            weights=lambda state: [plain_array(state[f"weights/{n}"]) for n in range(len(loop.weights))],
            pieces=pieces,
            reuse=reuse,
            save=_saved,
            load=load,
            lanes=None if alone else partial(lanes, loop, data, network, optimizer),
        )

    return reuse(network, optimizer, plan)


def compile_forward(model: Any) -> Callable[[list[Any], Any], Any]:
    """The values of a model's variables, in their order, and a batch -> what the model makes of it, as it predicts."""
    order = {id(variable): place for place, variable in enumerate(model.variables)}
    trained = [order[id(variable)] for variable in model.trainable_variables]
    others = [order[id(variable)] for variable in model.non_trainable_variables]

    def compute(values: list[Any], x: Any) -> Any:
        mine, rest = [values[place] for place in trained], [values[place] for place in others]
        return model.stateless_call(mine, rest, x, training=False)[0]

    return jax.jit(compute)  # type: ignore[no-any-return]


def _jitted(loop: JaxLoop) -> Callable[[Any], Any]:
    """What compiles a function from state to state: the state's buffers are given away, and it stays on all devices."""
    return partial(jax.jit, donate_argnums=0, out_shardings=loop.devices.whole)


def _saved(state: State) -> dict[str, np.ndarray]:
    """A state as arrays of NumPy, without what no checkpoint keeps."""
    kept = {name: value for name, value in state.items() if name != LOG}
    return {name: plain_array(value) for name, value in jax.device_get(kept).items()}


def _pieces(loop: JaxLoop) -> Pieces:
    """The parts of an epoch as functions of their own; each is compiled when it is first called."""
    batch = loop.plan.batch_size
    block, step, evaluate, reset, end = map(
        _jitted(loop), (loop.block, loop.step, loop.evaluate, loop.results, loop.end)
    )
    order = jax.jit(loop.order)
    longest = 0

    def train(state: State, examples: Block, steps: int) -> State:
        nonlocal longest
        x, y = examples
        if loop.stepwise or len(y) < batch:  # also the smaller last batch of an epoch
            for number in range(steps):
                rows = slice(number * batch, (number + 1) * batch)
                state = step(state, x[rows], y[rows])
            return state
        longest = max(longest, len(y))
        trained: State = block(state, padded(x, longest), padded(y, longest), np.int32(steps))
        return trained

    def ended(state: State, figures: Any) -> tuple[State, np.ndarray]:
        state, row = end(state, figures)
        return state, np.asarray(row)

    return Pieces(
        order=lambda base, epoch: np.arange(loop.size) if loop.whole else np.asarray(order(jnp.uint32(base), epoch)),
        train=train,
        reset_metrics=reset,
        evaluate=lambda state, examples: evaluate(state, *examples),
        end=ended,
    )


def _by_steps(loop: JaxLoop) -> Callable[[State, tuple[Any, ...], int], tuple[State, np.ndarray]]:
    """A chunk whose steps are calls of their own: what a loop inside of a compiled function would make slow."""
    plan, (full, left) = loop.plan, divmod(loop.size, loop.plan.batch_size)
    order = jax.jit(loop.order)
    jit = _jitted(loop)
    steps = {length: jit(partial(loop.picked, length=length)) for length in (plan.batch_size, left)}
    end = jit(loop.epoch_end)
    orders: dict[tuple[int, int], Any] = {}

    def chunk(state: State, data: tuple[Any, ...], count: int) -> tuple[State, np.ndarray]:
        state, rows, number = dict(state), [], int(state["loop/step"])
        last = min(number + count, plan.steps)
        while number < last and not int(state["loop/bad_step"]) and not bool(state["loop/stopped"]):
            epoch, into = divmod(number, plan.steps_per_epoch)
            key = int(state["loop/bases"][0]), epoch
            if key not in orders:
                orders.clear()
                orders[key] = order(state["loop/bases"][0], epoch)
            for place in range(into, min(into + last - number, plan.steps_per_epoch)):
                length = plan.batch_size if place < full else left
                state = steps[length](state, data, orders[key], place)
                number += 1
            if (number % plan.steps_per_epoch == 0 or number == plan.steps) and not int(state["loop/bad_step"]):
                state, row = end(state, data)
                rows.append(np.asarray(row))
        return state, np.reshape(rows, (len(rows), len(loop.columns)))

    return chunk
