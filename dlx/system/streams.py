"""Standard output and error that can be written to, whatever became of them. Standard library only."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any


class Pipe(io.FileIO):
    """A standard stream whose reader may go away (`dlx list | head`): what comes then goes nowhere.

    The first write to nobody raises BrokenPipeError, which ends a command, unless the stream is `lasting`.
    """

    def __init__(self, descriptor: int, lasting: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.lasting, self.broken = lasting, False

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            self.broken = True
            _nowhere(self.fileno(), os.O_WRONLY)
            if self.lasting:
                return len(data)
            raise


@contextlib.contextmanager
def standard(lasting: bool) -> Iterator[list[Pipe]]:
    """Within it standard output and error take any text, and a stream that was closed goes nowhere; yields both.

    lasting: a reader that goes away stops nothing.
    """
    before = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
    for descriptor, (name, stream) in enumerate(before.items()):
        if stream is None:  # else the next file that is opened would get its number
            _nowhere(descriptor, os.O_RDWR)
            before[name] = open(descriptor, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, before[name])
    pipes = []
    for name in ("stdout", "stderr"):
        stream = before[name]
        if not isinstance(stream, io.TextIOWrapper):
            continue
        stream.reconfigure(errors="backslashreplace")  # not every encoding has an arrow, or a Chinese class
        stream.flush()
        try:
            descriptor = stream.fileno()
        except OSError:  # it writes to no file
            continue
        pipe = Pipe(descriptor, lasting or name == "stderr")
        pipes.append(pipe)
        made = io.TextIOWrapper(
            io.BufferedWriter(pipe),
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering or name == "stderr",
        )
        setattr(sys, name, made)
    try:
        yield pipes
    finally:
        for pipe in pipes:
            pipe.lasting = True
        with contextlib.suppress(OSError):  # a full disk behind it
            sys.stdout.flush()
            sys.stderr.flush()
        for name, stream in before.items():
            setattr(sys, name, stream)


def _nowhere(descriptor: int, mode: int) -> None:
    """Have a descriptor read nothing, and write to nobody."""
    place = os.open(os.devnull, mode)
    if place != descriptor:
        os.dup2(place, descriptor)
        os.close(place)
