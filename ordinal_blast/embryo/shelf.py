"""Crops on disk: 8-bit images, compressed without loss, each read alone.

What is compressed is the difference of differences along rows and columns, modulo 256, in ArrayRecord files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from array_record.python import array_record_module

from ordinal_blast.errors import UserError, reason

_WRITING = "group_size:1,zstd:1"  # alone, and fast: higher levels save 4 % for five times the work
_READING = "readahead_buffer_size:0"
_READERS = 64  # open files


def write(path: Path, images: Iterator[np.ndarray]) -> None:
    """Images uint8 `[H, W]` as the records of one file; raises UserError where the disk refuses."""
    with _blamed(path):
        writer = array_record_module.ArrayRecordWriter(str(path), _WRITING)
    for image in images:
        with _blamed(path):
            writer.write(_differences(image).tobytes())
    with _blamed(path):
        writer.close()


@contextlib.contextmanager
def _blamed(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:  # ArrayRecord tells a full disk by the second
        raise UserError(
            f"cannot write {path}: {reason(error)}; free space and run the same command again, finished work is kept"
        ) from error


@dataclasses.dataclass(frozen=True)
class Shelf:
    """The crops of every embryo, `shelf(row, slot, planes)`; as many records an embryo as `place` has from 0 on.

    files: of `per_file` embryos each. place: int `[S, F]`, the record of a slot and focal plane among those of an
    embryo, -1 where it was not kept. finish(image, row, slot, plane): the image `[size, size]` as it is seen.
    """

    files: tuple[Path, ...]
    per_file: int
    place: np.ndarray
    size: int
    finish: Callable[[np.ndarray, int, int, int], np.ndarray]

    def __call__(self, row: int, slot: int, planes: Sequence[int]) -> np.ndarray:
        """One crop in these focal planes, uint8 `[size, size, P]`; raises UserError for a damaged file."""
        file, embryo = divmod(int(row), self.per_file)
        records = [embryo * (int(self.place.max()) + 1) + int(self.place[slot, plane]) for plane in planes]
        try:
            stored = _reader(self.files[file]).read(records)
            images = [_sums(np.frombuffer(one, np.uint8).reshape(self.size, self.size)) for one in stored]
        except Exception as error:
            raise UserError(
                f"{self.files[file]} is damaged ({reason(error)}): {again(self.files[file].parent)}"
            ) from error
        return np.stack([self.finish(image, row, slot, plane) for image, plane in zip(images, planes, strict=True)], -1)


def again(folder: Path) -> str:
    """What to do where crops in a folder are damaged."""
    return f"delete {folder} and run the same command again"


@functools.lru_cache(maxsize=_READERS)
def _reader(path: Path) -> array_record_module.ArrayRecordReader:
    return array_record_module.ArrayRecordReader(str(path), _READING)


def _differences(image: np.ndarray) -> np.ndarray:
    across = np.diff(image, axis=1, prepend=np.zeros_like(image[:, :1]))
    return np.diff(across, axis=0, prepend=np.zeros_like(image[:1]))


def _sums(differences: np.ndarray) -> np.ndarray:
    return np.cumsum(np.cumsum(differences, 0, np.uint8), 1, np.uint8)
