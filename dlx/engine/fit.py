"""Drives the compiled training loop, chunk after chunk.

A chunk is a number of steps done by one compiled call, `chunk(state, data, steps) -> state, rows`. It may be
part of an epoch or span several: validation, best weights and the stopping test happen inside it, and it
returns a row for each epoch that it finished. No figure depends on how long the chunks are.

Every random number is a function of (seed, purpose, epoch or step), so there is no random state to keep.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dlx.data.dataset import Stream
from dlx.engine.plan import Chunk, Plan, Program, Progress, State
from dlx.engine.streaming import blocks
from dlx.errors import DivergenceError
from dlx.system import backend, hosts

CHUNK_SECONDS = 0.25


def compile_program(network: Any, optimizer: Any, plan: Plan, train: Any, validation: Any) -> Program:
    """The program of a network for the backend that is loaded; train and validation: (inputs, targets)."""
    loop = importlib.import_module(f"dlx.engine.{backend.load().backend}")
    program: Program = loop.compile_program(network, optimizer, plan, train, validation)
    return program


def with_state(program: Program, arrays: Mapping[str, np.ndarray]) -> Program:
    """The program with the state that `save` gave of it or of its like, to continue from there.

    Raises ValueError where the arrays are not those of the program, by name and shape.
    """
    expected = program.save(program.state)
    planned = ("loop/lr", "loop/bases")  # of one backend, and decided by the plan
    missing = [n for n in expected if n not in arrays and n not in planned and not n.startswith("strengths/")]
    unknown = [n for n in arrays if n not in expected and n.split("/")[0] != "loop"]
    if missing or unknown:
        raise ValueError(f"{(missing or unknown)[0]} is {'not there' if missing else 'no array of this network'}")
    for name, value in arrays.items():
        wanted = expected.get(name)
        if wanted is not None and (value.shape != wanted.shape or value.dtype.kind not in "biuf"):
            raise ValueError(f"{name} is {value.dtype} {value.shape}, expected {wanted.dtype} {wanted.shape}")
    state = program.load({n: arrays[n].astype(array.dtype) for n, array in expected.items() if n in arrays})
    return replace(program, state=state)


def fit(program: Program, plan: Plan, chunk_steps: int | None = None, carried: float = 0.0) -> Iterator[Progress]:
    """Train from the program's state on; yields after every chunk.

    Raises DivergenceError at the first loss that is not finite. `chunk_steps` fixes the length of the chunks; without
    it a call lasts about a quarter of a second. `carried` are the seconds that an unfinished epoch has taken before.
    """
    begun = program.counters(program.state)
    if begun["stopped"] or begun["step"] >= plan.steps:
        return
    streamed = any(isinstance(array, Stream) for array in program.data)
    chunks = blocks(program, plan, chunk_steps) if streamed else _chunks(program, plan, chunk_steps)
    clock, step = Clock(carried), int(begun["step"])
    with contextlib.closing(chunks):
        for chunk in chunks:
            counters = chunk.counters
            before, step = step, int(counters["step"])
            rows = rows_of(program.columns, plan, chunk.rows, int(counters["epochs"]))
            logged = _logged(program, plan, chunk.state, before, step)
            yield Progress(
                step=step,
                epochs=int(counters["epochs"]),
                state=chunk.state,
                rows=clock.share(rows, before, step, chunk.seconds),
                logged=logged,
                seconds=chunk.seconds,
                best_epoch=int(counters["best_epoch"]) or None,
                stopped=bool(counters["stopped"]),
                carried=clock.carried,
                resumable=chunk.resumable and counters["bad_step"] == 0,
            )
            if counters["bad_step"]:
                raise diverged(int(counters["bad_step"]), plan)
            if counters["stopped"]:
                return


def _chunks(program: Program, plan: Plan, chunk_steps: int | None) -> Generator[Chunk, None, None]:
    state, length = program.state, chunk_steps or 1
    step = int(program.counters(state)["step"])
    while step < plan.steps:
        started = time.perf_counter()
        state, rows = program.chunk(state, program.data, min(hosts.agreed(length), plan.pause(step) - step))
        counters = program.counters(state)
        seconds = time.perf_counter() - started
        yield Chunk(state, rows, counters, seconds)
        done, step = int(counters["step"]) - step, int(counters["step"])
        if chunk_steps is None:
            length = next_length(length, done, seconds)


def next_length(length: int, done: int, seconds: float) -> int:
    """The steps of the next chunk: aims at a quarter of a second, and grows at most eightfold at a time."""
    ideal = done * CHUNK_SECONDS / max(seconds, 1e-6)
    return max(1, min(int(ideal), 8 * length))


def rows_of(columns: tuple[str, ...], plan: Plan, rows: np.ndarray, epochs: int) -> list[dict[str, float]]:
    """The rows of a chunk as mappings; the last is of the epoch `epochs`."""
    first = epochs - len(rows) + 1
    return [
        {"epoch": number, "step": min(number * plan.steps_per_epoch, plan.steps), **row}
        for number, row in enumerate(named(columns, rows, plan), first)
    ]


def _logged(program: Program, plan: Plan, state: State, before: int, end: int) -> list[dict[str, float]]:
    """The rows of `log_every` after the step `before`, as mappings."""
    if not plan.log_every or before // plan.log_every == end // plan.log_every:
        return []
    every, rows = plan.log_every, named(program.log_columns, program.logged(state, before, end), plan)
    return [
        {"step": step, "epoch": -(-step // plan.steps_per_epoch), **row}
        for step, row in zip(range((before // every + 1) * every, end + 1, every), rows, strict=True)
    ]


def named(columns: tuple[str, ...], rows: np.ndarray, plan: Plan) -> list[dict[str, float]]:
    """Rows by their columns, in the data's unit."""
    units = np.array([plan.units.get(name.partition("_")[2], 1.0) for name in columns])
    return [dict(zip(columns, row, strict=True)) for row in (rows * units).tolist()]


class Clock:
    """Shares the seconds of the chunks out among the epochs: a chunk may hold a part of one, or several."""

    def __init__(self, carried: float) -> None:
        self.carried = carried

    def share(self, rows: list[dict[str, float]], start: int, end: int, seconds: float) -> list[dict[str, float]]:
        """`rows` with their seconds, of a chunk that went from step `start` to `end`; the rest is carried over."""
        each = seconds / max(end - start, 1)
        for row in rows:
            row["seconds"] = round(self.carried + (row["step"] - start) * each, 6)
            self.carried, start = 0.0, int(row["step"])
        self.carried += (end - start) * each
        return rows


def diverged(step: int, plan: Plan) -> DivergenceError:
    """The loss is not finite: at which step, and what to try."""
    epoch = math.ceil(step / plan.steps_per_epoch)
    usual = plan.usual_lr if plan.usual_lr is not None and plan.lr > 2 * plan.usual_lr else None
    words = "a smaller rate" if usual is None else "the rate that this optimizer is usually used with"
    return DivergenceError(
        f"the loss is not finite at step {step} (epoch {epoch})",
        hint=f"try {words} (-s lr={usual or plan.lr / 10:.6g}), or clip the gradient "
        "(-s optimizer.clipnorm=1), or check that the inputs are scaled (preprocess)",
    )
