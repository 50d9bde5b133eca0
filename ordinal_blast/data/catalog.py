"""From the `data` section of settings to a built dataset and its splits."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ordinal_blast import parts
from ordinal_blast.data import splits, store
from ordinal_blast.data.sheets import shown
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.settings import DataSettings, SplitSettings
from ordinal_blast.types import Task

_SOURCES, _EMBRYO = f"{__package__}.sources", "ordinal_blast.embryo"
SOURCES = {
    "arrays": f"{_SOURCES}.arrays:source",
    "features": f"{_SOURCES}.features:source",
    "folder": f"{_SOURCES}.folder:source",
    "kromp2023": f"{_EMBRYO}.kromp2023:source",
    "medmnist": f"{_SOURCES}.medmnist:source",
    "nantes2022": f"{_EMBRYO}.nantes2022:source",
    "stork": f"{_EMBRYO}.stork:source",
    "table": f"{_SOURCES}.table:source",
    "timelapse": f"{_EMBRYO}.own_recordings:source",
}
PLUGINS = "ordinal_blast.sources"  # the group of entry points by which installed packages add theirs

_LEAST = 2  # labels of a validation set


def sources() -> dict[str, str]:
    """Where the sources are that have a name: those of the package, and those that installed packages add."""
    return {point.name: point.value for point in importlib.metadata.entry_points(group=PLUGINS)} | SOURCES


def prepare(data: DataSettings) -> Path:
    """Build the dataset of a `data` section unless it is built; returns its folder.

    Where the source's files are gone, the one built copy that was made with the same options and file names is used.
    Raises UserError or UsageError.
    """
    cache, root = Path(data.cache).expanduser(), Path(data.root).expanduser()
    options = {name: _plain(value) for name, value in data.options.items()}
    place = sources().get(data.source, data.source)
    function = parts.find("data.source", data.source, sources())
    parts.check_options(function, options, "data.options", root)
    try:
        with parts.blamed(f"data.source {data.source} failed"):
            source = function(root, **options)
    except store.SourceMissingError as missing:
        copies = store.built(missing.name, cache, missing.known)
        if len(copies) != 1:
            raise
        return copies[0]
    if not isinstance(source, store.Source):
        raise UsageError(f"data.source {data.source} returns a {type(source).__name__}: it has to return a Source")
    if parts.is_outside(place):  # edited, it may make other records of the same files
        source = dataclasses.replace(source, identity={**source.identity, "code": parts.texts(place)})
    return store.build(source, cache)


def _plain(value: Any) -> Any:
    """Lists, as JSON and the command line have them, as tuples, and sections as dicts."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def divide(dataset: store.Dataset, split: SplitSettings) -> Mapping[str, np.ndarray]:
    """Row indices `[n]` of train, val and test by the rule of a `data.split` section.

    by: "official" for the splits the dataset comes with, or a column ("group" for treatments or patients, "id" for
    single items, "clinic") whose values are never divided; the sets that the dataset names in `extras["apart"]` stay as
    they are. unseen: "COLUMN=VALUE" texts, see `splits.without`. Raises UsageError for another rule, or a value that no
    example has.
    """
    columns = _discrete(dataset)
    conditions = [condition.partition("=")[::2] for condition in split.unseen]
    return splits.without(_divided(dataset, split, columns), _holding(dataset, conditions, columns))


def _divided(dataset: store.Dataset, split: SplitSettings, columns: Sequence[str]) -> Mapping[str, np.ndarray]:
    by = split.by
    if by == "official":
        if not set(splits.NAMES) <= set(dataset.official):
            comes = f"as {', '.join(dataset.official)}" if len(dataset.official) > 1 else "unsplit"
            raise UsageError(f"data.split.by is official, but {dataset.name} comes {comes}: use group")
        return dataset.official
    if by not in columns:
        known = ", ".join(columns)
        raise UsageError(f"data.split.by is {by}: {dataset.name} can be split by official or {known}")
    apart = {name: rows for name, rows in dataset.official.items() if name in dataset.extras.get("apart", ())}
    rows = np.setdiff1d(np.arange(len(dataset)), np.concatenate([[], *apart.values()]).astype(int))
    groups = dataset.columns[by][rows]
    if split.stratified:
        labels = np.stack([dataset.columns[f"label/{task.name}"][rows] for task in dataset.tasks], axis=1)
        divided = splits.stratified(groups, labels, split.fractions, split.seed)
    else:
        divided = splits.grouped(groups, split.fractions, split.seed)
    return {name: rows[chosen] for name, chosen in divided.items()} | apart


def _discrete(dataset: store.Dataset) -> list[str]:
    """The columns whose values tell examples apart: texts and whole numbers."""
    return [
        name
        for name, column in sorted(dataset.columns.items())
        if isinstance(column, np.ndarray) and column.ndim == 1 and not np.issubdtype(column.dtype, np.floating)
    ]


