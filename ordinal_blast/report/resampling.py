"""What another test set would have changed: scores and differences on resampled test examples, with models fixed."""

from __future__ import annotations

import dataclasses

import numpy as np

from ordinal_blast.evaluation import bootstrap
from ordinal_blast.report.blocks import Block, Entry, Line, Part, Table
from ordinal_blast.report.formats import count, interval, number
from ordinal_blast.report.measures import LEVEL, PRIMARY, Measure, present
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.rankings import by_id, clusters_of, same_examples
from ordinal_blast.report.results import Group

RESAMPLES = 2000
SEED = 0


@dataclasses.dataclass(frozen=True)
class OverExamples:
    """A measure of one variant, or its difference to the reference, with its bootstrap interval over test examples."""

    variant: str
    measure: Measure
    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval leaves zero outside."""
        return self.low > 0 or self.high < 0


def over_examples(group: Group, reference: str, measures: list[Measure]) -> list[OverExamples]:
    """The reference's scores, then every other variant minus the reference; means over the seeds that finished.

    Examples are drawn within each grade, or by whole patient or treatment where they share one. Empty where seeds were
    tested on different examples, or without the reference.
    """
    if reference not in group.variants or not same_examples(group):
        return []
    labels = by_id(group.cells[0], group.model, group.task, "labels")[0]
    known = labels >= 0
    clusters = clusters_of(group, known)

    def drawn(variant: str) -> bootstrap.Resamples:
        cells = [cell for cell in group.cells if cell.variant == variant]
        grades = np.stack([by_id(cell, group.model, group.task, "grades")[0][known] for cell in cells])
        k = len(group.grades)
        return bootstrap.resample(labels[known], grades, k, seed=SEED, clusters=clusters, resamples=RESAMPLES)

    base = drawn(reference)
    found = []
    for variant in (reference, *(variant for variant in group.variants if variant != reference)):
        other = None if variant == reference else drawn(variant)
        for measure in measures:
            value, values = base.estimates[measure.key], base.values[measure.key]
            if other:
                value, values = other.estimates[measure.key] - value, other.values[measure.key] - values
            low, high, _ = bootstrap.limits(values, LEVEL)
            found.append(OverExamples(variant, measure, value, low, high))
    return found


def blocks(group: Group, reference: str, studio: Studio) -> list[Block]:
    """The table of intervals over test examples, or nothing where there are none."""
    measures = present(group, PRIMARY)
    found = {(each.variant, each.measure): each for each in over_examples(group, reference, measures)}
    if not found:
        return []

    def entry(each: OverExamples) -> Entry:
        own = each.variant == reference
        shown = number(each.value, sign=not own), interval(each.low, each.high, sign=not own)
        return Entry(*shown, not own and each.excludes_zero)

    lines = [
        Line(variant, [entry(found[variant, measure]) for measure in measures], studio.mark(variant))
        for variant in dict.fromkeys(variant for variant, _ in found)
    ]
    known = by_id(group.cells[0], group.model, group.task, "labels")[0] >= 0
    clusters = clusters_of(group, known)
    drawn = (
        f"{count(int(known.sum()), 'test example')} drawn within each grade"
        if clusters is None
        else f"{count(int(clusters.max()) + 1, 'patient')} or treatments drawn whole"
    )
    caption = (
        f"The score of {reference}, and every other variant minus it, means over seeds. In brackets the 95 % bootstrap "
        f"interval over test examples ({RESAMPLES:,} times {drawn}), bold where a difference excludes zero. Models are "
        "fixed: it does not cover what another seed would have changed."
    )
    header = ["Variant", *(measure.heading for measure in measures)]
    return [Part("Had other examples been tested", [Table(caption, header, lines)])]
