"""Many processes that claim a run of one name at the same moment."""

from __future__ import annotations

import os
from pathlib import Path

from dlx.runs.run import Run

TOGETHER = 64


def torture(count: int, work: Path, seed: int = 0) -> tuple[str, list[str]]:
    """(the figures, what went wrong) of `count` times 64 simultaneous starts."""
    names: list[str] = []
    wrong: list[str] = []
    for number in range(count):
        ready, go = os.pipe(), os.pipe()
        children = [_start(work / "runs", ready, go) for _ in range(TOGETHER)]
        os.close(go[0])
        os.close(go[1])  # all that wait continue
        os.close(ready[1])
        with os.fdopen(ready[0]) as said:
            found = said.read().split()
        wrong += [f"round {number}: a process ended with {os.waitpid(c, 0)[1]}" for c in children if _failed(c)]
        if len(found) != TOGETHER:
            wrong.append(f"round {number}: {len(found)} of {TOGETHER} starts got a directory")
        names += found
    if len(set(names)) != len(names):
        wrong.append(f"{len(names) - len(set(names))} directories were given twice")
    return f"{len(names)} starts, {TOGETHER} at a time: {len(set(names))} distinct directories", wrong


def _failed(child: int) -> bool:
    return os.waitpid(child, 0)[1] != 0


def _start(root: Path, ready: tuple[int, int], go: tuple[int, int]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.close(go[1])
        os.read(go[0], 1)
        run = Run.create(root, "same")
        os.write(ready[1], f"{run.name}\n".encode())
        run.release()
        os._exit(0)
    except BaseException:
        os._exit(1)
