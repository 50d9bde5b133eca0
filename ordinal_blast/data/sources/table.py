"""Tables in files: one row an example, one column its grade, the others numbers or categories."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from ordinal_blast import ranges
from ordinal_blast.data import encoding as encodings
from ordinal_blast.data import entries, labels, sheets, splits
from ordinal_blast.data.encoding import Column
from ordinal_blast.data.sheets import Sheet, shown
from ordinal_blast.data.store import Source, SourceMissingError, plain_name
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.storage import file_digest
from ordinal_blast.types import NO_ID

_INDEX = r"(Unnamed: \d+)?"  # how a row's number is headed that was written along, as the first column


def source(
    root: Path,
    *,
    name: str = "",
    task: str = "",
    grades: tuple[str, ...] = (),
    train: str = "",
    val: str = "",
    test: str = "",
    label: str = "",
    lowest: labels.Lowest = None,
    split: str = "",
    group: str = "",
    drop: tuple[str, ...] = (),
    along: tuple[str, ...] = (),
    categorical: tuple[str, ...] = (),
    missing: entries.Missing = "refuse",
    na: tuple[str, ...] = sheets.MISSING,
    separator: sheets.Separator = "",
    encoding: sheets.Encoding = "",
    decimal: sheets.Decimal = "",
    holdout: int = 0,
    val_share: float = 0.2,
    val_stratified: bool = True,
    val_seed: int = 0,
    licence: str = "",
    citation: str = "",
) -> Source:
    """The files `root/TRAIN`, `root/VAL` and `root/TEST`, or one for all: numbers float32 `[D]` and grades of one task.

    CSV or TSV, Parquet or Excel. separator, encoding, decimal: settled by content where they are empty (see `sheets`).
    train: the file, by default the only table in `root` (which may be a table itself). val, test: files of their own,
    or empty. holdout: the number that `{holdout}` in a file name stands for. name: by default that of the file. task:
    by default that of the column.

    label: the column of the grade by its name in the header line, or "" for files without a header, where it is the
    last column (and columns are named "column 1" and so on). grades: worst first. lowest: the number of the worst
    grade, where they are numbers. group: the column of the patient, or "" where every row is a group of its own. split:
    a column of train, val and test. drop: columns that are left out; so is a first column without a name. along:
    columns, such as the clinic, that networks do not read: reports tell test examples apart by them, and `split.by` may
    name one. categorical: columns of categories; those of texts alone are without being named. na: what an entry that
    is missing has. missing: such an entry is refused, or taken as the median of the training rows, with "indicator" and
    a column that says where (see `encoding`).

    val_share, val_stratified: of the training rows that are split off where there is a test set and no validation set
    (see `splits.with_validation`). val_seed: they are drawn from it and the hold-out.

    Raises SourceMissingError for an absent file, UsageError for options that do not fit, and UserError for a file that
    has no rows, a ragged row, an entry that is no number, a label that is no grade, no such column, or other columns
    than the training file.
    """
    if val and not test:
        raise UsageError("data.options: name a test file where there is a val file")
    if split and test:
        raise UsageError("data.options: give one train file where split names a column")
    ranges.check("data.options.holdout", holdout, ranges.whole(0))
    ranges.check("data.options.val_seed", val_seed, ranges.SEED)
    if test and not val:
        ranges.check("data.options.val_share", val_share, ranges.number(above=0, below=1))
    if root.is_file():
        root, train = root.parent, train or root.name
    train = train or _only(root)
    files = {"train": train, "val": val, "test": test} if test else {"rows": train}
    names = {part: file.replace("{holdout}", str(holdout)) for part, file in files.items() if file}
    name = name or plain_name(Path(train.replace("{holdout}", "")).stem)
    reading = {"separator": separator, "encoding": encoding}
    options = {
        "format": "table",
        "grades": list(grades),
        "task": task,
        "label": label,
        "lowest": lowest,
        "columns": [split, group, list(drop), list(categorical)],
        "reading": [missing, list(na), separator, encoding, decimal],
        "val": [val_share, val_stratified, val_seed, holdout] if split or (test and not val) else None,
        **({"along": list(along)} if along else {}),
    }
    known = options | {"files": names}
    paths = {part: root / file for part, file in names.items()}
    for path in paths.values():
        if not path.exists():
            raise SourceMissingError(
                name,
                known,
                f"{path.absolute()} does not exist: name the folder of its table with --config.data.root=FOLDER",
            )
    files = {part: sheets.read(path, headed=bool(label), **reading) for part, path in paths.items()}
    table = _together(files, [column for column in (label, split, group, *drop, *along, *categorical) if column])
    marks = {decimal or sheets.decimal_mark(zip(*file.rows, strict=True), file.path) for file in files.values()}
    mark = "," if "," in marks else "."
    text_of = {column: table.column(column) for column in (label, split, group) if column}
    graded, grade, notes = labels.read(
        task or label or "grade",
        text_of.get(label) or table.at(-1),
        table.places,
        grades,
        lowest=lowest,
        missing=na,
        decimal=mark,
    )
    sheets.check_along(along)
    beside = {column: ["" if text in na else text for text in table.column(column)] for column in along}
    kept, left = _kept(table, label, (split, group, *along), drop)
    values, columns = entries.of_sheet(table, kept, categorical, missing=missing, na=na, decimal=mark)
    ids = [f"{part}-{row:05d}" for part, file in files.items() for row in range(len(file.rows))]
    groups = _groups(table, group, text_of[group], na) if group else None
    official = _official(files, table, split, text_of.get(split, ()))
    rows = splits.with_validation(
        official,
        grade,
        None if groups is None else np.asarray(groups),
        val_share,
        (val_seed, holdout),
        stratified=val_stratified,
    )
    how = f"{val_share:.0%} of the training {'file' if test else 'rows'}{', stratified' if val_stratified else ''}"
    how = how if rows is not official else "file" if val else "as named"
    validation = f"validation {how}" if len(rows) > 1 else "unsplit"
    kinds = sum(bool(column.texts) for column in columns)
    summary = f"{name}: {len(columns) - kinds} numbers" + (
        f" and {kinds} categor{'y' if kinds == 1 else 'ies'}" if kinds else ""
    )
    return Source(
        name=name,
        tasks=(graded,),
        summary=f"{summary}, {graded.num_classes} ordered grades; {validation}"
        + (f"; left out: {', '.join(left)}" if left else ""),
        licence=licence,
        citation=citation,
        identity=options | {"files": {part: file_digest(path) for part, path in paths.items()}},
        known=known,
        features={
            "id": tfds.features.Text(),
            "group": tfds.features.Text(),
            "numbers": tfds.features.Tensor(
                shape=(len(columns),), dtype=np.float32, encoding=tfds.features.Encoding.BYTES
            ),
            f"label/{graded.name}": np.int32,
            **dict.fromkeys(along, tfds.features.Text()),
        },
        splits={
            part: partial(_records, ids, groups or ids, values, grade, graded.name, beside, chosen)
            for part, chosen in rows.items()
        },
        extras={
            "columns": [column.name for column in columns],
            "table": encodings.table(columns, missing, na=na, decimal=decimal, headed=bool(label), **reading),
        },
        notes=(
            *(note for file in files.values() for note in file.notes),
            *(("its numbers are read with a decimal comma",) if mark == "," != decimal else ()),
            *notes,
            *_lacking(table, columns, values, grade),
        ),
    )


def rows(path: Path, extras: Mapping[str, Any]) -> Rows:
    """The rows of a file by the columns of a data set, whatever others there are, as its training rows taught.

    extras: of the data set. Raises UserError as `source` does.
    """
    table, columns = extras["table"], encodings.columns(extras)
    sheet = sheets.read(path, **table["reading"])
    mark = table["decimal"] or sheets.decimal_mark(map(sheet.column, (one.name for one in columns)), path)
    values, notes = entries.of_columns(sheet, columns, missing=table["missing"], na=table["na"], decimal=mark)
    return Rows(sheet.places, encodings.numbers(values, columns), notes)


class Rows(NamedTuple):
    """Rows of a table as networks read them: the place of each in its file, numbers float32 `[N, D]`, notes of each."""

    places: tuple[str, ...]
    numbers: np.ndarray
    notes: tuple[tuple[str, ...], ...]


def _only(root: Path) -> str:
    """The name of the only table in a folder; raises UsageError where there is none, or more."""
    paths = root.iterdir() if root.is_dir() else ()
    there = sorted(path.name for path in paths if path.suffix.lower() in sheets.SUFFIXES)
    if len(there) != 1:
        has = f"{len(there)} tables ({shown(', '.join(there))})" if there else "no table"
        raise UsageError(f"{root.absolute()} has {has}: name one by data.options.train, or its folder by data.root")
    return there[0]


def _together(files: Mapping[str, Sheet], named: Sequence[str]) -> Sheet:
    """The rows of all files; raises UserError where one lacks a named column, or has others than the first."""
    first, *_ = files.values()
    for file in files.values():
        for name in named:
            file.column(name)
        if file.columns != first.columns:
            raise UserError(f"{file.path} has other columns than {first.path}: give files of one layout")
    places = tuple(place for file in files.values() for place in file.places)
    return Sheet(first.path, first.columns, places, [row for file in files.values() for row in file.rows])


def _official(files: Mapping[str, Sheet], table: Sheet, split: str, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """The rows of each split, as the files or the column say."""
    if not split:
        ends = np.cumsum([0, *(len(file.rows) for file in files.values())])
        return {part: np.arange(ends[k], ends[k + 1]) for k, part in enumerate(files)}
    return splits.by_column(texts, table.places, split)


def _kept(table: Sheet, label: str, others: Sequence[str], drop: Sequence[str]) -> tuple[list[int], list[str]]:
    """The places of the columns that networks read, and the names of those that are left out."""
    header = table.columns
    at = header.index(label) if label else len(header) - 1
    named = [header.index(name) for name in others if name]
    index = bool(label) and 0 not in (at, *named) and re.fullmatch(_INDEX, header[0]) is not None
    left = [i for i, column in enumerate(header) if column in drop or (index and i == 0)]
    kept = [i for i in range(len(header)) if i not in (at, *named, *left)]
    if len({at, *named, *left}) < 1 + len(named) + len(left) or not kept:
        raise UserError(
            f"{table.path} has no numbers, or one column is grade, group, split, along or left out at once: see "
            "data.options"
        )
    for i in kept:
        table.column(header[i])  # two of one name could not be told apart in rows to grade
    return kept, [header[i] or "the unnamed first column" for i in left]


def _groups(table: Sheet, group: str, texts: Sequence[str], na: Sequence[str]) -> list[str]:
    for place, text in zip(table.places, texts, strict=True):
        if text in NO_ID or text in na:
            raise UserError(f"{place}, {group}: {text!r} is no group: name one, or one for it alone")
    return list(texts)


def _lacking(table: Sheet, columns: Sequence[Column], values: np.ndarray, grade: np.ndarray) -> Iterator[str]:
    """A sentence for each row that lacks its grade or an entry."""
    absent = np.isnan(values)
    for row in np.flatnonzero(absent.any(axis=1) | (grade < 0)):
        names = [shown(columns[k].name) for k in np.flatnonzero(absent[row]).tolist()]
        names += ["the grade"] if grade[row] < 0 else []
        yield f"{table.places[row]}: {', '.join(names)} {'are' if len(names) > 1 else 'is'} missing"


def _records(
    ids: Sequence[str],
    groups: Sequence[str],
    values: np.ndarray,
    grade: np.ndarray,
    task: str,
    beside: Mapping[str, Sequence[str]],
    chosen: np.ndarray,
) -> Iterator[Mapping[str, Any]]:
    for row in chosen.tolist():
        texts = {name: column[row] for name, column in beside.items()}
        yield {"id": ids[row], "group": groups[row], "numbers": values[row], f"label/{task}": int(grade[row]), **texts}
