"""What `grading.grade` says, as lines for people and as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def text(graded: Sequence[Mapping[str, Any]]) -> str:
    """The grades as aligned lines, what else is said of an input below its last."""
    width = max((len(line["input"]) for line in graded), default=0)
    shown: list[str] = []
    for place, line in enumerate(graded):
        probs = "  ".join(f"{name} {share:.3f}" for name, share in line["probs"].items())
        seeds = f"mean of {len(line['seeds'])} seeds, " if len(line["seeds"]) > 1 else ""
        among = f"{set_text(line)}  " if "set" in line else ""
        by = f"({seeds}{line['model']}, {line['decides_by']})"
        shown.append(f"{line['input']:{width}}  {line['task']} {line['grade']}  {among}{probs}  {by}")
        if place + 1 == len(graded) or graded[place + 1]["input"] != line["input"]:
            facts = "  ".join(f"{name} {_shown(value)}" for name, value in _short(line["about"]).items())
            said = [*([facts] if facts else []), *(f"warning: {one}" for one in line["warnings"])]
            shown += [f"{'':{width}}  {one}" for one in (*said, *(f"note: {note}" for note in line["notes"]))]
    return "\n".join(shown)


def set_text(line: Mapping[str, Any]) -> str:
    """The set of grades of a line in words, such as `A or B, 90 %`."""
    return f"{' or '.join(line['set'])}, {100 * line['level']:g} %"


def rows(graded: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The grades as rows of a table: a column a grade's probability and a fact, lists in one cell."""
    return [
        {
            **{key: line[key] for key in ("input", "task", "grade")},
            "set": " or ".join(line.get("set", ())),
            "level": line["level"] if "set" in line else None,
            **{f"p {name}": share for name, share in line["probs"].items()},
            **{key: line[key] for key in ("score", "model", "decides_by")},
            "seeds": " ".join(map(str, line["seeds"])),
            **{
                name: _shown(value) if isinstance(value, list) else value
                for name, value in _short(line["about"]).items()
            },
            **{key: "; ".join(line[key]) for key in ("warnings", "notes")},
        }
        for line in graded
    ]


def _short(about: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that are no tables of their own, which only JSON has."""
    return {name: value for name, value in about.items() if not isinstance(value, list) or not _is_table(value)}


def _is_table(values: Sequence[object]) -> bool:
    return any(isinstance(value, Mapping) for value in values)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(_shown, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
