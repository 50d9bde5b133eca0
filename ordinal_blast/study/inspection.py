"""What is in a dataset: sizes, grades, groups, and whether groups leak from one split to another."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ordinal_blast.study.chain import Material


def facts(given: Material) -> dict[str, Any]:
    """Sizes and grade counts per split, the groups that two splits share (leakage), and what to be warned of."""
    columns = given.dataset.columns
    shared = {
        f"{a} and {b}": len(np.intersect1d(columns["group"][given.splits[a]], columns["group"][given.splits[b]]))
        for a, b in itertools.combinations(given.splits, 2)
    }
    return {
        "name": given.dataset.name,
        "summary": given.dataset.summary,
        "licence": given.dataset.licence,
        "citation": given.dataset.citation,
        "examples": {name: len(rows) for name, rows in given.splits.items()},
        "unlabelled": len(given.dataset) - sum(len(rows) for rows in given.splits.values()),
        "groups": {name: len(np.unique(columns["group"][rows])) for name, rows in given.splits.items()},
        "groups_in_two_splits": shared,
        "grades": {
            task.name: {
                name: {
                    grade: int(np.sum(columns[f"label/{task.name}"][rows] == k)) for k, grade in enumerate(task.grades)
                }
                for name, rows in given.splits.items()
            }
            for task in given.tasks
        },
        "warnings": list(given.warnings),
    }


def text(found: Mapping[str, Any]) -> str:
    """The facts as a few lines for a terminal."""
    lines = [found["summary"], f"licence: {found['licence']}", f"citation: {found['citation']}"]
    for name, count in found["examples"].items():
        lines.append(f"{name:>5}: {count} examples of {found['groups'][name]} groups")
    lines.append(f"without a label: {found['unlabelled']}")
    for pair, count in found["groups_in_two_splits"].items():
        lines.append(f"groups in both {pair}: {count}" + (" (leakage)" if count else ""))
    for task, splits in found["grades"].items():
        lines += [
            f"{task} {name}: " + ", ".join(f"{grade} {count}" for grade, count in counts.items())
            for name, counts in splits.items()
        ]
    lines += [f"warning: {warning}" for warning in found["warnings"]]
    return "\n".join(lines)
