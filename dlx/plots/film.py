"""Pictures of a run after several epochs, as one strip and as an animation."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dlx.plots.style import rendered

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

WIDTH, FRAME_MS, LAST_MS = 480, 700, 2000  # pixels of a strip's pictures; how long each of an animation stays


def film(frames: Sequence[Callable[[], Figure]]) -> dict[str, bytes]:
    """The same picture after several epochs, by suffix: a strip of all (.png), and an animation (.gif)."""
    images = [_image(draw()) for draw in frames]
    return {"png": _strip(images), "gif": _animation(images)}


def _image(figure: Figure) -> Image:
    from PIL import Image

    return Image.open(io.BytesIO(rendered(figure))).convert("RGB")


def _strip(images: Sequence[Image]) -> bytes:
    """The pictures side by side, in as many rows as they need."""
    from PIL import Image

    small = [image.resize((WIDTH, round(image.height * WIDTH / image.width))) for image in images]
    columns = min(len(small), 3 if len(small) in (3, 5, 6, 9) else 4)
    height = max(image.height for image in small)
    page = Image.new("RGB", (columns * WIDTH, math.ceil(len(small) / columns) * height), "white")
    for number, image in enumerate(small):
        page.paste(image, (number % columns * WIDTH, number // columns * height))
    stream = io.BytesIO()
    page.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _animation(images: Sequence[Image]) -> bytes:
    size = max(image.width for image in images), max(image.height for image in images)
    frames = [_on_page(image, size).quantize(128) for image in images]
    stream, times = io.BytesIO(), [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)
    return stream.getvalue()


def _on_page(image: Image, size: tuple[int, int]) -> Image:
    from PIL import Image

    page = Image.new("RGB", size, "white")
    page.paste(image)
    return page
