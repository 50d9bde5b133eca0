"""The material of a study: an open dataset, the tasks that are graded, and the rows of each split."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from ordinal_blast.data import catalog, encoding, store
from ordinal_blast.data.store import Dataset
from ordinal_blast.settings import DataSettings
from ordinal_blast.storage import digest
from ordinal_blast.types import Task


@dataclasses.dataclass(frozen=True)
class Material:
    """An open dataset, the tasks that are graded, and the rows of each split that have a label for at least one.

    everything: all rows of each split. warnings: sentences about what the splits lack.
    """

    dataset: Dataset
    tasks: tuple[Task, ...]
    splits: Mapping[str, np.ndarray]
    everything: Mapping[str, np.ndarray]
    warnings: tuple[str, ...]

    @functools.cached_property
    def identity(self) -> str:
        """12 hex digits of what the dataset says it is and of its columns in memory: ids, groups, labels, inputs."""
        content = hashlib.sha256()
        for name, column in sorted(self.dataset.columns.items()):
            if isinstance(column, np.ndarray):
                content.update(f"{name} {column.dtype.str} {column.shape}\n".encode())
                content.update(column.tobytes())
        return digest([self.dataset.identity, content.hexdigest()])


def open(data: DataSettings, tasks: Sequence[str] = ()) -> Material:
    """Open the dataset of a `data` section, building it first where needed; no tasks mean all that it has.

    Raises UserError or UsageError for what cannot be built, divided or graded.
    """
    dataset = catalog.with_outcomes(store.open_dataset(catalog.prepare(data)), data.outcomes)
    chosen = catalog.graded(dataset, tasks)
    everything = catalog.divide(dataset, data.split)
    splits = catalog.labelled(dataset, everything, chosen)
    dataset = encoding.learnt(dataset, splits["train"])
    return Material(dataset, chosen, splits, everything, tuple(catalog.absent_grades(dataset, splits, chosen)))
