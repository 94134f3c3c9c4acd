"""Polite stops: a signal or a time limit sets a flag, which a training looks at between two chunks."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import Any

# What a process that a signal stopped ends with, by the shell's custom; any other stop may simply be resumed.
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
RESUMABLE = 75
MAX_TIME = "--max-time"


def deadline(max_time: float | None) -> float | None:
    """The moment of time.monotonic() that is so many seconds from now."""
    return None if max_time is None else time.monotonic() + max_time


def left(moment: float | None) -> float | None:
    """The seconds until a deadline; None where there is none."""
    return None if moment is None else max(moment - time.monotonic(), 0.0)


class Stop:
    """Whether, and by what, the training should stop: the name of a signal, or MAX_TIME.

    deadline: a moment of time.monotonic() after which it should.
    """

    def __init__(self, deadline: float | None = None) -> None:
        self.signal = ""
        self._deadline = deadline

    @property
    def reason(self) -> str:
        late = self._deadline is not None and time.monotonic() >= self._deadline
        return self.signal or (MAX_TIME if late else "")


def code(reason: str) -> int:
    """The exit code of a process that stopped for the reason."""
    return CODES.get(reason, RESUMABLE)


@contextlib.contextmanager
def politely(stop: Stop) -> Iterator[Stop]:
    """Within it a first SIGINT, SIGTERM, SIGHUP or SIGUSR1 sets the Stop; a second one stops at once.

    What the process was started to ignore, as nohup does, it continues to ignore.
    """
    before = dict[int, Any]()

    def handle(number: int, frame: Any) -> None:
        if stop.signal:
            raise KeyboardInterrupt
        stop.signal = signal.Signals(number).name

    names = (*CODES, "SIGUSR1")  # schedulers send the last one some time before their limit
    for wanted in [getattr(signal, name) for name in names if hasattr(signal, name)]:
        if signal.getsignal(wanted) is signal.SIG_IGN:
            continue
        with contextlib.suppress(ValueError):  # not the main thread: whoever is in charge decides
            before[wanted] = signal.signal(wanted, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
