"""Which kinds of part there are, and where each room of the package lists its own."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from ordinal_blast import parts
from ordinal_blast.schema import Leaf

_TABLES = {
    "data source": "data.catalog:sources",
    "network": "models.networks:NETWORKS",
    "objective": "objectives.registry:functions",
    "optimizer": "training.optimizer:OPTIMIZERS",
    "schedule": "training.schedules:SCHEDULES",
    "stage": "settings:STAGES",
    "view": "data.augment:VIEWS",
}


def table(kind: str) -> Mapping[str, Any]:
    """The parts of a kind that come with the package, by name: the part, or the text "package.module:thing"."""
    if kind not in _TABLES:
        return {}
    module, _, name = _TABLES[kind].partition(":")
    listed = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    return listed() if callable(listed) else listed


def named(leaves: Iterable[Leaf]) -> list[tuple[str, str, str]]:
    """The parts that settings name: dotted key, kind and name."""
    rows = []
    for key, value, field, _ in leaves:
        if kind := field.metadata.get("part"):
            names = {f"{key}[{n}]": name for n, name in enumerate(value)} if isinstance(value, tuple) else {key: value}
            rows += [(where, kind, name) for where, name in names.items()]
    return rows


def place(kind: str, name: str) -> str:
    """The text "package.module:thing", or "path/file.py:thing", of a part; empty where it has none."""
    part = name if ":" in name else table(kind).get(name, "")
    return part if isinstance(part, str) else f"{part.__module__}:{part.__qualname__}"


def find(kind: str, name: str) -> Any:
    """The part; raises UsageError as `parts.find` does."""
    return parts.find(kind, name, table(kind))
