"""Makes the runs that later versions must be able to use: `python tests/runs/corpus.py` once for each release.

They lie in corpus/VERSION, with their specs, data and what `dlx predict` answered; tests/runs/test_corpus.py holds every
later dlx to them. Runs are made in a clean checkout, so that run.json names a commit.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dlx import __version__

CORPUS = Path(__file__).parent / "corpus"
COMMON = "validation: 0.2\nbatch_size: 16\nseed: 7\n"
OWN = """\
import keras

from dlx import layer


@layer
def doubled(units: int = 4):
    \"\"\"A dense layer of twice the units.\"\"\"
    return keras.layers.Dense(2 * units, activation="tanh")
"""
# The spec of each kind, the input that is predicted, and the words of the command.
KINDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "image": (
        "dataset: {npz: {path: images.npz}}\npreprocess: [rescale]\nepochs: 4\n"
        "layers: [{conv2d: {filters: 3, kernel_size: 3}}, max_pooling2d, flatten, {dropout: 0.2}, output]\n",
        "images.npy", (),
    ),
    "table": (
        "dataset: {csv: {path: table.csv, label: label, id: id, missing: median}}\npreprocess: [normalize]\nepochs: 5\n"
        "layers: [{dense: 6}, output]\noptimizer: {sgd: {momentum: 0.9}}\n",
        "table.csv", (),
    ),
    "text": (
        "dataset: {text_csv: {path: text.csv, label: mood, text: words, max_tokens: 30, sequence_length: 4}}\nepochs: 3\n"
        "layers: [{embedding: {input_dim: 30, output_dim: 4}}, global_average_pooling1d, output]\n",
        "text.csv", (),
    ),
    "series": (
        "dataset: {series_csv: {path: series.csv, target: y, window: 6}}\nepochs: 3\nlayers: [{gru: 4}, output]\n",
        "series.csv", (),
    ),
    "regression": (
        "dataset: {csv: {path: prices.csv, label: price}}\npreprocess: [standardize]\nepochs: 4\n"
        "layers: [{dense: 5}, output]\nregularization: {l2: 0.001}\nschedule: cosine\n",
        "prices.csv", (),
    ),
    "own": (
        "imports: [own.py]\ndataset: {csv: {path: table.csv, label: label, id: id, missing: median}}\nepochs: 3\n"
        "layers: [{doubled: 3}, output]\n",
        "table.csv", ("--allow-code",),
    ),
    "jax": (
        "dataset: {csv: {path: table.csv, label: label, id: id, missing: median}}\npreprocess: [normalize]\nepochs: 3\nlayers: [{dense: 4}, output]\n",
        "table.csv", ("--backend", "jax"),
    ),
    "stopped": (
        "dataset: {csv: {path: table.csv, label: label, id: id, missing: median}}\nepochs: 100000\nlayers: [{dense: 4}, output]\n",
        "table.csv", (),
    ),
}  # fmt: skip


def data(folder: Path) -> None:
    """The data of all kinds, the same in each release."""
    draw, generator = random.Random(5), np.random.default_rng(5)
    y = generator.integers(0, 3, 90)
    x = generator.integers(0, 60, (90, 8, 8, 1)) + 60 * y[:, None, None, None]
    np.savez(folder / "images.npz", x=x.astype("uint8"), y=y)
    np.save(folder / "images.npy", x[:5].astype("uint8"))
    rows = [(n, draw.random(), draw.choice("rgb"), "" if n % 11 == 3 else n % 7) for n in range(90)]
    lines = [f"{n},{a:.3f},{colour},{b},{'yes' if a > 0.5 else 'no'}" for n, a, colour, b in rows]
    (folder / "table.csv").write_text("id,a,colour,b,label\n" + "\n".join(lines) + "\n")
    lines = [f"{n % 7},{n % 5 / 4},{100.5 + 3 * (n % 7) - n % 5}" for n in range(90)]
    (folder / "prices.csv").write_text("a,b,price\n" + "\n".join(lines) + "\n")
    words = {"glad": "sun warm fine good".split(), "sad": "rain cold grey bad".split()}
    lines = [
        f"{' '.join(draw.sample(words[mood] + ['day', 'and', 'the'], 4))},{mood}"
        for mood in draw.choices(list(words), k=90)
    ]
    (folder / "text.csv").write_text("words,mood\n" + "\n".join(lines) + "\n")
    lines = [f"2026-01-{1 + n // 24:02d} {n % 24:02d}:00,{np.sin(n / 4):.4f}" for n in range(120)]
    (folder / "series.csv").write_text("time,y\n" + "\n".join(lines) + "\n")
    (folder / "own.py").write_text(OWN)


def stopped(name: str) -> None:
    """A run that is stopped politely after some epochs."""
    words = ["run", f"{name}.yaml", "--device", "cpu", "-s", "batch_size=1"]
    process = subprocess.Popen([sys.executable, "-m", "dlx", *words], stderr=subprocess.DEVNULL)
    history = Path("runs", f"{name}-1", "history.jsonl")
    while not history.is_file() or len(history.read_bytes().splitlines()) < 20:
        time.sleep(0.01)
    process.terminate()
    process.wait()


def dlx(*words: str) -> str:
    """What a command prints."""
    done = subprocess.run([sys.executable, "-m", "dlx", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stderr}")
    return done.stdout


def main() -> None:
    """Make the runs of this version."""
    target = CORPUS / __version__
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        data(Path())
        for name, (spec, inputs, words) in KINDS.items():
            Path(f"{name}.yaml").write_text(COMMON + spec)
            if name == "stopped":  # it has no model yet
                stopped(name)
                continue
            dlx("run", f"{name}.yaml", "--device", "cpu", *words)
            allowed = ["--allow-code"] * ("--allow-code" in words)
            answers = dlx("predict", name, inputs, "--exact", "--json", *allowed)
            Path(f"{name}.answers.jsonl").write_text(answers)
        for run in Path("runs").iterdir():
            for left in ("tensorboard", "lock", "model.onnx"):
                path = run / left
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(Path(), target)
    sizes = {
        path.name: sum(f.stat().st_size for f in path.rglob("*") if f.is_file()) for path in (target / "runs").iterdir()
    }
    print(json.dumps(sizes))


if __name__ == "__main__":
    main()
