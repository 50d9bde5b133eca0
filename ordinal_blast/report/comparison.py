"""One stage on one task: scores, differences to the reference, confusion and ROC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ordinal_blast.evaluation import metrics
from ordinal_blast.report import figures, inference, pairing, verdicts
from ordinal_blast.report.blocks import Block, Details, Entry, Gallery, Line, Part, Picture, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import MISSING, count, extent, interval, listed, number, p_value
from ordinal_blast.report.measures import LEVEL, Measure, baseline, best_of, over_seeds, primary, secondary
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.rankings import Ranking, boundary, thresholds, units
from ordinal_blast.report.results import Group
from ordinal_blast.report.verdicts import BETTER, Difference

DRAWN = {
    "seeds and examples": "over new seeds and new test examples",
    "examples": "over new test examples for these trained models: another seed is not covered",
    "hold-outs": "over new hold-outs of this data set (corrected t, Nadeau & Bengio 2003)",
}  # what an interval covers, by its basis
MARKS = (
    "Large mark: mean, filled where better or worse is established by its adjusted interval (line). Small dots: seeds."
)
WHY_NOT = {
    "seeds": "Seeds alone (t over seeds): of these test examples only, while others would change it.",
    "examples": "Test examples alone (jackknife): of these trained models only, while other seeds would change it.",
}


FOREMOST = " Of many variants, the reference and the best of each measure are shown."


def scores(study: Study, group: Group, studio: Studio) -> list[Block]:
    """The measures that are shown first, and the others folded."""
    first, more = scores_table(study, group, primary(group), studio), secondary(group)
    return [first, Details("More measures", _more(study, group, more, studio))] if more else [first]


def _more(study: Study, group: Group, measures: list[Measure], studio: Studio) -> list[Block]:
    gaps = {measure: verdicts.of_measure(study.differences, group, measure) for measure in measures}
    table = difference_table(study, group, {measure: those for measure, those in gaps.items() if those}, studio)
    return [scores_table(study, group, measures, studio), *([table] if table.lines else [])]


def ranking(study: Study, group: Group, studio: Studio) -> list[Block]:
    """ROC curves of every boundary between grades, and their areas."""
    title, rankings = "Ranking of grades", thresholds(group)
    if not rankings:
        reason = "No ROC: cells were tested on different examples, or no boundary has two examples or patients a side."
        return [Part(title, [Text(reason)])]
    frame = group.within(study.auc)
    blocks = ranking_blocks(study, rankings, frame, f"roc-{group.stage}-{group.task}", studio, title)
    edges = [boundary(group, grade) for grade in group.grades[:-1]]
    if left := [edge for edge in edges if edge not in [ranking.name for ranking in rankings]]:
        blocks.append(Text(f"No ROC of {listed(left)}: fewer than two test examples or patients on one side."))
    return blocks


def scores_table(study: Study, group: Group, shown: list[Measure], studio: Studio) -> Table:
    """Mean ± s.d. over seeds per variant, and the majority class for comparison."""
    tables = {measure: over_seeds(group, measure) for measure in shown}
    frame = study.differences
    better = {
        measure: {gap.variant for gap in verdicts.of_measure(frame, group, measure) if gap.verdict == BETTER}
        for measure in shown
    }

    def entry(measure: Measure, variant: str) -> Entry:
        line = tables[measure].loc[variant]
        spread = f"± {number(line['sd'])}" if line["seeds"] > 1 else ""
        return Entry(number(line["mean"]), spread, variant in better[measure])

    trivial = baseline(group)
    entries = [Entry(number(trivial.values.get(measure.key, float("nan")))) for measure in shown]
    always = Line(f"always {trivial.grade} (commonest in {trivial.split})", entries, aside=True)
    caption = _caption(study, group, undefined=any(table["mean"].isna().any() for table in tables.values()))
    lines = {variant: [entry(measure, variant) for measure in shown] for variant in group.variants}
    return studio.table(caption, [measure.heading for measure in shown], lines, always)


def _caption(study: Study, group: Group, undefined: bool) -> str:
    seeds = [len(finished) for finished in group.seeds.values()]
    varies = "the same for every seed" if group.same_examples else "others for each seed"
    spread = f"mean ± s.d. over {extent(seeds)} seeds, test examples {varies}" if max(seeds) > 1 else "one seed"
    short = pairing.fewer(dict(zip(group.variants, seeds, strict=True)), group.planned, "finished")
    marked = f" {bold(study.reference)}" if len(group.variants) > 1 else ""
    return (
        f"{group.title}, {' < '.join(group.grades)}; {extent(group.rows['n'])} test examples; {spread}.{short}{marked}"
        f"{f' {MISSING} where a measure is undefined with one of the seeds.' if undefined else ''}"
    )


def bold(reference: str) -> str:
    """The one rule by which a table sets a number in bold, as a sentence."""
    return f"Bold: better than {reference} by the adjusted interval, and nothing else."


def covered(rows: pd.DataFrame) -> str:
    """What the intervals of these rows of `differences` cover and are adjusted for, as words; empty without any."""
    rows = rows[rows["verdict"].ne("") & rows["low_adjusted"].notna()]
    drawn = [DRAWN[basis] for basis in rows["basis"].unique()]
    families = sorted(set(rows["comparisons"]))
    if not drawn:
        return ""
    adjusted = f"adjusted for {extent(families)} comparisons" if families[-1] > 1 else "one comparison, so not adjusted"
    return f"{listed(drawn)}, {adjusted}"


def difference_table(study: Study, group: Group, gaps: dict[Measure, list[Difference]], studio: Studio) -> Table:
    """Every rival minus the reference with its adjusted interval and verdict."""
    rivals = [variant for variant in group.variants if variant != study.reference]
    by_variant = {
        v: [next((gap for gap in those if gap.variant == v), None) for those in gaps.values()] for v in rivals
    }
    lines = {
        variant: [
            Entry(number(gap.mean, sign=True), gap.interval, gap.verdict == BETTER) if gap else Entry(MISSING)
            for gap in row
        ]
        for variant, row in by_variant.items()
        if any(row)
    }
    header = [measure.heading for measure in gaps]
    return studio.table(
        _about(study, group, gaps), header, lines, place=difference_place(group, next(iter(gaps), None))
    )


def difference_place(group: Group, measure: Measure | None) -> tuple[str, ...]:
    """What names the table of differences that shows this measure, for sentences that rest on its rows."""
    return "differences" if measure in primary(group) else "more differences", group.stage, group.task


def _about(study: Study, group: Group, gaps: dict[Measure, list[Difference]]) -> str:
    """What differences are paired by, and what their intervals cover."""
    frame = group.within(study.differences)
    rows = frame[frame["measure"].isin([measure.key for measure in gaps])]
    shared = {variant: int(rows.loc[rows["variant"] == variant, "seeds"].min()) for variant in rows["variant"].unique()}
    counted = extent(shared.values())
    paired = f"Variant minus {study.reference}, paired by seed ({counted} {'seed' if counted == '1' else 'seeds'})."
    rivals = {v: shared.get(v, 0) for v in group.variants if v != study.reference}
    cover = covered(rows)
    adjusted = f" In brackets the {100 * LEVEL:.0f} % interval {cover}. {bold(study.reference)}" if cover else ""
    alone = [measure.label for measure, those in gaps.items() if any(gap.why == inference.SEEDS_ALONE for gap in those)]
    seeds = f" Of {listed(alone)} no standard error over test examples is known." if alone else ""
    return f"{paired}{pairing.fewer(rivals, group.planned)}{adjusted}{seeds}"


def differences(study: Study, group: Group, studio: Studio) -> list[Block]:
    """Every difference with its verdict, figures of those that the answer does not show, and other views folded."""
    frame = study.differences
    gaps = {measure: those for measure in primary(group) if (those := verdicts.of_measure(frame, group, measure))}
    if not gaps:
        return []
    shown = {measure for measure in gaps if not verdicts.is_primary(study, group, measure)}  # the answer has the others
    pictures = [difference_picture(study, group, those, studio) for measure, those in gaps.items() if measure in shown]
    table = difference_table(study, group, gaps, studio)
    views = Details("Other views, which are no verdict", _views(study, group, studio))
    gallery = [Gallery(f"Difference to {study.reference}. {MARKS}", pictures, "wide")] if pictures else []
    return [Part(f"Difference to {study.reference}", [table, *gallery, views])]


def named(study: Study, group: Group, measure: Measure) -> str:
    """A measure by its label, with the task where there are several."""
    return f"{measure.label} of {group.task.upper()}" if len(study.tasks(group.stage)) > 1 else measure.label


def difference_picture(study: Study, group: Group, gaps: list[Difference], studio: Studio) -> Picture:
    """The forest plot of one measure."""
    measure = gaps[0].measure
    region = study.equivalence if verdicts.is_primary(study, group, measure) else None
    return studio.picture(
        f"difference-{group.stage}-{group.task}-{measure.key}",
        figures.forest(
            gaps,
            studio.looks,
            study.reference,
            named(study, group, measure),
            subject=study.subject,
            equivalence=region,
        ),
        f"{group.title}, {measure.label} minus that of {study.reference}: "
        + "; ".join(f"{gap.variant} {number(gap.mean, sign=True)} {gap.interval}" for gap in gaps),
    )


def _views(study: Study, group: Group, studio: Studio) -> list[Block]:
    """The same differences seen otherwise, and why none of these is the verdict."""
    measures = primary(group)
    frame = group.within(study.differences)
    frame = frame[frame["measure"].isin([measure.key for measure in measures])]
    bases = frame.loc[frame["low"].notna(), "basis"].unique()
    drawn = "".join(f" {DRAWN[basis][0].upper()}{DRAWN[basis][1:]}." for basis in bases if basis in DRAWN)
    single = f"Each difference by itself, with its {100 * LEVEL:.0f} % interval.{drawn}"
    blocks: list[Block] = [
        _view(f"{single} Not adjusted: of several such some exclude 0 by chance alone.", frame, measures, studio)
    ]
    diagnostics = group.within(study.diagnostics)
    for view, why in WHY_NOT.items():
        if len(rows := diagnostics[diagnostics["view"] == view]):
            blocks.append(_view(f"{why} Not adjusted.", rows, measures, studio))
    return blocks


def _view(caption: str, rows: pd.DataFrame, measures: list[Measure], studio: Studio) -> Table:
    places = {(row.variant, row.measure): row for row in rows.itertuples()}
    lines = {
        variant: [
            Entry(number(row.mean, sign=True), interval(row.low, row.high))
            if (row := places.get((variant, measure.key)))
            else Entry(MISSING)
            for measure in measures
        ]
        for variant in dict.fromkeys(rows["variant"])
    }
    return studio.table(caption, [measure.heading for measure in measures], lines)


def confusions(study: Study, group: Group, studio: Studio) -> list[Block]:
    """Which grade is taken for which."""
    pictures = []
    shown = foremost(study, group, 8)
    for variant in shown:
        counts = _counts(group, variant)
        recalls = np.diagonal(counts) / np.maximum(counts.sum(axis=1), 1)
        pictures.append(
            studio.picture(
                f"confusion-{group.stage}-{group.task}-{studio.number(variant)}",
                figures.confusion(counts, group.grades, studio.looks[variant]),
                f"Confusion of {variant}: share found "
                + ", ".join(f"{grade} {share:.0%}" for grade, share in zip(group.grades, recalls, strict=True)),
            )
        )
    words = len(group.grades) <= figures.MOST_WORDS
    caption = "Share of each true grade (row) that is given each grade (column), over seeds"
    caption += (
        "; below it the count." if words else ": the darker, the more. The CSV beside each figure has the counts."
    )
    if len(shown) < len(group.variants):
        caption += FOREMOST
    return [Part("Confusion", [Gallery(caption, pictures, "small" if len(group.grades) < 4 else "medium")])]


def foremost(study: Study, group: Group, most: int) -> list[str]:
    """All variants; of more than `most`, the reference and those with the best mean of a primary measure."""
    if len(group.variants) <= most:
        return list(group.variants)
    best = {variant for measure in primary(group) for variant in best_of(group, measure)}
    return [variant for variant in group.variants if variant == study.reference or variant in best]


def _counts(group: Group, variant: str) -> np.ndarray:
    total = np.zeros((len(group.grades),) * 2, dtype=np.int64)
    for cell in group.cells:
        if cell.variant == variant:
            result = group.of(cell)
            kept = result.labels >= 0
            total += metrics.confusion(result.labels[kept], result.grades[kept], len(group.grades))
    return total


def ranking_blocks(
    study: Study, rankings: list[Ranking], areas: pd.DataFrame, name: str, studio: Studio, title: str
) -> list[Block]:
    """ROC figures and the tables of areas, whose rows are those of `Study.auc`."""
    pictures, tables = [], []
    for position, ranking in enumerate(rankings):
        rows = areas[areas["question"] == ranking.name]
        of = dict(zip(rows["variant"], rows["auc"], strict=True))
        alt = f"ROC of {ranking.name}. AUC: " + "; ".join(f"{variant} {number(area)}" for variant, area in of.items())
        shown = {variant: of[variant] for variant in of if variant in _largest(of, study.reference)}
        pictures.append(studio.picture(f"{name}-{position}", figures.curves(ranking, shown, studio.looks), alt))
        tables.append(_areas(study, ranking, rows, studio))
    caption = "ROC of the log odds of the expected grade: mean of the curves of a variant’s seeds, with the mean area."
    if areas["variant"].nunique() > figures.MOST_CURVES:
        caption += " Of many variants, the reference and those of the largest areas are drawn."
    return [Part(title, [Gallery(caption, pictures, "wide" if len(pictures) < 3 else "medium"), *tables])]


def _largest(areas: Mapping[str, float], reference: str) -> list[str]:
    """The reference, and as many variants of the largest areas as a figure shows with it."""
    rivals = [variant for variant in areas if variant != reference]
    return [reference, *sorted(rivals, key=lambda variant: -areas[variant])[: figures.MOST_CURVES - 1]]


def _areas(study: Study, ranking: Ranking, rows: pd.DataFrame, studio: Studio) -> Table:
    def entries(row: Any) -> list[Entry]:
        own = Entry(number(row.auc), interval(row.auc_low, row.auc_high, sign=False), row.verdict == BETTER)
        if row.why:
            return [own, Entry(number(row.mean, sign=True), row.why), Entry(MISSING), Entry(MISSING)]
        gap = Entry(number(row.mean, sign=True), f"{interval(row.low_adjusted, row.high_adjusted)} {row.verdict}")
        return [own, gap, Entry(p_value(row.p)), Entry(p_value(row.p_adjusted))]

    shared = {row.variant: row.seeds if row.basis else 0 for row in rows.itertuples() if row.variant != study.reference}
    cover = covered(rows)
    whose = "" if ranking.clusters is None else f" of {units(ranking.clusters)}"
    caption = (
        f"{ranking.name}: {ranking.labels.sum()} of {count(len(ranking.labels), 'test example')}{whose} positive. Area "
        f"under the curve, mean over seeds, with its own interval; its difference to {study.reference} over the seeds "
        f"that both finished{f', {cover}. {bold(study.reference)}' if cover else '.'}"
        f"{pairing.fewer(shared, ranking.planned)}"
    )
    return studio.table(
        caption,
        ["AUC ↑", f"Minus {study.reference}", "p", "Adjusted p"],
        {r.variant: entries(r) for r in rows.itertuples()},
    )
