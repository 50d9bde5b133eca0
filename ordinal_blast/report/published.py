"""Results that somebody published for the same study, beside those found here."""

from __future__ import annotations

import dataclasses

import numpy as np

from ordinal_blast.report.blocks import Block, Entry, Line, Part, Table
from ordinal_blast.report.formats import MISSING, extent, listed, number, quoted
from ordinal_blast.report.measures import PRIMARY, SECONDARY, Measure, over_seeds, present
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.results import Group

LIMIT = 2.0  # published standard deviations that a mean found here may be off


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One published mean and s.d. over seeds, and mean, s.d. and number of the seeds here."""

    variant: str
    measure: Measure
    mean: float
    sd: float
    own_mean: float
    own_sd: float
    own_seeds: int

    @property
    def distance(self) -> float:
        """Here minus published, in published standard deviations; infinite or NaN where those are 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.float64(self.own_mean - self.mean) / self.sd)

    @property
    def reached(self) -> bool:
        """Whether the mean found here exists and is within LIMIT of the published one, or better."""
        gap = (self.own_mean - self.mean) * (1 if self.measure.higher else -1)
        return bool(gap >= -LIMIT * self.sd)


def comparisons(group: Group) -> list[Comparison]:
    """Every published value of the group's variants, variants and measures in the order of the page."""
    values = _stored(group).get("values", {})
    asked = {key for each in values.values() for key in each}
    measures = [measure for measure in present(group, (*PRIMARY, *SECONDARY)) if measure.key in asked]
    tables = {measure: over_seeds(group, measure) for measure in measures}
    return [
        Comparison(
            variant,
            measure,
            *values[variant][measure.key],
            *map(float, tables[measure].loc[variant, ["mean", "sd"]]),
            int(tables[measure].loc[variant, "seeds"]),
        )
        for variant in group.variants
        for measure in measures
        if measure.key in values.get(variant, {})
    ]


def verdict(group: Group) -> list[str]:
    """At most one statement: how many published values are reached, which are not, and which were not tried."""
    found = comparisons(group)
    if not found:
        return []
    absent = [variant for variant in _stored(group)["values"] if variant not in group.variants]
    missed = [
        f"{quoted(each.variant)} on {each.measure.label} ({number(each.distance, 1, sign=True)} s.d.)"
        for each in found
        if not each.reached
    ]
    told = f" Not reached: {listed(missed)}." if missed else ""
    left = f" Published but not finished here: {listed([quoted(variant) for variant in absent])}." if absent else ""
    seeds = extent(each.own_seeds for each in found)
    return [
        f"{group.title}: {len(found) - len(missed)} of {len(found)} published means are reached by the mean of {seeds} "
        f"{'seed' if seeds == '1' else 'seeds'} here, to within {LIMIT:g} published s.d. of single seeds, or better."
        f"{told}{left}"
    ]


def blocks(group: Group, studio: Studio) -> list[Block]:
    """The table "Published and here", or nothing where nothing was published."""
    found = {(each.variant, each.measure): each for each in comparisons(group)}
    if not found:
        return []
    variants, measures = dict.fromkeys(variant for variant, _ in found), dict.fromkeys(measure for _, measure in found)

    def entries(each: Comparison | None) -> list[Entry]:
        if each is None:
            return [Entry(MISSING)] * 3
        spread = f"± {number(each.own_sd)}" if each.own_seeds > 1 else ""
        return [
            Entry(number(each.mean), f"± {number(each.sd)}"),
            Entry(number(each.own_mean), spread),
            Entry(number(each.distance, 1, sign=True), best=each.reached),
        ]

    header = ["Variant", *(f"{m.heading} {what}" for m in measures for what in ("published", "here", "in s.d."))]
    lines = [
        Line(variant, [entry for m in measures for entry in entries(found.get((variant, m)))], studio.mark(variant))
        for variant in variants
    ]
    caption = (
        f"{_stored(group)['source']}. The last column of each measure is here minus published, in published s.d.; "
        f"bold where it is within {LIMIT:g}, or better."
    )
    return [Part("Published and here", [Table(caption, header, lines)])]


def _stored(group: Group) -> dict:
    """What the configuration of the first cell that has any carried."""
    return next((given for cell in group.cells if (given := cell.record.published)), {})
