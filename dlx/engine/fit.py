"""The compiled training loop: `fit` drives it, one file a backend compiles it.

A chunk is a number of steps done by one compiled call, `chunk(state, data, steps) -> state, rows`. It may be
part of an epoch or span several: validation, best weights and the stopping test happen inside it, and it
returns a row for each epoch that it finished. No figure depends on how long the chunks are.

Every random number is a function of (seed, purpose, epoch or step), so there is no random state to keep.
"""

from __future__ import annotations

import collections
import contextlib
import importlib
import math
import time
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dlx.data.dataset import Stream
from dlx.errors import DivergenceError, DlxError
from dlx.parts import losses, penalties
from dlx.parts.schedules import Plateau
from dlx.system import backend
from dlx.system.backend import keras

CHUNK_SECONDS = 0.25
ROWS = 1024  # the epochs that one chunk may finish: XLA wants to know
BLOCK_BYTES = 16 * 2**20
HALF = -1  # in the place of a step that went bad: the state is amid the end of an epoch, and cannot be gone on from
State = Mapping[str, Any]
Block = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Plan:
    """How long, how fast and by which figure.

    steps: of the whole training; monitor: a column; patience: epochs, None for no early stop.
    schedule: progress in 0..1 to a factor of lr, None for a constant rate; plateau lowers it by the monitored figure.
    class_weights: what the loss of an example of each class counts, in training alone.
    """

    seed: int
    lr: float
    batch_size: int
    steps_per_epoch: int
    steps: int
    monitor: str
    maximize: bool = False
    patience: int | None = None
    min_delta: float = 0.0
    schedule: Callable[[Any], Any] | None = None
    plateau: Plateau | None = None
    class_weights: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Program:
    """A compiled training: what `chunk` changes, what it reads, and the figures that a row holds.

    `pieces` are the parts of an epoch, for inputs that stay on disk. `again(network, optimizer, plan)` is the same
    program for a training that differs in the seed, the rate and the strengths of penalties alone: nothing is compiled.
    `save` gives the state as arrays, `load` the state that such arrays say: see `loaded`.
    """

    state: State
    data: tuple[Any, ...]
    chunk: Callable[[State, tuple[Any, ...], int], tuple[State, np.ndarray]]
    columns: tuple[str, ...]
    counters: Callable[[State], dict[str, float]]
    restore_best: Callable[[State], None]
    pieces: Pieces
    again: Callable[[Any, Any, Plan], Program]
    save: Callable[[State], dict[str, np.ndarray]]
    load: Callable[[Mapping[str, np.ndarray]], State]


@dataclass(frozen=True)
class Pieces:
    """The parts of an epoch whose examples come in blocks, (inputs, targets).

    order: a seed, and an epoch's number from 0 -> the row numbers in the order in which they are seen.
    train: so many steps on the rows of a block; turn: the train figures, which start over; evaluate: counts a block;
    end: what every epoch's end does, with the train figures -> the row.
    """

    order: Callable[[int, int], np.ndarray]
    train: Callable[[State, Block, int], State]
    turn: Callable[[State], tuple[State, Any]]
    evaluate: Callable[[State, Block], State]
    end: Callable[[State, Any], tuple[State, np.ndarray]]


@dataclass(frozen=True)
class Progress:
    """What `fit` yields after each chunk: where the training is, its state, and the epochs that it finished.

    seconds: what the chunk took; carried: those of an epoch that is not finished; sound: the state can be
    gone on from, all was finite so far.
    """

    step: int
    epochs: int
    state: State
    rows: list[dict[str, float]]
    seconds: float
    best_epoch: int | None
    stopped: bool
    carried: float = 0.0
    sound: bool = True


def seed_of(seed: int, purpose: str) -> int:
    """A number for one purpose of a run's seed, below 2**32."""
    return zlib.crc32(f"{seed}/{purpose}".encode())


def plain(value: Any) -> np.ndarray:
    """An array that NumPy alone can keep: bfloat16 and its kin become float32, which holds them exactly."""
    array = np.asarray(value)
    return array if array.dtype.kind in "biuf" else array.astype(np.float32)


