"""A disk that fails: each call that changes something in a run fails once, until a run comes through untouched."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import random
import shutil
from pathlib import Path
from typing import Any

import evidence
import intercept

ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
SPEC = """\
dataset: digits
test: 0.2
preprocess: [rescale]
layers: [flatten, {dense: {units: 16, activation: relu}}, {dropout: 0.2}, output]
batch_size: 100
epochs: 4
"""


def dlx(*words: str) -> tuple[int, str]:
    """(exit code, what was said) of dlx in this process."""
    from dlx.cli import main

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main(list(words))
    except SystemExit as ended:
        return int(ended.code or 0), said.getvalue()
    raise AssertionError("dlx did not end")


def torture(count: int, work: Path, seed: int = 0) -> tuple[str, list[str]]:
    """(the figures, what went wrong): the calls from the first one on fail, at most `count` of them, spread out."""
    from dlx.training import tracker

    before, tracker.KEEP_SECONDS = tracker.KEEP_SECONDS, 0.0  # a checkpoint after every chunk
    try:
        return _torture(count, work, random.Random(seed))
    finally:
        tracker.KEEP_SECONDS = before


def _torture(count: int, work: Path, chance: random.Random) -> tuple[str, list[str]]:
    work.mkdir(parents=True, exist_ok=True)
    (work / "s.yaml").write_text(SPEC)
    whole = work / "whole"
    with intercept.at(whole, -1) as counter:
        code, said = dlx("run", str(work / "s.yaml"), "--runs-dir", str(whole))
    assert code == 0, said
    reference, calls = evidence.everything(whole / "s-1"), counter.count
    # The number of chunks, and with it of calls, depends on the clock: what is beyond the last one comes through.
    points = list(range(1, calls + 40))
    if count < len(points):
        points = sorted(chance.sample(points[:calls], count))
    wrong: list[str] = []
    seen = {"failed": 0, "resumed": 0, "harmless": 0, "clean": 0}
    for lasting in (False, True):
        clean = 0
        for point in points:
            before = seen["clean"]
            problems = one(work, point, ERRORS[point % len(ERRORS)], lasting, reference, seen)
            wrong += [f"call {point}{' and all later ones' * lasting}: {problem}" for problem in problems]
            clean += seen["clean"] - before
            if clean >= 3:
                break
    return (
        f"each of about {calls} calls of a run failing, alone and with all later ones: {seen['failed']} times exit 5, "
        f"{seen['resumed']} resumed from the last good checkpoint to the same figures; {seen['harmless']} times a "
        f"clean-up failed, or a library tried again, and the run was the same; {seen['clean']} runs met no fault"
    ), wrong


def one(
    work: Path, point: int, error: int, lasting: bool, reference: dict[str, Any], seen: dict[str, int]
) -> list[str]:
    """What goes wrong when the call of that number fails."""
    folder, wrong = work / f"at-{point}", list[str]()
    with intercept.at(folder, point, error=error, lasting=lasting) as counter:
        code, said = dlx("run", str(work / "s.yaml"), "--runs-dir", str(folder))
    run = folder / "s-1"
    if not counter.struck:
        seen["clean"] += 1
        wrong += [] if code == 0 else [f"a run without a fault ended with {code}"]
    elif code == 0 and (run / "metrics.json").exists() and evidence.everything(run) == reference:
        seen["harmless"] += 1
    elif code != 5:
        wrong.append(f"{counter.struck} failed with {os.strerror(error)}: exit {code}: {said[-300:]!r}")
    else:
        seen["failed"] += 1
        told = [line for line in said.splitlines() if os.strerror(error) in line]
        if len(told) != 1 or "Traceback" in said:
            wrong.append(f"{counter.struck} failed: told in {len(told)} lines: {said[-300:]!r}")
        numbers = evidence.checkpoints(run)
        if numbers and not all(evidence.whole(run / "checkpoints" / str(number)) for number in numbers):
            wrong.append(f"{counter.struck} failed: a checkpoint is not whole")
        if (run / "run.json").exists() and not (run / "metrics.json").exists():
            code, said = dlx("resume", "s-1", "--runs-dir", str(folder))
            if code:
                wrong.append(f"{counter.struck} failed: resume ended with {code}: {said[-300:]!r}")
            elif evidence.everything(run) != reference or evidence.logged_once(run):
                wrong.append(f"{counter.struck} failed: what was resumed is another run")
            else:
                seen["resumed"] += 1
    shutil.rmtree(folder, ignore_errors=True)
    return wrong
