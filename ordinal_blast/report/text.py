"""The comparison as plain text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ordinal_blast.report import answer, pairing
from ordinal_blast.report.blocks import Block, Bullets, Section, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import MISSING, count, extent, number
from ordinal_blast.report.measures import baseline, over_seeds, primary
from ordinal_blast.report.names import labels, one_line, visible
from ordinal_blast.report.results import Group
from ordinal_blast.report.verdicts import BETTER, WORSE, of_measure

WIDTH = 100
LONGEST = 48  # characters of a name
LISTED = 8  # cells without a result
ARROWS = {BETTER: "▲", WORSE: "▼"}


def table(studies: Sequence[Study]) -> str:
    """Mean ± s.d. over seeds per variant, stage and task, with the answer above. Ends without a newline."""
    return visible("\n\n\n".join(map(_study, studies)))


def _study(study: Study) -> str:
    name, question = one_line(study.plan["experiment"]), " ".join(study.plan["question"].split())
    head = [answer.lead(study), *(f"Not in one table with {why}." for why in study.apart)]
    head = "\n".join(textwrap.fill(sentence, WIDTH) for sentence in head)
    blocks = [
        f"{name}{f': {question}' if question else ''}\n{head}",
        *(_group(study, group) for group in study.groups()),
    ]
    if study.rivals:
        blocks.append("▲ better or ▼ worse than the reference by the adjusted interval")
    if study.failed or study.missing:
        states = [f"{name} failed" for name in study.failed] + [f"{name} missing" for name in study.missing]
        more = [f"and {len(states) - LISTED} more, which the report lists"] if len(states) > LISTED else []
        blocks.append("Without a result: " + ", ".join([*states[:LISTED], *more]))
    return "\n\n".join(blocks)


def _group(study: Study, group: Group) -> str:
    measures = primary(group)
    columns = {measure: over_seeds(group, measure) for measure in measures}
    variants = group.variants
    shown = labels(study.plan["variants"], LONGEST)
    cells: dict[str, list[str]] = {variant: [] for variant in variants}
    for measure, column in columns.items():
        arrows = {gap.variant: ARROWS.get(gap.verdict, "") for gap in of_measure(study.differences, group, measure)}
        for variant in variants:
            line = column.loc[variant]
            spread = f" ± {number(line['sd'])}" if line["seeds"] > 1 else ""
            cells[variant].append(f"{number(line['mean'])}{spread} {arrows.get(variant, '')}")
    trivial = baseline(group)
    rows = [
        [shown[variant] + (" (reference)" if variant == study.reference else ""), *values]
        for variant, values in cells.items()
    ]
    rows.append(
        [
            f"always {trivial.grade}",
            *(number(trivial.values[m.key]) if m.key in trivial.values else MISSING for m in measures),
        ]
    )
    seeds = int(group.rows.groupby("variant", observed=True).size().max())
    head = [
        f"{group.title}  n = {extent(group.rows['n'])}, {count(seeds, 'seed')}",
        *(measure.heading for measure in measures),
    ]
    lines = _aligned([head, *rows])
    finished = {shown[variant]: len(seeds) for variant, seeds in group.seeds.items()}
    short = pairing.fewer(finished, group.planned, "finished").strip()
    return "\n".join([*lines, *([short] if short else [])])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows in columns, a line below the first."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    head, *lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in (head, "─" * len(head), *lines)]


def plain(sections: Sequence[Section]) -> str:
    """The text, lists and tables of sections, without figures and what is behind a summary."""
    parts = []
    for section in sections:
        parts.append("\n\n".join([f"━━ {section.title}", *filter(None, map(_plain, section.blocks))]))
    return visible("\n\n\n".join(parts))


def _plain(block: Block) -> str:
    match block:
        case Text():
            return textwrap.fill(block.text, WIDTH)
        case Bullets():
            items = (item if isinstance(item, str) else item.text for item in block.items)
            return "\n".join(textwrap.fill(f"- {item}", WIDTH, subsequent_indent="  ") for item in items)
        case Table():
            rows = [
                [line.head, *(f"{entry.text} {entry.small}".strip() for entry in line.entries)] for line in block.lines
            ]
            return "\n".join([textwrap.fill(block.caption, WIDTH), "", *_aligned([list(block.header), *rows])])
    return ""
