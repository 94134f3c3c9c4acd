"""The folder by which a worker elsewhere and whoever sends it trainings talk, though neither waits for the other.

    in.jsonl      what the worker is told, a JSON object a line; of two with one "id" the first counts
    out.jsonl     what it says
    lock, up      held while it lives, and there once it has begun
    log           its own words

`python -m dlx.search.places.spool FOLDER OFFSET` reads out.jsonl from a byte on: "+" and a line of it, "." as a sign of
life, "!" when the worker is gone and all is read. Standard library and filelock.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from dlx.system import locks

IN, OUT, LOCK, UP, LOG = "in.jsonl", "out.jsonl", "lock", "up", "log"
PAUSE, BEAT = 0.1, 3.0  # seconds between two looks, and two signs of life
STARTS = 60.0  # seconds in which one that was begun has to be there


def told(folder: Path) -> Iterator[str]:
    """What the worker of a spool is told, as it comes; ends where it is told so.

    One that is begun again is not told of trainings that have ended, nor what was answered before. A lost connection
    may leave half a line, or the same message twice: the first is passed over, and so is the second of two.
    """
    with (folder / IN).open("rb") as stream:
        answered, over, known = (folder / IN).stat().st_size, ended(folder), set[str]()
        rest = b""
        while True:
            rest += stream.read()
            *whole, rest = rest.split(b"\n")
            for line in whole:
                answered -= len(line) + 1
                message = read(line)
                if message is None or message.get("id") in known:
                    continue
                known.update([message["id"]] if "id" in message else [])
                if message.get("end"):
                    return
                if "spec" in message and over:
                    over -= 1
                elif "verdict" not in message or answered < 0:
                    yield line.decode()
            if not whole:
                time.sleep(PAUSE)


def read(line: bytes) -> dict[str, Any] | None:
    """The message of a line; None where it is none."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def written(message: Mapping[str, Any]) -> str:
    """A message as it is added to in.jsonl, after whatever half a line is there."""
    return f"\n{json.dumps(message)}\n"


def ended(folder: Path) -> int:
    """How many trainings a worker of the spool has brought to their end."""
    if not (folder / OUT).is_file():
        return 0
    messages = map(read, (folder / OUT).read_bytes().splitlines())
    return sum(message is not None and message.get("event") == "ended" for message in messages)


def serve(folder: Path, work: Callable[[Iterable[str], TextIO], None]) -> None:
    """Work by the files of a spool, whose lock says that this process lives. A second one ends at once."""
    lock = locks.Lock(folder / LOCK)
    if not lock.take():
        return
    (folder / UP).touch()

    def beat() -> None:
        while True:
            time.sleep(locks.BEAT_SECONDS)
            lock.beat()

    threading.Thread(target=beat, daemon=True).start()
    try:
        with (folder / OUT).open("a", encoding="utf-8") as sink:
            if sink.tell() and not (folder / OUT).read_bytes().endswith(b"\n"):  # the one before died in a line
                print(file=sink)
            work(told(folder), sink)
    finally:
        lock.release()


def tell(folder: Path, message: Mapping[str, Any]) -> None:
    """Tell the worker of a spool on this machine."""
    with (folder / IN).open("ab") as stream:
        stream.write(written(message).encode())


def alive(folder: Path) -> bool:
    """Whether the worker lives; on another machine one that was seen a minute ago does."""
    state, seen = locks.state(folder, LOCK)
    return state == "held" or (state == "unknown" and seen < STARTS)


def follow(folder: Path, offset: int) -> Iterator[str]:
    """The lines of a program that follows: see above."""
    out, position, rest, beaten = folder / OUT, offset, b"", 0.0
    until = time.monotonic() + STARTS
    while True:
        starts = time.monotonic() < until and not (folder / UP).is_file()
        lives = starts or alive(folder)  # before the reading: what it says last is read
        chunk = b""
        if out.is_file():
            with out.open("rb") as stream:
                stream.seek(position)
                chunk = stream.read()
        position += len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (f"+{line.decode()}" for line in whole)
        if not lives and not chunk:
            yield "!"
            return
        if time.monotonic() - beaten > BEAT:
            beaten = time.monotonic()
            yield "."
        time.sleep(PAUSE)


def main() -> None:
    """Follow for whoever reads the standard output."""
    for line in follow(Path(sys.argv[1]), int(sys.argv[2])):
        print(line, flush=True)


if __name__ == "__main__":
    main()
