"""Grades by several raters from files: what `ordinal-blast raters` does, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ordinal_blast.data import annotations
from ordinal_blast.embryo import kromp_raters
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.report import rater_page
from ordinal_blast.report.rater_panel import Panel, panel


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
    folders of Kromp et al. (2023). grades: of a task, worst first, where their order cannot be told. votes: the raters
    who vote, all that are no network and not `released` unless named. ties: what a tied vote is, "low", "high",
    "median", "drop" or, in the order of votes, "first". networks: raters that are held against the votes. released: a
    rater that is a consensus, which the votes are compared with. encoding: such as latin-1, where it is not UTF-8.
    out: a folder for a page, its figures and the frames as CSV. command: what is printed there as what made it.

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
        of = panel(annotations.read(paths, grades=grades, encoding=encoding), **choices)
    if out is not None:
        rater_page.write(of, Path(out), command)
    return of
