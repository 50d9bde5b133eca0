"""One stage on one task as a section: scores, differences to the reference, confusion and ROC."""

from __future__ import annotations

import numpy as np

from ordinal_blast.evaluation import metrics
from ordinal_blast.report import (
    by_stratum,
    figures,
    holdouts,
    pairing,
    probability_blocks,
    published,
    resampling,
    twice,
)
from ordinal_blast.report.blocks import Block, Details, Entry, Gallery, Line, Part, Section, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import MISSING, count, extent, interval, listed, number, p_value
from ordinal_blast.report.measures import Measure, baseline, best_of, differences, over_seeds, primary, secondary
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.rankings import Comparison, Ranking, boundary, compare, same_examples, thresholds, units
from ordinal_blast.report.results import Group


def group_section(study: Study, group: Group, studio: Studio) -> Section:
    """Everything about one stage on one task."""
    blocks: list[Block] = [scores_table(group, primary(group), studio)]
    if more := secondary(group):
        blocks.append(Details("More measures", [scores_table(group, more, studio)]))
    blocks += published.blocks(group, studio)
    blocks += _differences(study, group, studio)
    blocks += resampling.blocks(group, study.reference, studio)
    blocks += holdouts.blocks(study, group, studio)
    blocks.append(_confusions(study, group, studio))
    blocks += _ranking(study, group, studio)
    blocks += probability_blocks.blocks(study, group, studio)
    blocks += twice.blocks(study, group, studio)
    blocks += by_stratum.blocks(study, group, studio)
    return Section(studio.anchor(f"{group.stage}-{group.task}"), group.title, blocks)


def _ranking(study: Study, group: Group, studio: Studio) -> list[Block]:
    title, rankings = "Ranking of grades", thresholds(group)
    if not rankings:
        reason = "No ROC: cells were tested on different examples, or no boundary has two examples or patients a side."
        return [Part(title, [Text(reason)])]
    blocks = ranking_blocks(study, rankings, f"roc-{group.stage}-{group.task}", studio, title)
    edges = [boundary(group, grade) for grade in group.grades[:-1]]
    if left := [edge for edge in edges if edge not in [ranking.name for ranking in rankings]]:
        blocks.append(Text(f"No ROC of {listed(left)}: fewer than two test examples or patients on one side."))
    return blocks


def scores_table(group: Group, shown: list[Measure], studio: Studio) -> Table:
    """Mean ± s.d. over seeds per variant, and the majority class for comparison."""
    tables = {measure: over_seeds(group, measure) for measure in shown}
    best = {measure: best_of(group, measure) for measure in shown}

    def entry(measure: Measure, variant: str) -> Entry:
        line = tables[measure].loc[variant]
        spread = f"± {number(line['sd'])}" if line["seeds"] > 1 else ""
        return Entry(number(line["mean"]), spread, variant in best[measure] and len(group.variants) > 1)

    trivial = baseline(group)
    entries = [Entry(number(trivial.values.get(measure.key, float("nan")))) for measure in shown]
    always = Line(f"always {trivial.grade} (commonest in {trivial.split})", entries, aside=True)
    caption = _caption(group, undefined=any(table["mean"].isna().any() for table in tables.values()))
    lines = {variant: [entry(measure, variant) for measure in shown] for variant in group.variants}
    return studio.table(caption, [measure.heading for measure in shown], lines, always)


def _caption(group: Group, undefined: bool) -> str:
    seeds = [len(finished) for finished in group.seeds.values()]
    varies = "the same for every seed" if same_examples(group) else "others for each seed"
    spread = f"mean ± s.d. over {extent(seeds)} seeds, test examples {varies}" if max(seeds) > 1 else "one seed"
    short = pairing.fewer(dict(zip(group.variants, seeds, strict=True)), group.planned, "finished")
    over = f" over the {count(len(group.common), 'seed')} that all finished"
    if not group.common:
        marked = "No seed was finished by all variants: none is marked as the best."
    else:
        marked = f"Bold: best of its column{over if short else ''}."
    return (
        f"{group.title}, {' < '.join(group.grades)}; {extent(group.rows['n'])} test examples; {spread}.{short} "
        f"{marked}{f' {MISSING} where a measure is undefined with one of the seeds.' if undefined else ''}"
    )


