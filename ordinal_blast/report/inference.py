"""From the cells of a study to its comparisons: seeds are readers, test examples, or their patients, are cases.

A variant is compared with the reference over the seeds that both finished. Rivals that share the same seeds with it
stand in one multi-reader comparison, which is usual; where a variant finished fewer, it stands in one of its own.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ordinal_blast.evaluation import multireader, significance
from ordinal_blast.evaluation.multireader import Comparison, Contrast, Over
from ordinal_blast.report import pairing
from ordinal_blast.report.measures import LEVEL, Measure, tested_share
from ordinal_blast.report.rankings import Ranking
from ordinal_blast.report.results import Group

SEEDS, HOLD_OUTS = "seeds", "hold-outs"  # what a contrast rests on, beside what `multireader` says
SEEDS_ALONE = "seeds alone: not tested"  # no standard error over test examples is known
ONE_UNIT = "one test example or patient: nothing is known of others"
VIEWS: tuple[Over, ...] = ("seeds", "examples")  # of diagnostics
ONE_HOLD_OUT = "one hold-out: no interval"

Analyse = Callable[[tuple[str, ...], tuple[int, ...]], Comparison]


@dataclasses.dataclass(frozen=True, eq=False)
class Joint:
    """Variants, the reference first, with the seeds that all of them finished, and their multi-reader comparison."""

    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    comparison: Comparison


@dataclasses.dataclass(frozen=True, eq=False)
class Tested:
    """One question put to all variants: `differences` of rivals to the reference, and every variant's `own` value.

    seeds: per rival, those that it and the reference finished. alone: the differences over "seeds" or test "examples"
    alone, diagnostics; none where seeds are hold-outs. joints: the largest first, none where test examples differ from
    seed to seed. cases: a digest of the names of the units that are drawn. reason: empty, or why differences are
    diagnostics alone.
    """

    differences: Mapping[str, Contrast]
    own: Mapping[str, Contrast]
    seeds: Mapping[str, tuple[int, ...]]
    alone: Mapping[Over, Mapping[str, Contrast]]
    joints: tuple[Joint, ...] = ()
    cases: str = ""
    reason: str = ""


def measured(group: Group, measure: Measure, reference: str) -> Tested:
    """A measure of every variant, over new seeds and new test examples where it can be.

    Where seeds are hold-outs, by the t that is corrected for training sets that overlap; extremes, binned gaps and
    measures of one's own over seeds alone, which is a diagnostic and says why.
    """
    if not group.same_examples:
        train, test = tested_share(group)
        compare = functools.partial(significance.corrected_t, num_train=train, num_test=test)
        return _over_rows(group, measure, reference, compare, HOLD_OUTS)
    if measure.key not in multireader.MEASURES:
        return _over_seeds_alone(group, measure, reference, SEEDS_ALONE)
    known, patients = group.known, group.patients
    if (known.sum() if patients is None else patients.max(initial=-1) + 1) < 2:
        return _over_seeds_alone(group, measure, reference, ONE_UNIT)
    analyse = functools.partial(compared, group, measure.key, known, patients)
    return _multireader(group.seeds, reference, analyse, group.units)


def compared(
    group: Group,
    key: str,
    chosen: np.ndarray,
    patients: np.ndarray | None,
    variants: tuple[str, ...],
    seeds: tuple[int, ...],
) -> Comparison:
    """A measure of `multireader.MEASURES` on the chosen test examples bool `[N]`, of variants that have these seeds."""
    results = [[group.of(group.by_seed[variant, seed]) for seed in seeds] for variant in variants]
    reads_probs = key in ("rps", "log_loss")
    return multireader.measure(
        key,
        results[0][0].labels[chosen],
        np.array([[result.grades[chosen] for result in row] for row in results]),
        num_classes=len(group.grades),
        probs=np.array([[result.probs[chosen] for result in row] for row in results]) if reads_probs else None,
        cases=patients,
        confidence=LEVEL,
    )


def ranked(ranking: Ranking, reference: str) -> Tested:
    """The area under the ROC curve of every variant for one question, over new seeds and new test examples."""

    def analyse(variants: tuple[str, ...], seeds: tuple[int, ...]) -> Comparison:
        scores = np.array([[ranking.scores[variant][seed] for seed in seeds] for variant in variants])
        return multireader.auc(ranking.labels, scores, ranking.clusters, confidence=LEVEL)

    seeds = {variant: tuple(by_seed) for variant, by_seed in ranking.scores.items()}
    return _multireader(seeds, reference, analyse, "")


def _multireader(seeds: Mapping[str, tuple[int, ...]], reference: str, analyse: Analyse, cases: str) -> Tested:
    analyse = functools.cache(analyse)
    shared = {v: pairing.common(seeds, v, reference) for v in seeds if v != reference} if reference in seeds else {}
    joints = [
        Joint((reference, *rivals), common, analyse((reference, *rivals), common)) for common, rivals in _alike(shared)
    ]
    differences = _against(joints, "both")
    first = {variant: seeds[variant] for variant in (reference, *seeds) if variant in seeds}
    own = {
        variant: analyse(tuple(variants), finished).mean(place)
        for finished, variants in _alike(first)
        for place, variant in enumerate(variants)
    }
    alone = {view: _against(joints, view) for view in VIEWS}
    return Tested(differences, own, {v: shared[v] for v in differences}, alone, tuple(joints), cases)


def _against(joints: Sequence[Joint], over: Over) -> dict[str, Contrast]:
    return {
        variant: joint.comparison.difference(place, 0, over)
        for joint in joints
        for place, variant in enumerate(joint.variants)
        if place
    }


def _alike(seeds: Mapping[str, tuple[int, ...]]) -> list[tuple[tuple[int, ...], list[str]]]:
    """Variants by the seeds that they have, most variants first; those without any are left out."""
    alike: dict[tuple[int, ...], list[str]] = {}
    for variant, those in seeds.items():
        if those:
            alike.setdefault(those, []).append(variant)
    return sorted(alike.items(), key=lambda item: -len(item[1]))


def _over_seeds_alone(group: Group, measure: Measure, reference: str, reason: str) -> Tested:
    """Student's t over seeds, the test examples fixed: a diagnostic, which does not say what other examples change."""
    tested = _over_rows(group, measure, reference, significance.paired_t, SEEDS)
    return dataclasses.replace(tested, alone={"seeds": tested.differences}, reason=reason)


