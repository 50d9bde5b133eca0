"""The files of several raters of Kromp et al. (2023, doi 10.1038/s41597-023-02182-3), and of networks beside them.

Annotators write an image, its expansion 0 ... 4 (Gardner's stages 1 ... 5), and ICM and TE as 0 A, 1 B, 2 C, 3 not
defined. As the authors vote: seven raters, the expert first, of whom the first who gave one of the tied grades settles
a tie; ICM and TE are defined from stage 3 on, by the vote as by every rater.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ordinal_blast.data import annotations, sheets
from ordinal_blast.data.annotations import Row
from ordinal_blast.data.sheets import Sheet, shown
from ordinal_blast.embryo import gardner
from ordinal_blast.errors import UserError
from ordinal_blast.report.rater_panel import Panel, panel
from ordinal_blast.types import NOT_DEFINED

EXPERT, GOLD = "Gardner_Expert", "gold"
VOTERS = (EXPERT, *(f"Annotator_{number}" for number in (8, 7, 5, 2, 1, 0)))  # in the order of the authors' program
GRADES = {"exp": ("1", "2", "3", "4", "5"), "icm": ("C", "B", "A"), "te": ("C", "B", "A")}
CODES = {
    task: tuple(
        "ND" if means == NOT_DEFINED else str(means)
        for code, means in gardner.CODES["kromp2023"][name].items()
        if code.isdigit()
    )
    for task, name in zip(GRADES, gardner.TASKS, strict=True)
}
DEFINED_FROM = 2  # of the grades of exp
_ANNOTATOR = re.compile(r"(Annotator_\d+|Gardner_Expert)\.csv")
_GOLD = re.compile(r"Gardner_test_gold.*\.(csv|xlsx)")
_NETWORK = {"exp": "exp.csv", "icm": "icm.csv", "te": "teq.csv"}  # a probability and its interval a class
_VOTED = re.compile(r"[01](,\d+)?|ND")  # an agreement of the released consensus that rests on a vote


def files(paths: Sequence[Path]) -> list[Path]:
    """The files of annotators and the consensus, and the folders of networks, in files and folders; none if no path is
    of theirs.
    """
    return [file for path in paths for file in _within(path)]


def _within(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path] if _ANNOTATOR.fullmatch(path.name) or _GOLD.fullmatch(path.name) else []
    if all((path / name).is_file() for name in _NETWORK.values()):
        return [path]
    inner = sorted(child for child in path.iterdir() if child.is_file())
    inner += sorted(child for child in path.iterdir() if child.is_dir() and not child.is_symlink())
    return [file for child in inner for file in _within(child)]


def read(
    paths: Sequence[Path],
    *,
    voters: Sequence[str] = (),
    ties: str = "",
    networks: Sequence[str] = (),
    released: str = "",
) -> Panel:
    """The panel of these files, by the authors' rules where no other are asked for.

    Raises UserError for a file whose rows are not as they should be, and UsageError as `rater_panel.panel`.
    """
    folders = [path for path in paths if path.is_dir()]
    golds = [path for path in paths if _GOLD.fullmatch(path.name)]
    if len(golds) > 1:
        raise UserError(f"{golds[1]} is a second released consensus after {golds[0]}: give one of them")
    rows: list[Row] = []
    contradictions: list[Row] = []
    for path in paths:
        if path not in folders and path not in golds:
            rows += _annotator(path, contradictions)
    notes = [
        f"{sum(row.task == task for row in contradictions)} entries of {task} contradict the expansion by the same "
        f"rater (a grade below stage 3, or none from there on): they count as not defined"
        for task in ("icm", "te")
        if any(row.task == task for row in contradictions)
    ]
    voted: dict[tuple[str, str], bool] = {}
    for path in golds:
        rows += _consensus(path, voted)
    for folder in folders:
        rows += _network(folder, notes)
    of = annotations.gather(rows, GRADES)
    of = dataclasses.replace(of, notes=(*of.notes, *notes))
    usual = tuple(name for name in VOTERS if name in of.raters)
    rated = panel(
        of,
        voters=voters or usual,
        ties=ties or "first",
        networks=tuple(dict.fromkeys([*(folder.name for folder in folders), *networks])),
        released=released or (GOLD if golds else ""),
    )
    settled = {task: np.array([voted.get((item, task), False) for item in of.items]) for task in GRADES if golds}
    return dataclasses.replace(rated, settled=settled, needs={task: ("exp", DEFINED_FROM) for task in ("icm", "te")})


def _annotator(path: Path, contradictions: list[Row]) -> Iterator[Row]:
    table = sheets.read(path, headed=False, stated_by="saving it in UTF-8")
    _check_width(table, 4, "an image and its codes of expansion, ICM and TE")
    for place, line in zip(table.places, table.rows, strict=True):
        item, *codes = (text.strip() for text in line)
        named = [_grade(place, task, code) for task, code in zip(GRADES, codes, strict=True)]
        for task, value in zip(GRADES, named, strict=True):
            row = Row(place, item, path.stem, task, value, _patient(item))
            if task != "exp" and named[0] and value and (value == "ND") != (named[0] < GRADES["exp"][DEFINED_FROM]):
                row = row._replace(value="ND")
                contradictions.append(row)
            yield row


def _grade(place: str, task: str, code: str) -> str:
    """What a code of theirs means; a blank is missing."""
    if not code:
        return ""
    number = sheets.number(code)
    if number not in range(len(CODES[task])):
        raise UserError(
            f"{place}: the code {shown(code)} of {task} is none of 0 ... {len(CODES[task]) - 1}: correct it"
        )
    return CODES[task][int(number)]


def _consensus(path: Path, voted: dict[tuple[str, str], bool]) -> Iterator[Row]:
    """Its grades; voted by item and task: whether they rest on a vote, as the column of agreement has it."""
    table = sheets.read(path, stated_by="saving it in UTF-8")
    images = table.column("Image")
    for task in GRADES:
        codes, agreement = table.column(f"{task.upper()}_gold"), f"{task.upper()}_Agreement"
        agreed = table.column(agreement) if agreement in table.columns else ["1"] * len(codes)
        for place, item, code, share in zip(table.places, images, codes, agreed, strict=True):
            voted[item, task] = bool(_VOTED.fullmatch(share))
            yield Row(
                place, item, GOLD, task, code if code in ("NA", "ND") else _grade(place, task, code), _patient(item)
            )


def probabilities(folder: Path, task: str) -> Iterator[tuple[str, str, list[float]]]:
    """Place, image and probabilities of the grades in the order of CODES, "not defined" aside, of a network's folder.

    NaN where the file has none. Raises UserError for a file that is not theirs.
    """
    table = sheets.read(folder / _NETWORK[task], headed=False, stated_by="saving it in UTF-8")
    _check_width(table, 2 * len(CODES[task]) + 2, "an image and a probability and its interval a grade")
    for place, line in zip(table.places, table.rows, strict=True):
        yield place, line[0].strip(), [sheets.number(text) for text in line[1 : 1 + 2 * len(GRADES[task]) : 2]]


def _network(folder: Path, notes: list[str]) -> Iterator[Row]:
    """The most probable grade of every image, "not defined" aside: how it is decided is not the network's."""
    for task, name in _NETWORK.items():
        missing = rows = 0
        for place, item, probs in probabilities(folder, task):
            absent = any(math.isnan(prob) for prob in probs)
            missing, rows = missing + absent, rows + 1
            value = "" if absent else CODES[task][int(np.argmax(probs))]
            yield Row(place, item, folder.name, task, value, _patient(item))
        if missing:
            notes.append(f"{missing} of {rows} rows of {folder.name}/{name} have no probabilities")


def _check_width(table: Sheet, width: int, words: str) -> None:
    if len(table.columns) != width:
        raise UserError(f"{table.path} has {len(table.columns)} entries a line instead of {width}: {words}")


def _patient(item: str) -> str:
    return item.rpartition("_")[0]
