"""Training on inputs that stay on disk: blocks are read ahead while others train."""

from __future__ import annotations

import collections
import contextlib
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from dlx.engine.plan import Block, Chunk, Plan, Program, seed_of
from dlx.errors import DlxError

BLOCK_BYTES = 16 * 2**20


def blocks(program: Program, plan: Plan, chunk_steps: int | None) -> Generator[Chunk, None, None]:
    """A Chunk for each block of inputs that stay on disk: blocks are read ahead, in the same order, while others train.

    Where a file cannot be read any more, the weights so far are yielded before the error.
    """
    pieces, source = program.pieces, _Source(program, plan)
    length = chunk_steps or max(1, min(64, BLOCK_BYTES // (source.example_bytes * plan.batch_size)))
    state, resumable = program.state, True
    cuts = list(_cuts(plan, source.size, length, int(program.counters(state)["step"])))
    began = time.perf_counter()
    try:
        with contextlib.closing(_ahead(source.train_block, cuts)) as train_blocks:
            for (step, count), block in zip(cuts, train_blocks, strict=True):
                state = pieces.train(state, block, count)
                rows, ended = [], step + count == plan.steps or (step + count) % plan.steps_per_epoch == 0
                if ended and not program.counters(state)["bad_step"]:
                    resumable = False
                    state, figures = pieces.reset_metrics(state)
                    with contextlib.closing(_ahead(source.validation_block, source.validation_starts)) as held_out:
                        for examples in held_out:
                            state = pieces.evaluate(state, examples)
                    state, row = pieces.end(state, figures)
                    rows.append(row)
                    resumable = True
                array = np.reshape(rows, (len(rows), len(program.columns)))
                yield Chunk(state, array, program.counters(state), time.perf_counter() - began)
                began = time.perf_counter()
    except DlxError:
        nothing = np.empty((0, len(program.columns)))
        yield Chunk(state, nothing, program.counters(state), time.perf_counter() - began, resumable)
        raise


class _Source:
    """The examples of a program in blocks: train in the order of each epoch, validation from its beginning."""

    def __init__(self, program: Program, plan: Plan) -> None:
        self._plan, self._order = plan, program.pieces.order
        self._inputs, self._targets, *self._validation = program.data
        self._orders: dict[int, np.ndarray] = {}
        self.example_bytes = max(1, int(math.prod(self._inputs.shape[1:]) * self._inputs.dtype.itemsize))
        self.size = len(self._targets)
        batch = max(plan.batch_size, 128)
        self._most = max(1, BLOCK_BYTES // (self.example_bytes * batch)) * batch
        self.validation_starts = range(0, len(self._validation[1]) if self._validation else 0, self._most)

    def train_block(self, cut: tuple[int, int]) -> Block:
        """The examples of a number of steps from a step on."""
        (step, count), plan = cut, self._plan
        epoch, into = divmod(step, plan.steps_per_epoch)
        if epoch not in self._orders:
            self._orders.clear()
            self._orders[epoch] = self._order(seed_of(plan.seed, "order"), epoch)
        rows = self._orders[epoch][into * plan.batch_size : (into + count) * plan.batch_size]
        return self._inputs[rows], self._targets[rows]

    def validation_block(self, start: int) -> Block:
        """The validation examples from a row on."""
        inputs, targets = self._validation
        return inputs[start : start + self._most], targets[start : start + self._most]


def _cuts(plan: Plan, size: int, length: int, step: int) -> Iterator[tuple[int, int]]:
    """(first step, steps) of every block; none goes beyond an epoch, and a smaller last batch has one of its own."""
    while step < plan.steps:
        into = step % plan.steps_per_epoch
        whole = size // plan.batch_size
        count = min(length, plan.steps - step, max(whole - into, 1))
        yield step, count
        step += count


def _ahead(read: Callable[[Any], Block], items: Sequence[Any], depth: int = 2) -> Generator[Block, None, None]:
    """`read` of each item, in order; a thread reads `depth` of them ahead."""
    pending: collections.deque[Future[Block]] = collections.deque()
    with ThreadPoolExecutor(1) as reader:
        try:
            for item in items:
                pending.append(reader.submit(read, item))
                if len(pending) > depth:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
