"""What a later stage adds, on the page: every difference between stages with its adjusted interval and verdict."""

from __future__ import annotations

from ordinal_blast.report.blocks import Block, Entry, Section, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.comparison import DRAWN
from ordinal_blast.report.formats import count, extent, interval, number, p_value
from ordinal_blast.report.measures import LEVEL, PRIMARY
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.verdicts import BETTER

COVERS = (
    "Two stages of a variant and seed on the same test examples: they are of one cell, and paired. Intervals and "
    "p are adjusted for all variants, tasks and measures here. Bold: better than the earlier stage by the adjusted "
    "interval, and nothing else."
)


def sections(study: Study, studio: Studio) -> list[Section]:
    """One section with a table for each earlier stage; none where no variant has two stages on the same examples."""
    rows = study.steps
    if not len(rows):
        return []
    last = str(rows["stage"].iloc[0])
    places = rows[["earlier", "task"]].drop_duplicates().itertuples(index=False)
    blocks: list[Block] = [Text(COVERS), *(_table(study, last, *place, studio) for place in places)]
    return [Section(studio.anchor("stages"), f"{last.upper()} against the stages before it", blocks)]


def _table(study: Study, last: str, earlier: str, task: str, studio: Studio) -> Table:
    rows = study.steps
    rows = rows[(rows["earlier"] == earlier) & (rows["task"] == task)]
    by = {(row.variant, row.measure): row for row in rows.itertuples()}

    def entry(variant: str, key: str) -> Entry:
        row = by[variant, key]
        said = f"{interval(row.low_adjusted, row.high_adjusted)} p {p_value(row.p_adjusted)} {row.verdict}"
        return Entry(number(row.mean, sign=True), row.why or said, row.verdict == BETTER)

    shown = [variant for variant in study.variants if variant in set(rows["variant"])]
    lines = {variant: [entry(variant, measure.key) for measure in PRIMARY] for variant in shown}
    drawn = " and ".join(DRAWN[basis] for basis in rows["basis"].unique() if basis in DRAWN)
    caption = (
        f"{task.upper()}: {last.upper()} minus {earlier.upper()}, {count(int(rows['n'].max()), 'test example')}, "
        f"{extent(rows['seeds'])} seeds. In brackets the {100 * LEVEL:.0f} % interval {drawn}."
    )
    return studio.table(caption, [measure.heading for measure in PRIMARY], lines)
