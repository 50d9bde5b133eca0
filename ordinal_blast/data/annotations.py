"""Grades that several raters gave the same items, from long tables: a row is an item, a rater, a task and a value.

What is no grade stays apart: a blank is missing, ND is not defined (a blastocyst too small to have a grade of it), NA
is not agreed or not assessable, <3 is a range. The order of grades is stated, or that of the numbers that they are or
hold, or of Gardner's letters, A the best; no other is guessed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ordinal_blast.data import labels, sheets
from ordinal_blast.data.sheets import shown
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.types import A_RANGE, ABSENCES, MISSING, NO_ID, NOT_AGREED, NOT_DEFINED, Task

COLUMNS = ("item", "rater", "task", "value")
_NO_GRADES = {"ND": NOT_DEFINED, "NA": NOT_AGREED, "N/A": NOT_AGREED, "n/a": NOT_AGREED}
_NO_GRADES |= dict.fromkeys(("", "Null", "NULL", "null", "None", "nan", "NaN", "<NA>"), MISSING)
_NO_GRADES |= {text: code for code, text in ABSENCES.items()}
_RANGE = re.compile(r"[<>≤≥]=?\s*\w+")
_LETTER = re.compile(r"([A-D])([+-]?)")  # of Gardner's grades of ICM and TE, A the best; A+ is above A, A- below it
_SIGNS = ("-", "", "+")


class Row(NamedTuple):
    """One annotation and its place, such as "a.csv, line 3"; group: what items belong to, such as a patient, or ""."""

    place: str
    item: str
    rater: str
    task: str
    value: str
    group: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Annotations:
    """Grades by task, int `[N, R]` in 0 ... K-1 or one of `ABSENCES`, of N items by R raters; notes of what was told.

    groups: text `[N]`, what items belong to, or the item itself; None where no item has one.
    """

    items: tuple[str, ...]
    raters: tuple[str, ...]
    tasks: tuple[Task, ...]
    grades: Mapping[str, np.ndarray]
    groups: np.ndarray | None
    notes: tuple[str, ...] = ()


def read(
    paths: Sequence[Path], *, grades: Mapping[str, Sequence[str]] | None = None, encoding: str = ""
) -> Annotations:
    """The annotations of long tables with the columns item, rater, task and value in any order, and perhaps group.

    grades: of a task, worst first. Raises UserError for a file that is none, a value that is no grade, or two grades of
    an item by one rater, and UsageError where the order of grades cannot be told.
    """
    table, notes = rows(paths, encoding)
    gathered = gather(table, grades or {})
    return dataclasses.replace(gathered, notes=(*notes, *gathered.notes))


def rows(paths: Sequence[Path], encoding: str = "") -> tuple[list[Row], list[str]]:
    """The rows of long tables, and notes of how they were read. Errors as `read`."""
    if not sheets.is_encoding(encoding):
        raise UsageError(f"--encoding {shown(encoding)}: there is no encoding of that name: give one such as latin-1")
    tables = [sheets.read(path, encoding=encoding, stated_by="--encoding") for path in paths]
    return [row for table in tables for row in _rows(table)], [note for table in tables for note in table.notes]


def _rows(table: sheets.Sheet) -> Iterator[Row]:
    table = table._replace(columns=tuple(name.lower() for name in table.columns))
    if lacking := [name for name in COLUMNS if name not in table.columns]:
        has = ", ".join(map(shown, table.columns[:12]))
        raise UserError(
            f"{table.path} has no column {lacking[0]}: it has {has}; give a table with a row an annotation and the "
            f"columns {', '.join(COLUMNS)}"
        )
    columns = [table.column(name) for name in COLUMNS]
    groups = table.column("group") if "group" in table.columns else [""] * len(table.rows)
    for place, group, *texts in zip(table.places, groups, *columns, strict=True):
        for name, text in zip(COLUMNS[:3], texts, strict=False):
            if text in NO_ID:
                raise UserError(f"{place}: the {name} is blank: name it, or delete the line")
        yield Row(place, *texts, group="" if group in NO_ID else group)


def gather(rows: Iterable[Row], grades: Mapping[str, Sequence[str]]) -> Annotations:
    """The annotations of rows, items, raters and tasks in the order of their first row. Errors as `read`."""
    items: dict[str, int] = {}
    raters: dict[str, int] = {}
    cells: dict[str, dict[tuple[int, int], Row]] = {}
    groups: dict[int, Row] = {}
    for row in rows:
        place = items.setdefault(row.item, len(items)), raters.setdefault(row.rater, len(raters))
        first = cells.setdefault(row.task, {}).setdefault(place, row)
        if first is not row:
            raise UserError(
                f"{row.place}: {shown(row.rater)} grades {shown(row.task)} of {shown(row.item)} again, as "
                f"{shown(row.value) or 'missing'}, after {shown(first.value) or 'missing'} ({first.place}): keep "
                "one, or name the second reading as another rater"
            )
        if row.group and groups.setdefault(place[0], row).group != row.group:
            raise UserError(
                f"{row.place}: {shown(row.item)} is of group {shown(row.group)}, and of "
                f"{shown(groups[place[0]].group)} ({groups[place[0]].place}): correct one of them"
            )
    if wrong := sorted(set(grades) - set(cells)):
        raise UsageError(f"--grades {wrong[0]}: the tasks are {', '.join(map(shown, cells))}")
    tasks, tables, notes = [], {}, []
    for name, of_task in cells.items():
        task, reading, more = _graded(name, list(of_task.values()), grades.get(name, ()))
        table = np.full((len(items), len(raters)), MISSING)
        for place, row in of_task.items():
            table[place] = reading[row.value]
        tasks.append(task)
        tables[name] = table
        notes += more
    of = np.array([groups[n].group if n in groups else f"{item} alone" for n, item in enumerate(items)])
    return Annotations(tuple(items), tuple(raters), tuple(tasks), tables, of if groups else None, tuple(notes))


def _graded(name: str, rows: Sequence[Row], stated: Sequence[str]) -> tuple[Task, dict[str, int], list[str]]:
    """The task, what each text of it means, and a note where the order of its grades was told by them."""
    reading = {text: code for text, code in _NO_GRADES.items() if text not in stated}
    reading |= {row.value: A_RANGE for row in rows if row.value not in stated and _RANGE.fullmatch(row.value)}
    texts = sorted({row.value for row in rows} - reading.keys())
    decimal = "," if any("," in text for text in texts) else "."
    values = {text: sheets.number(text, decimal) for text in texts}
    names = {text: f"{value:g}" if value == value else text for text, value in values.items()}
    notes = []
    if not stated:
        stated = _ordered(name, sorted(set(names.values())))
        notes = [f"grades of {name}, worst first: {', '.join(stated)}"]
    task = Task(name, tuple(stated))
    for row in rows:
        if row.value not in reading:
            grade = row.value if row.value in stated else names[row.value]
            if grade not in stated:
                raise UserError(
                    f"{row.place}: {shown(row.value)} is none of the grades of {name}, {shown(', '.join(stated))}, nor "
                    f"ND, NA or blank: correct it, or state the grades by --grades {name}=..."
                )
            reading[row.value] = stated.index(grade)
    return task, reading, notes


def _ordered(name: str, names: Sequence[str]) -> tuple[str, ...]:
    listed = shown(", ".join(names[:12]) + (", ..." if len(names) > 12 else ""))
    if not 2 <= len(names) <= labels.MOST:
        what = (
            f"{len(names)} different values ({listed})" if len(names) > 1 else f"only {listed}" if names else "no grade"
        )
        raise UserError(
            f"{name} has {what}: from two to {labels.MOST} grades are needed; state them by "
            f"--grades {name}=WORST,...,BEST, or leave that task out"
        )
    letters = {text: match for text in names if (match := _LETTER.fullmatch(text))}
    if len(letters) == len(names):
        return tuple(sorted(names, key=lambda text: (-ord(letters[text][1]), _SIGNS.index(letters[text][2]))))
    if ordered := labels.ordered(names):
        return ordered
    raise UsageError(
        f"the order of the grades of {name} cannot be told from {listed}: state it, worst first, by "
        f"--grades {name}={shown(','.join(names))}"
    )
