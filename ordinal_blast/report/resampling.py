"""What other test examples would have changed: scores and differences on resampled test sets, with models fixed."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from ordinal_blast.evaluation import bootstrap
from ordinal_blast.evaluation.rounding import difference
from ordinal_blast.report import pairing
from ordinal_blast.report.blocks import Block, Entry, Part
from ordinal_blast.report.formats import count, interval, number
from ordinal_blast.report.measures import LEVEL, PRIMARY, Measure, present
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.rankings import patients_of, same_examples, units
from ordinal_blast.report.results import Group

RESAMPLES = 2000
SEED = 0


@dataclasses.dataclass(frozen=True)
class Spread:
    """A value with its bootstrap interval; `undefined` is the share of resamples where it does not exist."""

    value: float
    low: float
    high: float
    undefined: float


@dataclasses.dataclass(frozen=True)
class OverExamples:
    """The reference's scores, every other variant minus it, over seeds that both finished, and what was drawn.

    seeds: per other variant, how many seeds that is.
    """

    scores: dict[Measure, Spread]
    differences: dict[tuple[str, Measure], Spread]
    drawn: str
    seeds: dict[str, int]


def allowed(group: Group, reference: str) -> bool:
    """Whether test sets may be drawn: the reference finished, all seeds saw one test set, of two patients or more."""
    if reference not in group.variants or not same_examples(group):
        return False
    patients = patients_of(group)
    return (group.rows["n"].min() if patients is None else patients.max() + 1) > 1


def over_examples(group: Group, reference: str, measures: list[Measure]) -> OverExamples | None:
    """Intervals over test examples, drawn one by one or by whole patient or treatment where they share one.

    Not within grades: another test set has other shares of them too. None where it is not allowed.
    """
    if not allowed(group, reference):
        return None
    labels = group.of(group.cells[0]).labels
    known = labels >= 0
    patients = patients_of(group)
    clusters = np.arange(known.sum()) if patients is None else patients
    cells = {(cell.variant, cell.seed): cell for cell in group.cells}

    @functools.cache
    def resampled(variant: str, common: frozenset[int]) -> bootstrap.Resamples:
        grades = [group.of(cells[variant, seed]).grades[known] for seed in sorted(common)]
        k = len(group.grades)
        return bootstrap.resample(labels[known], np.stack(grades), k, seed=SEED, clusters=clusters, resamples=RESAMPLES)

    def spread(estimate: float, values: np.ndarray) -> Spread:
        return Spread(estimate, *bootstrap.limits(values, LEVEL))

    own = resampled(reference, frozenset(group.seeds[reference]))
    differences = {}
    shared = {variant: frozenset(pairing.common(group.seeds, variant, reference)) for variant in group.variants}
    for variant, common in shared.items():
        if variant != reference and common:
            a, b = resampled(variant, common), resampled(reference, common)
            for m in measures:
                gap = a.estimates[m.key] - b.estimates[m.key]
                differences[variant, m] = spread(gap, difference(a.values[m.key], b.values[m.key]))
    return OverExamples(
        {m: spread(own.estimates[m.key], own.values[m.key]) for m in measures},
        differences,
        count(len(clusters), "test example") if patients is None else f"{units(patients)}, whole",
        {variant: len(common) for variant, common in shared.items() if variant != reference},
    )


def blocks(group: Group, reference: str, studio: Studio) -> list[Block]:
    """The table of intervals over test examples, or nothing where there are none."""
    measures = present(group, PRIMARY)
    over = over_examples(group, reference, measures) if measures else None
    if not over:
        return []

    def entry(gap: Spread) -> Entry:
        return Entry(number(gap.value, sign=True), interval(gap.low, gap.high), gap.low > 0 or gap.high < 0)

    scores = (over.scores[measure] for measure in measures)
    lines = {reference: [Entry(number(one.value), interval(one.low, one.high, sign=False)) for one in scores]}
    for variant in dict.fromkeys(variant for variant, _ in over.differences):
        lines[variant] = [entry(over.differences[variant, measure]) for measure in measures]
    undefined = max(spread.undefined for spread in (*over.scores.values(), *over.differences.values()))
    omitted = f" Up to {undefined:.1%} of the draws, where a measure does not exist, are left out." if undefined else ""
    caption = (
        f"The score of {reference} over the seeds it finished, and every other variant minus it over those that both "
        f"did. In brackets the {100 * LEVEL:.0f} % bootstrap interval over test examples ({RESAMPLES:,} draws of "
        f"{over.drawn}), bold where a difference excludes zero. Models are fixed: another seed is not covered."
        f"{pairing.fewer(over.seeds, group.planned)}{omitted}"
    )
    table = studio.table(caption, [measure.heading for measure in measures], lines)
    return [Part("Had other examples been tested", [table])]
