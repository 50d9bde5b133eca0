"""Results that somebody published for the same study, beside those found here."""

from __future__ import annotations

import dataclasses

import pandas as pd

from ordinal_blast.report.blocks import Block, Entry, Line, Part, Table
from ordinal_blast.report.formats import MISSING, listed, number, quoted
from ordinal_blast.report.measures import PRIMARY, SECONDARY, Measure, over_seeds, present
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.results import Group

LIMIT = 2.0  # published standard deviations that a mean found here may be off


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One published mean and s.d. over seeds, and what was found here (`mean`, `sd` and `seeds` over seeds)."""

    variant: str
    measure: Measure
    mean: float
    sd: float
    here: pd.Series

    @property
    def distance(self) -> float:
        """Here minus published, in published standard deviations."""
        return (self.here["mean"] - self.mean) / self.sd

    @property
    def reached(self) -> bool:
        """Whether the mean found here is within LIMIT of the published one, or better."""
        return abs(self.distance) <= LIMIT or (self.distance > 0) == self.measure.higher


def comparisons(group: Group) -> list[Comparison]:
    """Every published value of the group's variants, variants and measures in the order of the page."""
    values = _stored(group).get("values", {})
    measures = present(group, (*PRIMARY, *SECONDARY))
    tables = {measure: over_seeds(group, measure) for measure in measures}
    return [
        Comparison(variant, measure, *values[variant][measure.key], tables[measure].loc[variant])
        for variant in group.variants
        for measure in measures
        if measure.key in values.get(variant, {})
    ]


def verdict(group: Group) -> list[str]:
    """At most one sentence: how many published values are reached, and which are not."""
    found = comparisons(group)
    if not found:
        return []
    missed = [
        f"{quoted(each.variant)} on {each.measure.label} ({number(each.distance, 1, sign=True)} s.d.)"
        for each in found
        if not each.reached
    ]
    told = f" Not reached: {listed(missed)}." if missed else ""
    return [
        f"{group.title}: {len(found) - len(missed)} of {len(found)} published means are reached, which is within "
        f"{LIMIT:g} published s.d. or better.{told}"
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
        spread = f"± {number(each.here['sd'])}" if each.here["seeds"] > 1 else ""
        return [
            Entry(number(each.mean), f"± {number(each.sd)}"),
            Entry(number(each.here["mean"]), spread),
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
    return next((given for cell in group.cells if (given := cell.result.get("published"))), {})
