"""The one reader of image files: every format, depth and mode becomes uint8 pixels as training has them, or is refused.

What is done to a file is settled here and told in notes, because a model cannot know that an image came out black:

- 8 bits and 1 bit are taken as they are, palettes are looked up, CMYK and YCbCr become RGB.
- 16-bit grey is scaled by its full range, 0 ... 65535; where no value is above 4095 it is read as 12 bits, which is
  what cameras put into 16-bit files. One where no value is above 255 is refused: nothing tells its range.
- Floats in 0 ... 1 are scaled by 255; other floats and 32-bit integers have no known range and are refused.
- Transparent pixels are shown on black, the surround of microscopes and retina photographs.
- The EXIF orientation is applied.
- Files of several frames are refused, but for the first picture of a phone's JPEG (MPO).
"""

from __future__ import annotations

import contextlib
import os
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ordinal_blast.errors import UserError, reason

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")  # nothing else is tried: EPS, for one, would run Ghostscript
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")
_ORIENTATION, _BITS, _PHOTOMETRIC = 274, 258, 262  # tags of EXIF and TIFF
_WHITE_IS_ZERO = 0
_SAVE = "save it with 8 bits"


class Photograph(NamedTuple):
    """pixels: uint8 `[H, W, 1]` or `[H, W, 3]`. notes: what was done to the file that its reader should know."""

    pixels: np.ndarray
    notes: tuple[str, ...]


def read(path: Path) -> Photograph:
    """The image in a file; raises UserError in one line for what is no image, damaged, enormous or of unknown range."""
    with _opened(path) as (opened, warned):
        pixels, notes = _decode(opened)
    return Photograph(pixels, (*notes, *dict.fromkeys(reason(warning.message) for warning in warned)))


