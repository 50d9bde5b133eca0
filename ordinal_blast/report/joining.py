"""Several run directories: in one table where data, splits and seeds agree, else each in a chapter that says why."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ordinal_blast import question, record
from ordinal_blast.errors import UsageError
from ordinal_blast.report import reading
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import runs_of
from ordinal_blast.report.results import Cell


def load(*run_dirs: Path | str) -> Study:
    """The study of a --workdir, or of several that may stand in one table; a report inside a --workdir will do.

    Raises UserError for files that do not belong together, UsageError for what is no run and for runs that are not
    tested on the same examples.
    """
    for run_dir in run_dirs:
        if names := record.read_questions(Path(run_dir)):
            raise UsageError(f"{run_dir} holds several questions ({', '.join(names)}): load {Path(run_dir, names[0])}")
    first, *others = read([Path(run_dir) for run_dir in run_dirs])
    if others:
        one, other = first.folders[0], others[0].folders[0]
        raise UsageError(f"{one} and {other} cannot stand in one table: {why_apart(first, others[0])}; load each alone")
    return first


def read(run_dirs: Sequence[Path]) -> list[Study]:
    """One study per table, in the order given, of what `ordinal-blast study` wrote one per question.

    Raises UsageError for none or one given twice, UserError for no run.
    """
    if not run_dirs:
        raise UsageError("no run directory given: name at least one")
    if twice := [folder for folder, n in Counter(folder.resolve() for folder in run_dirs).items() if n > 1]:
        raise UsageError(f"{twice[0]} is given twice: name each run directory once")
    asked = {folder: record.read_questions(folder) for folder in run_dirs}
    plain = [folder for folder in run_dirs if not asked[folder]]
    joined = join({name: reading.read(folder) for name, folder in zip(_names(plain), plain, strict=True)})
    return [*joined, *(reading.read(folder / name) for folder, names in asked.items() for name in names)]


def join(studies: Mapping[str, Study]) -> list[Study]:
    """The studies, by the name of their folder, with those in one that may stand in one table."""
    tables: list[dict[str, Study]] = []
    for name, study in studies.items():
        for table in tables:
            if not any(why_apart(other, study) for other in table.values()):
                table[name] = study
                break
        else:
            tables.append({name: study})
    return [dataclasses.replace(_together(table), apart=_apart(table, studies)) for table in tables]


def why_apart(a: Study, b: Study) -> str:
    """Why two studies cannot share a table of differences paired by seed; empty where they can."""
    if not a.cells or not b.cells:
        return "no cell has finished"
    names = [study.cells[0].record.dataset["name"] for study in (a, b)]
    if names[0] != names[1]:
        return f"data sets {names[0]} and {names[1]}"
    if not set(a.seeds) & set(b.seeds):
        return f"no seed in common, {runs_of(a.seeds)} here and {runs_of(b.seeds)} there"
    for seed in sorted(set(a.seeds) & set(b.seeds)):
        first, second = (next(cell for cell in study.cells if cell.seed == seed) for study in (a, b))
        if why := _cells_apart(first, second):
            return f"{why}, seed {seed}"
    return ""


def _cells_apart(a: Cell, b: Cell) -> str:
    """Why two cells of one seed were not trained and tested on the same examples of the same data."""
    if a.data != b.data:
        return "the data differ (identity of the dataset)"
    results = [
        {
            f"{model.name}/{split.name}/{result.task.name}": (split, result)
            for model, split, result in cell.record.results()
        }
        for cell in (a, b)
    ]
    shared = [place for place in results[0] if place in results[1]]
    if not shared:
        return "no stage and task in common"
    for place in shared:
        (split, result), (other_split, other) = (of_cell[place] for of_cell in results)
        if result.task != other.task:
            return f"the grades of {place} differ"
        if not np.array_equal(split.ids, other_split.ids):
            return f"the splits differ (ids of {place})"
        if not np.array_equal(result.labels, other.labels):
            return f"the splits differ (labels of {place})"
    return ""


def _apart(table: Mapping[str, Study], studies: Mapping[str, Study]) -> tuple[str, ...]:
    """Why the other folders are not in this table: of the same data set, or all where there is nothing to compare."""
    own = next(iter(table.values()))
    lonely = len(table) == 1 and not own.rivals
    reasons = {name: why_apart(own, other) for name, other in studies.items() if name not in table}
    return tuple(
        f"{name}: {why or 'it agrees with this run, but not with another of its table'}"
        for name, why in reasons.items()
        if lonely or not why.startswith("data sets")
    )


def _together(table: Mapping[str, Study]) -> Study:
    """The studies as one: variants of a name that several folders have, and all cells, carry their folder's name."""
    if len(table) == 1:
        return next(iter(table.values()))
    names = Counter(variant for study in table.values() for variant in study.plan["variants"])
    renamed = {
        folder: {v: f"{v} ({folder})" if names[v] > 1 else v for v in study.plan["variants"]}
        for folder, study in table.items()
    }
    order = [variant for names in renamed.values() for variant in names.values()]
    cells = [
        dataclasses.replace(cell, name=f"{folder}/{cell.name}", variant=renamed[folder][cell.variant])
        for folder, study in table.items()
        for cell in study.cells
    ]
    return Study(
        tuple(folder for study in table.values() for folder in study.folders),
        _plan(table, order, renamed),
        tuple(sorted(cells, key=lambda cell: (order.index(cell.variant), cell.seed, cell.name))),
        {f"{folder}/{name}": text for folder, study in table.items() for name, text in study.failed.items()},
        tuple(f"{folder}/{name}" for folder, study in table.items() for name in study.missing),
    )


def _plan(
    table: Mapping[str, Study], variants: Sequence[str], renamed: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """One plan for all: the first study asks, of its variants and of those that join them."""
    plans = {folder: study.plan for folder, study in table.items()}

    def distinct(key: str, between: str) -> str:
        return between.join(dict.fromkeys(plan[key] for plan in plans.values() if plan[key]))

    first = next(iter(plans))
    asked = question.of_plan(plans[first])
    families: dict[str, tuple[str, ...]] = {}
    for folder, plan in plans.items():
        for name, members in plan["families"].items():
            families[name] = (*families.get(name, ()), *(renamed[folder][variant] for variant in members))
    asked = dataclasses.replace(
        asked,
        text=distinct("question", " "),
        reference=renamed[first][asked.reference],
        subject=renamed[first].get(asked.subject, ""),
        families=families,
    )
    return {
        "experiment": distinct("experiment", " + "),
        **asked.tree(),
        "variants": list(variants),
        "seeds": sorted({seed for plan in plans.values() for seed in plan["seeds"]}),
        "cells": [f"{folder}/{name}" for folder, plan in plans.items() for name in plan["cells"]],
        "command": distinct("command", "\n"),
    }


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each folder's path, or where two are alike the whole path."""
    short = [folder.resolve().name for folder in folders]
    return [str(folder) if short.count(name) > 1 else name for folder, name in zip(folders, short, strict=True)]
