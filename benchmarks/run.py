"""dlx beside the Keras script of the same experiment, alternately, whole processes and inner loops.

    python benchmarks/run.py                       every case three times; prints a table, writes results.json
    python benchmarks/run.py or_gate cifar --repeat 5

An inner loop is what an epoch takes once all is compiled, evaluation, logs and best weights included: on both sides it
is read off the times that the TensorBoard files carry. Ratios are plain ÷ dlx: above 1, dlx is faster.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from dlx.system.machine import cores

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parent / "configs"


@dataclass(frozen=True)
class Case:
    """What both sides run.

    plain_epochs: where the script runs fewer, and is scaled to `epochs`; limit: of the training images.
    """

    name: str
    spec: Path
    script: str
    epochs: int
    settings: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    plain_epochs: int = 0
    limit: int = 0


def _cifar(precision: str, augment: bool) -> Case:
    name = f"cifar_three_layer_sets, {precision.removeprefix('mixed_')}" + ", augmented" * augment
    settings = (f"precision={precision}", *(() if augment else ("augment=null",)))
    words = (precision, *(("augment",) if augment else ()))
    return Case(name, CONFIGS / "cifar_three_layer_sets.yaml", "cifar.py", 2, settings, words, limit=20_000)


CASES = [
    Case("or_gate", CONFIGS / "or_gate.yaml", "or_gate.py", 2000, plain_epochs=500),
    Case("moons_mlp", CONFIGS / "moons_mlp.yaml", "moons_mlp.py", 20_000, plain_epochs=1000),
    Case("mnist_softmax", CONFIGS / "mnist_softmax.yaml", "mnist_softmax.py", 20),
    Case("mnist_cnn", CONFIGS / "mnist_cnn.yaml", "mnist_cnn.py", 3, limit=20_000),
    *(_cifar(precision, augment) for precision in ("float32", "mixed_bfloat16") for augment in (False, True)),
    Case("binary_addition", CONFIGS / "binary_addition.yaml", "binary_addition.py", 10),
    Case("table of 100,000 rows", HERE / "table.yaml", "table.py", 10, words=("table.csv",)),
]


@dataclass(frozen=True)
class Timing:
    """Seconds of a whole process, and of an epoch once compiled."""

    process: float
    epoch: float


def measure(words: list[str], folder: Path, logs: str, limit: int) -> Timing:
    """Run a program in `folder`; its TensorBoard files lie below `logs`, a pattern."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "LIMIT": str(limit)}
    started = time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return Timing(seconds, epoch_seconds(next(folder.glob(logs))))


def epoch_seconds(folder: Path) -> float:
    """The mean seconds between the first and the last epoch's scalars in the event files of a folder."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    moments: dict[int, float] = {}
    for path in sorted(folder.glob("events*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.tag == "epoch_loss":
                    moments[event.step] = event.wall_time
    first, last = min(moments), max(moments)
    return (moments[last] - moments[first]) / (last - first)


def compare(case: Case, repeat: int, scratch: Path) -> dict[str, object]:
    """The medians of a case, dlx and plain in turn."""
    sides: dict[str, list[Timing]] = {"dlx": [], "plain": []}
    for turn in range(repeat):
        for side in ("dlx", "plain") if turn % 2 == 0 else ("plain", "dlx"):
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                found = _dlx(case, Path(folder)) if side == "dlx" else _plain(case, Path(folder))
                sides[side].append(found)
                print(f"  {case.name}: {side} {found.process:.1f} s, an epoch {found.epoch:.4g} s", file=sys.stderr)
    middle = {
        side: {key: statistics.median(getattr(t, key) for t in found) for key in ("process", "epoch")}
        for side, found in sides.items()
    }
    return {
        "case": case.name,
        "epochs": case.epochs,
        "scaled_from": case.plain_epochs or None,
        "limit": case.limit or None,
        **{f"{side}_{key}": round(value, 6) for side, figures in middle.items() for key, value in figures.items()},
        "ratio_process": round(middle["plain"]["process"] / middle["dlx"]["process"], 2),
        "ratio_epoch": round(middle["plain"]["epoch"] / middle["dlx"]["epoch"], 2),
        "all": {side: [vars(t) for t in found] for side, found in sides.items()},
    }


def _dlx(case: Case, folder: Path) -> Timing:
    length = [] if case.epochs >= 1000 or "epochs" in " ".join(case.settings) else ["-s", f"epochs={case.epochs}"]
    limit = [f"dataset.limit={case.limit}"] if case.limit else []
    settings = [word for setting in (*case.settings, *limit) for word in ("-s", setting)]
    if case.words and case.words[-1].endswith(".csv"):
        settings += ["-s", f"dataset.csv.path={HERE / '.scratch' / case.words[-1]}"]
    words = [sys.executable, "-m", "dlx", "run", str(case.spec), *length, *settings, "--runs-dir", str(folder)]
    return measure(words, folder, "*/tensorboard/train", case.limit)


def _plain(case: Case, folder: Path) -> Timing:
    given = [str(HERE / ".scratch" / word) if word.endswith(".csv") else word for word in case.words]
    epochs = case.plain_epochs or case.epochs
    words = [sys.executable, str(HERE / "plain" / case.script), str(epochs), str(folder), *given]
    found = measure(words, folder, "logs/train", case.limit)
    return Timing(found.process + (case.epochs - epochs) * found.epoch, found.epoch)


def write_table(path: Path) -> None:
    """100,000 rows: 20 columns of numbers, two of words, and a class of three that follows from some of them."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(100_000, 20))
    frame = pd.DataFrame(numbers.round(5), columns=[f"n{column}" for column in range(20)])
    frame["colour"] = rng.choice(["red", "green", "blue", "grey"], 100_000)
    frame["city"] = rng.choice([f"city{place}" for place in range(30)], 100_000)
    score = numbers[:, 0] * numbers[:, 1] + (frame["colour"] == "red") + 0.3 * rng.normal(size=100_000)
    frame["label"] = np.array(["low", "middle", "high"])[np.digitize(score, [-0.4, 0.6])]
    path.parent.mkdir(exist_ok=True)
    frame.to_csv(path, index=False)


