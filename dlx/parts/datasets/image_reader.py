"""Reading the images of a folder: into memory, or looked at and left on disk."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.data import images
from dlx.data.dataset import Stream
from dlx.errors import DataError
from dlx.parts.datasets import out_of_core
from dlx.parts.datasets.out_of_core import InMemory
from dlx.system import terminal
from dlx.system.machine import cores

if TYPE_CHECKING:
    import numpy as np

SHOWN = 8


@dataclass
class _Image:
    """What is known of one image: its shape, the hash of its file, and its pixels where they stay in memory."""

    shape: tuple[int, ...]
    digest: bytes
    pixels: Any


class ImageReader:
    """Reads images of one size and channel count, or looks at them and leaves them on disk.

    With `skip` it passes over what cannot be read, and remembers it.
    """

    def __init__(self, size: Any, channels: int, skip: bool, in_memory: InMemory) -> None:
        self.size, self.channels, self.skip, self.in_memory = size, channels, skip, in_memory
        self.skipped: list[str] = []
        self.on_disk, self.first = False, 0  # pixels of the first image
        self.digest = hashlib.sha256()

    def read(self, folder: Path, files: Sequence[Path]) -> tuple[np.ndarray | Stream, list[int]]:
        """(the images (n, height, width, channels) uint8, the places of those that could be read)."""
        import numpy as np

        pixels, kept = np.empty((0,), np.uint8), list[int]()
        shape: tuple[int, ...] = ()
        problems: list[DataError] = []
        sizes: Counter[tuple[int, ...]] = Counter()
        self.on_disk = self.on_disk or self._stays_on_disk(folder, files)  # train's are the first, and decide for both
        keys = np.zeros(len(files), np.uint64)  # of the files: what tells images apart that are not read
        with terminal.Bar(len(files), "images", plain=len(files) > 5000) as bar:
            for place, image in enumerate(self._each(files, pixels=not self.on_disk)):
                if isinstance(image, DataError):
                    problems.append(image)
                    continue
                if not kept:
                    shape = image.shape
                    pixels = np.empty((0 if self.on_disk else len(files), *shape), np.uint8)
                sizes[image.shape[:2]] += 1
                if image.shape == shape:
                    if not self.on_disk:
                        pixels[len(kept)] = image.pixels
                    self.digest.update(image.digest)
                    keys[place] = int.from_bytes(image.digest[:8], "little")
                    kept.append(place)
                if place % 100 == 0:
                    bar.update(place)
        self._check(folder, files, problems, sizes)
        self.digest.update(str(shape).encode())
        if self.on_disk and kept:
            read = partial(self._pixels, [str(file) for file in files], shape)
            return Stream(read, np.array(kept), shape, np.dtype("uint8"), keys), kept
        return pixels[: len(kept)], kept

    def _stays_on_disk(self, folder: Path, files: Sequence[Path]) -> bool:
        """Whether the images stay on disk."""
        if self.in_memory is False:
            return True
        looked = (self._look(file, pixels=False) for file in files[:100])
        first = next((image for image in looked if isinstance(image, _Image)), None)
        shape = first.shape if first else (0, 0, 0)
        self.first = shape[0] * shape[1]
        what = f"{len(files):,} images of {shape[0]} × {shape[1]}"
        smaller = "a smaller image_size, or fewer images"
        return out_of_core.keeps_on_disk(len(files) * math.prod(shape), self.in_memory, what, str(folder), smaller)

    def _each(self, files: Sequence[Path], pixels: bool) -> Iterator[_Image | DataError]:
        yield from images.in_parallel(partial(self._look, pixels=pixels), files, cores())

    def _look(self, file: Path, pixels: bool) -> _Image | DataError:
        """What there is to know of a file: from all of it, or from its header where that is enough."""
        try:
            try:
                raw = images.contents(file)
            except OSError as error:
                raise DataError(f"cannot be read ({error.strerror})", where=str(file)) from error
            digest = hashlib.sha256(raw).digest()
            larger = pixels and not self.size and self.first and math.prod(images.extent(raw, str(file))) > self.first
            if larger:  # of another size, which is an error: hundreds of such images would be in memory at once
                return _Image((*images.extent(raw, str(file)), self.channels), digest, None)
            if pixels or self.skip:
                array = images.read_image(raw, self.channels, self.size, str(file))
                return _Image(array.shape, digest, array if pixels else None)
            if not images.complete(raw):  # perhaps cut off: only decoding it can tell
                images.read_image(raw, self.channels, None, str(file))
            extent = images.extent(raw, str(file))
            return _Image((*(self.size or extent), self.channels), digest, None)
        except DataError as error:
            return error

    def _pixels(self, names: Sequence[str], shape: tuple[int, ...], rows: np.ndarray) -> np.ndarray:
        """The images at the places `rows`, decoded in parallel: (rows, height, width, channels) uint8."""
        import numpy as np

        def read(row: int) -> np.ndarray:
            try:
                image = images.read_image(Path(names[row]), self.channels, self.size)
                if image.shape != shape:
                    expected = " × ".join(map(str, shape))
                    raise DataError(f"is {' × '.join(map(str, image.shape))}, expected {expected}", where=names[row])
            except DataError as error:
                error.hint = "bad: skip looks at every image before the training"
                raise
            return image

        pixels = np.empty((len(rows), *shape), np.uint8)
        for place, image in enumerate(images.in_parallel(read, rows.tolist(), cores(), ahead=max(1, len(rows)))):
            pixels[place] = image
        return pixels

    def _check(self, folder: Path, files: Sequence[Path], problems: Sequence[DataError], sizes: Any) -> None:
        """Raise DataError for files that could not be read, or that differ in size."""
        if len(sizes) > 1:
            counted = ", ".join(f"{count} of {h} × {w}" for (h, w), count in sizes.most_common(4))
            raise DataError(
                f"the images have {len(sizes)} different sizes (height × width): {counted}" + " …" * (len(sizes) > 4),
                where=str(folder),
                hint="image_size: 64 resizes them all",
            )
        if problems and (not self.skip or len(problems) == len(files)):
            lines = "".join(f"\n  {problem.where}: {problem.message}" for problem in problems[:SHOWN])
            count = f"{len(problems)} of {len(files)} images cannot be used:"
            more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
            hint = f"expected {', '.join(images.FORMATS)}; bad: skip passes over them"
            raise DataError(f"{count}{lines}{more}", where=str(folder), hint=hint)
        self.skipped += [os.path.relpath(problem.where, folder) for problem in problems]
