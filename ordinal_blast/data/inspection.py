"""What is in a dataset: sizes, grades and why some are missing, groups and examples that are in two splits, and faults.

A note of a source that ends in "left out" is of a row or an image that is no example.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from ordinal_blast.data.material import Material
from ordinal_blast.data.splits import shared
from ordinal_blast.types import ABSENCES, ABSENT, INPUTS, MISSING, RATERS

_CHUNK = 128  # examples read at once
_LOOKED_AT = (*INPUTS, "frames")  # what examples are compared by


def facts(material: Material) -> dict[str, Any]:
    """Sizes and grade counts per split, missing labels by reason, groups and equal examples that two splits share,
    what was left out, warnings, and every note.
    """
    columns, notes = material.dataset.columns, material.dataset.notes
    common = {
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
        "groups_in_two_splits": common,
        "leakage": {
            name: {"groups": groups, "examples": examples, "of": len(material.splits[name])}
            for name, _, groups, examples in shared(material.splits, columns["group"])
        },
        "grades": {
            task.name: {
                name: {
                    grade: int(np.sum(columns[f"label/{task.name}"][rows] == k)) for k, grade in enumerate(task.grades)
                }
                for name, rows in material.splits.items()
            }
            for task in material.tasks
        },
        "missing": {
            task.name: {name: _reasons(columns, task.name, rows) for name, rows in material.everything.items()}
            for task in material.tasks
        },
        "raters": {
            task.name: _rated(material, f"{RATERS}{task.name}")
            for task in material.tasks
            if f"{RATERS}{task.name}" in columns
        },
        "duplicates": _duplicates(material),
        "unreadable": sum(note.startswith("cannot read") for note in notes),
        "left_out": sum(note.endswith("left out") for note in notes),
        "warnings": list(material.warnings),
        "notes": list(notes),
    }


def _reasons(columns: Mapping[str, Any], task: str, rows: np.ndarray) -> dict[str, int]:
    """How many labels of a split are missing for which reason."""
    absent = columns[f"label/{task}"][rows] < 0
    codes = columns[f"{ABSENT}{task}"][rows] if f"{ABSENT}{task}" in columns else np.full(len(rows), MISSING)
    counts = Counter(ABSENCES[code] for code in codes[absent].tolist())
    return dict(sorted(counts.items()))


def _rated(material: Material, column: str) -> dict[str, int]:
    """How many grades of a task each rater gave, by name, or by number where names are not known."""
    counts = np.sum(material.dataset.columns[column][np.arange(len(material.dataset))] >= 0, axis=0)
    names = material.dataset.extras.get("raters") or [f"rater {number}" for number in range(1, len(counts) + 1)]
    return dict(zip(names, counts.tolist(), strict=True))


def _duplicates(material: Material) -> dict[str, int] | None:
    """How many examples are equal to one before them, to one of another split, to one with other grades; None where
    they have nothing that a network reads.
    """
    columns = material.dataset.columns
    inputs = [columns[name] for name in _LOOKED_AT if name in columns]
    if not inputs:
        return None
    tasks = [columns[f"label/{task.name}"] for task in material.tasks]
    first: dict[bytes, tuple[str, tuple[int, ...]]] = {}
    counts = dict.fromkeys(("examples", "of_another_split", "with_other_grades"), 0)
    for name, rows in material.everything.items():
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            labels = np.stack([column[chunk] for column in tasks], axis=1)
            read = [np.ascontiguousarray(column[chunk]) for column in inputs]
            for k, grades in enumerate(map(tuple, labels.tolist())):
                content = hashlib.sha256(b"".join(values[k].tobytes() for values in read)).digest()
                before = first.setdefault(content, mine := (name, grades))
                if before is mine:
                    continue
                counts["examples"] += 1
                counts["of_another_split"] += before[0] != name
                counts["with_other_grades"] += before[1] != grades
    return counts


def text(facts: Mapping[str, Any]) -> str:
    """The facts as a few lines for a terminal."""
    lines = [facts["summary"]] + [f"{name}: {facts[name]}" for name in ("licence", "citation") if facts[name]]
    for name, count in facts["examples"].items():
        lines.append(f"{name:>5}: {count} examples of {facts['groups'][name]} groups")
    lines.append(f"without a label: {facts['unlabelled']}")
    for pair, count in facts["groups_in_two_splits"].items():
        lines.append(f"groups in both {pair}: {count}" + (" (leakage)" if count else ""))
    for name, of in facts["leakage"].items():
        if of["groups"]:
            lines.append(
                f"leakage: {of['examples']} of {of['of']} examples of {name} are of groups of splits before it"
            )
    if facts["duplicates"] is None:
        lines.append("equal examples: not known, nothing that networks read is here")
    else:
        same = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in facts["duplicates"].items())
        lines.append(f"equal to one before: {same}")
    lines.append(f"left out: {facts['left_out']}, of which unreadable: {facts['unreadable']}")
    for task, splits in facts["grades"].items():
        lines += [
            f"{task} {name}: " + ", ".join(f"{grade} {count}" for grade, count in counts.items())
            for name, counts in splits.items()
        ]
        lines += [
            f"{task} {name} without a grade: " + ", ".join(f"{reason} {count}" for reason, count in counts.items())
            for name, counts in facts["missing"][task].items()
            if counts
        ]
    lines += [
        f"{task} by raters: " + ", ".join(f"{name} {count}" for name, count in counts.items())
        for task, counts in facts["raters"].items()
    ]
    lines += [f"warning: {warning}" for warning in facts["warnings"]]
    lines += [f"note: {note}" for note in facts["notes"]]
    return "\n".join(lines)
