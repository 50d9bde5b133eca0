"""From the `data` section of a configuration to an open dataset and its splits."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ordinal_blast.data import sources, splits, store
from ordinal_blast.errors import UsageError
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
            return getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError) as error:
            raise UsageError(f"data.source is {name}: {error}") from error
    if name not in names():
        raise UsageError(f"data.source is {name}: there are {', '.join(names())}, or my_package.my_file:my_source")
    return importlib.import_module(f"{sources.__name__}.{name}").source


def prepare(data: Mapping[str, Any]) -> Path:
    """Build the dataset of a `data` section unless it is built; returns its folder.

    data: `source`, `root` (folder of the source's files), `cache`, `options`. Where the files are gone but one built
    copy is there, that copy is used. Raises UserError or UsageError.
    """
    cache = Path(data["cache"]).expanduser()
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in data["options"].items()}
    try:
        return store.build(find(data["source"])(Path(data["root"]).expanduser(), **options), cache)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise UsageError(f"data.options do not fit data.source {data['source']}: {error}") from error
    except store.SourceMissingError as missing:
        copies = store.built(missing.name, cache)
        if len(copies) != 1:
            raise
        return copies[0]


def divide(dataset: store.Dataset, split: Mapping[str, Any]) -> Mapping[str, np.ndarray]:
    """Indices of train, val and test by the rule of a `data.split` section.

    by: "official" for the splits the dataset comes with, or a column ("group" for treatments or patients, "id" for
    single items, "clinic") whose values are never divided. Raises UsageError for another rule.
    """
    if split["by"] == "official":
        if set(dataset.official) != set(splits.NAMES):
            raise UsageError(f"data.split.by is official, but {dataset.name} comes unsplit: use group")
        return dataset.official
    if split["by"] not in dataset.columns:
        known = ", ".join(sorted(name for name, column in dataset.columns.items() if np.ndim(column) == 1))
        raise UsageError(f"data.split.by is {split['by']}: {dataset.name} can be split by official or {known}")
    return splits.grouped(dataset.columns[split["by"]], split["fractions"], split["seed"])


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