def _holding(dataset: store.Dataset, conditions: Iterable[tuple[str, str]], columns: Sequence[str]) -> np.ndarray:
    """Which rows `[N]` have one of the values, by column."""
    chosen = np.zeros(len(dataset), bool)
    for name, value in conditions:
        if name not in columns:
            raise UsageError(f"data.split.unseen is {name}={value}: {dataset.name} has {', '.join(columns)}")
        texts = dataset.columns[name].astype(str)
        if not (texts == value).any():
            known = shown(", ".join(np.unique(texts)[:12]))
            raise UsageError(f"data.split.unseen is {name}={value}, and no example has that: there is {known}")
        chosen |= texts == value
    return chosen


def with_outcomes(dataset: store.Dataset, outcomes: Mapping[str, Sequence[str]]) -> store.Dataset:
    """The data set with columns of whole numbers as tasks too: a column with the names of its grades, from 0 on.

    -1 is missing. Raises UsageError for a column that there is not, that is a task already, or holds other numbers.
    """
    tasks, labels = list(dataset.tasks), {}
    for name, grades in outcomes.items():
        column = dataset.columns.get(name)
        whole = isinstance(column, np.ndarray) and column.ndim == 1 and column.dtype.kind in "iu"
        if not whole or name in {task.name for task in dataset.tasks}:
            known = [other for other in _discrete(dataset) if dataset.columns[other].dtype.kind in "iu"]
            there = ", ".join(other for other in known if "/" not in other) or "none"
            raise UsageError(f"data.outcomes has {name}: columns of whole numbers in {dataset.name} are {there}")
        if column.min() < -1 or column.max() >= len(grades):
            raise UsageError(
                f"data.outcomes names {len(grades)} grades of {name}, whose numbers run from {column.min()} to "
                f"{column.max()}: name one for each, from 0 on; -1 is missing"
            )
        tasks.append(Task(name, tuple(grades)))
        labels[f"label/{name}"] = column.astype(np.int32)
    return dataclasses.replace(dataset, tasks=tuple(tasks), columns={**dataset.columns, **labels})


def graded(dataset: store.Dataset, names: Sequence[str]) -> tuple[Task, ...]:
    """The tasks of the setting `tasks`, or all; raises UsageError for one that the dataset has not."""
    known = {task.name: task for task in dataset.tasks}
    for name in names:
        if name not in known:
            raise UsageError(f"tasks has {name}: {dataset.name} has {', '.join(known)}")
    return tuple(known[name] for name in names or known)


def labelled(
    dataset: store.Dataset, split: Mapping[str, np.ndarray], tasks: Sequence[Task]
) -> Mapping[str, np.ndarray]:
    """The rows `[n]` of each set that have a label for one of the tasks; of the test set, for one of the data set's.

    So that studies of some tasks and of others are tested on the same examples. A set apart from train, val and test
    may lack labels of a task, and is left out where it has none of any. Raises UserError where another has too few of
    a task: none at all, fewer than two to choose an epoch by, or one grade alone to learn from.
    """
    advice = "divide it otherwise, or leave that task out of tasks"
    for task in tasks:
        for name, rows in ((name, rows) for name, rows in split.items() if name in splits.NAMES):
            labels = dataset.columns[f"label/{task.name}"][rows]
            labels, where = labels[labels >= 0], f"in the {name} split of {dataset.name}"
            if not len(labels):
                raise UserError(f"task {task.name} has no label {where}: {advice}")
            if name == "val" and len(labels) < _LEAST:
                raise UserError(
                    f"task {task.name} has {len(labels)} label {where}, and choosing an epoch needs {_LEAST}: {advice}"
                )
            if name == "train" and len(np.unique(labels)) < 2:
                only = task.grades[labels[0]]
                raise UserError(f"task {task.name} has only the grade {only} {where}, which teaches nothing: {advice}")
    either, any_task = (
        np.any([dataset.columns[f"label/{task.name}"] >= 0 for task in of], axis=0) for of in (tasks, dataset.tasks)
    )
    there = {name: rows for name, rows in split.items() if name in splits.NAMES or either[rows].any()}
    return {name: rows[(either if name in ("train", "val") else any_task)[rows]] for name, rows in there.items()}


def leakage(dataset: store.Dataset, split: Mapping[str, np.ndarray]) -> list[str]:
    """One sentence for each set whose groups lie in an earlier one too: what is tested there was partly learnt."""
    return [
        f"{common} of {own} groups of the {name} split of {dataset.name} ({examples} of {len(split[name])} examples) "
        "lie in another split too"
        for name, own, common, examples in splits.shared(split, dataset.columns["group"])
        if common
    ]


def absent_grades(dataset: store.Dataset, split: Mapping[str, np.ndarray], tasks: Iterable[Task]) -> list[str]:
    """One sentence for each grade of a task that has no example in a set: a split by groups can leave one out.

    split: rows of each set.
    """
    consequences = {
        "train": "a model cannot learn it",
        "val": "epochs are chosen without it",
        "test": "measures of the test set do not cover it",
    }
    sentences = []
    for task in tasks:
        for name, rows in ((name, split[name]) for name in consequences if name in split):
            counts = np.bincount(dataset.columns[f"label/{task.name}"][rows] + 1, minlength=task.num_classes + 1)[1:]
            sentences += [
                f"grade {task.grades[k]} of task {task.name} has no example in the {name} split: {consequences[name]}"
                for k in np.flatnonzero(counts == 0)
            ]
    return sentences
