"""Vectors of any encoder, by id, and a sheet that grades them: an ordinal head on what a foundation model says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from ordinal_blast.data import encoding, labels, sheets, splits
from ordinal_blast.data.sheets import shown
from ordinal_blast.data.store import Source, SourceMissingError, plain_name
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.storage import digest, file_digest, read_npz
from ordinal_blast.types import NO_ID

_LARGEST = float(np.finfo(np.float32).max)


def source(
    root: Path,
    *,
    name: str = "",
    vectors: str = "features.npz",
    sheet: str = "labels.csv",
    id: str = "id",
    tasks: tuple[str, ...] = ("grade",),
    grades: labels.Grades = (),
    group: str = "",
    along: tuple[str, ...] = (),
    split: str = "",
    licence: str = "",
    citation: str = "",
) -> Source:
    """The vectors `[N, D]` of the file `vectors` in `root`, and their grades of the file `sheet`, joined by id.

    vectors: `.npz` with `id` `[N]` and `x` `[N, D]`, or a CSV or Parquet file whose column `id` names the row and whose
    other columns are all numbers. sheet: a table with a row an id. id: the column of both. tasks: its columns of
    grades, empty where one is missing; grades: worst first, or a section of them by task. group: its column of the
    patient. along: its columns, such as the clinic, that reports tell examples apart by. split: its column of train,
    val and test. Rows of one file that the other lacks are left out with a note.

    Raises SourceMissingError for no vectors, and UserError for an id that is blank or there twice, or an entry that is
    no number.
    """
    name = name or plain_name(root.absolute().name)
    if len(set(tasks)) < max(1, len(tasks)):
        raise UsageError("data.options.tasks: name each once, and at least one")
    sheets.check_along(along)
    stated = labels.stated(grades, tasks)
    options = {
        "format": "features",
        "files": [vectors, sheet, id],
        "columns": [list(tasks), group, list(along), split],
        "grades": stated,
    }
    if not (root / vectors).is_file():
        message = f"{(root / vectors).absolute()} does not exist: name the file of the vectors by data.options.vectors"
        raise SourceMissingError(name, options, message)
    ids, numbers = _vectors(root / vectors, id)
    table = sheets.read(root / sheet)
    listed = _once(table.column(id, "id"), table.places)
    notes = [*table.notes]
    notes += [
        f"{table.places[row]}: {shown(one)} has no vector: left out" for one, row in listed.items() if one not in ids
    ]
    notes += [f"{shown(one)} of {vectors} is not in {sheet}: left out" for one in ids if one not in listed]
    kept = [one for one in listed if one in ids]
    if not kept:
        raise UserError(f"{root / vectors} and {root / sheet} have no id in common: give examples one id in both")
    rows, places = [listed[one] for one in kept], [table.places[listed[one]] for one in kept]
    numbers = numbers[[ids[one] for one in kept]]

    def column(title: str, option: str) -> list[str]:
        texts = table.column(title, option)
        return [texts[row] for row in rows]

    graded, columns = [], {}
    for task in tasks:
        texts, where = column(task, "tasks"), [f"{place}, {task}" for place in places]
        one, values, remarks = labels.read(task, texts, where, stated.get(task, ()), missing=sheets.MISSING)
        graded.append(one)
        columns[f"label/{task}"] = values
        notes += remarks
    groups = column(group, "group") if group else kept
    for place, text in zip(places, groups, strict=True):
        if text in NO_ID or text in sheets.MISSING:
            raise UserError(f"{place}, {group}: it is blank: name the patient, or one for it alone")
    columns |= {title: np.asarray(column(title, "along")) for title in along}
    parts = splits.by_column(column(split, "split"), places, split) if split else {"rows": np.arange(len(kept))}
    names = [f"x{k}" for k in range(1, numbers.shape[1] + 1)]
    return Source(
        name=name,
        tasks=tuple(graded),
        summary=f"{name}: vectors of {numbers.shape[1]} numbers, "
        + ", ".join(f"{one.num_classes} grades of {one.name}" for one in graded),
        licence=licence,
        citation=citation,
        identity=options | {"content": digest([file_digest(root / vectors), file_digest(root / sheet)])},
        known=options,
        features={
            **dict.fromkeys(("id", "group", *along), tfds.features.Text()),
            "numbers": tfds.features.Tensor(
                shape=numbers.shape[1:], dtype=np.float32, encoding=tfds.features.Encoding.BYTES
            ),
            **{f"label/{task}": np.int32 for task in tasks},
        },
        splits={
            part: lambda of=of: (
                {"id": kept[row], "group": groups[row], "numbers": numbers[row]}
                | {title: values[row] for title, values in columns.items()}
                for row in of.tolist()
            )
            for part, of in parts.items()
        },
        extras={"columns": names, "table": encoding.table([encoding.Column(one) for one in names], "refuse")},
        notes=notes,
    )


def _once(texts: list[str], places: Any) -> dict[str, int]:
    """The row of every id; raises UserError for one that is blank or there twice."""
    rows: dict[str, int] = {}
    for row, (text, place) in enumerate(zip(texts, places, strict=True)):
        if text in NO_ID:
            raise UserError(f"{place}: the id is blank: name the example")
        if rows.setdefault(text, row) != row:
            raise UserError(
                f"{place}: the id {shown(text)} is there before, in {places[rows[text]]}: give each one row"
            )
    return rows


def _vectors(path: Path, id: str) -> tuple[dict[str, int], np.ndarray]:
    """The row of every id, and the numbers float32 `[N, D]`."""
    if path.suffix.lower() == ".npz":
        arrays = read_npz(path, ("id", "x"))
        texts, x = arrays["id"], arrays["x"]
        if (
            x.ndim != 2
            or not x.size
            or x.dtype.kind not in "iuf"
            or texts.shape != x.shape[:1]
            or texts.dtype.kind not in "Uiu"
        ):
            raise UserError(
                f"{path}: id is {texts.dtype} {list(texts.shape)} and x {x.dtype} {list(x.shape)}: give texts or whole "
                "numbers [N] and numbers [N, D]"
            )
        rows = _once([str(text) for text in texts.tolist()], [f"{path}, row {row}" for row in range(len(x))])
        x = x.astype(np.float64)
        places, names = [f"{path}, row {row}" for row in range(len(x))], [f"x{k + 1}" for k in range(x.shape[1])]
    else:
        sheet = sheets.read(path)
        rows = _once(sheet.column(id, "id"), sheet.places)
        others = [k for k, title in enumerate(sheet.columns) if title != id]
        if not others:
            raise UserError(f"{path} has only the column {id}: add the numbers of the vectors")
        decimal = sheets.decimal_mark([sheet.at(k) for k in others], path)
        x = np.asarray([[sheets.number(row[k].strip(), decimal) for k in others] for row in sheet.rows])
        places, names = list(sheet.places), [sheet.columns[k] for k in others]
    wrong = np.argwhere(~(np.abs(x) <= _LARGEST))
    if len(wrong):
        row, k = wrong[0].tolist()
        raise UserError(f"{places[row]}, {shown(names[k])}: it is no finite number of 32 bits: correct it")
    return rows, x.astype(np.float32)
