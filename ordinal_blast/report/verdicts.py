"""What differs, and how sure that is: every difference to the reference with an interval adjusted for its family.

The primary family is every rival on every primary measure of the last stage; each other measure of a stage and task is
a family of its rivals. Intervals of a family hold together (max-t of the joint normal; over hold-outs, where what
differences share is not estimated, of independent ones, which errs on the safe side: Šidák, 1967), also with few seeds
and few examples (see `evaluation/simultaneous.py`). A verdict comes from these intervals alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg

from ordinal_blast.evaluation import jackknife, simultaneous
from ordinal_blast.evaluation.multireader import Contrast, Variation
from ordinal_blast.report import inference
from ordinal_blast.report.formats import interval
from ordinal_blast.report.inference import Tested
from ordinal_blast.report.measures import LEVEL, Measure, primary, secondary
from ordinal_blast.report.rankings import Ranking, thresholds
from ordinal_blast.report.results import Group, Results

BETTER, WORSE, EQUIVALENT, CANNOT_TELL, NOT_TESTED = "better", "worse", "equivalent", "cannot tell", "not tested"
REFERENCE, NO_SEEDS = "the reference", "no seed that the reference finished too"
POWER = 0.8
MORE_SEEDS, MORE_UNITS = (3, 5, 10, 20, 50), (1, 2, 4, 10)  # what the design table tries; units in those there are
_ADJUSTED = ("low_adjusted", "high_adjusted", "p_adjusted", "comparisons")
_DIFFERENCE = ("mean", "standard_error", "df", "low", "high", "p", *_ADJUSTED)
_PLACE = ("stage", "task", "measure", "higher_is_better", "variant", "reference")
_SAID = ("basis", "seeds", "verdict", "why")

Adjusted = dict[str, tuple[float, float, float]]  # low, high and p of each rival


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
    """A measure of a group, its differences adjusted; level: what one of the `size` of its family is tested at.

    tested: without its joints, which are as large as the predictions; shared and variation: the variants and seeds of
    the first of them, and what their values vary with. family: "primary", or "column" where the rivals of this measure
    alone are one.
    """

    group: Group
    measure: Measure
    tested: Tested
    shared: tuple[tuple[str, ...], tuple[int, ...]]
    variation: Variation | None
    adjusted: Adjusted
    family: str
    size: int
    level: float


@dataclasses.dataclass(frozen=True)
class Difference:
    """A row of `differences` as a page shows it: its adjusted interval, its verdict, and one value a seed."""

    variant: str
    measure: Measure
    values: tuple[float, ...]
    mean: float
    low: float
    high: float
    verdict: str
    why: str

    @property
    def established(self) -> bool:
        """Whether the variant is better or worse than the reference by the adjusted interval."""
        return self.verdict in (BETTER, WORSE)

    @property
    def interval(self) -> str:
        """The adjusted interval and what it says, or why there is none."""
        return self.why or f"{interval(self.low, self.high)} {self.verdict}"


def of_measure(frame: pd.DataFrame, group: Group, measure: Measure) -> list[Difference]:
    """The rows of `differences` for one measure of a group, with the difference of every seed."""
    rows = group.within(frame[frame["measure"] == measure.key])
    values = group.rows.pivot(index="seed", columns="variant", values=measure.key)
    return [
        Difference(
            row.variant,
            measure,
            tuple((values[row.variant] - values[row.reference]).dropna()),
            row.mean,
            row.low_adjusted,
            row.high_adjusted,
            row.verdict,
            row.why,
        )
        for row in rows.itertuples()
    ]


def judge(results: Results) -> list[Judged]:
    """Every measure of every group, tested and adjusted, in the order of the page."""
    asked = [(group, measure) for group in results.groups() for measure in (*primary(group), *secondary(group))]
    first = [place for place in asked if is_primary(results, *place)]
    families = [first, *([place] for place in asked if place not in first)]
    judged = {}
    for family in filter(None, families):  # one at a time: what is tested is as large as the predictions
        tested = [inference.measured(*place, results.reference) for place in family]
        adjusted, size, level = adjust(tested)
        kind = "primary" if family[0] in first else "column"
        for place, one, limits in zip(family, tested, adjusted, strict=True):
            judged[place] = _judged(place, one, limits, kind, size, level)
    return [judged[place] for place in asked]


def _judged(
    place: tuple[Group, Measure], tested: Tested, limits: Adjusted, family: str, size: int, level: float
) -> Judged:
    shared, variation = ((), ()), None
    for joint in tested.joints[:1]:
        shared, variation = (joint.variants, joint.seeds), joint.comparison.variation
    tested = dataclasses.replace(tested, joints=())
    return Judged(*place, tested, shared, variation, limits, family, size, level)


def is_primary(results: Results, group: Group, measure: Measure) -> bool:
    """Whether the question is answered by this measure of the last stage."""
    asked = any(key == measure.key and task in ("", group.task) for key, task in results.primary)
    return asked and group.stage == results.stages[-1]


def adjust(family: Sequence[Tested]) -> tuple[list[Adjusted], int, float]:
    """Per member of the family its rivals' low, high and p so that all hold at once; its size, and the level of one.

    Differences without a test do not count.
    """
    by_cases: dict[str, list[int]] = {}
    for place, tested in enumerate(family):
        if not tested.reason:
            by_cases.setdefault(tested.cases, []).append(place)
    rows: list[tuple[int, str, Contrast]] = []
    blocks = []
    for places in by_cases.values():
        joints = [(place, joint) for place in places for joint in family[place].joints]
        if joints:
            blocks.append(simultaneous.against([joint.comparison for _, joint in joints], 0))
            rows += [(p, v, family[p].differences[v]) for p, joint in joints for v in joint.variants[1:]]
        alone = [(p, v, c) for p in places if not family[p].joints for v, c in family[p].differences.items()]
        blocks.append(np.eye(len(alone)))
        rows += alone
    adjusted: list[Adjusted] = [{} for _ in family]
    if not rows:
        return adjusted, 0, math.nan
    joint = simultaneous.family([contrast for _, _, contrast in rows], linalg.block_diag(*blocks), confidence=LEVEL)
    for (place, variant, _), (low, high), p in zip(rows, joint.cis.tolist(), joint.p_values.tolist(), strict=True):
        adjusted[place][variant] = low, high, p
    return adjusted, joint.size, joint.level


def verdict(low: float, high: float, higher: bool, equivalence: float | None = None) -> str:
    """What an adjusted interval of variant minus reference says; higher: whether more is better."""
    if math.isnan(low):
        return NOT_TESTED
    if equivalence is not None and -equivalence < low and high < equivalence:
        return EQUIVALENT
    if low > 0 or high < 0:
        return BETTER if (low > 0) == higher else WORSE
    return CANNOT_TELL


def differences(results: Results, judged: Iterable[Judged]) -> pd.DataFrame:
    """Every rival minus the reference: one row per stage, task, measure and rival."""
    rows = [
        {
            "stage": one.group.stage,
            "task": one.group.task,
            "measure": one.measure.key,
            "higher_is_better": one.measure.higher,
            "variant": variant,
            "reference": results.reference,
            **difference(one.tested, variant, one.adjusted, one.size, _ends(one)),
            "family": one.family,
            "basis": contrast.basis,
            "seeds": len(one.tested.seeds[variant]),
            **judgement(
                one.tested,
                variant,
                one.adjusted,
                higher=one.measure.higher,
                equivalence=results.equivalence if one.family == "primary" else None,
            ),
        }
        for one in judged
        for variant, contrast in _in_order(one.tested.differences, results)
    ]
    return results.typed(pd.DataFrame(rows), (*_PLACE, *_DIFFERENCE, "family", *_SAID))


def means(results: Results, judged: Iterable[Judged]) -> pd.DataFrame:
    """Every variant's own value with its interval, not adjusted and within what the measure can be: a row of each."""
    rows = [
        {
            "stage": one.group.stage,
            "task": one.group.task,
            "measure": one.measure.key,
            "variant": variant,
            **_interval(contrast),
            **_own(contrast, one),
            "basis": contrast.basis,
            "seeds": len(one.group.seeds[variant]),
        }
        for one in judged
        for variant, contrast in _in_order(one.tested.own, results)
    ]
    columns = ("stage", "task", "measure", "variant", "mean", "standard_error", "df", "low", "high", "basis", "seeds")
    return results.typed(pd.DataFrame(rows).drop(columns="p", errors="ignore"), columns)


