"""Runs a plan: skips what is finished, shares what can be shared, survives a cell that fails."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ordinal_blast import errors, record
from ordinal_blast.storage import digest, remove_leftovers, write_json
from ordinal_blast.study import cell, chain, problems, standing
from ordinal_blast.study.configuration import plain
from ordinal_blast.study.grid import Plan
from ordinal_blast.study.lock import alone
from ordinal_blast.study.session import Progress, Session

_WRITTEN = (
    "plan.json",
    "config.json",
    "identity.json",
    "predictions.npz",
    "result.json",
    "stage.json",
    "metrics.jsonl",
)


def run(plan: Plan, root: Path, command: str, session: Session) -> list[str]:
    """Run every unfinished cell under `root`; returns the names of the cells that failed.

    A cell's error is written to its `error.txt` and told; the others go on. Raises UsageError before any work where a
    cell's configuration is wrong, `root` holds other cells under these names, or another process is at work there.
    """
    materials = _Materials(session.progress)
    for each in plan.cells:
        problems.check(each.config)
    for each in plan.cells:
        chain.check(each.config, materials.of(each.config))
    with alone(root, session.progress.say):
        described = standing.joined(plan, command, root)
        for folder in (root, *root.glob("cells/*/"), *root.glob("stages/*/")):
            remove_leftovers(folder, _WRITTEN)
        identified = {
            each.name: cell.identify(each.variant, each.config, materials.of(each.config)) for each in plan.cells
        }
        for each in plan.cells:
            cell.claim(root / "cells" / each.name, each.config, identified[each.name])
        write_json(root / record.PLAN, described)
        session.progress.start(len(plan.cells))
        try:
            return _run_cells(plan, identified, materials, root, session)
        finally:
            session.progress.close()


def _run_cells(
    plan: Plan, identified: Mapping[str, Mapping[str, Any]], materials: _Materials, root: Path, session: Session
) -> list[str]:
    trained: dict[str, Path] = {}  # finished cells, by all that their training depends on
    failed: list[str] = []
    for number, each in enumerate(plan.cells, start=1):
        folder = root / "cells" / each.name
        error = folder / "error.txt"
        told = "finished before"
        training = digest([cell.training_digest(each.config), identified[each.name]["data"]])
        if not record.finished(folder):
            session.progress.cell(each.name)
            error.unlink(missing_ok=True)
            variant = {
                "cell": each.name,
                "variant": each.variant,
                "seed": each.seed,
                "experiment": plan.experiment,
                "identity": identified[each.name],
            }
            given = materials.of(each.config)
            try:
                if training in trained:
                    cell.redecide(each.config, variant, given, folder, trained[training])
                else:
                    cell.train(each.config, variant, given, folder, root, session)
                told = _headline(folder)
            except (Exception, SystemExit) as problem:  # one bad cell must not cost the others
                message = errors.told(problem)
                failed.append(each.name)
                told = f"FAILED: {message}"
                with contextlib.suppress(OSError):  # the disk may be what failed; it is told all the same
                    error.write_text(f"{message}\n\n{traceback.format_exc()}", encoding="utf-8")
        if record.finished(folder):
            trained.setdefault(training, folder)
        session.progress.finish(number, f"{each.name}: {told}")
    return failed


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


def _headline(folder: Path) -> str:
    """QWK on the test set of the last model, per task."""
    rows = [row for row in record.read_result(folder)["rows"] if row["split"] == "test"]
    last = [row for row in rows if row["model"] == rows[-1]["model"]]
    return ", ".join(f"{row['task']} QWK {_shown(row['metrics']['qwk'])}" for row in last)


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
