"""What a cell or a shared stage is made of beside its settings: its data, and the source text that makes numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ordinal_blast import objectives, source_text
from ordinal_blast.data import sources
from ordinal_blast.data.store import Dataset
from ordinal_blast.storage import digest

_PACKAGE = __name__.partition(".")[0]
_ROOMS = ("objectives", "models", "data", "training", "embryo", "types")  # others measure and show
_STUDY = ("cell", "chain", "problems")


def of_data(dataset: Dataset) -> str:
    """12 hex digits of what a dataset says it is and of its columns in memory: ids, groups, labels, small inputs."""
    content = hashlib.sha256()
    for name, column in sorted(dataset.columns.items()):
        if isinstance(column, np.ndarray):
            content.update(f"{name} {column.dtype.str} {column.shape}\n".encode())
            content.update(column.tobytes())
    return digest([dataset.identity, content.hexdigest()])


def of_code(config: Any, objective: bool = True) -> dict[str, str]:
    """The digest of every source file that makes the numbers of a configuration (see `source_text.files`).

    Those are the files that its chain, its objective (unless `objective` is False) and its data source import: of this
    package the rooms that make numbers, of a part from outside its file and what that imports of its own package, or
    for a single file of the files beside it. Other packages count by version, which a result records.
    """
    parts = [f"{_PACKAGE}.study.cell" if objective else f"{_PACKAGE}.embryo.crops", _source(config.data.source)]
    parts += [_objective(config.objective.name)] if objective else []
    found: dict[str, str] = {}
    for part in parts:
        found |= of_module(part)
    return dict(sorted(found.items()))


def of_module(module: str) -> dict[str, str]:
    """The same of one part alone, such as the module of an objective."""
    return source_text.files(module, _makes_numbers)


def differing(theirs: Mapping[str, str], ours: Mapping[str, str]) -> list[str]:
    """The files, by name, whose text is not the same in both, those from outside this package first."""
    different = [name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name)]
    return sorted(different, key=lambda name: name.startswith(f"{_PACKAGE}/"))


def _objective(name: str) -> str:
    return name.partition(":")[0] if ":" in name else objectives.functions()[name].__module__


def _source(name: str) -> str:
    return name.partition(":")[0] if ":" in name else f"{sources.__name__}.{name}"


def _makes_numbers(module: str) -> bool:
    """Whether a module of this package does; those of others always do."""
    package, _, rest = module.partition(".")
    room, _, inside = rest.partition(".")
    return package != _PACKAGE or room in _ROOMS or (room == "study" and inside in _STUDY)
