"""A folder of images: one folder for every grade, or images beside a sheet that grades them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tensorflow_datasets as tfds

from ordinal_blast import ranges
from ordinal_blast.data import images, labels, listing, sheets, splits
from ordinal_blast.data.images import printable
from ordinal_blast.data.store import Source, SourceMissingError, pixels, plain_name
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.ranges import Range
from ordinal_blast.storage import digest

_SIZE = Range(
    "height and width in pixels, or none",
    lambda value: value in ((), []) or ranges.list_of(ranges.whole(1, 8192), 2).holds(value),
)


def source(
    root: Path,
    *,
    name: str = "",
    size: Annotated[tuple[int, ...], _SIZE] = (),
    channels: Literal[1, 3] = 3,
    sheet: str = "",
    file: str = "file",
    tasks: tuple[str, ...] = ("grade",),
    grades: labels.Grades = (),
    group: str = "",
    along: tuple[str, ...] = (),
    split: str = "",
    bad: listing.Bad = "refuse",
    val_share: float = 0.2,
    val_stratified: bool = True,
    val_seed: int = 0,
    licence: str = "",
    citation: str = "",
) -> Source:
    """The images below `root`, as uint8 `[H, W, channels]` (see `images`), with their grades.

    Without a sheet every folder in `root` is a grade of the only task and holds its images; folders named train, val
    and test may lie above them. Hidden files and folders are none.

    sheet: a file in `root` (see `sheets`) with a row an image. file: its column of paths below `root`, with or without
    their endings. tasks: its columns of grades, empty where one is missing. group: its column of the patient, or ""
    where every image is a group of its own. along: its columns, such as the clinic, that reports tell test examples
    apart by, and that `split.by` may name. split: its column of train, val and test.

    size: of all images, which are cut to its proportions and resized; where there is none, they have to be of one.
    channels: 1 makes grey of colours, 3 colours of grey. grades: worst first, or a section of them by task; see
    `labels.read` for those that are told. bad: what cannot be read is refused, or left out with a note. name: by
    default that of the folder. val_share, val_stratified, val_seed: of the validation images that are split off the
    training ones, where there is a test set and no validation set (see `splits.with_validation`).

    Raises SourceMissingError for no folder, UsageError for options that do not fit, and UserError for a folder without
    images, with a folder inside a grade, a sheet that names a file twice, or outside `root`, or none.
    """
    name = name or plain_name(root.absolute().name)
    ranges.check("data.options.val_seed", val_seed, ranges.SEED)
    if len(set(tasks)) < max(1, len(tasks)) or (not sheet and len(tasks) > 1):
        raise UsageError("data.options.tasks: name each once, and one where there is no sheet")
    stated = labels.stated(grades, tasks)
    if not sheet and (group or split or along):
        raise UsageError("data.options: group, along and split name columns, so that sheet has to name a file")
    sheets.check_along(along)
    options = {
        "format": "folder",
        "sheet": [sheet, file, group, split],
        "grades": [list(tasks), stated],
        "images": [list(size), channels, bad],
        "val": [val_share, val_stratified, val_seed],
        **({"along": list(along)} if along else {}),
    }
    if not root.is_dir():
        message = f"{root.absolute()} is no folder: name the folder of the images with --config.data.root=FOLDER"
        raise SourceMissingError(name, options, message)
    notes: list[str] = []
    listed = (
        listing.of_sheet(root, sheet, file, tasks, group, split, along, bad, notes)
        if sheet
        else listing.of_folders(root, notes)
    )
    items, digests = listing.readable(root, listed, bad, notes)
    graded, columns = [], {}
    for k, task in enumerate(tasks):
        texts, missing = [item.grades[k] for item in items], sheets.MISSING if sheet else ()
        one, columns[task], said = labels.read(
            task, texts, [item.place for item in items], stated.get(task, ()), missing=missing
        )
        graded.append(one)
        notes += said
    notes += _unlabelled(items, columns)
    official = {part: np.flatnonzero([item.split == part for item in items]) for part in (*splits.NAMES, "images")}
    official = {part: chosen for part, chosen in official.items() if len(chosen)}
    groups = np.asarray([item.group or item.name for item in items]) if group else None
    strata = np.max(list(columns.values()), axis=0)
    rows = splits.with_validation(official, strata, groups, val_share, (val_seed, 0), stratified=val_stratified)
    notes += _twice(items, digests, rows, columns)
    height, width = size or _one_size(root, items, bad)
    return Source(
        name=name,
        tasks=tuple(graded),
        summary=f"{name}: images as {height} x {width} pixels in {channels} channel{'s' * (channels > 1)}, "
        + ", ".join(f"{task.num_classes} grades of {task.name}" for task in graded),
        licence=licence,
        citation=citation,
        identity=options
        | {"items": digest([[*item[:-1], *item.along, text] for item, text in zip(items, digests, strict=True)])},
        known=options,
        features={
            "id": tfds.features.Text(),
            "group": tfds.features.Text(),
            "images": pixels(height, width, channels),
            **{f"label/{task}": np.int32 for task in tasks},
            **dict.fromkeys(along, tfds.features.Text()),
        },
        splits={
            part: partial(_records, root, part, items, along, chosen, columns, (height, width, channels), bad, notes)
            for part, chosen in rows.items()
        },
        notes=notes,
    )


def _records(
    root: Path,
    part: str,
    items: Sequence[listing.Item],
    along: Sequence[str],
    rows: np.ndarray,
    columns: Mapping[str, np.ndarray],
    shape: tuple[int, int, int],
    bad: listing.Bad,
    notes: list[str],
) -> Iterator[Mapping[str, Any]]:
    """The images of one split; what was done to them, or that they were left out, is added to the notes."""
    remarks: dict[str, list[str]] = defaultdict(list)
    count = 0
    for row in rows.tolist():
        item, name = items[row], printable(items[row].name)
        try:
            photograph = images.fit(images.read(root / item.name), shape)
        except UserError as error:
            listing.refuse(bad, notes, str(error))
            continue
        count += 1
        for remark in photograph.notes:
            remarks[remark].append(name)
        grades = {f"label/{task}": int(column[row]) for task, column in columns.items()}
        beside = dict(zip(along, item.along, strict=True))
        yield {"id": name, "group": printable(item.group or name), "images": photograph.pixels, **grades, **beside}
    every = f"all {count} images{'' if part == 'images' else f' of {part}'}"
    notes += [f"{remark}: {', '.join(names) if len(names) < count else every}" for remark, names in remarks.items()]


def _unlabelled(items: Sequence[listing.Item], columns: Mapping[str, np.ndarray]) -> Iterator[str]:
    for task, column in columns.items():
        yield from (f"{items[row].place}: {task} is missing" for row in np.flatnonzero(column < 0).tolist())


def _twice(
    items: Sequence[listing.Item],
    digests: Sequence[str],
    rows: Mapping[str, np.ndarray],
    columns: Mapping[str, np.ndarray],
) -> Iterator[str]:
    """A sentence for every image that is there more than once."""
    same: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(digests):
        same[text].append(row)
    split = {row: part for part, chosen in rows.items() for row in chosen.tolist()}
    for copies in (copies for copies in same.values() if len(copies) > 1):
        parts = sorted({split[row] for row in copies})
        names = ", ".join(printable(items[row].name) for row in copies)
        leak = f", in {' and '.join(parts)}" if len(parts) > 1 else ""
        other = any(len({column[row] for row in copies}) > 1 for column in columns.values())
        yield f"the same image is there {len(copies)} times{leak}{', with other grades' if other else ''}: {names}"


def _one_size(root: Path, items: Sequence[listing.Item], bad: listing.Bad) -> tuple[int, int]:
    """The size of all images that can be read; raises UsageError where they have several."""

    def size(item: listing.Item) -> tuple[int, int] | None:
        try:
            return images.size(root / item.name)
        except UserError as error:
            listing.refuse(bad, [], str(error))  # those that are left out are noted when they are read
            return None

    sizes = {shape for shape in map(size, items) if shape}
    if not sizes:
        raise UserError(f"{printable(root.absolute())} has no image that can be read")
    if len(sizes) > 1:
        (low, wide), (high, broad) = min(sizes), max(sizes)
        raise UsageError(
            f"the images are of {len(sizes)} sizes, from {low} x {wide} to {high} x {broad} pixels: say which to have "
            "by data.options.size=(HEIGHT, WIDTH)"
        )
    return sizes.pop()
