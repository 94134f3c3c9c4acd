"""Every call that changes the disk below a folder, counted; at one of them the process dies, or the call fails."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CALLS = ("fsync", "replace", "rename", "mkdir", "unlink", "remove", "rmdir", "truncate", "utime")


class Counter:
    """Counts, and says what happens at the call of a number."""

    def __init__(self, folder: Path, point: int, kill: bool, error: int, lasting: bool) -> None:
        self.folder, self.point, self.kill, self.error = os.path.realpath(folder), point, kill, error
        self.lasting = lasting
        self.count, self.struck, self.place = 0, "", ""

    def concerns(self, place: Any) -> bool:
        if isinstance(place, int):
            with contextlib.suppress(OSError):
                place = os.readlink(f"/proc/self/fd/{place}")
        try:
            return os.path.realpath(os.fspath(place)).startswith(self.folder)
        except TypeError:
            return False

    def due(self, name: str, place: Any = "") -> bool:
        """Whether this call is the one; a killed process dies here."""
        self.count += 1
        if self.count != self.point and not (self.lasting and self.count > self.point > 0):
            return False
        if self.struck:  # a disk that is full stays full
            return True
        self.struck, self.place = name, str(place)
        if self.kill and name != "write":
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    def fail(self, place: Any) -> OSError:
        return OSError(self.error, os.strerror(self.error), str(place))


class _File(io.FileIO):
    counter: Counter

    def write(self, data: Any) -> int:
        if self.counter.due("write", self.name):
            view = memoryview(data).cast("B")
            super().write(view[: len(view) // 2])
            if self.counter.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise self.counter.fail(self.name)
        return super().write(data)


def _opener(counter: Counter, original: Callable[..., Any]) -> Callable[..., Any]:
    def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
        if not set(mode) & set("wax+") or isinstance(file, int) or not counter.concerns(file):
            return original(file, mode, buffering, *rest, **named)
        if counter.due("open", file):
            raise counter.fail(file)
        raw = _File(file, mode.replace("b", "").replace("t", ""))
        raw.counter = counter
        if "b" in mode and buffering == 0:
            return raw
        held: Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return held
        encoding = rest[0] if rest else named.get("encoding")
        return io.TextIOWrapper(held, encoding or "utf-8", errors=named.get("errors"), newline=named.get("newline"))

    return opened


@contextlib.contextmanager
def at(folder: Path, point: int, *, kill: bool = False, error: int = 28, lasting: bool = False) -> Iterator[Counter]:
    """Within it, call number `point` that changes something below `folder` kills the process, or raises `error`.

    With `lasting` each later call fails, too. A write is done by half before. What is written by C code that opens files by itself is not seen.
    """
    counter = Counter(folder, point, kill, error, lasting)
    before = {name: getattr(os, name) for name in CALLS}
    opens = builtins.open, io.open, os.open

    def wrapped(name: str) -> Callable[..., Any]:
        def call(place: Any, *rest: Any, **named: Any) -> Any:
            idle = name == "mkdir" and os.path.isdir(place)  # which fails anyway
            concerned = not idle and (named.get("dir_fd") is not None or counter.concerns(place))
            if concerned and counter.due(name, place):
                raise counter.fail(place)
            return before[name](place, *rest, **named)

        return call

    def os_open(place: Any, flags: int, *rest: Any, **named: Any) -> int:
        made = flags & os.O_CREAT and not os.path.exists(place)
        if made and named.get("dir_fd") is None and counter.concerns(place) and counter.due("create", place):
            raise counter.fail(place)
        return opens[2](place, flags, *rest, **named)

    try:
        for name in CALLS:
            setattr(os, name, wrapped(name))
        os.open = os_open
        builtins.open = io.open = _opener(counter, opens[1])
        yield counter
    finally:
        for name, original in before.items():
            setattr(os, name, original)
        builtins.open, io.open, os.open = opens


__all__ = ["CALLS", "Counter", "at", "stat"]
