"""Time-lapse recordings of one's own, as a clinic exports them: a list of frames, a list of grades, and more lists.

    manifest.csv   item, path, hpi, plane: a row an image
    labels.csv     item, group, clinic, instrument, and a column for every task: a row an embryo

`ordinal-blast data manifest FOLDER` writes the first from the names of the images.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tensorflow_datasets as tfds

from ordinal_blast.data import annotations as votes
from ordinal_blast.data import images, labels, listing, sheets, splits
from ordinal_blast.data.images import printable
from ordinal_blast.data.sheets import Sheet, shown
from ordinal_blast.data.store import Source, SourceMissingError, pixels, plain_name
from ordinal_blast.embryo import frame_lists, gardner, timelapse
from ordinal_blast.embryo.footage import PLANES
from ordinal_blast.embryo.frame_lists import Listed
from ordinal_blast.errors import UserError, reason
from ordinal_blast.ranges import Range, list_of, number, whole
from ordinal_blast.storage import digest, file_digest
from ordinal_blast.types import ABSENT, MISSING, NO_ID, RATERS, Task

_BESIDE = ("group", "clinic", "instrument")
_OTHERS = ("item", *_BESIDE, "split", "tA")  # columns of the labels that are no tasks
_WHOLE = "gardner"  # a column of grades such as 4AA, which are three tasks
_SIZE = Range(
    "height and width in pixels, or none", lambda value: value in ((), []) or list_of(whole(1, 8192), 2).holds(value)
)
_STEPS = Range(
    "first and last hour and the step between, which makes 2 to 1000 frames",
    lambda value: (
        list_of(number(least=0, most=336), 3).holds(value)
        and value[2] > 0
        and 1 <= (value[1] - value[0]) / value[2] < 1000
    ),
)
Graded = tuple[Task, np.ndarray, np.ndarray]


def source(
    root: Path,
    *,
    name: str = "",
    manifest: str = "manifest.csv",
    label: str = "labels.csv",
    annotations: str = "",
    outcomes: str = "",
    hours: Annotated[tuple[float, ...], _STEPS] = (90.0, 128.0, 1.0),
    planes: Annotated[tuple[float, ...], PLANES] = (),
    size: Annotated[tuple[int, ...], _SIZE] = (),
    grades: labels.Grades = (),
    codes: Literal["", "numbered", "kromp2023", "nantes2022"] = "",
    signs: gardner.Signs = "drop",
    worst: gardner.Worst = "C",
    bad: listing.Bad = "refuse",
    licence: str = "",
    citation: str = "",
) -> Source:
    """The recordings that lists in the folder `root` name; paths in them lie below it.

    manifest: file of the frames. label: file of the embryos; `item` has to be there, `group` (such as the patient, else
    every embryo is its own), `clinic`, `instrument`, `split` (train, val, test) and `tA` (when it was graded, hpi) may
    be, and every other column is a task. expansion, icm and te are read as Gardner's grades, `gardner` as all three
    (4AA); codes says what numbers mean there. Other tasks are read as in tables: grades, worst first, or a section of
    them by task. annotations: a file of item, rater, task and value, which become `rater_TASK`. outcomes: a file of
    item and columns of whole numbers, such as 1 for a live birth, blank where unknown, which `data.outcomes` may name.

    hours: the first and the last that are kept, and the step, for each of which the nearest frame is taken. planes: the
    focal planes that are kept, in µm; without any, those that all have. size: of all frames, else that of the first
    image. signs, worst: see `gardner.labelled`. bad: recordings with images that cannot be read, or without one that is
    needed, are refused, or left out. Raises SourceMissingError for no manifest, and UserError that names file, line and
    column for what is wrong in a list.
    """
    name = name or plain_name(root.absolute().name)
    options = {
        "format": "timelapse",
        "lists": [manifest, label, annotations, outcomes],
        "frames": [list(hours), list(planes), list(size), bad],
        "grades": [labels.stated(grades, ()), codes, signs, worst],
    }
    if not (root / manifest).is_file():
        raise SourceMissingError(
            name,
            options,
            f"{(root / manifest).absolute()} does not exist: ordinal-blast data manifest FOLDER writes it, and "
            "--config.data.root=FOLDER names its folder",
        )
    notes: list[str] = []
    recordings = frame_lists.read(root / manifest, root, bad, notes)
    sheet = _unique(sheets.read(root / label))
    notes += [*sheet.notes, *_strangers(sheet, recordings, manifest)]
    sheet = _kept(sheet, recordings)
    items = sheet.column("item")
    tasks = _tasks(sheet, labels.stated(grades, ()), codes, signs, worst, notes)
    columns = _beside(sheet)
    raters: tuple[str, ...] = ()
    if annotations:
        raters, rated = _votes(root / annotations, items, [task for task, _, _ in tasks], notes)
        columns |= rated
    if outcomes:
        columns |= _outcomes(_unique(sheets.read(root / outcomes)), items, {task.name for task, _, _ in tasks}, notes)
    grid = timelapse.hours(*hours)
    planes = planes or frame_lists.planes({item: recordings[item] for item in items})
    frames: dict[int, tuple[np.ndarray, list[list[Path]]]] = {}
    for row, item in enumerate(items):
        try:
            frames[row] = frame_lists.chosen(recordings[item], grid, planes)
        except ValueError as error:
            listing.refuse(bad, notes, f"{sheet.places[row]}: {shown(item)}: {error}")
    if not frames:
        raise UserError(f"{root / manifest}: no recording has an image in every focal plane: name others")
    notes += _far(items, frames, grid, hours[2])
    rows = np.asarray(list(frames))
    parts = {"recordings": rows}
    if "split" in sheet.columns:
        texts = splits.by_column(sheet.column("split"), sheet.places, "split")
        parts = {part: np.intersect1d(of, rows) for part, of in texts.items()}
    files = list(dict.fromkeys(path for _, chosen in frames.values() for of in chosen for path in of))
    height, width = size or _first_size(files)
    record = partial(_records, items, frames, tasks, columns, (height, width), bad, notes)
    return Source(
        name=name,
        tasks=tuple(task for task, _, _ in tasks),
        summary=f"{name}: time-lapse recordings, {len(grid)} frames from {hours[0]:g} to {hours[1]:g} hpi as "
        f"{height} x {width} pixels in {len(planes)} focal planes",
        licence=licence,
        citation=citation,
        identity=options | {"content": _content(root, items, frames, tasks, columns, files)},
        known=options,
        features=_features(tasks, columns, len(grid), (height, width, len(planes))),
        splits={part: partial(record, of.tolist()) for part, of in parts.items()},
        extras={"planes": [float(plane) for plane in planes]} | ({"raters": list(raters)} if raters else {}),
        notes=notes,
    )


def _unique(sheet: Sheet) -> Sheet:
    """The sheet; raises UserError for an item that is blank, or there twice."""
    places: dict[str, str] = {}
    for place, item in zip(sheet.places, sheet.column("item"), strict=True):
        if item in NO_ID:
            raise UserError(f"{place}, item: it is blank: name the embryo")
        if item in places:
            raise UserError(f"{place}, item: {shown(item)} is there before, in {places[item]}: give every item one row")
        places[item] = place
    return sheet


def _strangers(sheet: Sheet, recordings: Mapping[str, Listed], manifest: str) -> Iterator[str]:
    items = sheet.column("item")
    for place, item in zip(sheet.places, items, strict=True):
        if item not in recordings:
            yield f"{place}: {shown(item)} has no image in {manifest}: left out"
    yield from (f"{shown(item)} is not in {sheet.path.name}: left out" for item in recordings.keys() - set(items))


def _kept(sheet: Sheet, recordings: Mapping[str, Listed]) -> Sheet:
    kept = [row for row, item in enumerate(sheet.column("item")) if item in recordings]
    if not kept:
        raise UserError(f"{sheet.path} and the manifest have no item in common: give embryos one name in both")
    return sheet._replace(places=tuple(sheet.places[row] for row in kept), rows=[sheet.rows[row] for row in kept])


def _tasks(
    sheet: Sheet,
    stated: Mapping[str, Sequence[str]],
    codes: str,
    signs: gardner.Signs,
    worst: gardner.Worst,
    notes: list[str],
) -> list[Graded]:
    """The tasks that the columns of the labels are."""
    tasks: list[Graded] = []
    for column in (column for column in sheet.columns if column not in _OTHERS):
        texts = sheet.column(column)
        if column == _WHOLE:
            read = [
                _read(gardner.whole, text, f"{place}, {column}")
                for place, text in zip(sheet.places, texts, strict=True)
            ]
            several = {task: [one[task] for one in read] for task in gardner.TASKS}
        elif column in gardner.TASKS:
            meaning = partial(gardner.entry, column, codes=codes)
            several = {
                column: [
                    _read(meaning, text, f"{place}, {column}") for place, text in zip(sheet.places, texts, strict=True)
                ]
            }
        else:
            places = [f"{place}, {column}" for place in sheet.places]
            said = stated.get(column, stated.get("", ()))
            task, values, remarks = labels.read(column, texts, places, said, missing=sheets.MISSING)
            notes += remarks
            tasks.append((task, values, np.where(values < 0, MISSING, 0).astype(np.int32)))
            continue
        tasks += [gardner.labelled(task, of, sheet.places, signs=signs, worst=worst) for task, of in several.items()]
    if not tasks:
        raise UserError(f"{sheet.path} has no column of grades: add one for every task, such as icm, te or gardner")
    return tasks


def _read(meaning: Any, text: str, place: str) -> Any:
    try:
        return meaning(text)
    except ValueError as error:
        raise UserError(f"{place}: {error}") from error


def _beside(sheet: Sheet) -> dict[str, np.ndarray]:
    """Group, clinic, instrument and tA, as far as they are there."""
    columns = {}
    for column in _BESIDE:
        texts = sheet.column(column) if column in sheet.columns else []
        if column == "group":
            texts = texts or sheet.column("item")
            for place, text in zip(sheet.places, texts, strict=True):
                if text in NO_ID or text in sheets.MISSING:
                    raise UserError(f"{place}, group: it is blank: name the patient, or leave the column out")
        if texts:
            columns[column] = np.asarray([printable(text) for text in texts])
    if "tA" in sheet.columns:
        columns["tA"] = np.asarray(_numbers(sheet, "tA"), np.float32)
    return columns


def _numbers(sheet: Sheet, column: str) -> list[float]:
    """The numbers of a column, NaN where it is blank; raises UserError for another text."""
    values = []
    for place, text in zip(sheet.places, sheet.column(column), strict=True):
        value = sheets.number(text, "," if "," in text else ".")
        if not np.isfinite(value) and text not in sheets.MISSING:
            raise UserError(f"{place}, {column}: {shown(text)} is no number: correct it")
        values.append(value)
    return values


def _votes(
    path: Path, items: Sequence[str], tasks: Sequence[Task], notes: list[str]
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """The names of the raters, and their grades `rater_TASK` int32 `[N, R]`, -1 where one gave none."""
    there = set(sheets.read(path).column("task"))
    said = votes.read([path], grades={task.name: task.grades for task in tasks if task.name in there})
    rows = {item: row for row, item in enumerate(said.items)}
    notes += said.notes
    if unknown := sorted(there - {task.name for task in tasks}):
        notes.append(f"{path.name}: {shown(unknown[0])} is no task of the labels: its annotations are left out")
    columns = {}
    for task in (task for task in tasks if task.name in there):
        of = np.full((len(items), len(said.raters)), -1, np.int32)
        for place, item in enumerate(items):
            if item in rows:
                of[place] = np.maximum(said.grades[task.name][rows[item]], -1)
        columns[f"{RATERS}{task.name}"] = of
    return said.raters, columns


def _outcomes(sheet: Sheet, items: Sequence[str], tasks: set[str], notes: list[str]) -> dict[str, np.ndarray]:
    """Columns of whole numbers int32 `[N]`, -1 where unknown."""
    rows = {item: row for row, item in enumerate(sheet.column("item"))}
    notes += [
        f"{sheet.places[row]}: {shown(item)} has no recording: left out"
        for item, row in rows.items()
        if item not in items
    ]
    columns = {}
    for column in (column for column in sheet.columns if column != "item"):
        if column in tasks or column in _OTHERS or "/" in column or column in ("id", "frames", "hpi"):
            raise UserError(f"{sheet.path} has a column {shown(column)}, which embryos have already: name it otherwise")
        values = _numbers(sheet, column)
        for place, value in zip(sheet.places, values, strict=True):
            if np.isfinite(value) and (value < -1 or value != int(value)):
                raise UserError(f"{place}, {column}: {value:g} is no whole number from 0 on: give one, or a blank")
        whole_numbers = np.nan_to_num(np.asarray(values), nan=-1).astype(np.int32)
        columns[column] = np.asarray([whole_numbers[rows[item]] if item in rows else -1 for item in items], np.int32)
    return columns


def _far(
    items: Sequence[str], frames: Mapping[int, tuple[np.ndarray, Any]], grid: np.ndarray, step: float
) -> Iterator[str]:
    for row, (hpi, _) in frames.items():
        worst = int(np.argmax(np.abs(hpi - grid)))
        if abs(hpi[worst] - grid[worst]) > step:
            yield f"{shown(items[row])} has no frame near {grid[worst]:g} hpi: that of {hpi[worst]:g} stands in"


def _first_size(files: Sequence[Path]) -> tuple[int, int]:
    """The size of the first image that can be read."""
    for path in files:
        try:
            return images.size(path)
        except UserError as error:
            last = error
    raise last


def _content(
    root: Path,
    items: Sequence[str],
    frames: Mapping[int, tuple[np.ndarray, list[list[Path]]]],
    tasks: Sequence[Graded],
    columns: Mapping[str, np.ndarray],
    files: Sequence[Path],
) -> str:
    """12 hex digits of the images and of all that is said of them."""

    def text(path: Path) -> str:
        try:
            return file_digest(path) if path.is_file() else "none"
        except OSError as error:
            return reason(error)

    with ThreadPoolExecutor(8) as pool:
        digests = dict(zip(files, pool.map(text, files), strict=True))
    shown_frames = [
        [items[row], hpi.tolist(), [[digests[path] for path in of] for of in chosen]]
        for row, (hpi, chosen) in frames.items()
    ]
    said = {task.name: [list(task.grades), values.tolist(), why.tolist()] for task, values, why in tasks}
    return digest([shown_frames, said, {name: list(map(str, column.tolist())) for name, column in columns.items()}])


def _features(
    tasks: Sequence[Graded], columns: Mapping[str, np.ndarray], count: int, shape: tuple[int, int, int]
) -> dict[str, Any]:
    kinds = {"U": tfds.features.Text(), "i": np.int32, "f": np.float32}
    beside = {
        column: kinds[values.dtype.kind]
        if values.ndim == 1
        else tfds.features.Tensor(shape=values.shape[1:], dtype=np.int32)
        for column, values in columns.items()
    }
    return {
        "id": tfds.features.Text(),
        **beside,
        **{f"{kind}{task.name}": np.int32 for task, _, _ in tasks for kind in ("label/", ABSENT)},
        "hpi": tfds.features.Tensor(shape=(count,), dtype=np.float32),
        "frames": pixels(count, *shape),
    }


def _records(
    items: Sequence[str],
    frames: Mapping[int, tuple[np.ndarray, list[list[Path]]]],
    tasks: Sequence[Graded],
    columns: Mapping[str, np.ndarray],
    size: tuple[int, int],
    bad: listing.Bad,
    notes: list[str],
    rows: Sequence[int],
) -> Iterator[Mapping[str, Any]]:
    """The recordings of one split; an image that several hours share is read once."""
    remarks: dict[str, int] = defaultdict(int)
    for row in rows:
        hpi, chosen = frames[row]
        read: dict[Path, np.ndarray] = {}
        try:
            for path in dict.fromkeys(path for of in chosen for path in of):
                photograph = images.fit(images.read(path), (*size, 1))
                read[path] = photograph.pixels[..., 0]
                for remark in photograph.notes:
                    remarks[remark] += 1
        except UserError as error:
            listing.refuse(bad, notes, f"{error}: the recording of {shown(items[row])}")
            continue
        record = {"id": printable(items[row]), "hpi": hpi} | {name: values[row] for name, values in columns.items()}
        for task, values, why in tasks:
            record |= {f"label/{task.name}": values[row], f"{ABSENT}{task.name}": why[row]}
        yield record | {"frames": np.stack([np.stack([read[path] for path in of], axis=-1) for of in chosen])}
    notes += [f"{remark}: {count} images" for remark, count in remarks.items()]
