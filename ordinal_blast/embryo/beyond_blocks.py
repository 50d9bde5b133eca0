"""What the paper could not show: accuracy without B, and where the truth is known, the best possible grader."""

from __future__ import annotations

import pandas as pd

from ordinal_blast.embryo import paper
from ordinal_blast.report import extremes, truths
from ordinal_blast.report.blocks import Block, Entry, Line, Part, Section, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import MISSING, extent, interval, number, p_value
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.results import Group

_EXTREMES = {
    extremes.CONFUSED: "A for C, or C for A",
    extremes.CHOSEN: "A or C, the likelier",
    extremes.BOTH: "A or C, where graded so",
}
_AT_LABELS = {
    truths.ACCURACY: "Network",
    truths.OF_TRUTH: "The true grade",
    truths.BEST: "Best grader",
    truths.ROOM: "Best grader − network",
    truths.ANNOTATOR: "Annotator’s share of disagreement",
}
_AT_TRUTH = {
    truths.AT_TRUTH: "Network, accuracy at the truth",
    truths.GAIN: "Network − annotator",
    truths.RANK: "Network, correlation with quality",
    truths.OWN_RANK: "Annotator, correlation",
    truths.RANK_GAIN: "Network − annotator ",
}
WITHOUT_B = (
    "“A for C, or C for A”: of all test embryos, the share that is annotated A and graded C or the reverse (table 5 of "
    "the paper). One minus that is what the paper sets beside the accuracy of Khosravi et al., who leave fair embryos "
    "out, though embryos annotated B count in it. With B left out: of those annotated A or C, the share where the "
    "network holds the right one for likelier than the other, whatever it thinks of B; and of those among them that it "
    "grades A or C, the share that is right. Intervals of 95 % are over new embryos (or their treatments) and seeds."
)
TRUTH = (
    "The simulator knows the latent quality of every embryo, and its true grade, the grade of that quality. The best "
    "grader sees the quality itself and cuts it where that agrees with most annotations of the training set: no "
    "picture can tell more. Of the embryos where a network and the annotation differ, the annotator’s share are those "
    "where the network has the true grade. Correlations are Spearman’s, of a network’s score or of the annotation with "
    "the quality. Intervals of 95 % and p are of one number, not adjusted, over new embryos (or their treatments) and, "
    "where a network is in it, new seeds."
)


def confusions(study: Study, studio: Studio) -> list[Section]:
    """The section on confusions by two grades and on accuracy with B left out; none for other tasks."""
    groups = [group for group in study.groups() if group.task in paper.TASKS and group.grades == ("C", "B", "A")]
    parts: list[Block] = [_extremes(study, group, studio) for group in groups if len(group.within(study.extremes))]
    return [Section(studio.anchor("extremes"), "A and C", [Text(WITHOUT_B), *parts])] if parts else []


def _extremes(study: Study, group: Group, studio: Studio) -> Part:
    rows = group.within(study.extremes)
    said = paper.CONFUSED[group.task]
    entries = [Entry(f"{said:.1%}"), Entry(f"{paper.KHOSRAVI:.1%}", "Khosravi et al. 2019"), Entry(MISSING)]
    table = _table(rows, _EXTREMES, "Of test embryos", studio, percent=True)
    lines = [*table.lines, Line("paper, RNN", entries, aside=True)]
    return Part(group.title, [Table(table.caption, table.header, lines)])


def truth(study: Study, studio: Studio) -> list[Section]:
    """The section on the best possible grader and on latent quality; none where the data do not know it."""
    parts: list[Block] = []
    for group in study.groups():
        rows = group.within(study.truths)
        kinds = set(rows["quantity"])
        tables = [
            _table(rows, {name: title for name, title in titles.items() if name in kinds}, caption, studio)
            for titles, caption in ((_AT_LABELS, "At the annotations"), (_AT_TRUTH, "At the truth"))
            if kinds & {*titles}
        ]
        parts += [Part(group.title, tables)] if tables else []
    return [Section(studio.anchor("truth"), "What the paper could not show", [Text(TRUTH), *parts])] if parts else []


def _table(rows: pd.DataFrame, titles: dict[str, str], caption: str, studio: Studio, *, percent: bool = False) -> Table:
    by = {(row.variant, row.quantity): row for row in rows.itertuples()}

    def entry(variant: str, quantity: str) -> Entry:
        row = by.get((variant, quantity))
        if row is None:
            return Entry(MISSING)
        difference = row.p == row.p
        value = f"{row.mean:.1%}" if percent else number(row.mean, sign=difference)
        if row.why:
            return Entry(value, row.why)
        ends = f"[{row.low:.1%}, {row.high:.1%}]" if percent else interval(row.low, row.high, sign=difference)
        return Entry(value, f"{ends} p {p_value(row.p)}" if difference else ends)

    variants = dict.fromkeys(rows["variant"])
    lines = {variant: [entry(variant, quantity) for quantity in titles] for variant in variants}
    shown = rows[rows["quantity"].isin([*titles])]
    whole = f"{caption}: {extent(shown['n'])} embryos, {extent(shown['seeds'])} seeds."
    return studio.table(whole, list(titles.values()), lines)
