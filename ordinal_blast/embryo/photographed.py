"""Images of embryos that lists and file names grade, as a data set: files are read when the records are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from ordinal_blast import ranges
from ordinal_blast.data import images, listing
from ordinal_blast.data.images import printable
from ordinal_blast.data.store import pixels
from ordinal_blast.errors import UserError, reason
from ordinal_blast.ranges import Range
from ordinal_blast.storage import digest, file_digest
from ordinal_blast.types import ABSENT, Task

Size = Annotated[
    tuple[int, ...],
    Range("height and width in pixels", lambda value: ranges.list_of(ranges.whole(1, 8192), 2).holds(value)),
]
Columns = Mapping[str, np.ndarray]
Graded = tuple[Task, np.ndarray, np.ndarray]  # a task, its labels and why some are absent, int `[N]`


class Shot(NamedTuple):
    """An embryo that was photographed: its name, its patient, and its files, one for every focal plane.

    No files mean that the images are elsewhere, and only what is said of them is here.
    """

    name: str
    group: str
    files: tuple[Path, ...] = ()


def features(tasks: Sequence[Graded], columns: Columns, shape: tuple[int, ...]) -> dict[str, Any]:
    """TFDS features of such records; an empty shape is that of no images."""
    kinds = {"U": tfds.features.Text(), "i": np.int32, "f": np.float32}
    beside = {
        name: kinds[column.dtype.kind]
        if column.ndim == 1
        else tfds.features.Tensor(shape=column.shape[1:], dtype=np.int32)
        for name, column in columns.items()
    }
    return {
        **dict.fromkeys(("id", "group"), tfds.features.Text()),
        **({"images": pixels(*shape)} if shape else {}),
        **{f"{kind}{task.name}": np.int32 for task, _, _ in tasks for kind in ("label/", ABSENT)},
        **beside,
    }


def content(shots: Sequence[Shot], tasks: Sequence[Graded], columns: Columns) -> str:
    """12 hex digits of files, grades and columns; raises UserError for a file that cannot be read."""

    def text(path: Path) -> str:
        try:
            return file_digest(path) if path.is_file() else "none"
        except OSError as error:
            raise UserError(f"cannot read the image {printable(path)}: {reason(error)}") from error

    said = {task.name: [list(task.grades), labels.tolist(), why.tolist()] for task, labels, why in tasks}
    beside = {name: list(map(str, column.reshape(len(shots), -1).tolist())) for name, column in columns.items()}
    return digest([[[*shot[:2], *map(text, shot.files)] for shot in shots], said, beside])


def splits(
    parts: Mapping[str, np.ndarray],
    shots: Sequence[Shot],
    tasks: Sequence[Graded],
    columns: Columns,
    shape: tuple[int, ...],
    bad: listing.Bad,
    notes: list[str],
) -> dict[str, Any]:
    """What yields the records of each split, by its rows; what is left out is added to the notes then."""
    return {
        part: partial(_records, shots, tasks, columns, rows.tolist(), shape, bad, notes) for part, rows in parts.items()
    }


def _records(
    shots: Sequence[Shot],
    tasks: Sequence[Graded],
    columns: Columns,
    rows: Sequence[int],
    shape: tuple[int, ...],
    bad: listing.Bad,
    notes: list[str],
) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        shot = shots[row]
        record = {"id": shot.name, "group": shot.group} | {name: column[row] for name, column in columns.items()}
        for task, labels, why in tasks:
            record |= {f"label/{task.name}": labels[row], f"{ABSENT}{task.name}": why[row]}
        if shape:
            try:
                record["images"] = _stacked(shot.files, shape)
            except UserError as error:
                listing.refuse(bad, notes, str(error))
                continue
        yield record


def _stacked(files: Sequence[Path], shape: tuple[int, ...]) -> np.ndarray:
    """The image of a file, or the grey ones of several as channels, uint8 `[H, W, C]`."""
    if len(files) == 1:
        return images.fit(images.read(files[0]), shape).pixels
    return np.concatenate([images.fit(images.read(path), (*shape[:2], 1)).pixels for path in files], axis=-1)
