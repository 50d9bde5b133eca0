"""Sums of variants against others of as many, such as a difference of differences: how sure each is, among all asked.

Each is over new seeds and new test examples at once, as `report/verdicts.py` has differences to the reference, and its
interval is adjusted for all that are judged together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ordinal_blast.evaluation import jackknife
from ordinal_blast.report import inference, pairing, verdicts
from ordinal_blast.report.inference import Joint, Tested
from ordinal_blast.report.measures import Measure
from ordinal_blast.report.quantities import enough
from ordinal_blast.report.results import Group

PLUS, MINUS = "plus", "minus"  # the names of the two sums


class Asked(NamedTuple):
    """A sum of `terms` variants of a group less another, in one measure; tested: their difference, of PLUS."""

    group: Group
    measure: Measure
    terms: int
    tested: Tested


@dataclasses.dataclass(frozen=True)
class Judged:
    """One sum less another.

    low, high: the interval, adjusted for so many `comparisons`. verdict, why: as in `Study.differences`. seeds: that
    all variants of it finished; n: test examples with a label.
    """

    mean: float
    low: float
    high: float
    verdict: str
    why: str
    comparisons: int
    seeds: int
    n: int


def ask(group: Group, measure: Measure, plus: Sequence[str], minus: Sequence[str]) -> Asked | None:
    """The sum of some variants less that of as many others.

    None where one has not been tested, no seed has finished with all, or too little is known of others.
    """
    variants = (*minus, *plus)
    if not {*variants} <= {*group.variants} or not group.same_examples:
        return None
    seeds = pairing.common(group.seeds, *variants)
    if not seeds or not enough(group.patients, int(group.known.sum())):
        return None
    whole = inference.compared(group, measure.key, group.known, group.patients, variants, seeds)
    sums = whole.combined(np.repeat(np.eye(2), [len(minus), len(plus)], axis=1))
    joint = Joint((MINUS, PLUS), seeds, sums)
    tested = Tested({PLUS: sums.difference(1, 0)}, {}, {PLUS: seeds}, {}, (joint,), group.units)
    return Asked(group, measure, len(plus), tested)


def judge(asked: Sequence[Asked]) -> list[Judged]:
    """What is said of each, so that all hold at once."""
    adjusted, size, _ = verdicts.adjust([one.tested for one in asked])
    return [_judged(one, limits, size) for one, limits in zip(asked, adjusted, strict=True)]


def _judged(asked: Asked, limits: verdicts.Adjusted, size: int) -> Judged:
    group, measure, terms, tested = asked
    ends = jackknife.bounds(measure.key, len(group.grades))
    span = None if ends is None else (terms * ends[0], terms * ends[1])
    numbers = verdicts.difference(tested, PLUS, limits, size, span)
    said = verdicts.judgement(tested, PLUS, limits, higher=measure.higher)
    low, high = numbers["low_adjusted"], numbers["high_adjusted"]
    seeds, n = len(tested.seeds[PLUS]), int(group.known.sum())
    return Judged(numbers["mean"], low, high, said["verdict"], said["why"], size, seeds, n)