def components(results: Results, judged: Iterable[Judged]) -> pd.DataFrame:
    """Variance components of each measure, of the variants that share most seeds, and the F test that all are alike."""
    rows = []
    for one in judged:
        if (variation := one.variation) is not None:
            of, (variants, seeds) = variation.components, one.shared
            rows.append(
                {
                    "stage": one.group.stage,
                    "task": one.group.task,
                    "measure": one.measure.key,
                    "seed_variance": of.reader,
                    "variant_seed_variance": of.variant_reader,
                    **{name: getattr(of, name) for name in ("error", "cov1", "cov2", "cov3")},
                    "n": int(one.group.rows["n"].max()),
                    "units": variation.units,
                    "variants": len(variants),
                    "seeds": len(seeds),
                    "f": variation.f_statistic,
                    "df1": variation.df[0],
                    "df2": variation.df[1],
                    "p": variation.p_value,
                }
            )
    variances = ("seed_variance", "variant_seed_variance", "error", "cov1", "cov2", "cov3")
    return results.typed(
        pd.DataFrame(rows), ("stage", "task", "measure", *variances, "n", "units", "variants", "seeds")
    )


def design(results: Results, judged: Iterable[Judged]) -> pd.DataFrame:
    """What so many seeds and units (examples or patients) would show: the smallest difference seen with 80 % power.

    At the adjusted level of the primary measures; `present` marks the design of this study.
    """
    rows = []
    for one in judged:
        variation = one.variation
        if one.family != "primary" or variation is None or variation.seeds < 2 or not one.size:
            continue
        for many in sorted({variation.seeds, *MORE_SEEDS}):
            for units in (variation.units * times for times in MORE_UNITS):
                rows.append(
                    {
                        "stage": one.group.stage,
                        "task": one.group.task,
                        "measure": one.measure.key,
                        "seeds": many,
                        "units": units,
                        "level": one.level,
                        "power": POWER,
                        "detectable": variation.detectable(seeds=many, units=units, power=POWER, level=one.level),
                        "present": (many, units) == (variation.seeds, variation.units),
                    }
                )
    columns = ("stage", "task", "measure", "seeds", "units", "level", "power", "detectable", "present")
    return results.typed(pd.DataFrame(rows), columns)


