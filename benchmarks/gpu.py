"""The CIFAR-10 specs on a GPU: examples/s, how busy it is, and the seconds that a spec takes to an accuracy.

    python benchmarks/gpu.py                                    needs a GPU, and CIFAR-10 in the data store
    python benchmarks/gpu.py --device cpu --limit 2000 --epochs 1 configs/cifar_dropout.yaml

Each spec runs in float32 and in mixed_bfloat16. Seconds to an accuracy are those of the epochs up to the first that
reaches it, validation included, without what the first epoch takes more than the others, which is the compiling.
JAX alone will do: TensorFlow need not be there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
SPECS = ("cifar_three_layer_sets", "cifar_dropout", "cifar_convnet_deep", "cifar_speedrun")


class Busy:
    """The mean of what nvidia-smi says of the GPU's utilisation, five times a second, in per cent."""

    def __init__(self) -> None:
        self.samples: list[float] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not self._done.wait(0.2):
            try:
                self.samples.append(float(subprocess.check_output(query, text=True).split()[0]))
            except (OSError, subprocess.SubprocessError, ValueError, IndexError):
                return

    def __enter__(self) -> Busy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def mean(self) -> float | None:
        """Of the samples in which it did anything; None without any."""
        working = [sample for sample in self.samples if sample > 0]
        return statistics.fmean(working) if working else None


def measure(spec: Path, precision: str, given: argparse.Namespace) -> dict[str, object]:
    """Train a spec and say what it took."""
    settings = [f"precision={precision}", *(given.set or [])]
    settings += [f"dataset.limit={given.limit}"] if given.limit else []
    settings += [f"epochs={given.epochs}"] if given.epochs else []
    with tempfile.TemporaryDirectory() as folder, Busy() as busy:
        words = [sys.executable, "-m", "dlx", "run", str(spec), "--json", "--runs-dir", folder]
        words += ["--backend", given.backend, "--device", given.device]
        done = subprocess.run(
            [*words, *(word for setting in settings for word in ("-s", setting))],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(done.stderr[-2000:])
        run = Path(json.loads(done.stdout)["run"])
        info = json.loads((run / "run.json").read_text())
        metrics = json.loads((run / "metrics.json").read_text())
        rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    # The first chunk is one step and the compilation of all of them: the second epoch says what an epoch takes.
    usual = statistics.median(row["seconds"] for row in rows[1:]) if len(rows) > 1 else None
    reached = next((row["epoch"] for row in rows if row.get("val_accuracy", 0) >= given.accuracy), None)
    later = sum(row["seconds"] for row in rows[1:reached]) if reached else None
    return {
        "spec": spec.stem, "precision": precision, "backend": info["backend"], "device": info["device_name"],
        "examples_per_second": metrics["examples_per_second"], "utilisation": busy.mean(),
        "test_accuracy": metrics.get("test_accuracy"), "epochs": len(rows),
        "epoch_of_accuracy": reached,
        "seconds_to_accuracy": None if later is None or usual is None else later + usual,
        "compile_seconds": None if usual is None else rows[0]["seconds"] - usual,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="*", type=Path, default=[CONFIGS / f"{name}.yaml" for name in SPECS])
    parser.add_argument("--backend", default="jax")
    parser.add_argument("--device", default="gpu")
    parser.add_argument("--accuracy", type=float, default=0.92, help="of the test split, to be reached")
    parser.add_argument("--limit", type=int, help="of the training images")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("-s", "--set", action="append", metavar="K=V")
    parser.add_argument("-o", "--output", type=Path, help="a JSON file")
    given = parser.parse_args()
    found = []
    for spec in given.specs:
        for precision in ("float32", "mixed_bfloat16"):
            found.append(measure(spec, precision, given))
            print(json.dumps(found[-1]), flush=True)
            if given.output:
                given.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
