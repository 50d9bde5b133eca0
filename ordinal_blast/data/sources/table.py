"""Tables of numbers in CSV files: one row an example, one column its grade, the others its features."""

from __future__ import annotations

import csv
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ordinal_blast import ranges
from ordinal_blast.data import splits
from ordinal_blast.data.store import Source, SourceMissingError
from ordinal_blast.errors import UsageError, UserError, reason
from ordinal_blast.storage import file_digest
from ordinal_blast.types import NO_ID, Task

_INDEX = r"(Unnamed: \d+)?"  # how a row's number is headed that was written along, as the first column
_LARGEST = float(np.finfo(np.float32).max)


def source(
    root: Path,
    *,
    name: str,
    task: str,
    grades: tuple[str, ...],
    train: str,
    val: str,
    test: str,
    label: str,
    lowest: int,
    holdout: int,
    val_share: float,
    val_stratified: bool,
    val_seed: int,
    licence: str,
    citation: str,
    group: str = "",
    drop: tuple[str, ...] = (),
) -> Source:
    """The files `root/TRAIN`, `root/VAL` and `root/TEST`: float32 features `[D]` and grades of one task.

    Comma-separated text in UTF-8 (or with semicolons or tabs). `{holdout}` in a file name stands for the number of the
    hold-out. label: the column of the grade by its name in the header line, or "" for files without a header, where it
    is the last column (and columns are named "column 1" and so on). Labels are numbers `lowest` ... `lowest + K-1` or
    names of grades; an empty one is missing. group: the column of the patient, or "" where every row is a group of its
    own. drop: columns that are left out; so is a first column without a name. Where val is "", `val_share` of the
    training file is split off (see `splits.split_off`), drawn from (val_seed, holdout), alike for every grade if
    val_stratified, and never dividing a group; where val and test are "", the dataset comes unsplit. Raises
    SourceMissingError for an absent file, UsageError for options that do not fit, and UserError for a file that has no
    rows, a ragged row, an entry that is no number, a label that is none of the K grades, no such column, or other
    columns than the training file.
    """
    graded = Task(task, grades)
    if not train or (val and not test):
        raise UsageError("data.options: name the train file, and a test file where there is a val file")
    ranges.check("data.options.holdout", holdout, ranges.whole(0))
    ranges.check("data.options.val_seed", val_seed, ranges.SEED)
    divided = bool(test and not val)
    if divided:
        ranges.check("data.options.val_share", val_share, ranges.number(above=0, below=1))
    given = {"train": train, "val": val, "test": test} if test else {"rows": train}
    names = {split: file.replace("{holdout}", str(holdout)) for split, file in given.items() if file}
    options = {
        "format": "table",
        "grades": list(grades),
        "task": task,
        "label": label,
        "lowest": lowest,
        "group": group,
        "drop": list(drop),
        "val": [val_share, val_stratified, val_seed, holdout] if divided else None,
    }
    known = options | {"files": names}
    paths = {split: root / file for split, file in names.items()}
    for path in paths.values():
        if not path.exists():
            raise SourceMissingError(
                name,
                known,
                f"{path.absolute()} does not exist: name the folder of its table with --config.data.root=FOLDER",
            )
    tables = {split: _read(path, label, group, drop) for split, path in paths.items()}
    first = next(iter(tables))
    columns = tables[first].columns
    for split, table in tables.items():
        if table.columns != columns:
            raise UserError(f"{paths[split]} has other columns than {paths[first]}: give files of one layout")
    labels = _labels(tables, graded, lowest)
    rows = {split: (split, np.arange(len(found))) for split, found in labels.items()}
    if divided:
        strata, seed = labels["train"] if val_stratified else np.zeros_like(labels["train"]), (val_seed, holdout)
        if group:
            chosen = splits.split_off_groups(np.asarray(tables["train"].groups), strata, val_share, seed)
        else:
            chosen = splits.split_off(strata, val_share, seed)
        rows = {"train": ("train", chosen[0]), "val": ("train", chosen[1]), "test": rows["test"]}
    how = f"{val_share:.0%} of the training file{', stratified' if val_stratified else ''}"
    validation = f"validation {how if divided else 'file'}" if test else "unsplit"
    left = f"; left out: {', '.join(tables[first].left)}" if tables[first].left else ""
    return Source(
        name=name,
        tasks=(graded,),
        summary=f"{name}: {len(columns)} numbers, {len(grades)} ordered grades; {validation}{left}",
        licence=licence,
        citation=citation,
        identity=options | {"files": {split: file_digest(path) for split, path in paths.items()}},
        known=known,
        features={
            "id": tfds.features.Text(),
            "group": tfds.features.Text(),
            "numbers": tfds.features.Tensor(
                shape=(len(columns),), dtype=np.float32, encoding=tfds.features.Encoding.BYTES
            ),
            f"label/{task}": np.int32,
        },
        splits={
            split: partial(_records, tables[file], labels[file], file, rows, task)
            for split, (file, rows) in rows.items()
        },
        extras={"columns": list(columns)},
    )


@dataclasses.dataclass(frozen=True)
class _Table:
    """A file: names of its D features and of the columns left out; per row its place, features, label and group."""

    columns: tuple[str, ...]
    left: tuple[str, ...]
    places: tuple[str, ...]
    features: np.ndarray
    labels: tuple[str, ...]
    groups: tuple[str, ...]


def _records(table: _Table, labels: np.ndarray, file: str, rows: np.ndarray, task: str) -> Iterator[Mapping[str, Any]]:
    for row in rows.tolist():
        name = f"{file}-{row:05d}"
        group = table.groups[row] if table.groups else name
        yield {"id": name, "group": group, "numbers": table.features[row], f"label/{task}": int(labels[row])}


