"""Run directories as their runner left them, finished or not; what does not belong together is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ordinal_blast import record
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.record import Record, Split
from ordinal_blast.report import manifest
from ordinal_blast.report.compare import Study
from ordinal_blast.report.results import Cell
from ordinal_blast.storage import digest

_PLACES = ("root", "cache", "memory")  # where examples lie is no property of the data


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
            cells.append(_cell(place, name, plan, cells[0] if cells else None))
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
        raise UsageError(f"{path} {record.NO_RUN}")
    if (path.parent / record.PLAN).exists():
        return path.parent
    raise UsageError(f"{path} is a report, which keeps no predictions: give the --workdir that it was made from")


def _cell(place: Path, name: str, plan: Mapping[str, Any], first: Cell | None) -> Cell:
    kept = record.read(place)
    if kept.cell != name or kept.variant not in plan["variants"] or kept.seed not in plan["seeds"]:
        raise UserError(
            f"{place / record.RESULT} is of cell {kept.cell}, variant {kept.variant!r}, seed {kept.seed}, which "
            f"{record.PLAN} does not have there: delete {place} and run the command that made it again"
        )
    kept = kept.by_id()
    return Cell(name, kept.variant, _sharing(kept, first.record) if first else kept)


def _sharing(kept: Record, other: Record) -> Record:
    """The record with the examples and labels of another's where they are equal: a study holds them once.

    Hundreds of cells are tested on the same examples, whose names take more memory than what a cell says of them.
    """
    models = dict(kept.models)
    for name in models.keys() & other.models.keys():
        ours, theirs = models[name].splits, other.models[name].splits
        shared = {split: _split(ours[split], theirs[split]) for split in ours.keys() & theirs.keys()}
        models[name] = dataclasses.replace(models[name], splits={**ours, **shared})
    return dataclasses.replace(kept, models=models)


def _split(ours: Split, theirs: Split) -> Split:
    tasks = {
        name: dataclasses.replace(
            task,
            labels=_one(task.labels, theirs.tasks[name].labels),
            weights=_one(task.weights, theirs.tasks[name].weights),
        )
        if name in theirs.tasks
        else task
        for name, task in ours.tasks.items()
    }
    columns = {name: _one(column, theirs.columns.get(name)) for name, column in ours.columns.items()}
    return Split(ours.name, _one(ours.ids, theirs.ids), columns, tasks)


def _one(ours: np.ndarray, theirs: np.ndarray | None) -> np.ndarray:
    same = theirs is not None and ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    return theirs if theirs is not None and same else ours


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