def size(path: Path) -> tuple[int, int]:
    """H and W of the image in a file, by its first bytes; raises UserError as `read` does."""
    with _opened(path) as (opened, _):
        turned = opened.getexif().get(_ORIENTATION, 1) in range(5, 9)
        return (opened.width, opened.height) if turned else (opened.height, opened.width)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Image.Image, list[warnings.WarningMessage]]]:
    """The file opened, not decoded, and the warnings of what is done with it; whatever that raises is a UserError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a FIFO would wait for ever
            raise ValueError("it is a folder" if path.is_dir() else "it is no regular file")
        if not path.stat().st_size:
            raise ValueError("it is empty")
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with path.open("rb") as stream, Image.open(stream, formats=FORMATS) as opened:
                yield opened, warned
    except Exception as error:  # whatever a decoder raises, it is the file's fault
        raise UserError(f"cannot read the image {printable(path)}: {_why(error)}") from error


def printable(name: object) -> str:
    """A path or name in one line of text: bytes that are no UTF-8 and controls are escaped."""
    text = os.fsencode(str(name)).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def fit(photograph: Photograph, shape: tuple[int, ...]) -> Photograph:
    """The photograph as training images of `shape` (H, W, C): untouched where it has that shape.

    Grey from colour by ITU-R 601, colour from grey by repetition; the largest middle part of the shape's proportions,
    resized with antialiasing. Raises UserError where C is neither 1 nor 3.
    """
    height, width, channels = shape
    if channels not in (1, 3):
        raise UserError(f"images of {channels} channels are read, and image files have 1 or 3")
    pixels, notes = photograph
    if pixels.shape[-1] != channels:
        if channels == 3:
            notes += ("grey, and read as colours",)
        elif np.ptp(pixels, axis=-1).any():
            notes += ("its colours are read as grey",)
        pixels = _pixels(_picture(pixels).convert("L" if channels == 1 else "RGB"))
    if pixels.shape[:2] == (height, width):
        return Photograph(pixels, notes)
    there = pixels.shape[:2]
    scale = min(there[0] / height, there[1] / width)
    tall, wide = max(1, round(scale * height)), max(1, round(scale * width))
    if (tall, wide) != there:
        notes += (f"its middle {wide} x {tall} of {there[1]} x {there[0]} pixels are read",)
        top, left = (there[0] - tall) // 2, (there[1] - wide) // 2
        pixels = pixels[top : top + tall, left : left + wide]
    if scale < 1:
        notes += (f"enlarged to {width} x {height} pixels",)
    resized = _picture(pixels).resize((width, height), Image.Resampling.BILINEAR)
    return Photograph(_pixels(resized), notes)


def _decode(opened: Image.Image) -> tuple[np.ndarray, tuple[str, ...]]:
    frames = getattr(opened, "n_frames", 1)
    notes: list[str] = []
    if frames > 1 and opened.format == "MPO":
        notes.append(f"the first of its {frames} pictures is read")
        opened.seek(0)
    elif frames > 1:
        raise ValueError(f"it has {frames} frames: save the one that counts as a file of its own")
    tags: Any = getattr(opened, "tag_v2", {})
    deep = opened.format in ("PNG", "TIFF") and ";16" in _raw_mode(opened)  # 16 bits of a BMP are of the whole pixel
    if opened.getexif().get(_ORIENTATION, 1) in range(2, 9):
        notes.append("turned as its EXIF orientation says")
    image = ImageOps.exif_transpose(opened)
    if image.mode.startswith(("I", "F")) and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        raise ValueError(f"zero is white in it: {_SAVE}")
    if deep and "transparency" in image.info:
        raise ValueError(f"it has 16 bits and a transparent colour: {_SAVE}")
    if image.mode.startswith("I;16"):
        values, bits = np.asarray(image), tags.get(_BITS, (16,))[0]
        pixels, note = _scaled(values, bits)
        return pixels[..., None], (*notes, note)
    if image.mode == "F":
        return _unit(np.asarray(image))[..., None], tuple(notes)
    if image.mode not in ("1", "L", "P", "PA", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"):
        what = "32-bit integers have no known range" if image.mode == "I" else f"its mode {image.mode} is not read"
        raise ValueError(f"{what}: {_SAVE}")
    if image.has_transparency_data:
        pixels, clear = _on_black(np.asarray(image.convert("RGBA")))
        if clear:
            notes.append(f"{clear:.0%} of its pixels are transparent: they are shown on black")
    else:
        pixels = _pixels(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    if deep:
        if 0 < pixels.max() <= 15:
            raise ValueError(f"it has 16 bits a channel and no value above 4095, as if it were 12 bits: {_SAVE}")
        notes.append("of its 16 bits a channel the upper 8 are read")
    return pixels, tuple(notes)


def _scaled(values: np.ndarray, bits: int) -> tuple[np.ndarray, str]:
    """16-bit grey as uint8, and the range it was taken to have; raises ValueError where nothing tells the range."""
    largest = int(values.max())
    if bits == 16 and 0 < largest <= 255:
        raise ValueError(f"it has 16 bits and no value above {largest}, so that nothing tells its range: {_SAVE}")
    if bits == 12 or largest <= 4095:
        top, why = 4095, f"12 bits: its largest value is {largest}"
    else:
        top, why = 65535, f"16 bits: its largest value is {largest} of 65535"
    return np.round(values.astype(np.float64) * (255 / top)).astype(np.uint8), f"read as {why}"


def _raw_mode(opened: Image.Image) -> str:
    """How the file packs its pixels, such as "RGB;16B": the mode alone does not tell that Pillow drops half of them."""
    arguments = opened.tile[0][3] if opened.tile else ""
    return str(arguments if isinstance(arguments, str) else arguments[0])


def _unit(values: np.ndarray) -> np.ndarray:
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"its floats are not all in 0 ... 1, so that nothing tells their range: {_SAVE}")
    return np.round(values.astype(np.float64) * 255).astype(np.uint8)


def _on_black(rgba: np.ndarray) -> tuple[np.ndarray, float]:
    """RGBA `[H, W, 4]` over black, uint8 `[H, W, 3]`, and the share of pixels that are not opaque."""
    colour, alpha = rgba[..., :3], rgba[..., 3:]
    clear = float(np.mean(alpha < 255))
    return (np.round(colour * (alpha / 255)).astype(np.uint8) if clear else colour), clear


def _pixels(image: Image.Image) -> np.ndarray:
    values = np.asarray(image)
    return values if values.ndim == 3 else values[..., None]


def _picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _why(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"it is no whole file of {', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"it has more than {Image.MAX_IMAGE_PIXELS / 1e6:.0f} million pixels: shrink it first"
    return reason(error)
