"""Image files as arrays, the same way in training, in `dlx data add` and in `dlx predict`."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dlx.errors import DataError
from dlx.system.files import UnsafeFileError, regular

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
MAX_PIXELS = 50_000_000
MAX_BYTES = 500_000_000
ORIENTATION = 0x0112  # EXIF's tag of how the camera was held
A = TypeVar("A")
B = TypeVar("B")


def read_image(
    source: Path | bytes, channels: int | None = None, size: tuple[int, int] | None = None, name: str = ""
) -> np.ndarray:
    """One image as (height, width, channels) uint8, upright, resized to `size` (height, width) if given.

    Transparent pixels become white; 16-bit greys are scaled to 8 bits. `channels` is 1 or 3; None keeps grey
    images grey. Raises DataError with the file's name when it is not a readable image, or has more than
    50 million pixels; `name` is the name of bytes.
    """
    import numpy as np
    from PIL import Image

    with _opened(source, name) as raw:
        pixels: np.ndarray | None = _plain_jpeg(raw, channels)
        if pixels is None or (size is not None and pixels.shape[:2] != size):
            picture = (
                _picture(raw, channels)
                if pixels is None
                else Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
            )
            if size is not None and picture.size != (size[1], size[0]):
                picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            pixels = np.asarray(picture, np.uint8)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def extent(source: Path | bytes, name: str = "") -> tuple[int, int]:
    """(height, width) of an image once upright, from its header; raises DataError as `read` does.

    A PNG is taken as it lies: what turns it may stand behind its pixels.
    """
    with _opened(source, name) as raw:
        if (header := _jpeg_header(raw)) is not None and header[0] * header[1] <= MAX_PIXELS:
            return header[0], header[1]
        with _pillow(raw) as image:
            width, height = image.size
            turned = image.format != "PNG" and image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
            return (width, height) if turned else (height, width)


def complete(raw: bytes) -> bool:
    """Whether an image file surely continues to its end, judged by its last bytes; one that is cut off has none."""
    tail = raw[-64:]
    if raw[:2] == b"\xff\xd8":
        return b"\xff\xd9" in tail
    return raw[:8] == b"\x89PNG\r\n\x1a\n" and b"IEND" in tail


def _jpeg_header(raw: bytes) -> tuple[int, int, str] | None:
    """(height, width, colours) of a JPEG that lies upright; None of any other image, and where that is unknown."""
    import simplejpeg

    if raw[:2] != b"\xff\xd8" or b"Exif" in raw[:65536]:
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(raw)
    except ValueError:
        return None
    return height, width, colours


def _plain_jpeg(raw: bytes, channels: int | None) -> Any:
    """The pixels of a usual JPEG, those that Pillow gives, in a third of its time; None of any other image."""
    import simplejpeg

    header = _jpeg_header(raw)
    usual = {"Gray": (None, 1), "YCbCr": (None, 3)}
    if header is None or channels not in usual.get(header[2], ()) or header[0] * header[1] > MAX_PIXELS:
        return None
    try:
        return simplejpeg.decode_jpeg(raw, "GRAY" if header[2] == "Gray" else "RGB")
    except ValueError:  # a damaged one: Pillow says how
        return None


def _picture(raw: bytes, channels: int | None) -> Any:
    """The image, upright, in mode L or RGB."""
    with _pillow(raw) as image:
        picture = _eight_bit(_upright(image), channels)
        picture.load()
        return picture


@contextlib.contextmanager
def _pillow(raw: bytes) -> Iterator[Any]:
    """Pillow's image of the bytes; raises DataError, without a place, for one of too many pixels."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                message = f"{width} × {height} pixels, expected at most {MAX_PIXELS // 1_000_000} million"
                raise DataError(message, hint="make it smaller first")
            yield image


def contents(path: Path) -> bytes:
    """The bytes of an image file. Raises DataError for one of more than 500 MB."""
    with Path(regular(path)).open("rb") as stream:
        if os.fstat(stream.fileno()).st_size > MAX_BYTES:
            message = f"is larger than {MAX_BYTES // 1_000_000} MB"
            raise DataError(message, where=str(path), hint="no image that dlx can use is")
        return stream.read()


def _upright(image: Any) -> Any:
    """The image as its EXIF data turns it; one without such data is not copied."""
    from PIL import ImageOps

    if image.format == "JPEG" and "exif" not in image.info:
        return image
    return ImageOps.exif_transpose(image) if image.getexif().get(ORIENTATION, 1) != 1 else image


@contextlib.contextmanager
def _opened(source: Path | bytes, name: str) -> Iterator[bytes]:
    """The bytes of an image; what goes wrong in the block is a DataError that names it."""
    name = name or ("the image" if isinstance(source, bytes) else str(source))
    try:
        yield source if isinstance(source, bytes) else contents(source)
    except DataError as error:
        error.where = error.where or name
        raise
    except FileNotFoundError as error:
        raise DataError("no such file", where=name) from error
    except UnsafeFileError as error:
        raise DataError(str(error), where=name, hint="expected an image file") from error
    except Exception as error:  # Pillow raises what its decoders raise, SyntaxError and struct.error among them
        known = {"UnidentifiedImageError": "no image in a known format", "DecompressionBombError": "too many pixels"}
        reason = known.get(type(error).__name__, str(error) or type(error).__name__)
        raise DataError(
            f"cannot be read as an image ({reason})", where=name, hint=f"expected one of {', '.join(FORMATS)}"
        ) from error


def _eight_bit(image: Any, channels: int | None) -> Any:
    """The image in mode L or RGB."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        top = 65535 if image.mode.startswith("I;16") or image.getextrema()[1] > 255 else 255
        image = image.convert("F").point(lambda value: value * (255.0 / top)).convert("L")
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    wanted = "L" if (channels or (1 if grey else 3)) == 1 else "RGB"
    return image if image.mode == wanted else image.convert(wanted)


def files(folder: Path) -> list[Path]:
    """The image files below `folder`, in order of their names; hidden files and links are passed over."""
    paths, folders = list[str](), [str(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.is_symlink():
                    continue
                if entry.is_dir():
                    folders.append(entry.path)
                elif entry.name.lower().endswith(SUFFIXES) and entry.is_file():
                    paths.append(entry.path)
    return [Path(path) for path in sorted(paths, key=lambda path: path.split(os.sep))]


def in_parallel(work: Callable[[A], B], items: Sequence[A], threads: int, ahead: int = 256) -> Iterator[B]:
    """`work` of each item, in order, a bounded number of them ahead of the reader."""
    # A task of several items: handing one over costs as much as a small image.
    size = max(1, min(16, ahead // (2 * threads)))

    def several(some: Sequence[A]) -> list[B]:
        return [work(item) for item in some]

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(items), ahead):
            block = items[start : start + ahead]
            for decoded in pool.map(several, [block[place : place + size] for place in range(0, len(block), size)]):
                yield from decoded


def classes_below(folder: Path) -> list[str]:
    """The class folders of an image folder, in order of their names."""
    return sorted(path.name for path in _folders(folder))


def _folders(folder: Path) -> Iterable[Path]:
    return (p for p in folder.iterdir() if p.is_dir() and not p.is_symlink() and not p.name.startswith("."))
