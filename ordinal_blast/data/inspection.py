"""What is in a dataset: sizes, grades, groups, and whether groups leak from one split to another."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ordinal_blast.data.material import Material


def facts(material: Material) -> dict[str, Any]:
    """Sizes and grade counts per split, the groups that two splits share (leakage), warnings, and every note."""
    columns = material.dataset.columns
    shared = {
        f"{a} and {b}": len(np.intersect1d(columns["group"][material.splits[a]], columns["group"][material.splits[b]]))
        for a, b in itertools.combinations(material.splits, 2)
    }
    return {
        "name": material.dataset.name,
        "summary": material.dataset.summary,
        "licence": material.dataset.licence,
        "citation": material.dataset.citation,
        "examples": {name: len(rows) for name, rows in material.splits.items()},
        "unlabelled": len(material.dataset) - sum(len(rows) for rows in material.splits.values()),
        "groups": {name: len(np.unique(columns["group"][rows])) for name, rows in material.splits.items()},
        "groups_in_two_splits": shared,
        "grades": {
            task.name: {
                name: {
                    grade: int(np.sum(columns[f"label/{task.name}"][rows] == k)) for k, grade in enumerate(task.grades)
                }
                for name, rows in material.splits.items()
            }
            for task in material.tasks
        },
        "warnings": list(material.warnings),
        "notes": list(material.dataset.notes),
    }


def text(facts: Mapping[str, Any]) -> str:
    """The facts as a few lines for a terminal."""
    lines = [facts["summary"]] + [f"{name}: {facts[name]}" for name in ("licence", "citation") if facts[name]]
    for name, count in facts["examples"].items():
        lines.append(f"{name:>5}: {count} examples of {facts['groups'][name]} groups")
    lines.append(f"without a label: {facts['unlabelled']}")
    for pair, count in facts["groups_in_two_splits"].items():
        lines.append(f"groups in both {pair}: {count}" + (" (leakage)" if count else ""))
    for task, splits in facts["grades"].items():
        lines += [
            f"{task} {name}: " + ", ".join(f"{grade} {count}" for grade, count in counts.items())
            for name, counts in splits.items()
        ]
    lines += [f"warning: {warning}" for warning in facts["warnings"]]
    lines += [f"note: {note}" for note in facts["notes"]]
    return "\n".join(lines)
