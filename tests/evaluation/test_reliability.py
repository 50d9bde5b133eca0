"""Reliability: curves and bands against brute force and scikit-learn, the test's error by simulation, exact parts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from ordinal_blast.evaluation import reliability


def draw(n: int, k: int, scale: float = 2.0, seed: int = 0, sharpen: float = 1.0):
    """Labels drawn from probabilities `[n, k]`, and these made `sharpen` times as sure."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=scale, size=(n, k))
    probs = special.softmax(logits, axis=1)
    labels = (rng.uniform(size=(n, 1)) > np.cumsum(probs, axis=1)[:, :-1]).sum(axis=1)
    return labels, special.softmax(sharpen * logits, axis=1)


def test_curves_are_those_of_scikit_learn_where_bins_divide_evenly():
    labels, probs = draw(200, 3)
    curves = reliability.assess(labels, probs, 3, bins=10, draws=20)
    targets = [(labels > k, 1 - np.cumsum(probs, axis=1)[:, k]) for k in range(2)]
    targets.append((labels == probs.argmax(axis=1), probs.max(axis=1)))
    for row, (events, values) in enumerate(targets):
        observed, predicted = calibration_curve(events, values, n_bins=10, strategy="quantile")
        np.testing.assert_allclose(curves.predicted[row], predicted, rtol=1e-12)
        np.testing.assert_allclose(curves.observed[row], observed, rtol=1e-12, atol=1e-12)
    assert (curves.n == 20).all()
    gaps = (curves.observed - curves.predicted)[:2]
    assert curves.statistic == pytest.approx((gaps**2).sum() * 20 / 200, rel=1e-9)


def test_bands_are_the_quantiles_of_hits_that_the_probabilities_imply():
    probs = np.tile([0.7, 0.3], (60, 1))
    curves = reliability.assess(np.zeros(60, int), probs, 2, bins=5, draws=20_000)
    # All 60 tie and share the middle bin: the number above is binomial.
    assert curves.n[0].tolist() == [0, 0, 60, 0, 0]
    low, high = stats.binom(60, 0.3).ppf([0.025, 0.975]) / 60
    assert (curves.low[0, 2], curves.high[0, 2]) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))
    assert np.isnan(curves.predicted[0, 0])
    assert curves.observed[0, 2] == 0


def test_p_of_the_calibration_test_is_that_of_the_binomial_in_one_bin():
    probs = np.tile([0.5, 0.5], (20, 1))
    labels = np.repeat([1, 0], [15, 5])
    p = reliability.assess(labels, probs, 2, bins=1, draws=40_000).p_value
    assert p == pytest.approx(stats.binomtest(15, 20, 0.5).pvalue, abs=0.004)


@pytest.mark.parametrize(("n", "k", "scale"), [(50, 3, 1.5), (150, 5, 6.0)])
def test_the_calibration_test_keeps_its_level_and_sees_overconfidence(n, k, scale):
    def rejected(sharpen):
        p = [
            reliability.assess(*draw(n, k, scale, seed, sharpen), k, draws=99, seed=seed).p_value for seed in range(200)
        ]
        return np.mean(np.array(p) <= 0.05)

    assert 0.01 <= rejected(1.0) <= 0.09
    assert rejected(3.0) > 0.5


def test_patients_who_bring_several_examples_are_not_taken_for_many():
    errors = {"independent": 0, "clusters": 0}
    patients = np.repeat(np.arange(40), 4)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        probs = special.softmax(np.repeat(rng.normal(scale=1.5, size=(40, 3)), 4, axis=0), axis=1)
        fate = np.repeat(rng.uniform(size=40), 4)
        fate = np.where(rng.uniform(size=160) < 0.7, fate, rng.uniform(size=160))
        labels = (fate[:, None] > np.cumsum(probs, axis=1)[:, :-1]).sum(axis=1)
        for name, clusters in (("independent", None), ("clusters", patients)):
            p = reliability.assess(labels, probs, 3, draws=99, clusters=clusters, seed=seed).p_value
            errors[name] += p <= 0.05
    assert errors["independent"] > 0.2 * 200
    assert errors["clusters"] <= 0.1 * 200


