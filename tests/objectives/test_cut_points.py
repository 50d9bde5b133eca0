"""Cut points against exhaustive search, and the regression that uses them."""

import itertools

import numpy as np
import pytest

from ordinal_blast import objectives
from ordinal_blast.objectives import cut_points


def error(cuts, outputs, labels, weights, criterion):
    decided = np.sum(outputs[:, None] > np.asarray(cuts)[None, :], axis=1)
    apart = np.abs(decided - labels)
    return np.sum(weights * {"absolute": apart, "squared": apart**2, "zero_one": apart > 0}[criterion])


@pytest.mark.parametrize("criterion", ["absolute", "squared", "zero_one"])
@pytest.mark.parametrize("seed", range(8))
def test_no_other_cut_points_are_better(criterion, seed):
    rng = np.random.default_rng(seed)
    outputs = np.round(rng.normal(size=9), 1)  # with ties
    labels, weights = rng.integers(0, 4, 9), rng.uniform(0.1, 2, 9)
    cuts = cut_points.fit(outputs, labels, weights, 4, criterion)
    assert len(cuts) == 3
    assert np.all(np.diff(cuts) > 0)
    values = np.unique(outputs)
    places = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])
    best = min(
        error(c, outputs, labels, weights, criterion) for c in itertools.combinations_with_replacement(places, 3)
    )
    np.testing.assert_allclose(error(cuts, outputs, labels, weights, criterion), best, rtol=1e-12)


def test_separable_outputs_are_cut_midway():
    outputs = np.array([0.0, 1.0, 5.0, 6.0, 20.0])
    assert cut_points.fit(outputs, np.array([0, 0, 1, 1, 2]), np.ones(5), 3) == (3.0, 13.0)


def test_grades_that_are_absent_leave_distinct_cuts():
    assert cut_points.fit(np.array([1.0, 4.0]), np.array([0, 3]), np.ones(2), 4) == (1.75, 2.5, 3.25)
    assert cut_points.fit(np.array([1.0, 4.0]), np.array([3, 3]), np.ones(2), 4) == (-2.0, -1.0, 0.0)


def probs_of(objective, outputs):
    return np.exp(np.asarray(objective.log_probs(outputs), np.float64))


@pytest.mark.parametrize("criterion", ["absolute", "squared", "zero_one"])
def test_every_rule_has_the_cut_points_that_serve_it(criterion):
    """Of two outputs, one has grades .45 0 .55, the other .3 .3 .4: mode, median and mean of both are all different."""
    shares = np.array([[9, 0, 11], [6, 6, 8]])
    outputs = np.repeat([[1.0], [2.0]], 20, axis=0)
    labels = np.concatenate([np.repeat([0, 1, 2], row) for row in shares])
    fitted = objectives.get("thresholded_regression", num_classes=3, criterion=criterion).fit(outputs, labels)
    decided = {
        rule: fitted.predict(np.array([[1.0], [2.0]]), rule=rule).tolist() for rule in ("mode", "median", "mean")
    }
    assert decided == {"mode": [2, 2], "median": [1, 1], "mean": [1, 1]}
    native = {"absolute": "median", "squared": "mean", "zero_one": "mode"}[criterion]
    assert fitted.decision() == fitted.decision(native) == f"{native} (fitted cut points)"
    assert fitted.predict(np.array([[1.0], [2.0]])).tolist() == decided[native]
    assert objectives.get("thresholded_regression", num_classes=3, criterion=criterion, fitted=fitted.fitted) == fitted


def test_fitted_values_that_make_no_sense_are_refused():
    for fitted in ({"median_cuts": [1.0]}, {"median_cuts": [2.0, 1.0]}, {"spread": float("nan")}, {"cut": 1.0}):
        with pytest.raises(ValueError, match=r"increasing numbers|must be finite|not \['cut'\]"):
            objectives.get("thresholded_regression", num_classes=3, fitted=fitted)


def test_thresholded_regression_decides_by_its_cuts():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    outputs = (0.9 + 0.1 * labels + 0.02 * rng.normal(size=300))[:, None].astype(np.float32)  # shrunk to the mean
    objective = objectives.get("thresholded_regression", num_classes=3)
    fitted = objective.fit(outputs, labels)
    assert np.mean(objective.predict(outputs) == labels) < 0.4
    assert np.mean(fitted.predict(outputs) == labels) > 0.98
    np.testing.assert_allclose(fitted.fitted["median_cuts"], [0.95, 1.05], atol=0.02)
    np.testing.assert_allclose(fitted.fitted["spread"], np.sqrt(np.mean((outputs[:, 0] - labels) ** 2)), rtol=1e-6)
    np.testing.assert_array_equal(fitted.predict(outputs), fitted.predict(outputs, rule="median"))
    np.testing.assert_array_equal(
        fitted.predict(outputs), np.sum(np.cumsum(probs_of(fitted, outputs), 1) < 0.5, axis=1)
    )
    np.testing.assert_array_equal(fitted.score(outputs), outputs[:, 0])


def test_rows_of_weight_zero_are_not_fitted():
    objective = objectives.get("thresholded_regression", num_classes=3)
    outputs, labels = np.array([[0.0], [1.0], [2.0], [9.0]]), np.array([0, 1, 2, -1])
    assert objective.fit(outputs, labels, np.array([1, 1, 1, 0])) == objective.fit(outputs[:3], labels[:3])
    with pytest.raises(ValueError, match="none"):
        objective.fit(outputs, labels, np.zeros(4))
    with pytest.raises(ValueError, match="labels"):
        objective.fit(outputs, labels)
    for weights in ([1, 1, -1, 0], [1, 1, np.nan, 0]):
        with pytest.raises(ValueError, match="weights must be finite and not negative"):
            objective.fit(outputs, labels, np.array(weights))
    with pytest.raises(ValueError, match="criterion"):
        objectives.get("thresholded_regression", num_classes=3, criterion="cubic")
