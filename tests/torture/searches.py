"""A search that is killed at any moment, the coordinator or a worker, and started again, comes to its end.

Every trial is there once, none is lost, and a trial's history is that of its spec trained alone on as many cores.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

TRIALS, EPOCHS = 40, 9
SPEC = f"""\
dataset: digits
test: 0.2
preprocess: [rescale]
layers: [flatten, {{dense: {{units: 16, activation: relu}}}}, output]
batch_size: 64
epochs: {EPOCHS}
sweep: {{lr: log 1e-4..1e-1, layers.dense.units: 4..32}}
search: {{tpe: {{trials: {TRIALS}, prune: asha}}}}
"""


def torture(count: int, work: Path, seed: int) -> tuple[str, list[str]]:
    """So many kills of one search; returns (figures, what went wrong)."""
    (work / "s.yaml").write_text(SPEC)
    generator, kills, starts = random.Random(seed), Counter[str](), 0
    command = [sys.executable, "-m", "dlx", "sweep", "s.yaml", "--jobs", "2", "--backend", "jax", "--device", "cpu"]
    while True:
        starts += 1
        process = subprocess.Popen(command, cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and sum(kills.values()) < count:
            # Long enough to get somewhere: a start takes some seconds.
            time.sleep(generator.uniform(0.5, 9.0))
            whom = generator.choice(["coordinator", "worker", "worker"])
            workers = _workers(process.pid)
            if whom == "worker" and workers:
                _kill(generator.choice(workers))
            elif whom == "coordinator" and process.poll() is None:
                process.kill()
            else:
                continue
            kills[whom] += 1
        code = process.wait()
        if code == 0 or starts > 4 * count + 4:
            break
    again = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    wrong = _wrong(work, again)
    shown = ", ".join(f"{number} of a {whom}" for whom, number in sorted(kills.items()))
    return f"{sum(kills.values())} kills ({shown}), {starts} starts, {TRIALS} trials", wrong


def _workers(pid: int) -> list[int]:
    """The processes that a coordinator has started."""
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in done.stdout.split()]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _wrong(work: Path, again: subprocess.CompletedProcess[str]) -> list[str]:
    wrong = []
    issued = [json.loads(line) for line in (work / "runs/.sweeps/s.jsonl").read_text().splitlines()[1:]]
    if len(issued) != TRIALS or len({row["key"] for row in issued}) != TRIALS:
        wrong.append(f"{len(issued)} trials issued, {len({row['key'] for row in issued})} of them different")
    if again.returncode or f"{TRIALS} of them finished before" not in again.stdout:
        wrong.append(
            f"the same command once more ended with {again.returncode}: {again.stdout[:300]}{again.stderr[-300:]}"
        )
    whole: dict[str, list[str]] = {}
    for path in sorted((work / "runs").glob("s-*")):
        if not (path / "run.json").is_file():
            continue  # killed before it was anything
        info = json.loads((path / "run.json").read_text())
        ended = (path / "metrics.json").is_file() or (path / "failure.json").is_file()
        if not ended:
            wrong.append(f"{path.name} has no end")
        whole.setdefault(json.dumps(info["trial"]["values"]), []).append(path.name)
    twice = {values: names for values, names in whole.items() if len(names) > 1}
    if twice:
        wrong.append(f"trained twice: {list(twice.values())[:3]}")
    if len(whole) != TRIALS:
        wrong.append(f"{len(whole)} trials have runs")
    return wrong + _unlike(work)


def _unlike(work: Path) -> list[str]:
    """The trials whose history is not that of their spec, trained alone and undisturbed."""
    wrong, core = [], str(sorted(os.sched_getaffinity(0))[0])
    specs = [path / "spec.yaml" for path in sorted((work / "runs").glob("s-*")) if (path / "spec.yaml").is_file()]
    command = [sys.executable, "-m", "dlx", "run", *map(str, specs), "--backend", "jax", "--device", "cpu"]
    subprocess.run(["taskset", "-c", core, *command, "--runs-dir", "alone"], cwd=work, capture_output=True, check=True)
    for number, spec in enumerate(specs, 1):
        ours, theirs = (_rows(path / "history.jsonl") for path in (spec.parent, work / "alone" / f"s-{number}"))
        if ours != theirs[: len(ours)]:
            wrong.append(f"{spec.parent.name}: its history differs from that of its spec alone")
    return wrong


def _rows(path: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
