"""Results that somebody published for the same study, beside those here."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ordinal_blast.report.blocks import Block, Entry, Part
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import MISSING, extent, listed, number, quoted
from ordinal_blast.report.measures import PRIMARY, SECONDARY, Measure, over_seeds, present
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.results import Group

LIMIT = 2.0  # published standard deviations that a mean here may be off


@dataclasses.dataclass(frozen=True)
class Published:
    """One published mean and s.d. over seeds (NaN where none was), and mean, s.d. and number of the seeds here."""

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
        """Whether the mean here exists and is within LIMIT of the published one, or better."""
        gap = (self.own_mean - self.mean) * (1 if self.measure.higher else -1)
        return bool(gap >= -LIMIT * self.sd)


def comparisons(group: Group) -> list[Published]:
    """Every published value of the group's variants, variants and measures in the order of the page."""
    values = _stored(group).get("values", {})
    asked = {key for published in values.values() for key in published}
    measures = [measure for measure in present(group, (*PRIMARY, *SECONDARY)) if measure.key in asked]
    tables = {measure: over_seeds(group, measure) for measure in measures}
    return [
        Published(
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
    compared = comparisons(group)
    if not compared:
        return []
    absent = [quoted(variant) for variant in _stored(group)["values"] if variant not in group.variants]
    missed = [
        f"{quoted(one.variant)} on {one.measure.label} ({number(one.distance, 1, sign=True)} s.d.)"
        for one in compared
        if not one.reached
    ]
    below = f" Not reached: {listed(missed)}." if missed else ""
    left = f" Published but not finished here: {listed(absent)}." if absent else ""
    seeds = extent(one.own_seeds for one in compared)
    return [
        f"{group.title}: {len(compared) - len(missed)} of {len(compared)} published means are reached by the mean of "
        f"{seeds} {'seed' if seeds == '1' else 'seeds'} here, to within {LIMIT:g} published s.d. of single seeds, or "
        f"better.{below}{left}"
    ]


def blocks(study: Study, group: Group, studio: Studio) -> list[Block]:
    """The table "Published and here", or nothing where nothing was published."""
    compared = {(one.variant, one.measure): one for one in comparisons(group)}
    if not compared:
        return []
    variants, measures = (dict.fromkeys(names) for names in zip(*compared, strict=True))
    header = [f"{measure.heading} {what}" for measure in measures for what in ("published", "here", "in s.d.")]
    lines = {v: [entry for m in measures for entry in entries(compared.get((v, m)))] for v in variants}
    caption = (
        f"{_stored(group)['source']}. The last column of each measure is here minus published, in published s.d.; "
        f"reached where it is within {LIMIT:g}, or better."
    )
    return [Part("Published and here", [studio.table(caption, header, lines)])]


def entries(one: Published | None, spread: str = "") -> list[Entry]:
    """Published, here, and here less published, in published s.d. where there are any; spread: said of the mean here,
    left out its s.d. Dashes for None.
    """
    if one is None:
        return [Entry(MISSING)] * 3
    own = spread or (f"± {number(one.own_sd)}" if one.own_seeds > 1 else "")
    if math.isnan(one.sd):
        gap = Entry(number(one.own_mean - one.mean, sign=True))
        return [Entry(number(one.mean)), Entry(number(one.own_mean), own), gap]
    gap = Entry(number(one.distance, 1, sign=True), "" if one.reached else "not reached")
    return [Entry(number(one.mean), f"± {number(one.sd)}"), Entry(number(one.own_mean), own), gap]


def _stored(group: Group) -> dict:
    """What the configuration of the first cell that has any carried."""
    return next((cell.record.published for cell in group.cells if cell.record.published), {})
