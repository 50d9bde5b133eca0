"""What a work directory is to hold: the plans of all commands that were run on it, as one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ordinal_blast import record
from ordinal_blast.errors import UsageError
from ordinal_blast.study.grid import Plan

_AND = " && "


def joined(plan: Plan, command: str, root: Path) -> dict[str, Any]:
    """The content of `plan.json` of `root` when `plan` joins what stands there: no cell leaves it.

    A plan with a question (an ablation) decides the reference and the order of variants; among equals the first does.
    Raises UsageError where both compare with different references or belong to different experiments, UserError where
    what stands there cannot be read.
    """
    new = {
        "schema": record.SCHEMA,
        "experiment": plan.experiment,
        "question": plan.question,
        "reference": plan.variants[0],
        "variants": list(plan.variants),
        "seeds": list(plan.seeds),
        "cells": [each.name for each in plan.cells],
        "command": command,
    }
    if not (root / record.PLAN).exists():
        return new
    old = record.read_plan(root)
    for key, both in (("experiment", True), ("reference", old["question"] and new["question"])):
        if both and old[key] != new[key]:
            raise UsageError(
                f"{root} holds the {key} {old[key]!r}, and this would be {new[key]!r}: use another --workdir "
                "(one report can take several)"
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
    """What makes all cells: one of the two commands where it plans all of them."""
    for one, other in ((new, old), (old, new)):
        if set(one["cells"]) >= set(other["cells"]):
            return one["command"]
    return _AND.join(_union(old["command"].split(_AND), [new["command"]]))
