"""Differences seen otherwise: over seeds alone, and over test examples alone. Diagnostics: neither view is a verdict.

Over seeds alone, more seeds make a test surer of what these test examples happen to say; over test examples alone, the
difference of two trained models is taken for that of two methods.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ordinal_blast.evaluation import bootstrap
from ordinal_blast.evaluation.rounding import difference
from ordinal_blast.report import inference, pairing
from ordinal_blast.report.measures import LEVEL, primary, secondary
from ordinal_blast.report.rankings import patients_of, same_examples
from ordinal_blast.report.results import Group, Results

RESAMPLES = 2000
SEED = 0
SEEDS, EXAMPLES = "seeds", "examples"


def diagnostics(results: Results) -> pd.DataFrame:
    """Every rival minus the reference by `view`, with unadjusted limits; none where test examples differ over seeds.

    "seeds": Student's t over seeds, the test examples fixed. "examples": a bootstrap of whole test sets, by patient
    where examples share one, the models fixed; without probabilities, and not where resamples are biased.
    """
    rows = [
        {"stage": group.stage, "task": group.task, "reference": results.reference, **row}
        for group in results.groups()
        if same_examples(group) and results.reference in group.seeds
        for row in (*_over_seeds(group, results.reference), *_over_examples(group, results.reference))
    ]
    return results.typed(
        pd.DataFrame(rows), ("stage", "task", "measure", "variant", "reference", "view", "mean", "low", "high")
    )


def _over_seeds(group: Group, reference: str) -> Iterator[dict[str, Any]]:
    for measure in (*primary(group), *secondary(group)):
        for variant, one in inference.over_seeds_alone(group, measure, reference).differences.items():
            low, high = one.ci
            yield {
                "measure": measure.key,
                "variant": variant,
                "view": SEEDS,
                "mean": one.estimate,
                "low": low,
                "high": high,
            }


def _over_examples(group: Group, reference: str) -> Iterator[dict[str, Any]]:
    """Percentile limits over resampled test sets; a group of one patient has none."""
    labels = group.of(group.cells[0]).labels
    known = labels >= 0
    patients = patients_of(group)
    clusters = np.arange(known.sum()) if patients is None else patients
    if len(np.unique(clusters)) < 2:
        return
    cells = {(cell.variant, cell.seed): cell for cell in group.cells}

    @functools.cache
    def resampled(variant: str, seeds: tuple[int, ...]) -> bootstrap.Resamples:
        grades = np.stack([group.of(cells[variant, seed]).grades[known] for seed in seeds])
        k = len(group.grades)
        return bootstrap.resample(labels[known], grades, k, seed=SEED, clusters=clusters, resamples=RESAMPLES)

    for variant in group.variants:
        common = pairing.common(group.seeds, variant, reference)
        if variant == reference or not common:
            continue
        a, b = resampled(variant, common), resampled(reference, common)
        for measure in (*primary(group), *secondary(group)):
            if measure.key in a.values and measure.key not in bootstrap.NO_INTERVAL:
                low, high, _ = bootstrap.limits(difference(a.values[measure.key], b.values[measure.key]), LEVEL)
                mean = a.estimates[measure.key] - b.estimates[measure.key]
                yield {
                    "measure": measure.key,
                    "variant": variant,
                    "view": EXAMPLES,
                    "mean": mean,
                    "low": low,
                    "high": high,
                }
