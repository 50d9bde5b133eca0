"""Uncertainty: closed forms, the ensemble's split, and risk against coverage by brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from ordinal_blast.evaluation import metrics, uncertainty

PROBS = np.array([[0.5, 0.0, 0.5], [0.2, 0.5, 0.3], [0.0, 1.0, 0.0]])


def test_measures_are_their_closed_forms():
    np.testing.assert_allclose(uncertainty.ordinal(PROBS, 3), [0.5, 0.2 * 0.8 + 0.7 * 0.3, 0], atol=1e-15)
    np.testing.assert_allclose(
        uncertainty.entropy(PROBS, 3),
        [math.log(2), -sum(p * math.log(p) for p in (0.2, 0.5, 0.3)), 0],
        rtol=1e-14,
    )
    np.testing.assert_allclose(uncertainty.variance(PROBS, 3), [1, 0.2 + 4 * 0.3 - 1.1**2 + 0.3, 0], atol=1e-15)


def test_ordinal_uncertainty_is_the_rps_that_a_calibrated_model_expects():
    expected = [sum(p[y] * metrics.rps([y], p[None], 3) for y in range(3)) for p in PROBS]
    np.testing.assert_allclose(uncertainty.ordinal(PROBS, 3), expected, atol=1e-14)


@pytest.mark.parametrize("measure", uncertainty.MEASURES)
def test_an_ensemble_is_split_into_what_its_models_are_unsure_of_and_their_disagreement(measure):
    probs = np.random.default_rng(0).dirichlet([0.5] * 3, size=(4, 20))
    parts = uncertainty.split(probs, 3, measure)
    np.testing.assert_allclose(parts.total, parts.aleatoric + parts.epistemic, rtol=1e-12)
    assert (parts.epistemic > 0).all()
    alike = uncertainty.split(np.stack([PROBS, PROBS]), 3, measure)
    np.testing.assert_allclose(alike.epistemic, 0, atol=1e-15)
    sure_and_opposed = uncertainty.split([[[1.0, 0, 0]], [[0, 0, 1.0]]], 3, measure)
    assert sure_and_opposed.aleatoric == 0
    assert sure_and_opposed.total == uncertainty.MEASURES[measure](np.array([[0.5, 0, 0.5]]))


def test_the_variance_of_an_ensemble_is_split_as_the_law_of_total_variance_says():
    probs = np.random.default_rng(1).dirichlet([1] * 4, size=(5, 10))
    np.testing.assert_allclose(
        uncertainty.split(probs, 4, "variance").epistemic, (probs @ np.arange(4)).var(axis=0), atol=1e-14
    )


def test_risk_of_ties_is_the_mean_over_their_orders():
    losses, unsure = np.array([0.0, 3.0, 1.0, 2.0]), np.array([0.1, 0.5, 0.5, 0.9])
    curve = uncertainty.risk_coverage(losses, unsure)
    curves = []
    for middle in itertools.permutations([3.0, 1.0]):
        curves.append(np.cumsum([0.0, *middle, 2.0]) / np.arange(1, 5))
    np.testing.assert_allclose(curve.risk, np.mean(curves, axis=0), rtol=1e-14)
    assert curve.area == pytest.approx(np.mean(curves), rel=1e-14)
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert curve.at(np.array(0.625)) == pytest.approx((curve.risk[1] + curve.risk[2]) / 2)


def test_an_uncertainty_that_says_nothing_has_the_mean_loss_as_its_area():
    losses = np.random.default_rng(0).poisson(1, 50)
    flat = uncertainty.risk_coverage(losses, np.zeros(50))
    assert flat.area == pytest.approx(losses.mean(), rel=1e-12)
    best = uncertainty.risk_coverage(losses, losses)
    assert best.area < flat.area < uncertainty.risk_coverage(losses, -losses).area


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: uncertainty.split(PROBS, 3), r"shape \[S, N, 3\], found \(3, 3\)"),
        (lambda: uncertainty.split(PROBS[None], 3, "gini"), "one of ordinal, entropy, variance, found 'gini'"),
        (lambda: uncertainty.risk_coverage([1.0, math.nan], [0, 1]), r"losses\[1\] = nan"),
        (lambda: uncertainty.risk_coverage([1.0, 2.0], [0]), r"uncertainty must have shape \(2,\)"),
        (lambda: uncertainty.ordinal([[0.5, 0.6]], 2), "sums to 1.1"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