def machine() -> dict[str, object]:
    """What the figures depend on."""
    name = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
    versions = {package: metadata.version(package) for package in ("dlx", "keras", "tensorflow", "numpy")}
    bfloat16 = any("avx512_bf16" in line for line in _lines("/proc/cpuinfo"))
    return {
        "date": datetime.date.today().isoformat(), "cpu": name, "cores": cores(), "avx512_bf16": bfloat16,
        "python": platform.python_version(), **versions,
    }  # fmt: skip


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def markdown(about: dict[str, object], rows: list[dict[str, object]]) -> str:
    """The table as the README shows it."""
    versions = f"Keras {about['keras']}, TensorFlow {about['tensorflow']}"
    said = f"{about['date']}, {about['cpu']}, {about['cores']} cores, {versions}"
    lines = [said, "", "| case | epochs | plain, s | dlx, s | ratio | plain, an epoch | dlx, an epoch | ratio |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        name = f"{row['case']}{' *' if row['scaled_from'] else ''}{' †' if row['limit'] else ''}"
        figures = [_seconds(row[f"{side}_{key}"]) for key in ("process", "epoch") for side in ("plain", "dlx")]
        lines.append(
            f"| {name} | {row['epochs']:,} | {figures[0]} | {figures[1]} | {row['ratio_process']} "
            f"| {figures[2]} | {figures[3]} | {row['ratio_epoch']} |"
        )
    if any(row["scaled_from"] for row in rows):
        lines += ["", "\\* the script ran fewer epochs and was scaled to as many. † 20,000 of the training images."]
    return "\n".join(lines) + "\n"


def _seconds(value: object) -> str:
    seconds = float(str(value))
    if seconds < 0.001:
        return f"{seconds * 1e6:.3g} µs"
    if seconds >= 100:
        return f"{seconds:,.0f} s"
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help="names, or beginnings of them; all without any")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each side")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results.json")
    given = parser.parse_args()
    chosen = [case for case in CASES if not given.cases or any(case.name.startswith(word) for word in given.cases)]
    if not chosen:
        parser.error(f"no such case; there are {', '.join(case.name for case in CASES)}")
    scratch = HERE / ".scratch"
    scratch.mkdir(exist_ok=True)
    if any(case.script == "table.py" for case in chosen):
        write_table(scratch / "table.csv")
    about, rows = machine(), []
    for case in chosen:
        rows.append(compare(case, given.repeat, scratch))
        given.output.write_text(json.dumps({"machine": about, "cases": rows}, indent=1) + "\n", encoding="utf-8")
    print(markdown(about, rows))


if __name__ == "__main__":
    main()