def _read(path: Path, label: str, group: str, drop: tuple[str, ...]) -> _Table:
    header, lines = _headed(path, bool(label))
    _check_named(path, header, (*([label] if label else []), *([group] if group else []), *drop))
    at = header.index(label) if label else len(header) - 1
    grouped = header.index(group) if group else None
    index = bool(label) and at != 0 and grouped != 0 and re.fullmatch(_INDEX, header[0]) is not None
    left = [i for i, column in enumerate(header) if column in drop or (index and i == 0)]
    kept = [i for i in range(len(header)) if i not in (at, grouped, *left)]
    if at in left or grouped in (at, *left) or not kept:
        raise UserError(f"{path} has no numbers, or one column is grade, group or left out at once: see data.options")
    for number, line in lines:
        if grouped is not None and line[grouped].strip() in NO_ID:
            found = line[grouped].strip()
            raise UserError(f"{path}, line {number}, {group}: {found!r} is no group: name one, or one for it alone")
    return _Table(
        columns=tuple(header[i] for i in kept),
        left=tuple(header[i] or "the unnamed first column" for i in left),
        places=tuple(f"{path}, line {number}" for number, _ in lines),
        features=np.asarray([_numbers(path, number, line, header, kept) for number, line in lines], np.float32),
        labels=tuple(line[at].strip() for _, line in lines),
        groups=() if grouped is None else tuple(line[grouped].strip() for _, line in lines),
    )


def rows(path: Path, columns: Sequence[str], headed: bool) -> tuple[list[str], np.ndarray]:
    """Place of each row in the file, and float32 features `[N, D]`: these columns by name, whatever others there are.

    Raises UserError as `source` does. headed: whether there is a header line; without one see `source`.
    """
    header, lines = _headed(path, headed)
    _check_named(path, header, columns)
    kept = [header.index(column) for column in columns]
    values = [_numbers(path, number, line, header, kept) for number, line in lines]
    return [f"{path}, line {number}" for number, _ in lines], np.asarray(values, np.float32)


def _headed(path: Path, headed: bool) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Names of the columns, and the numbered lines below them, all of one length."""
    lines = _lines(path)
    header = [" ".join(text.split()) for text in lines.pop(0)[1]] if headed and lines else []
    if not lines:
        raise UserError(f"{path} has no rows: give one line an example")
    header = header or [f"column {number}" for number in range(1, len(lines[0][1]) + 1)]
    for number, line in lines:
        if len(line) != len(header):
            raise UserError(f"{path}, line {number}: {len(line)} entries instead of {len(header)}: correct that line")
    return header, lines


def _check_named(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    for column in columns:
        if header.count(column) != 1:
            has = ", ".join(_shown(name) or "one without a name" for name in header[:12])
            has += ", ..." if len(header) > 12 else ""
            raise UserError(f"{path} has {header.count(column)} columns named {column}: it has {has}")


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The lines that are not empty with their numbers; raises UserError for what is no text of a table."""
    if not path.is_file():  # opening a pipe would wait for ever
        raise UserError(f"cannot read {path}: it is no regular file; give comma-separated text in UTF-8")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            delimiter = max(",;\t", key=stream.readline().count)
            stream.seek(0)
            reader = csv.reader(stream, delimiter=delimiter)
            return [(reader.line_num, line) for line in reader if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read {path}: {reason(error)}; give comma-separated text in UTF-8") from error


def _labels(tables: Mapping[str, _Table], task: Task, lowest: int) -> dict[str, np.ndarray]:
    """The labels of each table, int `[N]` in 0 ... K-1 or -1: all of them numbers from `lowest` on, or all names.

    Raises UserError for the first that is neither, and UsageError where both readings are possible and differ.
    """
    found = [(place, text) for table in tables.values() for place, text in zip(table.places, table.labels, strict=True)]
    texts = {text for _, text in found if text}
    numbers = {text: k for text in texts if (k := _number(text) - lowest) in range(task.num_classes)}
    names = {text: task.grades.index(text) for text in texts if text in task.grades}
    if numbers.keys() == names.keys() == texts and numbers != names:
        text = next(text for text in sorted(texts) if names[text] != numbers[text])
        raise UsageError(
            f"the label {text} is a grade of {task.name} by its name and another as a number from lowest {lowest} on: "
            "name data.options.grades otherwise, or set lowest so that both agree or no label is a number from it on"
        )
    reading = names if len(names) > len(numbers) else numbers
    for place, text in found:
        if text and text not in reading:
            raise UserError(
                f"{place}: the label {_shown(text)} is not one of the {task.num_classes} grades "
                f"{lowest} ... {lowest + task.num_classes - 1} of {task.name}, nor are all labels among its names "
                f"{_shown(', '.join(task.grades))}: correct it, or data.options.grades"
            )
    reading = {text: int(k) for text, k in reading.items()} | {"": -1}
    return {split: np.asarray([reading[text] for text in table.labels]) for split, table in tables.items()}


def _numbers(path: Path, number: int, line: list[str], header: list[str], kept: list[int]) -> list[float]:
    """The features of a line; raises UserError for an entry that is no finite number of 32 bits."""
    values = [_number(line[i]) for i in kept]
    for i, value in zip(kept, values, strict=True):
        if not abs(value) <= _LARGEST:
            text = _shown(line[i])
            raise UserError(f"{path}, line {number}, {header[i]}: {text!r} is no finite number: correct that line")
    return values


def _number(text: str) -> float:
    try:
        return math.nan if "_" in text else float(text)  # Python reads 1_0 as ten, tables do not
    except ValueError:
        return math.nan


def _shown(text: str) -> str:
    """A text of a file on one line and not too long."""
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
