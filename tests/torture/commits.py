"""The commit of a checkpoint: killed at random and at each of its steps, then flipped and cut on the disk."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import evidence
import intercept
import numpy as np

from dlx.training import checkpoints


def state(number: int) -> dict[str, np.ndarray]:
    """Arrays of which each number is the commit's: a mixture of two commits would show."""
    sizes = {"weights/0": (64, 33), "optimizer/0": (1000,), "loop/step": (), "best/0": (7, 5, 3)}
    return {name: np.full(shape, number, np.float32) for name, shape in sizes.items()}


def consistent(found: checkpoints.Checkpoint) -> bool:
    number = found.info["number"]
    return all((array == number).all() for array in found.arrays.values()) and set(found.arrays) == set(state(0))


def loads(folder: Path) -> tuple[int, list[str]]:
    """(the commit that the newest usable checkpoint is of, what is wrong); 0 where there is none."""
    found, passed = checkpoints.newest(folder, lambda info: "")
    wrong = [f"a checkpoint that its manifest does not vouch for: {line}" for line in passed]
    if found is None:
        return 0, wrong
    if not consistent(found) or not evidence.whole(folder / str(found.number)):
        wrong.append(f"checkpoint {found.number} is not a whole commit")
    return int(found.info["number"]), wrong


def in_a_child(work: Any) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child


def random_kills(count: int, work: Path, chance: random.Random) -> tuple[int, list[str]]:
    """Kill a process that commits without a pause `count` times, at random."""
    folder, wrong, last = work / "random", list[str](), 0
    told = work / "told"

    def write() -> None:
        number = last
        while True:
            number += 1
            checkpoints.commit(folder, state(number), {"number": number})
            told.write_text(str(number))

    for _ in range(count):
        child = in_a_child(write)
        time.sleep(chance.uniform(0.0005, 0.04))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found, problems = loads(folder)
        wrong += problems
        said = int(told.read_text() or 0) if told.exists() else 0
        if found < said:
            wrong.append(f"commit {said} was done, but {found} is found")
        last = max(found, last)
    return count, wrong


def every_step(work: Path) -> tuple[int, list[str]]:
    """Kill a commit at each of its calls to the system, half-way through those that write."""
    wrong: list[str] = []
    point = 0
    while True:
        point += 1
        folder = work / f"step-{point}"
        for number in (1, 2):
            checkpoints.commit(folder, state(number), {"number": number})

        def die(point: int = point, folder: Path = folder) -> None:
            with intercept.at(folder, point, kill=True):
                checkpoints.commit(folder, state(3), {"number": 3})

        _, ended = os.waitpid(in_a_child(die), 0)
        found, problems = loads(folder)
        wrong += problems
        if found not in (2, 3):
            wrong.append(f"killed at call {point}: commit {found} is found")
        checkpoints.commit(folder, state(4), {"number": 4})  # what was left behind is in nobody's way
        if loads(folder) != (4, []) or len(list(folder.iterdir())) != 2:
            wrong.append(f"killed at call {point}: the next commit leaves {sorted(p.name for p in folder.iterdir())}")
        if not os.WIFSIGNALED(ended):
            return point - 1, wrong


def damaged(count: int, work: Path, chance: random.Random) -> tuple[int, list[str]]:
    """Flip a bit, cut or remove a file of the newest checkpoint: it is named, and the one before is used."""
    folder, wrong = work / "damaged", list[str]()
    for number in (1, 2):
        checkpoints.commit(folder, state(number), {"number": number})
    kept = work / "kept"
    shutil.copytree(folder / "2", kept)
    for _ in range(count):
        file = folder / "2" / chance.choice(["state.npz", "state.json", "MANIFEST"])
        raw, kind = bytearray(file.read_bytes()), chance.random()
        if kind < 0.6:
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
            file.write_bytes(raw)
        elif kind < 0.95:
            file.write_bytes(raw[: chance.randrange(len(raw))])
        else:
            file.unlink()
        found, passed = checkpoints.newest(folder, lambda info: "")
        if found is None or found.info["number"] != 1 or not consistent(found):
            wrong.append(f"{file.name}: {found and found.info} was loaded")
        elif len(passed) != 1 or "checkpoint 2" not in passed[0]:
            wrong.append(f"{file.name}: the bad one is not named: {passed}")
        shutil.rmtree(folder / "2")
        shutil.copytree(kept, folder / "2")
    return count, wrong


def torture(count: int, work: Path, seed: int = 0) -> tuple[str, list[str]]:
    """(the figures, what went wrong) of `count` kills, one at each call of a commit, and half as many damages."""
    chance = random.Random(seed)
    kills, wrong = random_kills(count, work, chance)
    points, more = every_step(work)
    harmed, most = damaged(count // 2, work, chance)
    wrong += more + most
    return (
        f"{kills} kills while committing, {points} at each call of a commit: {len(wrong) - len(most)} wrong; "
        f"{harmed} flipped, cut or lost files: {harmed - len(most)} named, the one before used"
    ), wrong
