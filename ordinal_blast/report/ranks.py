"""Within one data set: how variants rank over seeds or hold-outs, and the chance that one is practically better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ordinal_blast.evaluation import significance
from ordinal_blast.report import pairing
from ordinal_blast.report.measures import PRIMARY, SECONDARY, Measure, primary, secondary
from ordinal_blast.report.results import Group, Results

ROPE = 0.01  # a hundredth of a grade, or of an agreement: one test example in a hundred, graded one grade better
_RANKS = (
    "stage",
    "task",
    "measure",
    "higher_is_better",
    "variant",
    "variant_family",
    "mean",
    "rank",
    "mean_rank",
    "seeds",
)
_POSTERIOR = ("stage", "task", "measure", "variant", "reference", "rope", "better", "equivalent", "worse", "basis")


def ranks(study: Results) -> pd.DataFrame:
    """Per stage, task, measure and variant: the rank of its mean, and the mean of its ranks within seeds; 1 the best.

    Over the seeds that all variants finished, each another hold-out where `over` says so. Ties share a rank. Measures
    that are undefined with one of the variants are left out.
    """
    rows = []
    for group in study.groups():
        over = "seeds" if group.same_examples else "hold-outs"
        for measure in (*primary(group), *secondary(group)):
            scores = table(group, measure, group.variants)
            if not len(scores) or not np.isfinite(scores).all():
                continue
            means = scores.mean(axis=0)
            of_means = significance.ranks(means[None], higher_is_better=measure.higher)[0]
            mean_ranks = significance.ranks(scores, higher_is_better=measure.higher).mean(axis=0)
            rows += [
                {
                    "stage": group.stage,
                    "task": group.task,
                    "measure": measure.key,
                    "higher_is_better": measure.higher,
                    "variant": variant,
                    "variant_family": family_of(study, variant),
                    "mean": means[column],
                    "rank": of_means[column],
                    "mean_rank": mean_ranks[column],
                    "seeds": len(scores),
                    "over": over,
                }
                for column, variant in enumerate(group.variants)
            ]
    return study.typed(pd.DataFrame(rows), _RANKS)


def posterior(study: Results, differences: pd.DataFrame) -> pd.DataFrame:
    """Chance that a variant is better than the reference, practically equivalent, or worse, by each difference.

    differences: the frame of the study. Over hold-outs it is the Bayesian correlated t (Corani & Benavoli, 2015).
    `rope` bounds what is equivalent. What has no test has no row; not adjusted for the number of variants.
    """
    rows = []
    for row in differences.itertuples():
        rope = region(study, row.measure)
        if rope is None or row.why:  # what is not tested is no basis of a chance either
            continue
        chance = significance.student_posterior(
            row.mean, row.standard_error, row.df, rope, higher_is_better=row.higher_is_better
        )
        place = {key: getattr(row, key) for key in ("stage", "task", "measure", "variant", "reference")}
        chances = {"better": chance.p_a, "equivalent": chance.p_rope, "worse": chance.p_b}
        rows.append(place | {"rope": rope} | chances | {"basis": row.basis})
    return study.typed(pd.DataFrame(rows), _POSTERIOR)


def region(study: Results, measure: str) -> float | None:
    """How large a difference may be and still not matter: as declared for a primary measure, else 0.01.

    None for a measure of one's own without a declared region: nobody knows its units.
    """
    if study.equivalence is not None and declared(study, measure):
        return study.equivalence
    return ROPE if measure in {known.key for known in (*PRIMARY, *SECONDARY)} else None


def declared(study: Results, measure: str) -> bool:
    """Whether the measure is a primary one of the study, on any task."""
    return any(measure == key for key, _ in study.primary)


def family_of(study: Results, variant: str) -> str:
    """The family that an ablation puts the variant in; empty where in none."""
    return next((name for name, members in study.families.items() if variant in members), "")


def table(group: Group, measure: Measure, variants: Sequence[str]) -> np.ndarray:
    """Scores float64 `[S, M]`: a row for each seed that all these variants finished, NaN where undefined."""
    scores = group.rows.pivot(index="seed", columns="variant", values=measure.key)[list(variants)]
    return scores.loc[list(pairing.common(group.seeds, *variants))].to_numpy(np.float64)
