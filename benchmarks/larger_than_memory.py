"""Training from 200,000 JPEG files that stay on disk: images/s and memory, dlx beside Keras's own pipeline.

    python benchmarks/larger_than_memory.py                the files are made once, in benchmarks/.scratch
    python benchmarks/larger_than_memory.py --files 20000 --epochs 3

Keras's side is `image_dataset_from_directory` with `prefetch`, as its guides show. Memory is that of
the process, sampled each half second; flat means that the second half of the training needs no more than the first.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from run import HERE, epoch_seconds, machine

SIZE = 64
CLASSES = ("bars", "discs", "noise", "ramps")
SPEC = """\
dataset: {{image_folder: {{path: {path}, image_size: 64, in_memory: {in_memory}}}}}
test: none
validation: 0.05
preprocess: [rescale]
layers:
  - conv2d: {{filters: 16, kernel_size: 3, strides: 2, activation: relu}}
  - conv2d: {{filters: 32, kernel_size: 3, strides: 2, activation: relu}}
  - global_average_pooling2d
  - output
optimizer: adam
lr: 0.001
batch_size: 128
epochs: {epochs}
"""
KERAS = f"""\
import sys, keras
from keras import layers
folder, epochs, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
options = dict(image_size=({SIZE}, {SIZE}), batch_size=128, validation_split=0.05, seed=0)
train, held = keras.utils.image_dataset_from_directory(folder, subset="both", **options)
AUTO = -1
model = keras.Sequential([
    keras.Input(({SIZE}, {SIZE}, 3)), layers.Rescaling(1 / 255),
    layers.Conv2D(16, 3, strides=2, activation="relu"), layers.Conv2D(32, 3, strides=2, activation="relu"),
    layers.GlobalAveragePooling2D(), layers.Dense({len(CLASSES)}, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
best = keras.callbacks.ModelCheckpoint(out + "/b.keras", save_best_only=True)
callbacks = [keras.callbacks.TensorBoard(out + "/logs"), best]
model.fit(train.prefetch(AUTO), validation_data=held.prefetch(AUTO), epochs=epochs, callbacks=callbacks, verbose=2)
"""


def make(folder: Path, count: int) -> None:
    """`count` JPEGs of 64 × 64, a quarter of each kind; those that are there already stay."""
    done = folder / "done"
    if done.is_file() and int(done.read_text()) >= count:
        return
    for name in CLASSES:
        (folder / "images" / name).mkdir(parents=True, exist_ok=True)
    pieces = [(folder / "images", start, min(start + 1000, count)) for start in range(0, count, 1000)]
    with ProcessPoolExecutor() as pool:
        list(pool.map(_make_some, pieces))
    done.write_text(str(count))


def _make_some(piece: tuple[Path, int, int]) -> None:
    import numpy as np
    from PIL import Image

    folder, start, end = piece
    rng = np.random.default_rng(start)
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    for number in range(start, end):
        kind, phase = CLASSES[number % 4], rng.uniform(0, 1, 3)
        if kind == "bars":
            grey = 0.5 + 0.5 * np.sin(40 * (x * phase[0] + y * phase[1]) + 6 * phase[2])
        elif kind == "discs":
            grey = ((x - phase[0]) ** 2 + (y - phase[1]) ** 2 < 0.05 + 0.1 * phase[2]).astype(float)
        elif kind == "ramps":
            grey = (x * phase[0] + y * phase[1]) / 2
        else:
            grey = rng.uniform(0, 1, (SIZE, SIZE))
        image = grey[:, :, None] * rng.uniform(0.3, 1, 3) * 255 + rng.normal(0, 8, (SIZE, SIZE, 3))
        picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
        picture.save(folder / kind / f"{number:06d}.jpg", quality=85)


def watch(words: list[str], folder: Path, logs: str, files: int) -> dict[str, float]:
    """Run a program; its images/s, seconds, and megabytes in the two halves of its training."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    started, memory = time.perf_counter(), []
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=log, cwd=folder)
        while process.poll() is None:
            memory.append(_megabytes(process.pid))
            time.sleep(0.5)
    if process.returncode:
        sys.exit((folder / "log").read_text()[-3000:])
    seconds = time.perf_counter() - started
    late = memory[len(memory) // 3 :]
    halves = late[: len(late) // 2], late[len(late) // 2 :]
    return {
        "images_per_second": files / epoch_seconds(next(folder.glob(logs))),
        "seconds": seconds,
        "first_half_mb": max(halves[0], default=0.0),
        "second_half_mb": max(halves[1], default=0.0),
    }


def _megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--make-only", action="store_true", help="make the files and stop")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "larger_than_memory.json")
    given = parser.parse_args()
    scratch = HERE / ".scratch" / f"jpegs-{given.files}"
    make(scratch, given.files)
    if given.make_only:
        return
    found: dict[str, list[dict[str, float]]] = {"dlx": [], "Keras": []}
    for _ in range(given.repeat):
        for side, results in found.items():
            with tempfile.TemporaryDirectory(dir=HERE / ".scratch") as name:
                folder = Path(name)
                if side == "dlx":
                    spec = folder / "stream.yaml"
                    spec.write_text(SPEC.format(path=scratch / "images", in_memory="false", epochs=given.epochs))
                    words, logs = [sys.executable, "-m", "dlx", "run", str(spec)], "runs/*/tensorboard/train"
                else:
                    (folder / "plain.py").write_text(KERAS)
                    words = [sys.executable, "plain.py", str(scratch / "images"), str(given.epochs), str(folder)]
                    logs = "logs/train"
                results.append(watch(words, folder, logs, given.files))
                print(side, json.dumps(results[-1]), file=sys.stderr)
    middle = {
        side: {key: round(statistics.median(r[key] for r in results), 1) for key in results[0]}
        for side, results in found.items()
    }
    about = {"files": given.files, "epochs": given.epochs, "machine": machine()}
    given.output.write_text(json.dumps({**about, "results": middle}, indent=1) + "\n", encoding="utf-8")
    print("| side | images/s | whole process | memory, first half | second half |\n|---|---:|---:|---:|---:|")
    for side, r in middle.items():
        rate, first, second = r["images_per_second"], r["first_half_mb"], r["second_half_mb"]
        print(f"| {side} | {rate:,.0f} | {r['seconds']:.0f} s | {first:,.0f} MB | {second:,.0f} MB |")


if __name__ == "__main__":
    main()
