"""Forty rates of a small network: dlx in its ways beside Optuna and Keras Tuner by hand, whole processes in turn.

    python benchmarks/tuning.py                        every side three times; prints the median seconds of each
    python benchmarks/tuning.py --trials 80 --only dlx optuna
    KERAS_TUNER=/path/to/python python benchmarks/tuning.py         the Python that has keras-tuner, if this one has not

A random search over configs/digits.yaml, 20 epochs a trial. dlx leaves its runs (logs, best weights, a model, the test
figures), Keras Tuner its checkpoints, Optuna by hand nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SPEC = HERE.parent / "configs" / "digits.yaml"
EPOCHS = 20


def sides(trials: int) -> dict[str, list[str]]:
    """The command of each side; FOLDER stands for an empty one."""
    dlx = [sys.executable, "-m", "dlx", "sweep", str(SPEC), "-s", f"epochs={EPOCHS}", "-s", "lr=log 1e-3..1e-2",
           "--search", "random", "--trials", str(trials), "--runs-dir", "FOLDER"]  # fmt: skip
    plain, words = HERE / "plain", [str(trials), str(EPOCHS), "FOLDER"]
    found = {
        "dlx": dlx,
        "dlx, 2 jobs": [*dlx, "--jobs", "2"],
        "dlx, TensorFlow": [*dlx, "--backend", "tensorflow"],
        "dlx, TensorFlow, 2 jobs": [*dlx, "--backend", "tensorflow", "--jobs", "2"],
        "dlx, 8 lanes": [*dlx, "--lanes", "8"],
        "optuna": [sys.executable, str(plain / "digits_optuna.py"), *words],
    }
    python = os.environ.get("KERAS_TUNER") or (sys.executable if importlib.util.find_spec("keras_tuner") else "")
    return found | ({"keras_tuner": [python, str(plain / "digits_keras_tuner.py"), *words]} if python else {})


def main() -> None:
    """Run every side as often as asked, in turn, and say the median of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", nargs="+")
    given = parser.parse_args()
    known = {name: command for name, command in sides(given.trials).items() if name in (given.only or [name])}
    taken: dict[str, list[float]] = {name: [] for name in known}
    for _ in range(given.repeat):
        for name, command in known.items():
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                words = [folder if word == "FOLDER" else word for word in command]
                subprocess.run(words, check=True, capture_output=True)
                taken[name].append(time.perf_counter() - began)
            print(json.dumps({"side": name, "seconds": round(taken[name][-1], 2)}), flush=True)
    for name, seconds in taken.items():
        print(json.dumps({"side": name, "median": round(statistics.median(seconds), 2), "trials": given.trials}))


if __name__ == "__main__":
    main()
