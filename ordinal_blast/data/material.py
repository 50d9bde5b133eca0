"""The material of a study: an open dataset, the tasks that are graded, and the rows of each split."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from ordinal_blast.data import catalog, encoding, store
from ordinal_blast.data.store import Dataset
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.settings import DataSettings, SplitSettings
from ordinal_blast.storage import digest
from ordinal_blast.types import Task

_ROWS = 1024  # read at once


@dataclasses.dataclass(frozen=True)
class Material:
    """An open dataset, the tasks that are graded, and the rows of each split that have a label for at least one.

    everything: all rows of each split. warnings: sentences about what the splits lack. held: bytes that what is looked
    at may take in memory.
    """

    dataset: Dataset
    tasks: tuple[Task, ...]
    splits: Mapping[str, np.ndarray]
    everything: Mapping[str, np.ndarray]
    warnings: tuple[str, ...]
    held: int = store.HELD

    @functools.cached_property
    def identity(self) -> str:
        """12 hex digits of what the dataset says it is and of its columns: ids, groups, labels, inputs.

        Inputs larger than memory holds by default are what the dataset says; whether others are held changes nothing.
        """
        content, count = hashlib.sha256(), len(self.dataset)
        for name, column in sorted(self.dataset.columns.items()):
            first = column[np.arange(1)]
            if first.ndim == 1 or first.nbytes <= min(store.LARGE, store.HELD // count):
                content.update(f"{name} {first.dtype.str} {(count, *first.shape[1:])}\n".encode())
                for start in range(0, count, _ROWS):
                    content.update(column[np.arange(start, min(start + _ROWS, count))].tobytes())
        return digest([self.dataset.identity, content.hexdigest()])


def open(data: DataSettings, tasks: Sequence[str] = ()) -> Material:
    """Open the dataset of a `data` section, building it first where needed; no tasks mean all that it has.

    Raises UserError or UsageError for what cannot be built, divided or graded.
    """
    held = data.memory << 20
    dataset = catalog.with_outcomes(store.open_dataset(catalog.prepare(data), held=held), data.outcomes)
    chosen = catalog.graded(dataset, tasks)
    everything = catalog.divide(dataset, data.split)
    splits = catalog.labelled(dataset, everything, chosen)
    leaks = catalog.leakage(dataset, everything)
    if leaks and data.split.leakage == "refuse":
        raise UserError(f"{leaks[-1]}: divide by data.split.by=group, or say allow as data.split.leakage")
    dataset = encoding.learnt(dataset, splits["train"])
    warnings = (*leaks, *catalog.absent_grades(dataset, splits, chosen))
    return Material(dataset, chosen, splits, everything, warnings, held)


def look(data: DataSettings, tasks: Sequence[str] = ()) -> Material:
    """As `open`, to be looked at: what would be refused there is a warning, and unsplit data are as they come."""
    held = data.memory << 20
    dataset = catalog.with_outcomes(store.open_dataset(catalog.prepare(data), held=held), data.outcomes)
    chosen, warnings = catalog.graded(dataset, tasks), []
    try:
        everything = catalog.divide(dataset, data.split)
    except UsageError as error:
        if data.split.by != SplitSettings.by or data.split.unseen:
            raise
        everything = dataset.official
        warnings.append(str(error))
    warnings += catalog.leakage(dataset, everything)
    splits = everything
    try:
        splits = catalog.labelled(dataset, everything, chosen)
        dataset = encoding.learnt(dataset, splits["train"]) if "train" in splits else dataset
    except UserError as error:
        warnings.append(str(error))
    warnings += catalog.absent_grades(dataset, splits, chosen)
    return Material(dataset, chosen, splits, everything, tuple(warnings), held)
