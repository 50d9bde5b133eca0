"""Scaling of log-probabilities: known answers, optimality, and what has no finite fit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from ordinal_blast.evaluation import calibration, metrics


def draw(n: int = 4000, seed: int = 0):
    """Log-probabilities and labels drawn from them."""
    rng = np.random.default_rng(seed)
    log_probs = special.log_softmax(rng.normal(scale=1.5, size=(n, 3)), axis=1)
    labels = (rng.uniform(size=(n, 1)) > np.cumsum(np.exp(log_probs), axis=1)).sum(axis=1)
    return log_probs, labels


def test_temperature_of_two_logits_in_closed_form():
    # Log odds of 2 are right 3 times of 4: calibrated log odds are log 3, so slope = log 3 / 2.
    log_probs = np.tile(special.log_softmax([0.0, 2.0]), (4, 1))
    found = calibration.fit(log_probs, [1, 1, 1, 0], 2)
    np.testing.assert_allclose(found.slope, math.log(3) / 2, rtol=1e-5)
    np.testing.assert_allclose(np.exp(found.apply(log_probs)), np.tile([0.25, 0.75], (4, 1)), rtol=1e-5)


def test_temperature_undoes_sharpening_and_keeps_order():
    log_probs, labels = draw()
    plain = calibration.fit(log_probs, labels, 3)
    sharp = calibration.fit(special.log_softmax(4 * log_probs, axis=1), labels, 3)
    np.testing.assert_allclose(4 * sharp.slope, plain.slope, rtol=1e-4)
    np.testing.assert_allclose(plain.slope, 1, atol=0.06)
    assert (sharp.apply(log_probs).argmax(axis=1) == log_probs.argmax(axis=1)).all()


def test_vector_scaling_undoes_slopes_and_offsets():
    log_probs, labels = draw(20_000)
    slope, offset = np.array([0.5, 2.0, 1.0]), np.array([1.0, -1.5, 0.5])
    found = calibration.fit(log_probs * slope + offset, labels, 3, method="vector")
    np.testing.assert_allclose(found.slope, 1 / slope, rtol=0.1)
    undone = found.apply(log_probs * slope + offset)
    np.testing.assert_allclose(np.exp(undone), np.exp(log_probs), atol=0.03)


def test_scaling_by_class_is_of_probabilities_and_not_the_vector_scaling_of_logits():
    # Logits that leave another constant open in each row: one softmax, so one temperature, but other vector scalings.
    log_probs, labels = draw(500)
    logits = log_probs + np.random.default_rng(1).normal(scale=2, size=(500, 1))
    assert calibration.fit(logits, labels, 3).slope == pytest.approx(
        calibration.fit(log_probs, labels, 3).slope, rel=1e-4
    )
    of_probs, of_logits = (calibration.fit(each, labels, 3, method="vector") for each in (log_probs, logits))
    assert np.abs(of_probs.slope - of_logits.slope).max() > 0.05
    # Diagonal Dirichlet calibration (Kull et al., 2019): p_k ** slope_k * exp(offset_k), made to sum to 1.
    powers = np.exp(log_probs) ** of_probs.slope * np.exp(of_probs.offset)
    np.testing.assert_allclose(
        np.exp(of_probs.apply(log_probs)), powers / powers.sum(axis=1, keepdims=True), rtol=1e-12
    )


@pytest.mark.parametrize("method", ["temperature", "vector"])
def test_fit_is_a_minimum(method):
    log_probs, labels = draw(500)

    def loss(scaling: calibration.Scaling) -> float:
        return metrics.log_loss(labels, np.exp(scaling.apply(log_probs)), 3)

    best = calibration.fit(log_probs, labels, 3, method=method)
    rng = np.random.default_rng(1)
    for size in (0.01, 0.1):
        for _ in range(20):
            step = rng.normal(size=(2, 3)) * size if method == "vector" else [rng.normal() * size, 0.0]
            assert loss(calibration.Scaling(best.slope + step[0], best.offset + step[1])) >= loss(best) - 1e-12
    assert loss(best) <= loss(calibration.Scaling(np.ones(3), np.zeros(3)))


@pytest.mark.parametrize("method", ["temperature", "vector"])
def test_classes_ruled_out_stay_ruled_out(method):
    log_probs, labels = draw(500)
    rows = np.flatnonzero(labels != 2)[:50]
    log_probs[rows, 2] = -np.inf
    fitted = calibration.fit(log_probs, labels, 3, method=method)
    calibrated = fitted.apply(log_probs)
    assert np.isneginf(calibrated[rows, 2]).all()
    np.testing.assert_allclose(np.exp(calibrated).sum(axis=1), 1, rtol=1e-12)


def test_a_class_ruled_out_everywhere_is_as_if_it_were_not_there():
    log_probs, _ = draw(500)
    two = special.log_softmax(log_probs[:, :2], axis=1)
    labels = np.arange(500) % 5 == 0
    without = calibration.fit(two, labels.astype(int), 2)
    three = np.concatenate([two, np.full((500, 1), -np.inf)], axis=1)
    np.testing.assert_allclose(calibration.fit(three, labels.astype(int), 3).slope[0], without.slope[0], rtol=1e-6)


def test_perfect_separation_stops_at_the_stated_bound():
    found = calibration.fit(special.log_softmax([[3.0, 0.0], [0.0, 3.0]], axis=1), [0, 1], 2)
    assert np.isfinite(found.slope).all()
    assert 5 < found.slope[0] <= calibration.SLOPES[1]


@pytest.mark.parametrize(
    ("log_probs", "labels", "method", "message"),
    [
        ([[0.0, -np.inf]], [1], "temperature", r"log_probs\[0\] gives its label 1 probability 0"),
        ([[-math.inf, -math.inf]], [0], "temperature", r"log_probs\[0\] gives every class probability 0"),
        ([[0.0, math.nan]], [0], "temperature", r"log_probs\[0, 1\] = nan"),
        ([[-0.7, -0.7]], [0], "vector", "class 1 is absent"),
        ([[-0.7, -0.7]], [0, 1], "vector", "2 labels but 1 rows"),
        ([[-0.7, -0.7, -0.7]], [0], "vector", r"shape \[N, 2\]"),
        ([[-0.7, -0.7]], [0], "isotonic", "found 'isotonic'"),
    ],
)
def test_bad_input_is_one_clear_line(log_probs, labels, method, message):
    with pytest.raises(ValueError, match=message):
        calibration.fit(log_probs, labels, 2, method=method)
