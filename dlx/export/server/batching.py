"""Questions of many requests, answered together: whatever waits is one batch, and a lone question waits for nobody."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dlx.errors import DlxError
from dlx.inference.inputs import Batch
from dlx.inference.predictor import Model

if TYPE_CHECKING:
    import numpy as np

MOST = 64  # examples of a batch
WAITING = 512  # questions that may wait
SECONDS = 60.0  # that an answer may take


class BusyError(DlxError):
    """More waits than can be answered soon."""


@dataclass(frozen=True, eq=False)
class Question:
    """read: gives the examples, in the worker's thread; what it raises is the answer."""

    model: Model
    read: Callable[[], Batch]
    future: asyncio.Future[Answered]


@dataclass(frozen=True, eq=False)
class Answered:
    """What a question read, and what the model answered: (n, classes) or (n, targets)."""

    names: list[str]
    array: np.ndarray
    answers: np.ndarray


class Batcher:
    """One thread that asks models. observe: told how many examples each batch had."""

    def __init__(self, observe: Callable[[int], None]) -> None:
        self._waiting: deque[Question] = deque()
        self._some = threading.Semaphore(0)
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._work, name="answers", daemon=True).start()

    def __len__(self) -> int:
        return len(self._waiting)

    async def ask(self, model: Model, read: Callable[[], Batch]) -> Answered:
        """The answers to what `read` gives. Raises BusyError where too much waits, and what it and the model raise."""
        if len(self._waiting) >= WAITING:
            raise BusyError("too many requests wait", hint="try again in a second")
        future: asyncio.Future[Answered] = self._loop.create_future()
        self._waiting.append(Question(model, read, future))
        self._some.release()
        try:
            async with asyncio.timeout(SECONDS):
                return await future
        except TimeoutError as error:
            raise BusyError(f"no answer within {SECONDS:g} s", hint="try again later") from error

    def _work(self) -> None:
        while True:
            self._some.acquire()
            questions = [self._waiting.popleft()]
            while len(questions) < MOST and self._some.acquire(blocking=False):
                questions.append(self._waiting.popleft())
            try:
                done = self._asked(questions)
            except Exception as error:  # no memory for the batch: the thread goes on
                done = [(question.future, error) for question in questions]
            self._loop.call_soon_threadsafe(_deliver, done)

    def _asked(self, questions: list[Question]) -> list[Done]:
        """What is answered to each question, those together that go together."""
        done = list[Done]()
        read = list[Read]()
        for question in questions:
            if question.future.done():  # who asked has gone
                continue
            try:
                read.append((question, *question.read()))
            except Exception as error:
                done.append((question.future, error))
        return done + [pair for group in _groups(read) for pair in self._answer(group)]

    def _answer(self, group: list[Read]) -> list[Done]:
        """What is answered to each question of a group; where together they fail, each is asked alone."""
        import numpy as np

        arrays = [array for _, _, array in group]
        whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        self._observe(len(whole))
        try:
            (answers,) = group[0][0].model.answers([whole])
        except Exception as error:
            if len(group) == 1:
                return [(group[0][0].future, error)]
            return [pair for read in group for pair in self._answer([read])]
        ends = np.cumsum([len(array) for array in arrays])[:-1]
        return [
            (question.future, Answered(names, array, piece))
            for (question, names, array), piece in zip(group, np.split(answers, ends), strict=True)
        ]


Read = tuple[Question, list[str], "np.ndarray"]
Done = tuple["asyncio.Future[Answered]", Answered | Exception]


def _groups(read: list[Read]) -> list[list[Read]]:
    """Questions whose examples go to a model together: of one model, shape and type, at most MOST."""
    groups: dict[tuple[int, tuple[int, ...], str], list[list[Read]]] = {}
    for one in read:
        question, _, array = one
        mine = groups.setdefault((id(question.model), array.shape[1:], str(array.dtype)), [[]])
        if mine[-1] and sum(len(array) for _, _, array in mine[-1]) + len(array) > MOST:
            mine.append([])
        mine[-1].append(one)
    return [group for several in groups.values() for group in several]


def _deliver(done: list[Done]) -> None:
    for future, answer in done:
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
