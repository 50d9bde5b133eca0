"""Predictions that were made elsewhere, as a work directory that `report` and `load` read like any other.

A table has a row an example, variant and task: `item` (or `id`), `variant`, `task`, `label` and a column `p_GRADE` for
the probability of every grade, in the order of the grades, worst first; where they are known `seed`, `stage`, `split`,
`grade` (else the most probable), `score` (else the expected grade) and `group`. Other columns travel along. It is the
table that `Study.predictions` gives.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ordinal_blast import question, record
from ordinal_blast.data import annotations as by_people
from ordinal_blast.data import sheets
from ordinal_blast.data.annotations import Annotations
from ordinal_blast.data.sheets import shown
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.evaluation import metrics
from ordinal_blast.evaluation.multireader import MEASURES
from ordinal_blast.record import ELSEWHERE, Model, Record, Split, TaskResult
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import distinct, slug
from ordinal_blast.report.joining import load
from ordinal_blast.storage import digest
from ordinal_blast.types import RATERS, Task

_NEEDED = ("item", "variant", "task", "label")
_PLACE = {"variant": "", "seed": "0", "stage": "grader", "split": "test"}  # of a row, and what a blank means
_OWN = (*_PLACE, "item", "task", "label", "grade", "score")
_PROB = "p_"
_OFF_ONE = 0.01  # by which probabilities of an example may miss the sum of 1, rounded as they are written
Predictions = str | Path | pd.DataFrame


@dataclasses.dataclass(frozen=True)
class About:
    """What is said of predictions: the name of their data, what these are, their licence, and whom to cite."""

    name: str = "predictions"
    summary: str = "predictions that were made elsewhere"
    licence: str = "not stated"
    citation: str = "not stated"


class _Table(NamedTuple):
    """Rows as texts by column, and their places."""

    columns: Mapping[str, Sequence[str]]
    places: Sequence[str]


def from_predictions(
    predictions: Predictions | Sequence[Predictions],
    workdir: str | Path,
    *,
    raters: str | Path | Annotations | None = None,
    votes: Sequence[str] = (),
    about: About | None = None,
    asks: str = "",
    reference: str | None = None,
    subject: str | None = None,
    primary: str | Sequence[str] | None = None,
    equivalence: float | None = None,
    command: str = "ordinal_blast.from_predictions",
) -> Study:
    """The study of predictions that were made elsewhere, written to a new `workdir`.

    predictions: tables (see this module), files of them or frames. Labels and grades are names of grades; in a frame
    whole numbers are their places from the worst, 0, as in `Study.predictions`. raters: grades of the examples by
    people, a long table item, rater, task, value or what `annotations.read` makes of it; votes: which of them, all
    unless said. asks: the question in words; reference, subject, primary and equivalence as in `ordinal_blast.ablate`.
    command: what the report says made it. Raises UserError with file and line where a table is wrong, and UsageError
    for a folder that is in use and for names that there are not.
    """
    root = Path(workdir)
    if root.is_file() or (root.is_dir() and any(root.iterdir())):
        raise UsageError(f"--workdir {root} holds something already: give a new folder")
    several = [predictions] if isinstance(predictions, str | Path | pd.DataFrame) else list(predictions)
    table = _joined([_read(one) for one in several])
    tasks = _tasks(table)
    cells = _cells(table, tasks)
    variants = list(dict.fromkeys(variant for variant, _ in cells))
    said = question.ask(
        "from_predictions",
        variants,
        MEASURES,
        text=asks,
        reference=reference,
        subject=subject,
        primary=primary,
        equivalence=equivalence,
    )
    question.check_tasks(said, list(tasks))
    people: list[str] = []
    if votes and raters is None:
        raise UsageError("--votes names raters whose grades --raters has: give these too")
    if raters is not None:
        graded = raters if isinstance(raters, Annotations) else _annotated(Path(raters), tasks)
        if not {*graded.items} & {*table.columns["item"]}:
            raise UserError(
                f"the raters graded none of the items: theirs are named as {shown(graded.items[0])}, and those of the "
                f"predictions as {shown(table.columns['item'][0])}"
            )
        cells = {name: _with_raters(models, graded, votes) for name, models in cells.items()}
        people = list(votes or graded.raters)
    identity, about, taken = _identity(cells), about or About(), set[str]()
    names = {place: distinct(f"{slug(place[0])}-s{place[1]}", taken) for place in cells}
    record.write_plan(
        root,
        {
            "experiment": about.name,
            **said.tree(),
            "variants": variants,
            "seeds": sorted({seed for _, seed in cells}),
            "cells": list(names.values()),
            "command": command,
        },
    )
    for (variant, seed), models in cells.items():
        kept = _record(names[variant, seed], variant, seed, models, identity, about, people, "grade" in table.columns)
        folder = record.folder_of(root, kept.cell)
        folder.mkdir(parents=True)
        record.write(folder, kept)
    return load(root)


def _read(one: Predictions) -> _Table:
    if not isinstance(one, pd.DataFrame):
        sheet = sheets.read(Path(one), stated_by="saving it in UTF-8")
        if twice := [name for name in sheet.columns if sheet.columns.count(name) > 1]:
            raise UserError(f"{sheet.path} has two columns named {shown(twice[0])}: name each once")
        return _Table({name: sheet.at(n) for n, name in enumerate(sheet.columns)}, sheet.places)
    frame = one.copy()
    frame.columns = [str(name) for name in frame.columns]
    if not frame.columns.is_unique:
        raise UserError(f"a frame of predictions has two columns {frame.columns[frame.columns.duplicated()][0]}")
    columns: dict[str, Sequence[str]] = {}
    for name in frame:
        column = frame[name]
        if name in ("label", "grade") and pd.api.types.is_integer_dtype(column):
            columns[name] = [f"#{place}" for place in column]  # of the grades of its task
        else:
            texts = column.astype(object).where(column.notna(), "")
            columns[name] = [repr(float(v)) if isinstance(v, float | np.floating) else str(v) for v in texts]
    return _Table(columns, [f"row {n}" for n in range(len(frame))])


def _joined(tables: Sequence[_Table]) -> _Table:
    """The rows of all tables, blank where one lacks a column."""
    named = [
        {("item" if name == "id" and "item" not in table.columns else name): of for name, of in table.columns.items()}
        for table in tables
    ]
    columns = dict.fromkeys(name for one in named for name in one)
    for one, table in zip(named, tables, strict=True):
        if lacking := [name for name in _NEEDED if name not in one]:
            raise UserError(
                f"{table.places[0]}: there is no column {lacking[0]}: a table of predictions has {', '.join(_NEEDED)} "
                f"and {_PROB}GRADE for every grade"
            )
    joined = {
        name: [
            text for one, table in zip(named, tables, strict=True) for text in one.get(name, [""] * len(table.places))
        ]
        for name in columns
    }
    return _Table(joined, [place for table in tables for place in table.places])


def _tasks(table: _Table) -> dict[str, Task]:
    """The tasks, each with the grades whose probabilities its rows have."""
    probs = [name for name in table.columns if name.startswith(_PROB) and name != _PROB]
    tasks = {}
    for task in dict.fromkeys(table.columns["task"]):
        rows = [row for row, name in enumerate(table.columns["task"]) if name == task]
        if not task:
            raise UserError(f"{table.places[rows[0]]}: the task is blank: name it")
        grades = [name.removeprefix(_PROB) for name in probs if any(table.columns[name][row] for row in rows)]
        if len(grades) < 2:
            raise UserError(
                f"{table.places[rows[0]]}: {shown(task)} has probabilities of {len(grades)} grades: give a column "
                f"{_PROB}GRADE for each of two or more, worst first"
            )
        tasks[task] = Task(task, tuple(grades))
    return tasks


def _cells(table: _Table, tasks: Mapping[str, Task]) -> dict[tuple[str, int], dict[str, Model]]:
    """The models of every variant and seed."""
    places: dict[tuple[str, int], dict[str, dict[str, dict[str, list[int]]]]] = {}
    filled = {
        name: [text or blank for text in table.columns.get(name, [""] * len(table.places))]
        for name, blank in _PLACE.items()
    }
    for row, (where, task) in enumerate(zip(table.places, table.columns["task"], strict=True)):
        variant, seed, stage, split = (filled[name][row] for name in _PLACE)
        if not variant or not seed.isdecimal():
            raise UserError(
                f"{where}: variant {shown(variant)!r}, seed {shown(seed)!r}: name one, and give a whole number"
            )
        splits = places.setdefault((variant, int(seed)), {}).setdefault(stage, {})
        splits.setdefault(split, {}).setdefault(task, []).append(row)
    first: dict[tuple[str, str], tuple[str, list[str], list[str]]] = {}
    for (variant, _), stages in places.items():
        for splits in stages.values():
            if "test" not in splits:
                raise UserError(f"{shown(variant)} has no rows of the split test: name those that are compared so")
            for split, rows in splits.items():
                _check_examples(table, variant, split, rows, first)
    return {
        cell: {
            stage: Model(
                stage,
                {split: _split(table, split, rows, tasks) for split, rows in splits.items()},
                {"epochs": 0, "best_epoch": 0, "parameters": 0, "seconds": 0.0, "history": [], ELSEWHERE: ELSEWHERE},
                (),
                "",
                {},
            )
            for stage, splits in stages.items()
        }
        for cell, stages in places.items()
    }


def _check_examples(
    table: _Table,
    variant: str,
    split: str,
    rows: Mapping[str, Sequence[int]],
    first: dict[tuple[str, str], tuple[str, list[str], list[str]]],
) -> None:
    """Raise UserError unless a variant has every example once, and those, with the labels, that others have."""
    examples = None
    for task, of_task in rows.items():
        ids = [table.columns["item"][row] for row in of_task]
        seen: dict[str, int] = {}
        for row, name in zip(of_task, ids, strict=True):
            if not name or seen.setdefault(name, row) != row:
                why = f"is there before, {table.places[seen[name]]}" if name else "has no name"
                raise UserError(f"{table.places[row]}: {shown(name) or 'an item'} {why}: give one row an item and task")
        if examples is not None and sorted(ids) != examples:
            odd = sorted({*ids} ^ {*examples})[0]
            raise UserError(f"{shown(variant)}, {split}: {shown(odd)} has no row of every task: give one, label blank")
        examples = sorted(ids)
        labels = dict(zip(ids, (table.columns["label"][row] for row in of_task), strict=True))
        other, names, texts = first.setdefault((split, task), (variant, examples, [labels[name] for name in examples]))
        if names != examples or texts != [labels[name] for name in examples]:
            different = sorted({*names} ^ {*examples}) or [
                name for name, text in zip(names, texts, strict=True) if labels[name] != text
            ]
            raise UserError(
                f"{shown(variant)} and {shown(other)} were not tested alike, {split} of {shown(task)}: "
                f"{shown(different[0])} differs; give the same items and labels of all variants"
            )


def _split(table: _Table, name: str, rows: Mapping[str, Sequence[int]], tasks: Mapping[str, Task]) -> Split:
    by_item = {task: sorted(of, key=lambda row: table.columns["item"][row]) for task, of in rows.items()}
    first = next(iter(by_item.values()))
    columns = {
        other: np.array(of) if other == "group" else _column(of)
        for other, texts in table.columns.items()
        if other not in _OWN and not other.startswith(_PROB) and any(of := [texts[row] for row in first])
    }
    results = {task: _result(table, of, tasks[task]) for task, of in by_item.items()}
    return Split(name, np.array([table.columns["item"][row] for row in first]), columns, results)


def _column(texts: Sequence[str]) -> np.ndarray:
    """Whole numbers where all are, else texts; 007 is a name."""
    whole = all(text.removeprefix("-").isdecimal() and str(int(text)) == text for text in texts)
    return np.array([int(text) for text in texts] if whole else texts)


def _result(table: _Table, rows: Sequence[int], task: Task) -> TaskResult:
    probs = np.array([_probs(table, row, task) for row in rows])
    labels = np.array([_grade(table, row, task, "label") for row in rows])
    decided = np.array([_grade(table, row, task, "grade") for row in rows]) if "grade" in table.columns else -1
    grades = np.where(decided < 0, probs.argmax(axis=1), decided)
    scores = probs @ np.arange(task.num_classes)
    if "score" in table.columns and any(table.columns["score"][row] for row in rows):
        scores = np.array([_number(table, row, "score") for row in rows])
    kept = labels >= 0
    if not kept.any():
        raise UserError(
            f"{table.places[rows[0]]}: no example of {shown(task.name)} has a label: nothing can be measured"
        )
    measures = metrics.summary(labels[kept], grades[kept], num_classes=task.num_classes, probs=probs[kept])
    outputs = np.log(np.maximum(probs, np.finfo(np.float32).tiny))
    return TaskResult(
        task, labels, kept.astype(np.float32), outputs, probs, grades, scores, measures, measures["log_loss"]
    )


def _probs(table: _Table, row: int, task: Task) -> np.ndarray:
    values = np.array([_number(table, row, f"{_PROB}{grade}") for grade in task.grades])
    if (values < 0).any() or not abs(values.sum() - 1) <= _OFF_ONE:
        raise UserError(
            f"{table.places[row]}: the probabilities of {shown(task.name)} are {values.round(4).tolist()}: give "
            "what is not negative and sums to 1"
        )
    return values / values.sum()


def _number(table: _Table, row: int, column: str) -> float:
    value = sheets.number(table.columns[column][row])
    if not math.isfinite(value):
        raise UserError(
            f"{table.places[row]}, {shown(column)}: {shown(table.columns[column][row]) or 'a blank'} is no number: "
            "give one, or leave the task out of that variant"
        )
    return value


def _grade(table: _Table, row: int, task: Task, column: str) -> int:
    """A name of a grade, or in a frame its place; -1 where it is missing."""
    text = table.columns[column][row]
    if text.startswith("#") and -1 <= int(text[1:]) < task.num_classes:
        return int(text[1:])
    if text in task.grades:
        return task.grades.index(text)
    if text in sheets.MISSING or text == "ND":
        return -1
    raise UserError(
        f"{table.places[row]}, {column}: {shown(text)} is none of the grades of {shown(task.name)}, "
        f"{shown(', '.join(task.grades))}: name one, or leave it blank where it is not known"
    )


def _annotated(path: Path, tasks: Mapping[str, Task]) -> Annotations:
    table = sheets.read(path, stated_by="saving it in UTF-8")
    named = {name for n, head in enumerate(table.columns) if head.lower() == "task" for name in table.at(n)}
    return by_people.read([path], grades={name: task.grades for name, task in tasks.items() if name in named})


def _with_raters(models: Mapping[str, Model], graded: Annotations, votes: Sequence[str]) -> dict[str, Model]:
    """The models with what people said of their examples as columns `rater_TASK` `[N, R]`."""
    if unknown := [name for name in votes if name not in graded.raters]:
        raise UsageError(f"--votes {shown(unknown[0])}: the raters are {shown(', '.join(graded.raters))}")
    rows = {item: n for n, item in enumerate(graded.items)}
    chosen = [graded.raters.index(name) for name in votes or graded.raters]
    changed = {}
    for stage, model in models.items():
        splits = {}
        for name, split in model.splits.items():
            at = np.array([rows.get(str(item), -1) for item in split.ids])
            columns = {
                f"{RATERS}{task}": np.where(at[:, None] >= 0, np.maximum(graded.grades[task][at][:, chosen], -1), -1)
                for task in split.tasks
                if task in graded.grades and (at >= 0).any()
            }
            splits[name] = dataclasses.replace(split, columns={**split.columns, **columns})
        changed[stage] = dataclasses.replace(model, splits=splits)
    return changed


def _identity(cells: Mapping[tuple[str, int], Mapping[str, Model]]) -> str:
    """12 hex digits of the examples and labels of all cells, which are the same."""
    seen: dict[tuple[str, str], list[list[str]]] = {}
    for models in cells.values():
        for model in models.values():
            for split in model.splits.values():
                for task, result in split.tasks.items():
                    seen.setdefault((split.name, task), [split.ids.tolist(), result.labels.tolist()])
    return digest(sorted([*place, *of] for place, of in seen.items()))


def _record(
    name: str,
    variant: str,
    seed: int,
    models: Mapping[str, Model],
    identity: str,
    about: About,
    people: Sequence[str],
    decided: bool,
) -> Record:
    splits = next(iter(models.values())).splits
    tasks = [task for split in splits.values() for task in split.tasks]
    return Record(
        cell=name,
        variant=variant,
        seed=seed,
        experiment=about.name,
        settings={"objective": {}, "data": {"source": ELSEWHERE}, "tasks": list(dict.fromkeys(tasks))},
        identity={"variant": variant, "data": identity, "code": {}},
        objective={
            "name": ELSEWHERE,
            "options": {},
            "rule": ELSEWHERE,
            "correct_weights": False,
            "decides_by": "as it says" if decided else "mode",
        },
        class_weights="none",
        measures={},
        dataset={
            **dataclasses.asdict(about),
            "identity": identity,
            "split": ELSEWHERE,
            "columns": sorted({name for split in splits.values() for name in split.columns}),
            "raters": list(people),
            "sizes": {name: len(split.ids) for name, split in splits.items()},
        },
        warnings=(),
        stages={},
        provenance={"versions": {}, "device": ELSEWHERE, "settings": digest([variant, seed])[:8]},
        published={},
        models=models,
    )
