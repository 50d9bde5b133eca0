"""Numbers over seeds against scipy and against arithmetic written out."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ordinal_blast.report import measures
from ordinal_blast.report.measures import PRIMARY, SECONDARY, Measure
from ordinal_blast.report.reading import load

ACCURACY, MSE, MAE, QWK = PRIMARY


@pytest.fixture(scope="module")
def study(small):
    return load(small)


def values(run, variant: str, task: str, key: str) -> np.ndarray:
    """One metric of one variant per seed, read straight from the files."""
    plan = json.loads((run / "plan.json").read_text())
    results = [json.loads((run / "cells" / cell / "result.json").read_text()) for cell in plan["cells"]]
    return np.array(
        [
            row["metrics"][key]
            for result in results
            for row in result["rows"]
            if (result["variant"], row["task"], row["split"]) == (variant, task, "test")
        ]
    )


@pytest.mark.parametrize("measure", PRIMARY + SECONDARY, ids=lambda measure: measure.key)
def test_mean_and_spread_are_those_of_the_files(small, study, measure):
    for group in study.groups():
        table = measures.over_seeds(group, measure)
        for variant in study.variants:
            expected = values(small, variant, group.task, measure.key)
            assert len(expected) == 3
            np.testing.assert_allclose(
                table.loc[variant], [expected.mean(), expected.std(ddof=1), 3], rtol=1e-12, err_msg=variant
            )


@pytest.mark.parametrize("measure", PRIMARY, ids=lambda measure: measure.key)
def test_interval_is_that_of_the_paired_t_test(small, study, measure):
    for group in study.groups():
        found = measures.differences(group, study.reference, measure)
        assert [difference.variant for difference in found] == list(study.rivals)
        for difference in found:
            ours = values(small, difference.variant, group.task, measure.key)
            theirs = values(small, study.reference, group.task, measure.key)
            test = stats.ttest_rel(ours, theirs)
            interval = test.confidence_interval(0.95)
            np.testing.assert_allclose(
                [difference.mean, difference.low, difference.high],
                [(ours - theirs).mean(), interval.low, interval.high],
                rtol=1e-9,
            )
            assert difference.excludes_zero == (test.pvalue < 0.05)


def test_interval_by_hand():
    # Three values 1, 2, 3: mean 2, s.d. 1, t(0.975, 2) = 4.302653 (any table of Student's t).
    low, high = measures.paired_interval(np.array([1.0, 2.0, 3.0]))
    assert (low, high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), rel=1e-6)


@pytest.mark.parametrize("seen", [[0.3], [0.1, 0.1, 0.1]], ids=["one seed", "no spread"])
def test_no_interval_without_spread(seen):
    assert np.isnan(measures.paired_interval(np.array(seen))).all()


def test_baseline_is_the_commonest_training_grade(small, study):
    with np.load(small / "cells" / "0-s0" / "predictions.npz") as archive:
        for group in study.groups():
            truth = archive[f"rnn/test/{group.task}/labels"]
            truth = truth[truth >= 0]
            majority = np.bincount(archive[f"rnn/train/{group.task}/labels"]).argmax()
            found = measures.baseline(group)
            assert (found.grade, found.split) == (group.grades[majority], "train")
            expected = {
                "accuracy": (truth == majority).mean(),
                "mse": ((truth - majority) ** 2).mean(),
                "mae": abs(truth - majority).mean(),
                "qwk": 0.0,
            }
            assert {key: found.values[key] for key in expected} == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_best_follows_the_direction_and_marks_ties():
    scores = pd.Series({"a": 0.5, "b": 0.7, "c": 0.7, "d": np.nan})
    assert Measure("x", "X", higher=True).best(scores).tolist() == [False, True, True, False]
    assert Measure("x", "X", higher=False).best(scores).tolist() == [True, False, False, False]
