"""Grades by several raters from files: what `ordinal-blast raters` does, from Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ordinal_blast.data import annotations
from ordinal_blast.data.annotations import Row
from ordinal_blast.data.sheets import shown
from ordinal_blast.embryo import gardner, kromp_raters
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.report import rater_page
from ordinal_blast.report.rater_panel import Panel, panel
from ordinal_blast.types import ABSENCES


def raters(
    *files: str | Path,
    grades: Mapping[str, Sequence[str]] | None = None,
    votes: Sequence[str] = (),
    ties: str = "",
    networks: Sequence[str] = (),
    released: str = "",
    encoding: str = "",
    out: str | Path | None = None,
    command: str = "",
) -> Panel:
    """What several raters of the same items say, and of whom: votes, agreement, who is odd, as frames.

    files: long tables with columns item, rater, task, value and perhaps group (such as a patient), or the files and
    folders of Kromp et al. (2023). A task with grades such as 4AB becomes expansion, icm and te. grades: of a task,
    worst first, where their order cannot be told. votes: the raters who vote, all that are no network and not
    `released` unless named. ties: what a tied vote is, "low", "high", "median", "drop" or, in the order of votes,
    "first". networks: raters that are held against the votes. released: a rater that is a consensus, which the votes
    are compared with. encoding: such as latin-1, where it is not UTF-8. out: a folder for a page, its figures and the
    frames as CSV. command: what is printed there as what made it.

    Raises UserError where files cannot be read, and UsageError for names and rules that there are not.
    """
    paths = [Path(file) for file in files]
    if not paths:
        raise UsageError("no files: give long tables, or the files of Kromp et al. (2023)")
    for path in paths:
        if not path.exists():
            raise UserError(f"cannot read {path}: there is nothing of that name; give a table")
    choices = {"voters": tuple(votes), "ties": ties, "networks": tuple(networks), "released": released}
    theirs = [kromp_raters.files([path]) for path in paths]
    if all(theirs):
        if grades or encoding:
            raise UsageError(
                "the files of Kromp et al. have their own grades and encoding: leave --grades and --encoding out"
            )
        of = kromp_raters.read([file for some in theirs for file in some], **choices)
    elif any(theirs):
        other = next(path for path, some in zip(paths, theirs, strict=True) if not some)
        raise UsageError(f"{other} is none of the files of Kromp et al., and others are: give one kind at a time")
    else:
        rows, notes = annotations.rows(paths, encoding)
        said = annotations.gather(_parted(rows), grades or {})
        of = panel(dataclasses.replace(said, notes=(*notes, *said.notes)), **choices)
    if out is not None:
        rater_page.write(of, Path(out), command)
    return of


def _parted(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows, those of a task in which grades such as 4AB occur as rows of expansion, ICM and TE."""
    texts = {row.value for row in rows}
    whole = {text: parts for text in texts if (parts := _parts(text))}
    tasks = {row.task for row in rows if all(isinstance(part, str) for part in whole.get(row.value, {"": 0}).values())}
    for row in rows:
        if row.task not in tasks:
            yield row
        elif row.value not in whole:
            raise UserError(f"{row.place}: {shown(row.value)!r} is no grade such as 4AA, 3A-A-, <3CC, 2, ND or nothing")
        else:
            for task, part in whole[row.value].items():
                yield row._replace(task=task, value=part if isinstance(part, str) else ABSENCES[part])


def _parts(text: str) -> dict[str, str | int]:
    """Expansion, ICM and TE of a text; none where it is no such grade."""
    try:
        return gardner.whole(text)
    except ValueError:
        return {}
