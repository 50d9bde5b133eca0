"""Tables of numbers in CSV files: one row an example, one column its grade, the others its features."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ordinal_blast.data import splits
from ordinal_blast.data.store import Source, SourceMissingError
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.storage import file_digest
from ordinal_blast.types import Task


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
) -> Source:
    """The files `root/TRAIN`, `root/VAL` and `root/TEST`: float32 features `[D]`, grades `lowest` ... `lowest + K-1`.

    `{holdout}` in a file name stands for the number of the hold-out. label: the column of the grade by its name in the
    header line, or "" for files without a header, where it is the last column. Where val is "", `val_share` of the
    training file is split off (see `splits.split_off`), drawn from (val_seed, holdout), alike for every grade if
    val_stratified. Every row is a group of its own. Raises SourceMissingError for an absent file, UsageError for a
    share outside 0 ... 1, and UserError for a file that has no rows, a ragged row, an entry that is no number, a label
    that is none of the K grades, no label column, or other columns than the training file.
    """
    graded = Task(task, tuple(grades))
    names = {split: file.format(holdout=holdout) for split, file in (("train", train), ("val", val), ("test", test))}
    paths = {split: root / file for split, file in names.items() if file}
    tables = {split: _read(path, name, label, lowest, graded) for split, path in paths.items()}
    for split, table in tables.items():
        if table.columns != tables["train"].columns:
            raise UserError(f"{paths[split]} has other columns than {paths['train']}: give files of one layout")
    rows = {split: (split, np.arange(len(table.labels))) for split, table in tables.items()}
    if "val" not in rows:
        if not 0 < val_share < 1:
            raise UsageError(f"data.options.val_share is {val_share}: without a val file it lies between 0 and 1")
        strata = tables["train"].labels if val_stratified else np.zeros_like(tables["train"].labels)
        kept, chosen = splits.split_off(strata, val_share, (val_seed, holdout))
        rows = {"train": ("train", kept), "val": ("train", chosen), "test": rows["test"]}
    how = f"{val_share:.0%} of the training file{', stratified' if val_stratified else ''}"
    columns = tables["train"].columns
    return Source(
        name=name,
        tasks=(graded,),
        summary=f"{name}: {len(columns)} numbers, {len(grades)} ordered grades; validation {'file' if val else how}",
        licence=licence,
        citation=citation,
        identity={
            "format": "table",
            "files": {split: file_digest(path) for split, path in paths.items()},
            "grades": list(grades),
            "task": task,
            "label": label,
            "lowest": lowest,
            "val": None if val else [val_share, val_stratified, val_seed, holdout],
        },
        features={
            "id": tfds.features.Text(),
            "group": tfds.features.Text(),
            "features": tfds.features.Tensor(
                shape=(len(columns),), dtype=np.float32, encoding=tfds.features.Encoding.BYTES
            ),
            f"label/{task}": np.int32,
        },
        splits={split: partial(_records, tables[file], file, rows, task) for split, (file, rows) in rows.items()},
        extras={"columns": list(columns)},
    )


@dataclasses.dataclass(frozen=True)
class _Table:
    """columns: names of the D features; features float32 `[N, D]`; labels int `[N]` in 0 ... K-1."""

    columns: tuple[str, ...]
    features: np.ndarray
    labels: np.ndarray


def _records(table: _Table, file: str, rows: np.ndarray, task: str) -> Iterator[Mapping[str, Any]]:
    for row in rows.tolist():
        name = f"{file}-{row:05d}"
        yield {"id": name, "group": name, "features": table.features[row], f"label/{task}": int(table.labels[row])}


def _read(path: Path, name: str, label: str, lowest: int, task: Task) -> _Table:
    if not path.exists():
        raise SourceMissingError(
            name, f"{path.absolute()} does not exist: name the folder of its table with --config.data.root=FOLDER"
        )
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            lines = [(number, line) for number, line in enumerate(csv.reader(stream), start=1) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot read {path}: {error}; give comma-separated text in UTF-8") from error
    header = [text.strip() for text in lines.pop(0)[1]] if label and lines else []
    if not lines:
        raise UserError(f"{path} has no rows: give one line an example")
    if label and header.count(label) != 1:
        raise UserError(f"{path} has {header.count(label)} columns named {label}: it has {', '.join(header)}")
    header = header or [f"column {number}" for number in range(1, len(lines[0][1]) + 1)]
    place = header.index(label) if label else len(header) - 1
    values = np.asarray([_numbers(path, number, line, header) for number, line in lines], np.float64)
    labels = values[:, place] - lowest
    wrong = np.flatnonzero(~np.isin(labels, np.arange(task.num_classes)))
    if len(wrong):
        number, line = lines[wrong[0]]
        raise UserError(
            f"{path}, line {number}: the label {line[place].strip()} is not one of the {task.num_classes} grades "
            f"{lowest} ... {lowest + task.num_classes - 1} of {task.name}: correct it, or data.options"
        )
    return _Table(
        columns=tuple(header[:place] + header[place + 1 :]),
        features=np.delete(values, place, axis=1).astype(np.float32),
        labels=labels.astype(np.int64),
    )


def _numbers(path: Path, number: int, line: list[str], header: list[str]) -> list[float]:
    if len(line) != len(header):
        raise UserError(f"{path}, line {number}: {len(line)} entries instead of {len(header)}: correct that line")
    try:
        values = [float(text) for text in line]
        wrong = next((i for i, value in enumerate(values) if not math.isfinite(value)), None)
    except ValueError:
        wrong = next(i for i, text in enumerate(line) if not _is_number(text))
    if wrong is not None:
        text = line[wrong].strip()
        raise UserError(f"{path}, line {number}, {header[wrong]}: {text!r} is no finite number: correct that line")
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
