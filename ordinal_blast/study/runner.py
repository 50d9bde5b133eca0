"""Runs a plan: skips what is finished, shares what can be shared, survives a cell that fails."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ordinal_blast import record
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.storage import digest, read_json, write_json
from ordinal_blast.study import cell, chain, problems
from ordinal_blast.study.configuration import plain
from ordinal_blast.study.grid import Cell, Plan
from ordinal_blast.study.session import Progress, Session


def run(plan: Plan, root: Path, command: str, session: Session) -> list[str]:
    """Run every unfinished cell under `root`; returns the names of the cells that failed.

    A cell's error is written to its `error.txt` and told; the others go on. Raises UsageError before any work where a
    cell's configuration is wrong, or `root` holds cells of another one.
    """
    materials = _Materials(session.progress)
    folders = {each.name: root / "cells" / each.name for each in plan.cells}
    for each in plan.cells:
        problems.bind(each.config.objective, materials.of(each.config).tasks)
        cell.claim(folders[each.name], each.config)
    write_json(root / "plan.json", _describe(plan, command))
    trained: dict[str, Path] = {}
    failed: list[str] = []
    session.progress.start(len(plan.cells))
    for number, each in enumerate(plan.cells, start=1):
        folder = folders[each.name]
        error = folder / "error.txt"
        told = "finished before"
        if not record.finished(folder):
            session.progress.cell(each.name)
            error.unlink(missing_ok=True)
            try:
                _run_cell(each, plan, materials, folder, root, trained, session)
                told = _headline(folder)
            except UsageError:
                raise
            except Exception as reason:  # one bad cell must not cost the others
                message = str(reason) if isinstance(reason, UserError) else f"{type(reason).__name__}: {reason}"
                failed.append(each.name)
                told = f"FAILED: {message}"
                with contextlib.suppress(OSError):  # the disk may be what failed; it is told all the same
                    error.write_text(message + "\n\n" + traceback.format_exc())
        if record.finished(folder):
            trained.setdefault(cell.training_digest(each.config), folder)
        session.progress.finish(number, f"{each.name}: {told}")
    session.progress.close()
    return failed


def _run_cell(
    each: Cell, plan: Plan, materials: Any, folder: Path, root: Path, trained: Mapping[str, Path], session: Session
) -> None:
    given = materials.of(each.config)
    variant = {"cell": each.name, "variant": each.variant, "seed": each.seed, "experiment": plan.experiment}
    same = trained.get(cell.training_digest(each.config))
    if same is None:
        cell.train(each.config, variant, given, folder, root, session)
    else:
        cell.redecide(each.config, variant, given, folder, same)


class _Materials:
    """Each dataset of a plan is opened once, and what its splits lack is told once."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._opened: dict[str, chain.Material] = {}

    def of(self, config: Any) -> chain.Material:
        key = digest({"data": plain(config.data), "tasks": list(config.tasks)})
        if key not in self._opened:
            self._opened[key] = chain.material(config)
            for warning in self._opened[key].warnings:
                self._progress.say(f"Warning, {self._opened[key].dataset.name}: {warning}")
        return self._opened[key]


def _describe(plan: Plan, command: str) -> dict[str, Any]:
    return {
        "schema": record.SCHEMA,
        "experiment": plan.experiment,
        "question": plan.question,
        "reference": plan.variants[0],
        "variants": list(plan.variants),
        "seeds": list(plan.seeds),
        "cells": [each.name for each in plan.cells],
        "command": command,
    }


def _headline(folder: Path) -> str:
    """QWK on the test set of the last model, per task."""
    rows = [row for row in read_json(folder / "result.json")["rows"] if row["split"] == "test"]
    last = [row for row in rows if row["model"] == rows[-1]["model"]]
    return ", ".join(f"{row['task']} QWK {_shown(row['metrics']['qwk'])}" for row in last)


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
