"""Class names of every kind: what is predicted is what was trained, whatever has become of the folders since."""

from __future__ import annotations

import colorsys
import contextlib
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path

from PIL import Image

NAMES = [
    ["10", "2", "1"], ["0", "1", "2", "3"], ["01", "1", "001"], ["1e3", "1000", "1_000"], ["true", "false", "null"],
    ["yes", "no"], ["Ä", "a", "ä", "Z"], ["猫", "犬", "鳥"], ["a b", "a  b", " a"], ["cat", "Cat", "CAT"],
    ["-1", "+1", "1"], ["nan", "inf", "-inf"], ["x" * 100, "x" * 101], ["é", "e\u0301"], ["a,b", "a;b", 'a"b'],
    ["😀", "😃"], ["#1", "%s", "{0}"], ["train", "test", "validation"], ["9", "10", "11", "100"], ["a.b", "a", "b.a.c"],
]  # fmt: skip
SPEC = """\
dataset: {image_folder: {path: photos}}
validation: none
preprocess: [rescale]
layers: [flatten, output]
lr: 0.05
batch_size: full
epochs: 300
"""


def torture(count: int, work: Path, seed: int = 0) -> tuple[str, list[str]]:
    """(the figures, what went wrong) of `count` sets of class names, each trained, renamed and predicted afresh."""
    chance, wrong, right, asked, refused = random.Random(seed), list[str](), 0, 0, 0
    for number, names in enumerate(NAMES[:count]):
        folder = work / f"set-{number}"
        shuffled = chance.sample(names, len(names))
        colours = {name: _colour(place, len(names)) for place, name in enumerate(shuffled)}
        for name, colour in colours.items():
            (folder / "photos" / name).mkdir(parents=True)
            for copy in range(3):
                near = tuple(max(0, min(255, value + chance.randint(-6, 6))) for value in colour)
                Image.new("RGB", (4, 4), near).save(folder / "photos" / name / f"{copy}.png")
        for place, (_, colour) in enumerate(sorted(colours.items(), key=lambda pair: pair[1])):
            Image.new("RGB", (4, 4), colour).save(folder / f"q{place}.png")
        expected = [name for name, _ in sorted(colours.items(), key=lambda pair: pair[1])]
        (folder / "s.yaml").write_text(SPEC)
        code = _train(folder)
        if code == 3 and {"train", "test"} <= set(names):  # the names of splits: told, and nothing is trained
            refused += 1
            continue
        if code:
            wrong.append(f"{names}: the training ended with {code}")
            continue
        for place, name in enumerate(names):  # the folders get one another's names, and others
            (folder / "photos" / name).rename(folder / "photos" / f".{place}")
        for place, name in enumerate(reversed(names)):
            (folder / "photos" / f".{place}").rename(folder / "photos" / (name if place % 2 else f"renamed {place}"))
        done = subprocess.run(
            [sys.executable, "-m", "dlx", "predict", "s-1", *(f"q{n}.png" for n in range(len(expected))), "--json"],
            cwd=folder,
            env={**os.environ, "DLX_RUNS": "runs"},
            capture_output=True,
            text=True,
            check=False,
        )
        found = [json.loads(line) for line in done.stdout.splitlines()]
        asked += len(expected)
        right += sum(answer["label"] == name for answer, name in zip(found, expected, strict=False))
        if [answer["label"] for answer in found] != expected:
            wrong.append(
                f"{names}: expected {expected}, got {[answer['label'] for answer in found]} {done.stderr[-200:]}"
            )
        if any(set(answer["probabilities"]) != set(names) for answer in found):
            wrong.append(f"{names}: the probabilities are of other classes")
    told = f", {refused} set refused whose names are those of splits" if refused else ""
    return (
        f"{min(count, len(NAMES))} sets of class names: {right} of {asked} labels right in a fresh process{told}",
        wrong,
    )


def _colour(place: int, of: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(place / of, 1.0, 0.9)
    return int(255 * red), int(255 * green), int(255 * blue)


def _train(folder: Path) -> int:
    from dlx.cli import main

    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            main(["run", "s.yaml", "--runs-dir", "runs"])
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        os.chdir(before)
    return -1
