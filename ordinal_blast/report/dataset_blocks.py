"""Several data sets, on the page: what may be said of data sets in general, and what describes these alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ordinal_blast.report import chance_blocks, diagrams, family_tables
from ordinal_blast.report.blocks import Block, Entry, Gallery, Line, Section, Table, Text
from ordinal_blast.report.datasets import LEVEL, Together
from ordinal_blast.report.formats import MISSING, count, interval, listed, number, p_value, quoted
from ordinal_blast.report.measures import Measure
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.rank_blocks import ranks_table
from ordinal_blast.report.ranks import declared
from ordinal_blast.report.verdicts import BETTER, CANNOT_TELL, WORSE


def facts(together: Together) -> list[tuple[str, str]]:
    """What a reader wants to know first, as (name, value)."""
    return [("Variants", str(len(together.variants))), ("Data sets", str(len(together.groups)))]


def sections(together: Together, studio: Studio) -> list[Section]:
    """What is supported, the scores, what each data set supports alone, ranks, and chances."""
    study, measures = together.studies[0], list(together.measures)
    parts = {
        "Answer": [Text(lead(together)), *(_scores(together, measure, studio) for measure in asked(together))],
        "By data set": [_alone(together, m, studio) for m in asked(together)],
        "Ranks": _ranks(together, studio),
        "Chances": chance_blocks.blocks(together.posterior, measures, study, studio, "datasets"),
    }
    return [Section(studio.anchor(title), title, blocks) for title, blocks in parts.items() if blocks]


def asked(together: Together) -> list[Measure]:
    """The primary measures, or the first one where none of them is defined everywhere."""
    measures = list(together.measures)
    return [m for m in measures if declared(together.studies[0], m.key)] or measures[:1]


def lead(together: Together) -> str:
    """What the result across data sets supports: nothing is tested below five."""
    datasets = count(len(together.groups), "data set")
    if together.refusal:
        return (
            f"{together.refusal} What each data set supports stands in its own chapter and by data set below; means "
            f"and ranks describe these {datasets} and no others.{together.left_out}"
        )
    sentences = [_claim(together, measure) for measure in asked(together)]
    return f"Across {datasets}, one row each: {' '.join(sentences)}{together.left_out}"


def _claim(together: Together, measure: Measure) -> str:
    frame = together.differences
    frame = frame[frame["measure"] == measure.key]
    reference = quoted(together.reference)
    claims = []
    for verdict in (BETTER, WORSE):
        named = [quoted(variant) for variant in frame.loc[frame["verdict"] == verdict, "variant"]]
        if named:
            claims.append(f"{listed(named)} {'is' if len(named) == 1 else 'are'} {verdict} than {reference}")
    comparisons = int(frame["comparisons"].iloc[0])
    rest = "for the others no difference is established" if claims else "no difference is established"
    said = "; ".join([*claims, *([rest] if (frame["verdict"] == CANNOT_TELL).any() else [])])
    least = min(1.0, comparisons * 2 / 2 ** len(together.groups))
    limit = f", and no p below {p_value(least)} is possible with so few" if least >= LEVEL else ""
    return f"by {measure.label}, {said} (Wilcoxon’s exact test, Holm over {count(comparisons, 'difference')}{limit})."


def _scores(together: Together, measure: Measure, studio: Studio) -> Table:
    scores, ranks = together.scores, together.ranks
    scores = scores[scores["measure"] == measure.key].set_index(["variant", "dataset"])["mean"]
    ranks = ranks[ranks["measure"] == measure.key].set_index("variant")["mean_rank"]
    columns = list(together.groups)

    def mean(variants: Sequence[str]) -> list[Entry]:
        means = [float(np.mean([scores[variant, dataset] for variant in variants])) for dataset in columns]
        return [*(Entry(number(value)) for value in means), Entry(number(float(ranks[list(variants)].mean()), 2))]

    caption = f"{measure.heading}: mean over the seeds or hold-outs that all variants finished, and the mean rank."
    lines = {variant: mean([variant]) for variant in together.variants}
    return family_tables.table(studio, caption, [*columns, "Mean rank"], lines, together.studies[0].families, mean)


def _alone(together: Together, measure: Measure, studio: Studio) -> Table:
    """The differences within every data set, as its own chapter says them."""
    columns, cells = [], {}
    for study in filter(lambda one: one.cells, together.studies):
        frame = study.differences
        frame = frame[(frame["measure"] == measure.key) & (frame["stage"] == study.stages[-1])]
        for task, rows in frame.groupby("task", observed=True, sort=False):
            name = study.cells[0].record.dataset["name"]
            column = f"{name} · {task}" if len(study.tasks(study.stages[-1])) > 1 else name
            columns.append(column)
            cells |= {(row.variant, column): row for row in rows.itertuples()}

    def entry(variant: str, column: str) -> Entry:
        row = cells.get((variant, column))
        if row is None:
            return Entry(MISSING)
        limits = row.why or f"{interval(row.low_adjusted, row.high_adjusted)} {row.verdict}"
        return Entry(number(row.mean, sign=True), limits, row.verdict in (BETTER, WORSE))

    def mean(variants: Sequence[str]) -> list[Entry]:
        rows = [[cells[v, column].mean for v in variants if (v, column) in cells] for column in columns]
        return [Entry(number(float(np.mean(values)), sign=True) if values else MISSING) for values in rows]

    caption = (
        f"{measure.heading}, variant minus {together.reference} within each data set: the difference with its adjusted "
        "95 % interval and verdict, from the data set’s own chapter; bold where the interval excludes zero."
    )
    lines = {variant: [entry(variant, column) for column in columns] for variant in together.rivals}
    return family_tables.table(studio, caption, columns, lines, together.studies[0].families, mean)


def _ranks(together: Together, studio: Studio) -> list[Block]:
    if len(together.variants) < 3:
        return []
    measures, tests = list(together.measures), together.tests
    critical = dict(zip(tests["measure"], tests["critical_difference"], strict=True)) if len(tests) else {}
    pictures = []
    for measure in asked(together):
        frame = together.ranks
        rows = frame[frame["measure"] == measure.key]
        ranks = dict(zip(rows["variant"], rows["mean_rank"], strict=True))
        distance = critical.get(measure.key, math.nan)
        reach = "" if math.isnan(distance) else f", critical difference {number(distance, 2)}"
        pictures.append(
            studio.picture(
                f"ranks-{measure.key}",
                diagrams.critical_difference(ranks, distance, studio.looks, measure.label),
                f"Mean ranks by {measure.label}{reach}: "
                + "; ".join(f"{variant} {number(rank, 2)}" for variant, rank in ranks.items()),
            )
        )
    datasets = count(len(together.groups), "data set")
    bars = "A bar joins variants whose mean ranks differ by less than Nemenyi’s critical difference (Demšar 2006):"
    said = (
        "A description: no test, so no bars."
        if together.refusal
        else f"{bars} none unless Friedman’s test rejects; what is better than the reference is said above."
    )
    caption = f"Mean rank over {datasets}, 1 the best."
    blocks: list[Block] = [
        Gallery(f"Mean ranks over {datasets}, best on top. {said}", pictures, "wide"),
        ranks_table(together.ranks, measures, together.studies[0], studio, caption),
    ]
    return [*blocks, _tests(together)] if len(tests) else blocks


def _tests(together: Together) -> Table:
    labels = {measure.key: measure.label for measure in together.measures}
    lines = [
        Line(
            labels[row.measure],
            [
                Entry(number(row.chi_squared, 1)),
                Entry(number(row.f, 1)),
                Entry(f"{row.df1}, {row.df2}"),
                Entry(p_value(row.p), f"from {'permutations' if row.p_from == 'permutations' else 'F'}"),
                Entry(number(row.critical_difference, 2)),
            ],
        )
        for row in together.tests.itertuples()
    ]
    return Table(
        "Friedman’s test that all variants rank alike, by the F of Iman and Davenport, or by permutations within data "
        f"sets where these are ten or fewer; Nemenyi’s critical difference at {LEVEL:.0%} where it rejects.",
        ["Measure", "χ²", "F", "Degrees of freedom", "p", "Critical difference"],
        lines,
    )
