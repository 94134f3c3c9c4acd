"""SIGKILL at random moments of `dlx run` and `dlx resume`, until the run is done: it must be the run that nobody stopped."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import evidence

SPECS = {
    "dropout_bn": """\
dataset: digits
test: 0.2
preprocess: [standardize]
layers: [flatten, {dense: 96}, batch_normalization, {activation: relu}, {dropout: 0.4}, output]
regularization: {l2: 0.0001}
batch_size: 32
epochs: 150
log_every: 7
snapshots: [0, 3, 80]
""",
    "augmented_cnn": """\
dataset: digits
test: 0.2
preprocess: [rescale]
augment: [{shift: 0.1}, {rotate: 10}]
layers:
  - conv2d: {filters: 8, kernel_size: 3, activation: relu}
  - max_pooling2d: 2
  - dropout: 0.2
  - flatten
  - output
batch_size: 48
epochs: 40
""",
    "schedule_early_stop": """\
dataset: digits
test: 0.2
preprocess: [rescale]
layers: [flatten, {dense: {units: 64, activation: relu}}, {dropout: 0.2}, output]
optimizer: {sgd: {momentum: 0.9}}
lr: 0.2
schedule: {plateau: {patience: 3, factor: 0.5}}
early_stop: {patience: 12, min_delta: 0.0005}
batch_size: 24
epochs: 400
""",
    "bfloat16": """\
dataset: digits
test: 0.2
preprocess: [rescale]
precision: mixed_bfloat16
layers: [flatten, {dense: {units: 128, activation: relu}}, batch_normalization, {dropout: 0.3}, output]
schedule: {cosine: {warmup: 0.1}}
batch_size: 32
epochs: 120
""",
}
SLACK = 2.0  # seconds: a chunk, a commit, and another process on the same cores


def dlx(words: list[str], folder: Path, after: float | None = None) -> tuple[int, float, str]:
    """(exit code, seconds, standard error) of a dlx process; killed `after` so many seconds."""
    environment = {**os.environ, "DLX_RUNS": str(folder / "runs"), "DLX_DATA": str(folder / "data"), "COLUMNS": "80"}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "dlx", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, said = process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        _, said = process.communicate()
    return process.returncode, time.monotonic() - began, said


def listed(folder: Path) -> list[dict[str, Any]]:
    found = subprocess.run(
        [sys.executable, "-m", "dlx", "list", "--json", "--runs-dir", str(folder / "runs")],
        capture_output=True,
        text=True,
        check=True,
    )
    entries: list[dict[str, Any]] = json.loads(found.stdout)["runs"]
    return entries


def lost(run: Path) -> float | None:
    """How many seconds of training, as the history counts them, lie behind the newest checkpoint beyond its interval.

    None where the training had come to its end, or to no checkpoint yet.
    """
    numbers = evidence.checkpoints(run)
    if not numbers or (run / "model.keras").exists() or (run / "metrics.json").exists():
        return None
    try:
        said = json.loads((run / "checkpoints" / str(numbers[0]) / "state.json").read_text())
    except OSError:
        return None
    behind, history = 0.0, run / "history.jsonl"  # which is not there before the first epoch has ended
    for line in history.read_text().splitlines() if history.exists() else ():
        with contextlib.suppress(ValueError):  # the last one may be torn
            row = json.loads(line)
            behind += row["seconds"] if row["epoch"] > said["epochs"] else 0.0
    # What it cost is known to the process alone; twice that of the one before bounds it.
    return max(0.0, behind - said["carried"] - min(60.0, 50 * 2 * max(said["cost"], 0.02)))


def round_of(
    name: str, number: int, work: Path, reference: dict[str, Any], seconds: float, seed: int
) -> dict[str, Any]:
    """One run, killed at least once and resumed until it is done; what was seen."""
    chance = random.Random(f"{seed}/{number}")
    folder = work / f"{name}-{number}"
    (folder / "runs").mkdir(parents=True)
    (folder / "s.yaml").write_text(SPECS[name])
    seen: dict[str, Any] = {"kills": 0, "wrong": [], "lost": [], "places": []}
    run, words, again = folder / "runs" / "s-1", ["run", "s.yaml"], True
    for _ in range(20):
        limit = chance.uniform(0.02, 0.95) * seconds if again else None
        code, _, said = dlx(words, folder, limit)
        again = chance.random() < 0.35
        if code == -signal.SIGKILL:
            seen["kills"] += 1
            late = lost(run)
            seen["lost"] += [] if late is None else [late]
            seen["places"].append("start" if not (run / "run.json").exists() else evidence.status(run))
            if any(entry["status"] == "running" for entry in listed(folder)):
                seen["wrong"].append("a killed run is listed as running")
        elif code:
            seen["wrong"].append(f"{' '.join(words)} ended with {code}: {said[-300:]}")
            break
        runs = sorted((folder / "runs").iterdir(), key=lambda path: int(path.name.rpartition("-")[2]))
        begun = [path for path in runs if (path / "run.json").exists()]
        if begun and evidence.status(begun[-1]) == "done":
            run = begun[-1]
            if seen["kills"]:
                break
            shutil.rmtree(run)  # it was faster than its death: once more
            words, again = ["run", "s.yaml"], True
            continue
        run = begun[-1] if begun else runs[-1] if runs else run
        words = ["resume", run.name] if begun else ["run", "s.yaml"]
    try:
        found = evidence.everything(run)
        seen["wrong"] += [f"{key} differs" for key in reference if found[key] != reference[key]]
        seen["wrong"] += evidence.logged_once(run)
    except Exception as error:
        seen["wrong"].append(f"{run.name} cannot be read: {type(error).__name__}: {error}")
    return seen


def torture(count: int, work: Path, seed: int = 0, workers: int = 2) -> tuple[str, list[str]]:
    """(the figures, what went wrong) of `count` rounds over the four specs."""

    def whole(name: str) -> tuple[dict[str, Any], float]:
        folder = work / f"{name}-whole"
        (folder / "runs").mkdir(parents=True)
        (folder / "s.yaml").write_text(SPECS[name])
        code, seconds, said = dlx(["run", "s.yaml"], folder)
        assert code == 0, said
        assert not evidence.logged_once(folder / "runs" / "s-1")
        return evidence.everything(folder / "runs" / "s-1"), seconds

    names = list(SPECS)[:count]
    with ThreadPoolExecutor(workers) as pool:  # as many at a time as later: a process takes as long then
        references = dict(zip(names, pool.map(whole, names), strict=True))

    def one(number: int) -> dict[str, Any]:
        name = list(references)[number % len(references)]
        seen = round_of(name, number, work, references[name][0], references[name][1], seed)
        seen["wrong"] = [f"round {number} ({name}): {wrong}" for wrong in seen["wrong"]]
        return seen

    with ThreadPoolExecutor(workers) as pool:
        rounds = list(pool.map(one, range(count)))
    wrong = [line for seen in rounds for line in seen["wrong"]]
    late = [value for seen in rounds for value in seen["lost"]]
    wrong += [f"{value:.1f} s of training more than an interval were lost" for value in late if value > SLACK]
    kills, equal = sum(seen["kills"] for seen in rounds), sum(not seen["wrong"] for seen in rounds)
    training = sum(place != "start" for seen in rounds for place in seen["places"])
    most = f"{max(late):.1f} s" if late else "–"
    figures = (
        f"{equal}/{count} runs equal to the bit after {kills} kills ({training} after the run had begun); "
        f"training lost beyond the interval: {most} at most, of {len(late)} kills while training"
    )
    return figures, wrong
