"""From the `data` section of a configuration to an open dataset and its splits."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ordinal_blast import source_text
from ordinal_blast.data import options, sources, splits, store
from ordinal_blast.errors import UsageError, UserError, told
from ordinal_blast.types import Task


def names() -> tuple[str, ...]:
    """The source functions that come with the package, by the name of their file."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(sources.__path__)))


def find(name: str) -> Callable[..., store.Source]:
    """The function `source(root, **options)` behind a name, or behind `my_package.my_file:my_source`.

    Raises UsageError for a name that is neither.
    """
    if ":" in name:
        module, function = name.split(":", 1)
        try:
            found = getattr(importlib.import_module(module), function)
        except (Exception, SystemExit) as error:  # of the module's own code
            raise UsageError(f"data.source is {name}: {told(error)}") from error
        if not callable(found):
            raise UsageError(f"data.source is {name}: it is no function")
        return found
    if name not in names():
        raise UsageError(f"data.source is {name}: there are {', '.join(names())}, or my_package.my_file:my_source")
    return importlib.import_module(f"{sources.__name__}.{name}").source


def prepare(data: Mapping[str, Any]) -> Path:
    """Build the dataset of a `data` section unless it is built; returns its folder.

    data: `source`, `root` (folder of the source's files), `cache`, `options`. Where the files are gone, the one built
    copy that was made with the same options and file names is used. Raises UserError or UsageError.
    """
    cache, root = Path(data["cache"]).expanduser(), Path(data["root"]).expanduser()
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in data["options"].items()}
    function = find(data["source"])
    options.check(function, given, root)
    try:
        source = function(root, **given)
    except store.SourceMissingError as missing:
        copies = store.built(missing.name, cache, missing.known)
        if len(copies) != 1:
            raise
        return copies[0]
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # of a source's own code
        raise UserError(f"data.source {data['source']} failed: {told(error)}") from error
    if not isinstance(source, store.Source):
        raise UsageError(f"data.source {data['source']} returns a {type(source).__name__}: it has to return a Source")
    if ":" in data["source"]:  # edited, it may make other records of the same files
        text = source_text.files(
            data["source"].partition(":")[0], lambda module: not module.startswith("ordinal_blast.")
        )
        source = dataclasses.replace(source, identity={**source.identity, "code": text})
    return store.build(source, cache)


def divide(dataset: store.Dataset, split: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
    """Indices of train, val and test by the rule of a `data.split` section.

    by: "official" for the splits the dataset comes with, or a column ("group" for treatments or patients, "id" for
    single items, "clinic") whose values are never divided. Raises UsageError for another rule.
    """
    by = split["by"]
    columns = [
        name
        for name, column in sorted(dataset.columns.items())
        if isinstance(column, np.ndarray) and column.ndim == 1 and not np.issubdtype(column.dtype, np.floating)
    ]
    if by == "official":
        if set(dataset.official) != set(splits.NAMES):
            raise UsageError(f"data.split.by is official, but {dataset.name} comes unsplit: use group")
        return dataset.official
    if by not in columns:
        known = ", ".join(columns)
        raise UsageError(f"data.split.by is {by}: {dataset.name} can be split by official or {known}")
    return splits.grouped(dataset.columns[by], split["fractions"], split["seed"])


def graded(dataset: store.Dataset, names: Sequence[str]) -> tuple[Task, ...]:
    """The tasks of the setting `tasks`; raises UsageError for one that the dataset has not."""
    known = {task.name: task for task in dataset.tasks}
    for name in names:
        if name not in known:
            raise UsageError(f"tasks has {name}: {dataset.name} has {', '.join(known)}")
    return tuple(known[name] for name in names)


def labelled(
    dataset: store.Dataset, split: Mapping[str, np.ndarray], tasks: Sequence[Task]
) -> Mapping[str, np.ndarray]:
    """The rows of each set that have a label for one of the tasks.

    Raises UserError where all labels of a task are missing in a set.
    """
    known = {task.name: dataset.columns[f"label/{task.name}"] >= 0 for task in tasks}
    for task, has in known.items():
        for name, rows in split.items():
            if not has[rows].any():
                raise UserError(
                    f"task {task} has no label in the {name} split of {dataset.name}: divide it otherwise, or leave "
                    "that task out of tasks"
                )
    either = np.any(list(known.values()), axis=0)
    return {name: rows[either[rows]] for name, rows in split.items()}


def absent_grades(dataset: store.Dataset, split: Mapping[str, np.ndarray], tasks: Iterable[Task]) -> list[str]:
    """One sentence for each grade of a task that has no example in a set: a split by groups can leave one out.

    split: rows of each set.
    """
    consequences = {
        "train": "a model cannot learn it",
        "val": "epochs are chosen without it",
        "test": "measures of the test set do not cover it",
    }
    found = []
    for task in tasks:
        for name, rows in split.items():
            counts = np.bincount(dataset.columns[f"label/{task.name}"][rows] + 1, minlength=task.num_classes + 1)[1:]
            found += [
                f"grade {task.grades[k]} of task {task.name} has no example in the {name} split: {consequences[name]}"
                for k in np.flatnonzero(counts == 0)
            ]
    return found
