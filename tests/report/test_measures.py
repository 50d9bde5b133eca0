"""Numbers over seeds against scipy and against arithmetic written out."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from ordinal_blast import record
from ordinal_blast.report import load, measures
from ordinal_blast.report.measures import PRIMARY, SECONDARY, Measure

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
                table.loc[variant], [expected.mean(), expected.std(ddof=1), 3], rtol=1e-12, atol=1e-15, err_msg=variant
            )


def test_more_is_better_of_these_measures_and_less_of_those():
    higher = {measure.key: measure.higher for measure in (*PRIMARY, *SECONDARY)}
    assert {key for key, more in higher.items() if more} == {
        *("accuracy", "off_by_one_accuracy", "balanced_accuracy", "qwk", "linear_kappa", "kendall_tau", "spearman"),
        *("min_sensitivity", "gmsec"),
    }
    assert {key for key, more in higher.items() if not more} == {
        *("mse", "mae", "rmse", "amae", "mmae", "rps", "log_loss", "ece"),
    }
    assert (QWK.heading, MAE.heading) == ("QWK ↑", "MAE ↓")


def test_a_measure_that_one_seed_leaves_undefined_has_no_mean(write_run, measured, tmp_path):
    values = {"a": (0.5, 0.7), "b": (0.5, math.nan)}
    change = measured(lambda variant, seed: {"qwk": values[variant][seed]})
    (group,) = load(write_run(tmp_path, ("a", "b"), (0, 1), tasks=("icm",), stages=("rnn",), change=change)).groups()
    table = measures.over_seeds(group, QWK)
    np.testing.assert_allclose(table.loc["a"], [0.6, np.std([0.5, 0.7], ddof=1), 2])
    assert table.loc["b"].isna().tolist() == [True, True, False]
    np.testing.assert_allclose(measures.over_seeds(group, QWK, [0])["mean"], [0.5, 0.5])


def test_the_baseline_learns_from_training_labels_and_is_measured_on_those_of_the_test_set(write_run, tmp_path):
    def change(kept):
        kept.models["rnn"].splits["train"].tasks["icm"].labels[:] = np.arange(360) % 4 - 1
        kept.models["rnn"].splits["train"].tasks["icm"].labels[:2] = 1
        kept.models["rnn"].splits["test"].tasks["icm"].labels[:] = np.repeat([0, 1, -1], [80, 30, 10])

    (group,) = load(write_run(tmp_path, ("a",), (0,), tasks=("icm",), stages=("rnn",), change=change)).groups()
    always = measures.baseline(group)
    assert (always.grade, always.split) == ("B", "train")
    assert always.values["accuracy"] == pytest.approx(30 / 110)


def test_baseline_is_the_commonest_training_grade(small, study):
    splits = record.read(small / "cells" / "0-s0").models["rnn"].splits
    for group in study.groups():
        truth, train = (splits[name].tasks[group.task].labels for name in ("test", "train"))
        truth = truth[truth >= 0]
        majority = np.bincount(train[train >= 0]).argmax()
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
