"""Run directories as their runner left them, finished or not; what does not belong together is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ordinal_blast import record
from ordinal_blast.errors import UsageError, UserError, reason
from ordinal_blast.evaluation.validation import as_members
from ordinal_blast.report.results import Cell, Study
from ordinal_blast.storage import digest, read_json

_RESULT = (
    "variant",
    "seed",
    "cell",
    "experiment",
    "objective",
    "class_weights",
    "warnings",
    "dataset",
    "rows",
    "training",
    "provenance",
)
_FIELDS = ("ids", "labels", "grades", "probs", "scores")
_PLACES = ("root", "cache")  # where files lie is no property of the data


def load(run_dir: Path) -> Study:
    """Read a run directory; raises UserError naming the file that is missing, damaged, or of another cell."""
    run_dir = Path(run_dir)
    if not (run_dir / record.PLAN).exists():
        raise UsageError(f"{run_dir} holds no run (no {record.PLAN}): give the --workdir of train, ablate or demo")
    plan = record.read_plan(run_dir)
    cells, failed, missing, asked = [], {}, [], []
    for name in plan["cells"]:
        folder = run_dir / "cells" / name
        if record.finished(folder):
            cells.append(_cell(folder, name, plan))
            asked.append(_data_asked(folder))
        elif (folder / "error.txt").exists():
            failed[name] = _error(folder / "error.txt")
        else:
            missing.append(name)
    _check_data(run_dir, cells, asked)
    order = {variant: position for position, variant in enumerate(plan["variants"])}
    cells.sort(key=lambda cell: (order[cell.variant], cell.seed, cell.name))
    return Study(plan, tuple(cells), failed, tuple(missing))


def _cell(folder: Path, name: str, plan: Mapping[str, Any]) -> Cell:
    result, predictions = record.read(folder)
    path = folder / record.RESULT
    lacking = [key for key in _RESULT if key not in result]
    if not lacking and "decides_by" not in result["objective"]:
        lacking = ["objective.decides_by"]
    if lacking:
        raise UserError(f"{path} lacks {lacking[0]}: it is of another version; delete {folder} and run it again")
    if result["cell"] != name or result["variant"] not in plan["variants"] or result["seed"] not in plan["seeds"]:
        raise UserError(
            f"{path} is of cell {result['cell']}, variant {result['variant']!r}, seed {result['seed']}, which "
            f"plan.json does not have there: delete {folder} and run the command that made it again"
        )
    for row in result["rows"]:
        _check_arrays(folder / record.PREDICTIONS, row, predictions)
    return Cell(name, result["variant"], result["seed"], result, predictions)


def _check_arrays(path: Path, row: Mapping[str, Any], predictions: Mapping[str, np.ndarray]) -> None:
    """Raise UserError unless the arrays of a row are there, of one length, and hold grades that exist."""
    place, k = f"{row['model']}/{row['split']}/{row['task']}", len(row["grades"])
    absent = [f"{place}/{field}" for field in _FIELDS if f"{place}/{field}" not in predictions]
    if absent:
        raise UserError(f"{path} lacks {absent[0]}, which result.json measured: delete the cell and run it again")
    ids, labels, grades, probs, scores = (predictions[f"{place}/{field}"] for field in _FIELDS)
    n = len(ids) if ids.ndim == 1 else -1
    wrong = {
        "labels": labels.shape != (n,) or labels.dtype.kind not in "iu" or bool(((labels < -1) | (labels >= k)).any()),
        "grades": grades.shape != (n,) or grades.dtype.kind not in "iu" or bool(((grades < 0) | (grades >= k)).any()),
        "probs": probs.shape != (n, k),
        "scores": scores.shape != (n,) or scores.dtype.kind != "f" or bool(np.isnan(scores).any()),
    }
    if row["split"] == "test" and not wrong["labels"] and not (labels >= 0).any():
        raise UserError(f"{path}: no test example of {place} has a label, so that nothing is measured")
    for field in (field for field, bad in wrong.items() if bad):
        raise UserError(f"{path}: {place}/{field} does not fit {n} examples of {k} grades: run the cell again")
    groups = f"{row['model']}/{row['split']}/groups"
    if groups in predictions:
        try:
            as_members(predictions[groups], n, groups)
        except ValueError as error:
            raise UserError(f"{path}: {error}; run the cell again with a group for each") from error


def _data_asked(folder: Path) -> str:
    """The digest of the data that a cell's configuration asked for, wherever it lies."""
    config = read_json(folder / record.CONFIG)
    data = {key: value for key, value in config["data"].items() if key not in _PLACES}
    return digest({"data": data, "tasks": config["tasks"]})


def _check_data(run_dir: Path, cells: Sequence[Cell], asked: Sequence[str]) -> None:
    """Raise UserError where cells asked for the same data and had different data: it changed between them."""
    first: dict[str, Cell] = {}
    for cell, key in zip(cells, asked, strict=True):
        other = first.setdefault(key, cell)
        if other.data != cell.data:
            raise UserError(
                f"{run_dir}: the data changed between cells {other.name} and {cell.name} (identity "
                f"{other.data} and {cell.data}), and one table holds "
                "one of them: delete the cells of the old data and run the same command again"
            )


def _error(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        return f"{path.name} cannot be read: {reason(error)}"
