"""The pictures of README.md and of these pages, from the runs in runs/tutorials: python docs/make_images.py"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
LARGEST = 200_000  # bytes of a picture
# The picture: the words of `dlx plot` that draw it.
PICTURES = {
    "run": ["tutorials/moons_mlp", "--only", "boundary"],
    "comparison": ["tutorials/cifar_dropout", "tutorials/cifar_no_dropout", "--only", "curves"],
    "boundaries": [*(f"tutorials/moons_hidden_sizes-{run}" for run in (1, 7, 19)), "--only", "boundary"],
}


def main() -> None:
    """Draw each picture anew."""
    IMAGES.mkdir(exist_ok=True)
    for name, words in PICTURES.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "dlx", "plot", *words, "-o", folder]
            subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
            (made,) = Path(folder).glob("*.png")
            target = IMAGES / f"{name}.png"
            with Image.open(made) as picture:  # 128 colours are enough for lines and shades, in a third of the bytes
                picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size > LARGEST:
            raise SystemExit(f"{name} has {target.stat().st_size:,} bytes; expected {LARGEST:,} at most")
        print(target.relative_to(ROOT))


if __name__ == "__main__":
    main()