def _differences(study: Study, group: Group, studio: Studio) -> list[Block]:
    pairs = {measure: gaps for measure in primary(group) if (gaps := differences(group, study.reference, measure))}
    if not pairs:
        return []
    pictures = [
        studio.picture(
            f"difference-{group.stage}-{group.task}-{measure.key}",
            figures.forest(gaps, studio.looks, study.reference),
            f"{group.title}, {measure.label} minus that of {study.reference}: "
            + "; ".join(f"{gap.variant} {number(gap.mean, sign=True)} {gap.interval}" for gap in gaps),
        )
        for measure, gaps in pairs.items()
    ]
    rivals = [variant for variant in group.variants if variant != study.reference]
    by_variant = {v: [next((gap for gap in gaps if gap.variant == v), None) for gaps in pairs.values()] for v in rivals}
    rests_on = {v: min(len(gap.values) if gap else 0 for gap in gaps) for v, gaps in by_variant.items()}
    seeds = extent(len(gap.values) for gaps in pairs.values() for gap in gaps)
    if seeds == "1":
        note = bracketed = "One seed: no interval is possible."
    else:
        bracketed = "In brackets the 95 % t interval over seeds, bold where it excludes zero."
        note = "Large mark: mean, filled where the 95 % t interval (line) excludes zero. Small dots: single seeds."
    caption = f"Variant minus {study.reference}, paired by seed ({seeds} {'seed' if seeds == '1' else 'seeds'})."
    caption += pairing.fewer(rests_on, group.planned)
    lines = {
        v: [
            Entry(number(gap.mean, sign=True), gap.interval, gap.excludes_zero) if gap else Entry(MISSING)
            for gap in gaps
        ]
        for v, gaps in by_variant.items()
        if any(gaps)
    }
    table = studio.table(f"{caption} {bracketed}", [measure.heading for measure in pairs], lines)
    return [Part(f"Difference to {study.reference}", [Gallery(f"{caption} {note}", pictures, "wide"), table])]


def _confusions(study: Study, group: Group, studio: Studio) -> Part:
    pictures = []
    shown = _foremost(study, group)
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
    caption = "Share of each true grade (row) that is given each grade (column); below it the count, summed over seeds."
    if len(shown) < len(group.variants):
        caption += " Of many variants, the reference and the best of each measure are shown."
    return Part("Confusion", [Gallery(caption, pictures, "small" if len(group.grades) < 4 else "medium")])


def _foremost(study: Study, group: Group) -> list[str]:
    """All variants; of more than eight, the reference and those with the best mean of a primary measure."""
    if len(group.variants) <= 8:
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


def ranking_blocks(study: Study, rankings: list[Ranking], name: str, studio: Studio, title: str) -> list[Block]:
    """ROC figures and the table of areas with DeLong's test."""
    compared = {ranking.name: compare(ranking, study.reference) for ranking in rankings}
    pictures = [
        studio.picture(
            f"{name}-{position}",
            figures.curves(ranking, studio.looks, study.reference),
            f"ROC of {ranking.name}. AUC: "
            + "; ".join(f"{one.variant} {number(one.auc)}" for one in compared[ranking.name]),
        )
        for position, ranking in enumerate(rankings)
    ]
    tables = [_areas(study, ranking, compared[ranking.name], studio) for ranking in rankings]
    caption = (
        "ROC of the log odds of the expected grade, averaged over the seeds that variant and "
        f"{study.reference} both finished."
    )
    return [Part(title, [Gallery(caption, pictures, "wide" if len(pictures) < 3 else "medium"), *tables])]


def _areas(study: Study, ranking: Ranking, compared: list[Comparison], studio: Studio) -> Table:
    alike = len({one.seeds for one in compared}) == 1  # a mean over more seeds ranks better
    best = max(one.auc for one in compared) if alike and len(compared) > 1 else None

    def against(one: Comparison) -> list[Entry]:
        if one.variant == study.reference:
            return [Entry("reference"), Entry(MISSING), Entry(MISSING)]
        limits = "" if one.degenerate else interval(one.low, one.high)  # the column of p says why there are none
        p = Entry(one.degenerate or p_value(one.p))
        return [Entry(number(one.difference, sign=True), limits), p, Entry(p_value(one.p_holm))]

    lines = {one.variant: [Entry(number(one.auc), best=one.auc == best), *against(one)] for one in compared}
    form = "" if ranking.clusters is None else f", for {units(ranking.clusters)} (Obuchowski 1997)"
    caption = (
        f"{ranking.name}: {ranking.labels.sum()} of {count(len(ranking.labels), 'test example')} positive. DeLong’s "
        f"test against {study.reference} on scores averaged over the seeds that both finished{form}; Holm over the "
        "variants of this table."
    )
    if study.reference in ranking.scores:
        rivals = [one.variant for one in compared if one.variant != study.reference]
        shared = {variant: len(pairing.common(ranking.scores, variant, study.reference)) for variant in rivals}
        caption += pairing.fewer(shared, ranking.planned)
    return studio.table(caption, ["AUC ↑", f"Minus {study.reference}", "DeLong p", "Holm p"], lines)
