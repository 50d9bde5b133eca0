"""Tables with a line per variant, under the families that an ablation declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ordinal_blast.report.blocks import Entry, Line, Table
from ordinal_blast.report.pictures import Studio


def table(
    studio: Studio,
    caption: str,
    header: Sequence[str],
    entries: Mapping[str, Sequence[Entry]],
    families: Mapping[str, Sequence[str]],
    summary: Callable[[Sequence[str]], Sequence[Entry]],
) -> Table:
    """Lines of variants, those of a family under a line with its summary, and those of none first, as they come."""
    members = {name: [v for v in variants if v in entries] for name, variants in families.items()}
    inside = {variant for variants in members.values() for variant in variants}
    plain = studio.table(caption, header, entries)
    lines = {line.head: line for line in plain.lines}
    rows = [line for variant, line in lines.items() if variant not in inside]
    for name, variants in members.items():
        if variants:
            rows += [Line(f"{name} (mean)", summary(variants), aside=True), *(lines[v] for v in variants)]
    return Table(caption, plain.header, rows)
