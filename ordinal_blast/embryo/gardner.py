"""Grades of blastocysts as people write them: Gardner's expansion 1 to 6, and the letters of ICM and TE.

What is no grade stays apart: a blank is missing, what is not defined (an early blastocyst has no ICM to grade) is no
disagreement, and `<3` is a range. Sources write these differently, some as numbers: `CODES` says what each means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from ordinal_blast.data.sheets import shown
from ordinal_blast.errors import UserError
from ordinal_blast.types import A_RANGE, MISSING, NOT_AGREED, NOT_DEFINED, Task

TASKS = ("expansion", "icm", "te")
Signs = Literal["drop", "keep"]
Worst = Literal["C", "D"]

_DEFINED = 3  # Gardner's stage from which on ICM and TE are graded
_BLANK = {text: MISSING for text in ("", "-", "?", "na", "n/a", "nan", "null", "none", "<na>")}
_NO_GRADE = {**_BLANK, "nd": NOT_DEFINED, "not defined": NOT_DEFINED, "not agreed": NOT_AGREED}
_NUMBERED = {"0": "A", "1": "B", "2": "C", "3": NOT_DEFINED, "na": NOT_AGREED, "-1": NOT_AGREED}
CODES: Mapping[str, Mapping[str, Mapping[str, str | int]]] = {
    # Kromp et al. 2023: stages from 0 on, A first; NA where the experts disagree, ND below stage 3.
    "kromp2023": {
        "expansion": {**{str(k): str(k + 1) for k in range(5)}, "na": NOT_AGREED, "-1": NOT_AGREED},
        "icm": _NUMBERED,
        "te": _NUMBERED,
    },
    # Gomez et al. 2022: letters; NA where nobody graded.
    "nantes2022": {task: {"na": MISSING} for task in TASKS},
    # Sheets of one number a column: 1 is A.
    "numbered": {
        "expansion": {},
        **{task: {"1": "A", "2": "B", "3": "C", "0": NOT_DEFINED} for task in ("icm", "te")},
    },
}

_LETTER = r"[A-D][+-]?"
_STAGE = r"[<>]?=?[1-6]"
_ONE = {  # with what some files put before it, such as Ex3, BoA (bouton), TrB
    "expansion": re.compile(rf"(?:EXP?|STAGE)?\s*({_STAGE})"),
    "icm": re.compile(rf"(?:BO|ICM)?\s*({_LETTER})"),
    "te": re.compile(rf"(?:TR|TE)?\s*({_LETTER})"),
}
_WHOLE = re.compile(rf"({_STAGE})\s*({_LETTER})\s*({_LETTER})")


def entry(task: str, text: str, codes: str = "") -> str | int:
    """The grade of a task that a text means, such as "4" or "A-", or one of `types.ABSENCES`; ValueError for others.

    codes: of the source, one of CODES. Letters may be small, 2.0 is 2, and a minus sign may be any dash.
    """
    plain = _plain(text)
    known = {**_NO_GRADE, **(CODES[codes][task] if codes else {})}
    if plain.lower() in known:
        return known[plain.lower()]
    if not (parts := _ONE[task].fullmatch(plain)):
        likely = "1 to 6" if task == "expansion" else "A, B, C or D, perhaps with + or -"
        raise ValueError(
            f"{shown(text)!r} is no grade of {task}: give {likely}, ND where it is not defined, or nothing"
        )
    return A_RANGE if parts[1][0] in "<>" else parts[1]


def whole(text: str) -> dict[str, str | int]:
    """Expansion, ICM and TE of a text such as 4AA, 3A-A-, <3CC or a stage alone; ValueError where it is none.

    A stage below 3 alone has no ICM and TE that could be graded; from 3 on they are missing.
    """
    plain = _plain(text)
    if plain.lower() in _NO_GRADE:
        return dict.fromkeys(TASKS, _NO_GRADE[plain.lower()])
    if parts := _WHOLE.fullmatch(plain):
        return {task: entry(task, part) for task, part in zip(TASKS, parts.groups(), strict=True)}
    if not (parts := _ONE["expansion"].fullmatch(plain)):
        raise ValueError(f"{shown(text)!r} is no grade such as 4AA, 3A-A-, <3CC, 2, ND or nothing")
    early = parts[1][0] == "<" or (parts[1].isdigit() and int(parts[1]) < _DEFINED)
    return {"expansion": entry("expansion", plain)} | dict.fromkeys(TASKS[1:], NOT_DEFINED if early else MISSING)


def labelled(
    task: str, entries: Sequence[str | int], places: Sequence[str], *, signs: Signs = "drop", worst: Worst = "C"
) -> tuple[Task, np.ndarray, np.ndarray]:
    """The task, worst first, its labels int32 `[N]`, -1 where there is none, and why int32 `[N]`, 0 where there is one.

    signs: "drop" makes A- an A, "keep" makes grades of their own of those that occur. worst: the lowest letter. Raises
    UserError for a letter below that.
    """
    if task == "expansion":
        names = tuple("123456")
    else:
        steps = [f"{letter}{sign}" for letter in "DCBA"["DCBA".index(worst) :] for sign in ("-", "", "+")]
        names = tuple(step for step in steps if len(step) == 1 or (signs == "keep" and step in entries))
    labels, why = np.full(len(entries), -1, np.int32), np.zeros(len(entries), np.int32)
    for row, (grade, place) in enumerate(zip(entries, places, strict=True)):
        if isinstance(grade, int):
            why[row] = grade
            continue
        name = grade if signs == "keep" else grade.rstrip("+-")
        if name not in names:
            raise UserError(f"{place}: {task} is {grade}, and {names[0]} is the worst: say D as data.options.worst")
        labels[row] = names.index(name)
    return Task(task, names), labels, why


def _plain(text: str) -> str:
    """The text in capitals, with plain dashes and signs, and whole numbers as such."""
    plain = text.strip().upper().translate({0x2212: "-", 0x2013: "-", 0x2264: "<", 0x2265: ">", 0xFF0B: "+"})
    return plain[:-2] if re.fullmatch(r"-?\d\.0", plain) else plain