def _over_rows(
    group: Group,
    measure: Measure,
    reference: str,
    compare: Callable[..., significance.PairedDifference],
    basis: str,
) -> Tested:
    """The measure as each cell has it, compared from seed to seed or hold-out to hold-out."""
    values = group.rows.pivot(index="seed", columns="variant", values=measure.key)
    alone = multireader.ONE_SEED if basis == SEEDS else ONE_HOLD_OUT

    def contrast(a: np.ndarray, b: np.ndarray) -> Contrast:
        if len(a) < 2 or not np.isfinite(a - b).all():
            why = alone if len(a) < 2 else multireader.UNDEFINED
            return Contrast(float(np.mean(a - b)), math.nan, math.nan, (math.nan, math.nan), math.nan, basis, why)
        test = compare(a, b, confidence=LEVEL)
        p_value = math.nan if test.degenerate else test.p_value
        return Contrast(test.mean, test.standard_error, test.n - 1, test.ci, p_value, basis, test.degenerate)

    differences = {}
    for variant in group.variants:
        both = list(pairing.common(group.seeds, variant, reference)) if reference in group.seeds else []
        if variant != reference and both:
            differences[variant] = contrast(*values.loc[both, [variant, reference]].to_numpy(np.float64).T)
    own = {v: values.loc[list(seeds), v].to_numpy(np.float64) for v, seeds in group.seeds.items()}
    shared = {v: pairing.common(group.seeds, v, reference) for v in differences}
    return Tested(differences, {v: contrast(a, np.zeros_like(a)) for v, a in own.items()}, shared, {})