def diagnostics(results: Results, judged: Iterable[Judged]) -> pd.DataFrame:
    """Every rival minus the reference by `view`, with unadjusted limits; none where test examples differ over seeds.

    "seeds": Student's t, these test examples fixed: more seeds make it surer of what these happen to say. "examples":
    the jackknife, these models fixed: the difference of two trained models is taken for that of two methods.
    """
    rows = [
        {
            "stage": one.group.stage,
            "task": one.group.task,
            "measure": one.measure.key,
            "variant": variant,
            "reference": results.reference,
            "view": view,
            **_interval(contrast),
        }
        for view in inference.VIEWS
        for one in judged
        for variant, contrast in _in_order(one.tested.alone.get(view, {}), results)
    ]
    columns = (
        "stage",
        "task",
        "measure",
        "variant",
        "reference",
        "view",
        "mean",
        "standard_error",
        "df",
        "low",
        "high",
    )
    return results.typed(pd.DataFrame(rows), (*columns, "high", "p"))


def areas(results: Results) -> pd.DataFrame:
    """The area under the ROC curve of every "grade > k": each variant's own, and what it is above the reference."""
    rows = [
        {"stage": group.stage, "task": group.task, **row}
        for group in results.groups()
        for ranking in thresholds(group)
        for row in areas_of(ranking, results)
    ]
    columns = ("stage", "task", "question", "positives", "n", "units", "variant", "auc", "auc_low", "auc_high")
    return results.typed(pd.DataFrame(rows), (*columns, "reference", *_DIFFERENCE, *_SAID))


