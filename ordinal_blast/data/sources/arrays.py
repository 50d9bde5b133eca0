"""Arrays in an `.npz` file, or in memory: what networks read, and what is known of every example."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ordinal_blast import ranges
from ordinal_blast.data import encoding, entries, labels, splits
from ordinal_blast.data.sheets import shown
from ordinal_blast.data.store import Source, SourceMissingError, pixels, plain_name
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.storage import read_npz
from ordinal_blast.types import INPUTS, NO_ID, RATERS, Task

_LARGEST = float(np.finfo(np.float32).max)
_HELD = (
    "x (or images, clips, sequences, numbers), y (or y_TASK for each task), and rater_TASK, group, split, id and "
    "columns where known"
)


def source(
    root: Path,
    *,
    name: str = "",
    task: str = "grade",
    grades: labels.Grades = (),
    lowest: labels.Lowest = 0,
    missing: entries.Missing = "refuse",
    val_share: float = 0.2,
    val_stratified: bool = True,
    val_seed: int = 0,
    licence: str = "",
    citation: str = "",
) -> Source:
    """The arrays of the file `root`, or of the only `.npz` file in the folder `root`, N examples each.

    x: images uint8 `[N, H, W, C]` or `[N, H, W]`, or floats scaled as the network reads them; sequences of floats
    `[N, T, D]`; or numbers `[N, D]`. It may have one of these names instead. y: labels `[N]` of `task`, or y_TASK of
    every task: numbers from `lowest` on, -1 or NaN where missing, or names of grades, empty where missing. grades:
    worst first, by task where there are several; see `labels.read` for those that are told. group, split, id: texts or
    whole numbers `[N]`; columns: names of the numbers `[D]`. missing: what is done with NaN among numbers (see
    `encoding`). val_share, val_stratified, val_seed: see `splits.with_validation`.

    Raises SourceMissingError for an absent file, UsageError for options that do not fit, and UserError for a file that
    is damaged, holds pickled objects, other arrays than these, or arrays of other lengths, types or values.
    """
    ranges.check("data.options.val_seed", val_seed, ranges.SEED)
    path = _only(root) if root.is_dir() else root
    name = name or plain_name(path.stem)
    options = {
        "format": "arrays",
        "labels": [task, labels.stated(grades, ()), lowest],
        "missing": missing,
        "val": [val_share, val_stratified, val_seed],
    }
    if not path.exists():
        message = f"{path.absolute()} does not exist: name the file of the arrays with --config.data.root=FILE"
        raise SourceMissingError(name, options, message)
    arrays = read_npz(path)
    kind, inputs = _inputs(path, arrays, missing)
    count = len(inputs)
    answers = {key.removeprefix("y_"): key for key in arrays if key.startswith("y_")} or {task: "y"}
    known = {*INPUTS, "x", *answers.values(), *(f"{RATERS}{one}" for one in answers)}
    known |= {"group", "split", "id", "columns"}
    if wrong := sorted(arrays.keys() - known) or sorted(set(answers.values()) - arrays.keys()):
        raise UserError(f"{path}: {shown(wrong[0])} is absent or unknown: an array file holds {_HELD}")
    text_keys = [key for key in (*answers.values(), "group", "split", "id") if key in arrays]
    texts = {key: _texts(path, arrays, key, count) for key in text_keys}
    places = [f"{path}, row {row}" for row in range(count)]
    tasks, columns = [], {}
    notes: list[str] = []
    stated = labels.stated(grades, tuple(answers))
    for one, key in answers.items():
        graded, columns[one], more = labels.read(one, texts[key], places, stated.get(one, ()), lowest=lowest)
        tasks.append(graded)
        notes += more
    raters = {key: _raters(path, key, arrays[key], graded, count) for key, graded in _several(arrays, tasks)}
    ids = texts.get("id") or [f"row-{row:05d}" for row in range(count)]
    if len(set(ids)) < count:
        raise UserError(f"{path}: two examples have the same id: give each its own")
    groups = texts.get("group")
    for place, group in zip(places, groups or (), strict=bool(groups)):
        if group in NO_ID:
            raise UserError(f"{place}: {group!r} is no group: name one, or one for it alone")
    official = splits.by_column(texts["split"], places, "split") if "split" in texts else {"rows": np.arange(count)}
    strata = np.max(list(columns.values()), axis=0)
    rows = splits.with_validation(
        official, strata, np.asarray(groups) if groups else None, val_share, (val_seed, 0), stratified=val_stratified
    )
    notes += [*_unlabelled(places, columns), *_odd(places, kind, inputs)]
    return Source(
        name=name,
        tasks=tuple(tasks),
        summary=f"{name}: {kind} {' x '.join(map(str, inputs.shape[1:]))}, "
        + ", ".join(f"{graded.num_classes} grades of {graded.name}" for graded in tasks),
        licence=licence,
        citation=citation,
        identity=options | {"arrays": _content(arrays)},
        known=options,
        features={
            "id": tfds.features.Text(),
            "group": tfds.features.Text(),
            kind: pixels(*inputs.shape[1:])
            if inputs.dtype == np.uint8
            else tfds.features.Tensor(shape=inputs.shape[1:], dtype=np.float32, encoding=tfds.features.Encoding.BYTES),
            **{f"label/{one}": np.int32 for one in columns},
            **{key: tfds.features.Tensor(shape=votes.shape[1:], dtype=np.int32) for key, votes in raters.items()},
        },
        splits={
            part: partial(_records, ids, groups or ids, {kind: inputs, **raters}, columns, chosen)
            for part, chosen in rows.items()
        },
        extras=_table(path, arrays, inputs, missing) if kind == "numbers" else {},
        notes=notes,
    )


def _only(root: Path) -> Path:
    there = sorted(root.glob("*.npz"))
    if len(there) != 1:
        raise UsageError(f"{root.absolute()} has {len(there)} .npz files: name one by --config.data.root=FILE")
    return there[0]


def _inputs(path: Path, arrays: Mapping[str, np.ndarray], missing: str) -> tuple[str, np.ndarray]:
    """What networks read, under its name: uint8 or float32 with the examples first."""
    named = [key for key in ("x", *INPUTS) if key in arrays]
    if len(named) != 1:
        raise UserError(f"{path} has {', '.join(named) or 'nothing that networks read'}: an array file holds {_HELD}")
    x, kind = arrays[named[0]], named[0]
    grey = x.ndim == 3 and (kind == "images" or (kind == "x" and x.dtype == np.uint8))
    if kind == "x":
        kind = {5: "clips", 4: "images", 3: "images" if grey else "sequences", 2: "numbers"}.get(x.ndim, "")
    x = x[..., None] if grey else x
    if x.ndim != INPUTS.get(kind) or not x.size or x.dtype.kind not in "biuf":
        raise UserError(
            f"{path}: {named[0]} is {x.dtype} {list(x.shape)}: give images [N, H, W, C], clips "
            "[N, T, H, W, C], sequences [N, T, D] or numbers [N, D], one or more"
        )
    if kind in ("images", "clips") and x.dtype.kind in "iu":
        if x.min() < 0 or x.max() > 255:
            raise UserError(f"{path}: {kind} are whole numbers from {x.min()} to {x.max()}: give uint8 or floats")
        return kind, x.astype(np.uint8)
    bad = ~(np.abs(x.astype(np.float64)) <= _LARGEST)
    if kind == "numbers" and missing != "refuse":
        bad &= ~np.isnan(x)
    if bad.any():
        place = tuple(map(int, np.argwhere(bad)[0]))
        more = ", or say median or indicator as data.options.missing" if kind == "numbers" else ""
        raise UserError(f"{path}: {named[0]}{list(place)} is {x[place]}: give finite numbers of 32 bits{more}")
    return kind, x.astype(np.float32)


def _several(arrays: Mapping[str, np.ndarray], tasks: Sequence[Task]) -> Iterator[tuple[str, Task]]:
    """The arrays of grades by several raters, with their tasks."""
    return ((key, task) for task in tasks if (key := f"{RATERS}{task.name}") in arrays)


def _raters(path: Path, key: str, votes: np.ndarray, task: Task, count: int) -> np.ndarray:
    """Grades by several raters int32 `[N, R]`, counted from 0, -1 where one gave none."""
    fits = votes.ndim == 2 and len(votes) == count and votes.shape[1] > 0 and votes.dtype.kind in "iu"
    if not fits or votes.min() < -1 or votes.max() >= task.num_classes:
        raise UserError(
            f"{path}: {key} is {votes.dtype} {list(votes.shape)}: give whole numbers [{count}, R], one of 0 ... "
            f"{task.num_classes - 1} a rater, or -1 where one gave no grade"
        )
    return votes.astype(np.int32)


def _texts(path: Path, arrays: Mapping[str, np.ndarray], key: str, count: int) -> list[str]:
    """One text for every example: whole numbers as they are written, and nothing where one is missing."""
    values = arrays[key]
    values = values[:, 0] if values.shape == (count, 1) else values
    if values.shape != (count,):
        raise UserError(f"{path}: {key} is {values.dtype} {list(values.shape)}: give one for each of {count} examples")
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "backslashreplace")
    if values.dtype.kind == "U":
        return [text.strip() for text in values.tolist()]
    if values.dtype.kind not in "biuf":
        raise UserError(f"{path}: {key} is {values.dtype}: give texts or numbers")
    values = values.astype(int) if values.dtype.kind == "b" else values
    lacks = [value != value or (key.startswith("y") and value == -1) for value in values.tolist()]
    write = str if values.dtype.kind in "iu" else "{:.17g}".format
    return ["" if absent else write(value) for absent, value in zip(lacks, values.tolist(), strict=True)]


def _table(path: Path, arrays: Mapping[str, np.ndarray], numbers: np.ndarray, missing: str) -> dict[str, Any]:
    """What the numbers are as a table, so that rows of a file can be graded."""
    width = numbers.shape[1]
    names = [str(name) for name in arrays.get("columns", [f"x{k}" for k in range(1, width + 1)])]
    if len(names) != width or len(set(names)) < width:
        raise UserError(f"{path}: columns are {len(names)} names: give a different one for each of {width} numbers")
    return {"columns": names, "table": encoding.table([encoding.Column(name) for name in names], missing)}


def _unlabelled(places: Sequence[str], columns: Mapping[str, np.ndarray]) -> Iterator[str]:
    for task, column in columns.items():
        yield from (f"{places[row]}: {task} is missing" for row in np.flatnonzero(column < 0).tolist())


def _odd(places: Sequence[str], kind: str, inputs: np.ndarray) -> Iterator[str]:
    if kind == "images" and inputs.dtype != np.uint8 and np.abs(inputs).max() > 10:
        yield f"images are floats up to {np.abs(inputs).max():g}: networks take floats as scaled, and scale uint8 alone"
    for row in np.flatnonzero(np.isnan(inputs).any(axis=1)).tolist() if kind == "numbers" else ():
        yield f"{places[row]}: {int(np.isnan(inputs[row]).sum())} of its numbers are missing"


def _content(arrays: Mapping[str, np.ndarray]) -> str:
    """12 hex digits of all arrays, however they were packed."""
    content = hashlib.sha256()
    for key, array in sorted(arrays.items()):
        content.update(f"{key} {array.dtype.str} {array.shape}\n".encode())
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()[:12]


def _records(
    ids: Sequence[str],
    groups: Sequence[str],
    arrays: Mapping[str, np.ndarray],
    columns: Mapping[str, np.ndarray],
    rows: np.ndarray,
) -> Iterator[Mapping[str, Any]]:
    for row in rows.tolist():
        grades = {f"label/{task}": int(column[row]) for task, column in columns.items()}
        yield {"id": ids[row], "group": groups[row], **{key: array[row] for key, array in arrays.items()}, **grades}
