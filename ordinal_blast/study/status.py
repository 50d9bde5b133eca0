"""How far a work directory is, read from outside while a run may be at work there."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ordinal_blast import record
from ordinal_blast.settings import Settings, leaves
from ordinal_blast.storage import digest
from ordinal_blast.study import lock, shared


def facts(root: Path) -> dict[str, Any]:
    """What a work directory has of what it is to hold, JSON-able.

    questions: per question ("" for a run that has one) how many cells, and how many of them are finished or failed.
    failed: why, by cell. begun: epochs of the stages and cells that were begun and are not finished, by folder.
    process: who is at work, None for nobody; seconds_left: None where that cannot be told yet. Raises UsageError where
    there is no run.
    """
    plans = record.plans(root)
    cells = {name: [record.folder_of(root / name, cell) for cell in plan["cells"]] for name, plan in plans.items()}
    everything = [folder for folders in cells.values() for folder in folders]
    failed = {
        str(folder.relative_to(root)): text.partition("\n")[0]
        for folder in everything
        if not record.finished(folder) and (text := record.failure(folder)) is not None
    }
    questions = {
        name: {
            "cells": len(folders),
            "finished": sum(map(record.finished, folders)),
            "failed": sum(str(folder.relative_to(root)) in failed for folder in folders),
        }
        for name, folders in cells.items()
    }
    at_work = lock.holder(root)
    return {
        "folder": str(root),
        "questions": questions,
        "failed": failed,
        "begun": dict(_begun(root, [folder for folder in everything if str(folder.relative_to(root)) not in failed])),
        "process": at_work and at_work[0],
        "seconds_left": at_work and _seconds_left(everything, at_work[1]),
        "command": next(iter(plans.values()))["command"],
    }


def text(facts: Mapping[str, Any]) -> str:
    """What `facts` returns, as lines."""
    questions, left = facts["questions"], facts["seconds_left"]
    total = {key: sum(of[key] for of in questions.values()) for key in ("cells", "finished", "failed")}
    lines = [f"{facts['folder']}: {_counts(total)}"]
    if len(questions) > 1:
        lines += [f"  {name}: {_counts(of)}" for name, of in questions.items()]
    lines += [f"  {name} failed: {why}" for name, why in facts["failed"].items()]
    lines += [f"  {name}: {f'{epochs} epochs' if epochs else 'begun'}" for name, epochs in facts["begun"].items()]
    if facts["process"]:
        lines.append(f"{facts['process']} is at work{f', about {duration(left)} left' if left else ''}")
    elif total["finished"] < total["cells"]:
        lines.append(f"Nobody is at work; it goes on by: {facts['command']}")
    return "\n".join(lines)


def left(elapsed: float, done: int, trainings: int) -> float | None:
    """Seconds that are left of so many trainings, from those that are done; None before the first, and at the end."""
    return elapsed / done * (trainings - done) if 0 < done < trainings else None


def duration(seconds: float) -> str:
    """A time in words."""
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 1.5 else f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _counts(of: Mapping[str, int]) -> str:
    failed = f", {of['failed']} failed" if of["failed"] else ""
    return f"{of['finished']} of {of['cells']} cells finished{failed}"


def _begun(root: Path, cells: list[Path]) -> Iterator[tuple[str, int]]:
    stages = [folder for folder in sorted(root.glob("stages/*/")) if not shared.is_finished(folder)]
    for folder in [*stages, *(cell for cell in cells if not record.finished(cell))]:
        epochs = record.epochs(folder)
        if epochs or folder in stages:
            yield str(folder.relative_to(root)), epochs


def _seconds_left(cells: list[Path], since: float) -> float | None:
    """From the trainings that were finished since then; cells that differ in the decision alone are one training."""
    before: set[str] = set()
    after: set[str] = set()
    asked: set[str] = set()
    for folder in cells:
        training = _training(folder)
        asked.add(training)
        if record.finished(folder):
            (before if record.finished_at(folder) < since else after).add(training)
    return left(time.time() - since, len(after - before), len(asked - before))


def _training(folder: Path) -> str:
    """What cells share that differ in nothing but the decision: see `cell.training_digest`."""
    stated, identity = record.asked(folder)
    for *sections, name in _decisions():
        functools.reduce(lambda inner, key: inner.get(key, {}), sections, stated).pop(name, None)
    return digest([stated, identity["data"]])


@functools.cache
def _decisions() -> tuple[list[str], ...]:
    return tuple(leaf.key.split(".") for leaf in leaves(Settings()) if leaf.is_a("decision"))
