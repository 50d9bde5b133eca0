"""Run directories as their runner left them, finished or not; what does not belong together is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ordinal_blast import record
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.report import manifest
from ordinal_blast.report.compare import Study
from ordinal_blast.report.results import Cell
from ordinal_blast.storage import digest

_PLACES = ("root", "cache")  # where files lie is no property of the data


def read(run_dir: Path) -> Study:
    """The study of a run directory, or of the one that holds this report of it.

    Raises UserError naming the file that is missing, damaged, or of another cell.
    """
    run_dir = _run_of(Path(run_dir))
    plan = record.read_plan(run_dir)
    cells, failed, missing = [], {}, []
    for name in plan["cells"]:
        place = record.folder_of(run_dir, name)
        if record.finished(place):
            cells.append(_cell(place, name, plan))
        elif (error := record.failure(place)) is not None:
            failed[name] = error
        else:
            missing.append(name)
    _check_data(run_dir, cells)
    order = {variant: position for position, variant in enumerate(plan["variants"])}
    cells.sort(key=lambda cell: (order[cell.variant], cell.seed, cell.name))
    return Study((run_dir,), plan, tuple(cells), failed, tuple(missing))


def _run_of(path: Path) -> Path:
    if (path / record.PLAN).exists():
        return path
    if not manifest.is_report(path):
        raise UsageError(f"{path} holds no run (no {record.PLAN}): give the --workdir of train, ablate or demo")
    if (path.parent / record.PLAN).exists():
        return path.parent
    raise UsageError(f"{path} is a report, which keeps no predictions: give the --workdir that it was made from")


def _cell(place: Path, name: str, plan: Mapping[str, Any]) -> Cell:
    kept = record.read(place)
    if kept.cell != name or kept.variant not in plan["variants"] or kept.seed not in plan["seeds"]:
        raise UserError(
            f"{place / record.RESULT} is of cell {kept.cell}, variant {kept.variant!r}, seed {kept.seed}, which "
            f"{record.PLAN} does not have there: delete {place} and run the command that made it again"
        )
    return Cell(name, kept.variant, kept.by_id())


def _check_data(run_dir: Path, cells: Sequence[Cell]) -> None:
    """Raise UserError where cells asked for the same data and had different data: it changed between them."""
    first: dict[str, Cell] = {}
    for cell in cells:
        settings = cell.record.settings
        data = {key: value for key, value in settings["data"].items() if key not in _PLACES}
        other = first.setdefault(digest([data, settings["tasks"]]), cell)
        if other.data != cell.data:
            raise UserError(
                f"{run_dir}: the data changed between cells {other.name} and {cell.name} (identity "
                f"{other.data} and {cell.data}), and one table holds "
                "one of them: delete the cells of the old data and run the same command again"
            )