def test_the_debiased_error_is_the_mean_product_of_gaps_of_two_examples():
    labels, probs = draw(40, 3, sharpen=3.0)
    gaps = (probs.argmax(axis=1) == labels) - probs.max(axis=1)
    order = np.argsort(probs.max(axis=1))
    squares = []
    for members in order.reshape(4, 10):
        products = np.outer(gaps[members], gaps[members])
        squares.append((products.sum() - np.trace(products)) / 90)
    assert reliability.debiased_ece(labels, probs, 3, bins=4) == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-12)


@pytest.mark.parametrize("chance", [0.8, 0.6])
def test_the_squared_gap_has_no_bias(chance):
    # Sure to .8; a plain square would add the variance of the share that is right, chance (1 - chance) / 30.
    probs, rng = np.tile([0.8, 0.2], (30, 1)), np.random.default_rng(0)
    squares = [reliability.squared_gap((rng.uniform(size=30) > chance).astype(int), probs, 2) for _ in range(4000)]
    assert np.mean(squares) == pytest.approx((0.8 - chance) ** 2, abs=0.002)
    assert chance * (1 - chance) / 30 > 0.005
    assert min(squares) < 0


def test_the_parts_of_the_brier_score_add_up_and_are_those_of_isotonic_regression():
    labels, probs = draw(120, 4, sharpen=2.0)
    probs[60:80] = probs[60]  # ties
    parts = reliability.brier_parts(labels, probs, 4)
    assert parts.score == pytest.approx(parts.miscalibration - parts.discrimination + parts.uncertainty, rel=1e-14)
    recalibrated = 0.0
    for k in range(4):
        fitted = IsotonicRegression().fit(probs[:, k], labels == k).predict(probs[:, k])
        recalibrated += ((fitted - (labels == k)) ** 2).mean()
    assert parts.score - parts.miscalibration == pytest.approx(recalibrated, rel=1e-10)
    assert parts.score == pytest.approx(brier_score_loss(labels, probs, labels=range(4)), rel=1e-12)
    frequencies = np.bincount(labels, minlength=4) / 120
    assert parts.uncertainty == pytest.approx(1 - (frequencies**2).sum(), rel=1e-12)
    assert min(parts.miscalibration, parts.discrimination) > 0


def test_what_cannot_be_assessed_is_one_clear_line():
    labels, probs = draw(20, 3)
    with pytest.raises(ValueError, match="bins must be 1 or more, found 0"):
        reliability.assess(labels, probs, 3, bins=0)
    with pytest.raises(ValueError, match="draws must be 20 or more"):
        reliability.assess(labels, probs, 3, draws=5)
    with pytest.raises(ValueError, match="at least 2 clusters"):
        reliability.assess(labels, probs, 3, clusters=["a"] * 20)
    assert np.isnan(reliability.debiased_ece(labels[:1], probs[:1], 3))


@pytest.mark.parametrize("clusters", [None, np.arange(300) // 3])
def test_how_many_numbers_are_drawn_at_once_changes_nothing(clusters, monkeypatch):
    rng = np.random.default_rng(9)
    probs, labels = rng.dirichlet(np.ones(4), 300), rng.integers(0, 4, 300)
    whole = reliability.assess(labels, probs, 4, clusters=clusters, draws=200)
    monkeypatch.setattr(reliability, "_BLOCK", 7 * 200)
    parts = reliability.assess(labels, probs, 4, clusters=clusters, draws=200)
    assert parts.p_value == whole.p_value
    for field in ("low", "high"):
        assert getattr(parts, field) == pytest.approx(getattr(whole, field), rel=1e-12, nan_ok=True)