def areas_of(ranking: Ranking, results: Results) -> list[dict[str, Any]]:
    """The rows of `areas` for one question; the reference's has no difference."""
    tested = inference.ranked(ranking, results.reference)
    (adjusted,), size, _ = adjust([tested])
    units = len(ranking.labels) if ranking.clusters is None else int(ranking.clusters.max()) + 1
    rows = []
    for variant, own in _in_order(tested.own, results):
        low, high = simultaneous.interval(own, confidence=LEVEL, bounds=(0, 1))
        row = {"question": ranking.name, "positives": int(ranking.labels.sum()), "n": len(ranking.labels)}
        row |= {"units": units, "variant": variant, "auc": own.estimate, "auc_low": low, "auc_high": high}
        row |= {"reference": results.reference, "seeds": len(ranking.scores[variant])}
        if variant in tested.differences:
            row |= difference(tested, variant, adjusted, size, (0.0, 1.0))
            row |= {"basis": tested.differences[variant].basis, "seeds": len(tested.seeds[variant])}
            row |= judgement(tested, variant, adjusted, higher=True)
        else:
            nothing = REFERENCE if variant == results.reference else NO_SEEDS
            row |= dict.fromkeys(_DIFFERENCE, math.nan)
            row |= {"comparisons": size, "basis": "", "verdict": "", "why": nothing}
        rows.append(row)
    return rows


def _in_order(contrasts: Mapping[str, Contrast], results: Results) -> list[tuple[str, Contrast]]:
    return [(variant, contrasts[variant]) for variant in results.variants if variant in contrasts]


def _interval(contrast: Contrast) -> dict[str, float]:
    low, high = contrast.ci
    named = {"mean": contrast.estimate, "standard_error": contrast.standard_error, "df": contrast.df}
    return {**named, "low": low, "high": high, "p": contrast.p_value}


def _ends(one: Judged) -> tuple[float, float] | None:
    """What the measure lies between."""
    return jackknife.bounds(one.measure.key, len(one.group.grades))


def _own(contrast: Contrast, one: Judged) -> dict[str, float]:
    low, high = simultaneous.interval(contrast, confidence=LEVEL, bounds=_ends(one))
    return {"low": low, "high": high}


def within(limits: tuple[float, float, float], ends: tuple[float, float] | None) -> tuple[float, float, float]:
    """Limits of a difference, and its p, no further apart than the measure's ends are."""
    span = math.inf if ends is None else ends[1] - ends[0]
    low, high, p = limits
    return max(low, -span) if low == low else low, min(high, span) if high == high else high, p


def difference(
    tested: Tested, variant: str, adjusted: Adjusted, size: int, ends: tuple[float, float] | None
) -> dict[str, float]:
    """The columns of one difference, mean to comparisons; size: of its family, ends: what its measure lies between."""
    limits = within(adjusted.get(variant, (math.nan,) * 3), ends)
    return {**_interval(tested.differences[variant]), **dict(zip(_ADJUSTED, (*limits, size), strict=True))}


def judgement(
    tested: Tested, variant: str, adjusted: Adjusted, *, higher: bool, equivalence: float | None = None
) -> dict[str, str]:
    """The columns verdict and why of one difference."""
    low, high, _ = adjusted.get(variant, (math.nan,) * 3)
    why = tested.reason or tested.differences[variant].degenerate
    return {"verdict": verdict(low, high, higher, equivalence), "why": why}
