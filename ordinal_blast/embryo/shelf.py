"""Crops on disk: 8-bit images, compressed without loss, each read alone.

What is compressed is the difference of differences along rows and columns, modulo 256, in ArrayRecord files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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
    """The crops of every embryo, `shelf(rows, slots, planes)`; as many records an embryo as `place` has from 0 on.

    files: of `per_file` embryos each. place: int `[S, F]`, the record of a slot and focal plane among those of an
    embryo, -1 where it was not kept. finish(image, row, slot, plane): the image `[size, size]` as it is seen.
    """

    files: tuple[Path, ...]
    per_file: int
    place: np.ndarray
    size: int
    finish: Callable[[np.ndarray, int, int, int], np.ndarray]

    @functools.cached_property
    def records(self) -> int:
        """How many an embryo has."""
        return int(self.place.max()) + 1

    def __call__(self, rows: np.ndarray, slots: np.ndarray, planes: np.ndarray) -> np.ndarray:
        """Crops `[B, size, size, P]` uint8 of rows and slots `[B]` in focal planes `[B, P]`, read by several threads.

        Raises UserError for a damaged file.
        """
        with ThreadPoolExecutor() as pool:
            return np.stack([*pool.map(self._one, rows.tolist(), slots.tolist(), planes.tolist())])

    def _one(self, row: int, slot: int, planes: Sequence[int]) -> np.ndarray:
        file, embryo = divmod(row, self.per_file)
        records = [embryo * self.records + int(self.place[slot, plane]) for plane in planes]
        try:
            stored = _reader(self.files[file]).read(records)
            images = [_sums(np.frombuffer(one, np.uint8).reshape(self.size, self.size)) for one in stored]
        except Exception as error:
            raise UserError(
                f"{self.files[file]} is damaged ({reason(error)}): {again(self.files[file].parent)}"
            ) from error
        return np.stack([self.finish(image, row, slot, plane) for image, plane in zip(images, planes, strict=True)], -1)


@dataclasses.dataclass(frozen=True)
class Held:
    """A shelf whose crops are read and finished once, and kept: images uint8 `[N, R, size, size]`, known `[N, R]`."""

    shelf: Shelf
    images: np.ndarray
    known: np.ndarray

    def __call__(self, rows: np.ndarray, slots: np.ndarray, planes: np.ndarray) -> np.ndarray:
        """Crops `[B, size, size, P]` uint8 of rows and slots `[B]` in focal planes `[B, P]`; raises as the shelf."""
        records = self.shelf.place[slots[:, None], planes]
        new = ~self.known[rows[:, None], records].all(axis=1)
        if new.any():
            fresh = rows[new, None], records[new]
            self.images[fresh] = np.moveaxis(self.shelf(rows[new], slots[new], planes[new]), -1, 1)
            self.known[fresh] = True  # after the images: another thread may look
        return np.moveaxis(self.images[rows[:, None], records], 1, -1)


_kept: dict[tuple[Any, ...], Held] = {}  # by files and their times, the last used last: what cells share


def held(shelf: Shelf, count: int, most: int) -> Shelf | Held:
    """The shelf of `count` embryos, kept in memory while all that is kept takes `most` bytes at most.

    Raises UserError where a file is missing.
    """
    size = count * shelf.records * shelf.size**2
    if size > most:
        return shelf
    try:
        key = tuple((path, path.stat().st_mtime_ns) for path in shelf.files)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read ({reason(error)}): {again(shelf.files[0].parent)}") from error
    kept = _kept.pop(key, None)
    if kept is None:
        shape = (count, shelf.records, shelf.size, shelf.size)
        kept = Held(shelf, np.empty(shape, np.uint8), np.zeros(shape[:2], bool))
    while sum(other.images.nbytes for other in _kept.values()) > most - size:
        del _kept[next(iter(_kept))]
    _kept[key] = kept
    return kept


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
