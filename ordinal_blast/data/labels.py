"""Grades and labels from what people write: names or numbers of grades, with the order stated or told by numbers.

Where no grades are stated, their order is that of the numbers that they are ("0", "1.5"), or that tell them apart
("0 none", "1 mild"; "stage 1", "stage 2"), the lowest being the worst. No other order is guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from ordinal_blast.data.sheets import number, shown
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.ranges import TEXT, WHOLE, Range, list_of
from ordinal_blast.types import Task

MOST = 100  # grades that are told
_NAMES = list_of(TEXT, empty=True)
_GRADES = Range(
    "names of grades, worst first, or for several tasks a section of them by task",
    lambda value: all(map(_NAMES.holds, value.values())) if isinstance(value, Mapping) else _NAMES.holds(value),
)
Grades = Annotated[Any, _GRADES]
Lowest = Annotated[int | None, Range(f"{WHOLE.words}, or None", lambda value: value is None or WHOLE.holds(value))]


def stated(grades: Any, tasks: Sequence[str]) -> dict[str, list[str]]:
    """The grades that an option states for each task: for all alike, or in a section by task.

    Raises UsageError for a section with another task.
    """
    if not isinstance(grades, Mapping):
        return {task: list(grades) for task in tasks or ("",)}
    if wrong := sorted(grades.keys() - set(tasks or grades)):
        raise UsageError(f"data.options.grades has {wrong[0]}: the tasks are {', '.join(tasks)}")
    return {task: list(names) for task, names in grades.items()}


def read(
    task: str,
    texts: Sequence[str],
    places: Sequence[str],
    grades: Sequence[str] = (),
    *,
    lowest: int | None = None,
    missing: Sequence[str] = ("",),
    decimal: str = ".",
) -> tuple[Task, np.ndarray, tuple[str, ...]]:
    """The task, its labels int32 `[N]` in 0 ... K-1 or -1 where missing, and notes of what was told.

    texts: all of them names of grades, or all numbers from `lowest` on (told where the numbers are as many as the
    grades). places: of each text. grades: worst first; told by numbers if none are stated. Raises UserError for the
    first text that is none, and UsageError where an order or a reading cannot be told.
    """
    texts = ["" if text in missing and text not in grades else text for text in texts]
    notes: tuple[str, ...] = ()
    if not grades:
        grades, notes = _by_their_names(task, sorted({text for text in texts if text}), decimal)
    graded = Task(task, tuple(grades))
    reading = {**_reading(graded, texts, places, lowest, decimal), "": -1}
    return graded, np.asarray([reading[text] for text in texts], np.int32), notes


def ordered(names: Sequence[str]) -> tuple[str, ...]:
    """Names of grades, lowest first, by the numbers that they are or that tell them apart; none where none do."""
    values = {name: number(name) for name in names}
    if not all(map(math.isfinite, values.values())):
        parts = {name: re.match(r"\s*(\D*?)\s*(\d+(?:\.\d+)?)", name) for name in names}
        if not all(parts.values()) or len({part[1].lower() for part in parts.values() if part}) > 1:
            return ()
        values = {name: float(part[2]) for name, part in parts.items() if part}
    if len(set(values.values())) < len(values):
        return ()
    return tuple(sorted(values, key=values.__getitem__))


def _by_their_names(task: str, texts: Sequence[str], decimal: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The grades that texts name, worst first, and a note that says so."""
    values = {text: number(text, decimal) for text in texts}
    names = sorted({_written(value) if math.isfinite(value) else text for text, value in values.items()})
    listed = shown(", ".join(names[:12]) + (", ..." if len(names) > 12 else ""))
    if len(names) > MOST:
        raise UserError(f"{task} has {len(names)} different labels ({listed}): name a column of grades")
    if len(names) < 2:
        what = f"only the label {listed}" if listed else "no label"
        raise UserError(f"{task} has {what}: two or more grades are needed, or state them by data.options.grades")
    grades = ordered(names)
    if not grades:
        raise UsageError(
            f"the order of the grades of {task} cannot be told from their names {listed}: state it, worst first, "
            f"such as data.options.grades={tuple(names[:12])!r}"
        )
    whole = [value for value in values.values() if value.is_integer()]
    gaps = sorted({*range(int(min(whole)), int(max(whole)))} - {*whole}) if len(whole) == len(texts) else []
    notes = [f"grades of {task} are taken in the order of their numbers, worst first: {', '.join(grades)}"]
    if gaps and len(gaps) < MOST:
        notes.append(
            f"no label of {task} is {', '.join(map(str, gaps))}: to have that grade, name it in data.options.grades"
        )
    return grades, tuple(notes)


def _written(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _reading(
    task: Task, texts: Sequence[str], places: Sequence[str], lowest: int | None, decimal: str
) -> Mapping[str, int]:
    """What each text that is not empty means, all as names of grades or all as numbers."""
    distinct = {text for text in texts if text}
    names = _names(task, distinct, decimal)
    values = {text: number(text, decimal) for text in distinct}
    if lowest is None and names.keys() != distinct:
        lowest = _lowest(task, values)
    numbered = {
        text: int(k) for text, value in values.items() if (k := value - (lowest or 0)) in range(task.num_classes)
    }
    if lowest is None or names.keys() == distinct != numbered.keys():
        return names
    if names.keys() == numbered.keys() == distinct and numbered != names:
        text = next(text for text in sorted(distinct) if names[text] != numbered[text])
        raise UsageError(
            f"the label {text} is a grade of {task.name} by its name and another as a number from lowest {lowest} on: "
            "name data.options.grades otherwise, or set lowest so that both agree or no label is a number from it on"
        )
    reading: Mapping[str, int] = names if len(names) > len(numbered) else numbered
    for place, text in zip(places, texts, strict=True):
        if text and text not in reading:
            raise UserError(
                f"{place}: the label {shown(text)} is not one of the {task.num_classes} grades "
                f"{lowest} ... {lowest + task.num_classes - 1} of {task.name}, nor are all labels among its names "
                f"{shown(', '.join(task.grades))}: correct it, or data.options.grades"
            )
    return reading


def _names(task: Task, texts: set[str], decimal: str) -> dict[str, int]:
    """The grades that texts name, as they stand or as the same number."""
    values = {value: k for k, grade in enumerate(task.grades) if math.isfinite(value := number(grade))}
    same = {text: values[value] for text in texts if (value := number(text, decimal)) in values}
    return same | {text: task.grades.index(text) for text in texts if text in task.grades}


def _lowest(task: Task, values: Mapping[str, float]) -> int:
    """The number of the worst grade, where the numbers of the labels are as many as the grades; else 0, which refuses.

    Raises UsageError where all are whole numbers, and fewer.
    """
    whole = [int(value) for value in values.values() if value.is_integer()]
    if not whole or len(whole) < len(values):
        return 0
    low, high = min(whole), max(whole)
    if high - low + 1 < task.num_classes:
        raise UsageError(
            f"labels of {task.name} are numbers from {low} to {high}, and there are {task.num_classes} grades: say by "
            "data.options.lowest which number is the worst grade"
        )
    return low
