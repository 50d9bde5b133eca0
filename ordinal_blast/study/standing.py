"""What a work directory is to hold: the plans of all commands that were run on it, as one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ordinal_blast import record
from ordinal_blast.errors import UsageError
from ordinal_blast.study.plan import Plan

_AND = " && "


def joined(plan: Plan, command: str, root: Path) -> dict[str, Any]:
    """The content of `plan.json` of `root` when `plan` joins what stands there: no cell leaves it.

    A plan that has all cells replaces what stands there. Else one with a question (an ablation) decides the reference
    and the order of variants; among equals the first does. Raises UsageError where both have a reference of their own
    or belong to different experiments, UserError where what stands there cannot be read.
    """
    new: dict[str, Any] = {
        "experiment": plan.experiment,
        **plan.question.tree(),
        "variants": list(plan.variants),
        "seeds": list(plan.seeds),
        "cells": [cell.name for cell in plan.cells],
        "command": command,
    }
    old = record.read_plan(root) if (root / record.PLAN).exists() else new
    if set(new["cells"]) >= set(old["cells"]):
        return new
    for key, both in (("experiment", True), ("reference", old["question"] and new["question"])):
        if both and old[key] != new[key]:
            raise UsageError(
                f"{root} holds cells of the {key} {old[key]!r}, and this would be {new[key]!r}: use another --workdir, "
                "or plan all of its cells too"
            )
    first, second = (new, old) if new["question"] else (old, new)
    return {
        **first,
        "variants": _union(first["variants"], second["variants"]),
        "seeds": sorted({*old["seeds"], *new["seeds"]}),
        "cells": _union(old["cells"], new["cells"]),
        "command": _command(old, new),
    }


def _union(first: list[str], second: list[str]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))


def _command(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What makes all cells: the old command where it has the new cells too, else one after the other."""
    if set(old["cells"]) >= set(new["cells"]):
        return old["command"]
    return _AND.join(_union(old["command"].split(_AND), [new["command"]]))
