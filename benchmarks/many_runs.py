"""`dlx compare` and `dlx list` of 1,000 and 10,000 runs: seconds and memory of the whole process.

    python benchmarks/many_runs.py

The runs are copies of `runs/tutorials/cifar_dropout` with other rates, batch sizes, dropouts, seeds and figures.
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODEL = HERE.parent / "runs" / "tutorials" / "cifar_dropout"


def make(folder: Path, count: int) -> None:
    """`count` finished runs, unless they are there."""
    if len(list(folder.glob("*"))) == count:
        return
    rng = random.Random(0)
    info, metrics = (json.loads((MODEL / name).read_text()) for name in ("run.json", "metrics.json"))
    history = [json.loads(line) for line in (MODEL / "history.jsonl").read_text().splitlines()]
    for number in range(1, count + 1):
        run = folder / f"c-{number}"
        run.mkdir(parents=True, exist_ok=True)
        changed = {"lr": 10 ** rng.uniform(-5, -1), "seed": number, "batch_size": rng.choice([32, 64, 96])}
        changed |= {key: rng.choice([0.2, 0.3, 0.5]) for key in info["settings"] if key.endswith("dropout.rate")}
        (run / "run.json").write_text(json.dumps({**info, "settings": {**info["settings"], **changed}}, indent=1))
        moved = {k: v * rng.uniform(0.8, 1.2) if isinstance(v, float) else v for k, v in metrics.items()}
        (run / "metrics.json").write_text(json.dumps(moved, indent=1))
        rows = [{k: v * rng.uniform(0.9, 1.1) if k.startswith("val") else v for k, v in r.items()} for r in history]
        (run / "history.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:20]))
        (run / "spec.yaml").write_bytes((MODEL / "spec.yaml").read_bytes())


def cold(folder: Path) -> None:
    """Ask the system to forget what it has cached of the files."""
    for path in folder.rglob("*.json*"):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def seconds(words: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "dlx", *words], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    print("| runs | command | cold | warm, median of 5 | largest process so far |\n|---:|---|---:|---:|---:|")
    for count in (1_000, 10_000):
        folder = HERE / ".scratch" / f"runs-{count}"
        make(folder, count)
        for words in (["compare", f"{folder}/*"], ["list", "--runs-dir", str(folder)]):
            cold(folder)
            first = seconds(words)
            warm = statistics.median(seconds(words) for _ in range(5))
            memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"| {count:,} | `dlx {words[0]}` | {first:.2f} s | {warm:.2f} s | {memory:.0f} MB |")


if __name__ == "__main__":
    main()