class Loop:
    """What a backend's loop is made of: the network's parts, its figures, and what each seed is for."""

    def __init__(self, network: Any, optimizer: Any, plan: Plan, validated: bool, size: int) -> None:
        self.network, self.optimizer, self.plan, self.validated, self.size = network, optimizer, plan, validated, size
        self.model = network.logits
        optimizer.build(self.model.trainable_variables)
        self.weights = list(self.model.weights)
        self.class_weights = None if plan.class_weights is None else np.asarray(plan.class_weights, np.float32)
        # Seed states are variables but no weights. Each step sets them, so that nothing random is carried along.
        held = {id(variable) for variable in self.weights}
        self.seeds = [v for v in self.model.variables if id(v) not in held]
        self.generators = [keras.random.SeedGenerator(0, name=f"augment_{n}") for n in range(len(network.augment))]
        purposes = ["order", *(f"layer {n}" for n in range(len(self.seeds)))]
        self.purposes = [*purposes, *(f"augment {n}" for n in range(len(self.generators)))]
        # All rows, in any order, are the same step.
        self.whole = plan.steps_per_epoch == 1 and not self.generators
        self.strengths = penalties.tune(self.model.trainable_variables)
        self.metrics = network.metrics()
        self.losses = keras.metrics.Mean(name="loss")
        for metric in self.metrics:  # some make their variables at the first update
            losses.update(metric, *losses.example(network.classes, network.units))
            metric.reset_state()
        names = ["loss", *(metric.name for metric in self.metrics)]
        splits = ("train", "val") if validated else ("train",)
        self.columns = (*(f"{split}_{name}" for split in splits for name in names), "learning_rate")

    def seeds_of(self, plan: Plan) -> np.ndarray:
        """The seed of each purpose: (purposes,) int64."""
        return np.array([seed_of(plan.seed, purpose) for purpose in self.purposes], np.int64)

    def start(self) -> dict[str, Any]:
        """What counts and compares, as a training begins."""
        worst = np.float32(-np.inf if self.plan.maximize else np.inf)
        counts = ("step", "epochs", "best_epoch", "bad_step", "waited", "plateau_waited")
        return {
            **dict.fromkeys(counts, np.int64(0)),
            **dict.fromkeys(("best", "stop_best", "plateau_best"), worst),
            "stopped": np.bool_(False),
            "rate": np.float32(1.0),
        }


def compile(network: Any, optimizer: Any, plan: Plan, train: Any, validation: Any) -> Program:
    """The program of a network for the backend that is loaded; train and validation: (inputs, targets)."""
    loop = importlib.import_module(f"dlx.engine.{backend.load().backend}")
    program: Program = loop.compile(network, optimizer, plan, train, validation)
    return program


def loaded(program: Program, arrays: Mapping[str, np.ndarray]) -> Program:
    """The program with the state that `save` gave of it or of its like, to go on from there.

    Raises ValueError where the arrays are not those of the program, by name and shape.
    """
    held = program.save(program.state)
    own = ("loop/lr", "loop/bases")  # of one backend, and said by the plan
    lacking = [name for name in held if name not in arrays and name not in own and not name.startswith("strengths/")]
    strange = [name for name in arrays if name not in held and name.split("/")[0] != "loop"]
    if lacking or strange:
        raise ValueError(f"{(lacking or strange)[0]} is {'not there' if lacking else 'no array of this network'}")
    for name, value in arrays.items():
        if name in held and (value.shape != held[name].shape or value.dtype.kind not in "biuf"):
            raise ValueError(f"{name} is {value.dtype} {value.shape}, expected {held[name].dtype} {held[name].shape}")
    state = program.load({name: arrays[name].astype(held[name].dtype) for name in held if name in arrays})
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
    chunks = _blocks(program, plan, chunk_steps) if streamed else _chunks(program, plan, chunk_steps)
    clock, step = _Clock(carried), int(begun["step"])
    with contextlib.closing(chunks):
        for state, rows, counters, seconds in chunks:
            before, step = step, int(counters["step"])
            made = _rows(program, plan, rows, int(counters["epochs"]))
            made = clock.share(made, before, step, seconds)
            yield Progress(
                step,
                int(counters["epochs"]),
                state,
                made,
                seconds,
                int(counters["best_epoch"]) or None,
                bool(counters["stopped"]),
                clock.carried,
                counters["bad_step"] == 0,
            )
            if counters["bad_step"] > 0:
                raise diverged(int(counters["bad_step"]), plan)
            if counters["stopped"]:
                return


Chunks = Generator[tuple[State, np.ndarray, dict[str, float], float], None, None]


