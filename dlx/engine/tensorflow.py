"""A training compiled on TensorFlow: the loop's functions as graphs, in a Program."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from dlx.data.dataset import Stream
from dlx.engine.plan import ROWS, Block, Pieces, Plan, Program, State, plain_array
from dlx.engine.tensorflow_loop import TensorFlowLoop


def compile_program(network: Any, optimizer: Any, plan: Plan, train: Any, validation: Any) -> Program:
    """See engine.fit.compile_program. train: (inputs, targets), arrays or streams; validation too, or None."""
    loop = TensorFlowLoop(network, optimizer, plan, validation is not None, len(train[1]))
    data = (*train, *(validation or ()))
    if not any(isinstance(array, Stream) for array in data):
        data = tuple(tf.convert_to_tensor(np.asarray(array)) for array in data)
    compiled = tf.function(loop.chunk, autograph=False, jit_compile=loop.fused)

    def chunk(state: State, data: tuple[Any, ...], steps: int) -> tuple[State, np.ndarray]:
        most = min(steps, (ROWS - 2) * plan.steps_per_epoch)
        rows, finished = compiled(data, tf.constant(most, tf.int64))
        return state, rows.numpy()[: int(finished)]

    def counters(state: State) -> dict[str, float]:
        return {name: float(state[f"loop/{name}"].numpy()) for name in loop.loop}

    pieces = _pieces(loop, train)

    def reuse(network: Any, optimizer: Any, plan: Plan) -> Program:
        loop.begin(network, optimizer, plan)
        return program()

    def program() -> Program:
        return Program(
            state=loop.state(),
            data=data,
            chunk=chunk,
            columns=loop.columns,
            counters=counters,
            restore=lambda state, keep: loop.restore(keep),
            logged=lambda state, step, end: loop.logged(loop.log.numpy(), step, end),
            log_columns=loop.log_columns,
            weights=lambda state: [plain_array(weight.numpy()) for weight in loop.weights],
            pieces=pieces,
            reuse=reuse,
            save=lambda state: {name: plain_array(variable.numpy()) for name, variable in state.items()},
            load=loop.load,
            compiled=loop.fused,
        )

    return program()


def _pieces(loop: TensorFlowLoop, train: Any) -> Pieces:
    """The parts of an epoch as functions of their own; each is compiled when it is first called."""
    x, y = (tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in train)
    count, figures = tf.TensorSpec((), tf.int64), tf.TensorSpec((None,), tf.float32)
    train_block = tf.function(loop.block, input_signature=[x, y, count], autograph=False)
    reset = tf.function(lambda: tf.stack(loop.results()), input_signature=[], autograph=False)
    evaluate = tf.function(loop.evaluate, input_signature=[x, y], autograph=False)
    end = tf.function(loop.end, input_signature=[figures], autograph=False)

    def trained(state: State, block: Block, steps: int) -> State:
        train_block(*block, tf.constant(steps, tf.int64))
        return state

    def evaluated(state: State, block: Block) -> State:
        evaluate(*block)
        return state

    return Pieces(
        order=lambda base, epoch: (
            np.arange(loop.size)
            if loop.whole
            else loop.order(tf.constant(base, tf.int64), tf.constant(epoch, tf.int64)).numpy()
        ),
        train=trained,
        reset_metrics=lambda state: (state, reset()),
        evaluate=evaluated,
        end=lambda state, figures: (state, end(figures).numpy()),
    )