def _chunks(program: Program, plan: Plan, chunk_steps: int | None) -> Chunks:
    """(state, rows, counters, seconds) of each chunk."""
    state, length = program.state, chunk_steps or 1
    step = int(program.counters(state)["step"])
    while step < plan.steps:
        started = time.perf_counter()
        state, rows = program.chunk(state, program.data, min(length, plan.steps - step))
        counters = program.counters(state)
        seconds = time.perf_counter() - started
        yield state, rows, counters, seconds
        done, step = int(counters["step"]) - step, int(counters["step"])
        if chunk_steps is None:
            length = next_length(length, done, seconds)


def _blocks(program: Program, plan: Plan, chunk_steps: int | None) -> Chunks:
    """The same for inputs that stay on disk: blocks of them are read ahead, in the same order, while others train."""
    pieces, (inputs, targets, *held) = program.pieces, program.data
    length = chunk_steps or max(1, min(64, BLOCK_BYTES // (_bytes(inputs) * plan.batch_size)))
    most = max(1, BLOCK_BYTES // (_bytes(inputs) * max(plan.batch_size, 128))) * max(plan.batch_size, 128)
    orders: dict[int, np.ndarray] = {}

    def train_rows(step: int, count: int) -> np.ndarray:
        epoch, into = divmod(step, plan.steps_per_epoch)
        if epoch not in orders:
            orders.clear()
            orders[epoch] = pieces.order(seed_of(plan.seed, "order"), epoch)
        return orders[epoch][into * plan.batch_size : (into + count) * plan.batch_size]

    def block(cut: tuple[int, int]) -> Block:
        rows = train_rows(*cut)
        return inputs[rows], targets[rows]

    def held_block(start: int) -> Block:
        return held[0][start : start + most], held[1][start : start + most]

    state, whole = program.state, True
    cuts = list(_cuts(plan, len(targets), length, int(program.counters(state)["step"])))
    began = time.perf_counter()
    try:
        with contextlib.closing(_ahead(block, cuts)) as blocks:
            for (step, count), found in zip(cuts, blocks, strict=True):
                state = pieces.train(state, found, count)
                rows, ended = [], step + count == plan.steps or (step + count) % plan.steps_per_epoch == 0
                if ended and not program.counters(state)["bad_step"]:
                    whole = False
                    state, figures = pieces.turn(state)
                    if held:
                        with contextlib.closing(_ahead(held_block, range(0, len(held[1]), most))) as held_blocks:
                            for held_out in held_blocks:
                                state = pieces.evaluate(state, held_out)
                    state, row = pieces.end(state, figures)
                    rows.append(row)
                    whole = True
                counters = program.counters(state)
                yield state, np.reshape(rows, (len(rows), len(program.columns))), counters, time.perf_counter() - began
                began = time.perf_counter()
    except DlxError:  # a file that cannot be read; the weights so far are worth keeping, unless an epoch is half ended
        counters = {**program.counters(state), **({} if whole else {"bad_step": HALF})}
        yield state, np.empty((0, len(program.columns))), counters, time.perf_counter() - began
        raise


def _bytes(inputs: Any) -> int:
    """How much memory an example takes."""
    return max(1, int(math.prod(inputs.shape[1:]) * inputs.dtype.itemsize))


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


def next_length(length: int, done: int, seconds: float) -> int:
    """The steps of the next chunk: aims at a quarter of a second, and grows at most eightfold at a time."""
    ideal = done * CHUNK_SECONDS / max(seconds, 1e-6)
    return max(1, min(int(ideal), 8 * length))


def _rows(program: Program, plan: Plan, rows: np.ndarray, epochs: int) -> list[dict[str, float]]:
    """The chunk's rows as mappings."""
    found = []
    for number, row in enumerate(rows, epochs - len(rows) + 1):
        step = min(number * plan.steps_per_epoch, plan.steps)
        figures = {name: float(value) for name, value in zip(program.columns, row, strict=True)}
        found.append({"epoch": number, "step": step, **figures})
    return found


class _Clock:
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
    """The loss is not finite: says at which step, and what to try."""
    epoch = math.ceil(step / plan.steps_per_epoch)
    return DivergenceError(
        f"the loss is not finite at step {step} (epoch {epoch})",
        hint=f"try a smaller rate (-s lr={plan.lr / 10:.6g}), or clip the gradient "
        "(-s optimizer.clipnorm=1), or check that the inputs are scaled (preprocess)",
    )
