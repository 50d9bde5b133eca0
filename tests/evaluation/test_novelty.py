"""Distances from training examples against plain linear algebra, sharpness against formulas, shares by counting."""

import numpy as np
import pytest

from ordinal_blast.evaluation import novelty


def test_with_fewer_features_than_axes_the_distance_is_that_of_mahalanobis():
    rng = np.random.default_rng(0)
    train = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5)) + 3
    new = rng.normal(size=(7, 5)) * 4
    inverse = np.linalg.inv(np.cov(train.T))
    expected = [np.sqrt((x - train.mean(0)) @ inverse @ (x - train.mean(0))) for x in new]
    np.testing.assert_allclose(novelty.learn(train).distances(new), expected, rtol=1e-9)


def test_directions_beyond_the_axes_share_their_mean_variance():
    rng = np.random.default_rng(1)
    train = rng.normal(size=(400, 100)) * np.linspace(3, 1, 100)
    values, vectors = np.linalg.eigh(np.cov(train.T))
    values = np.concatenate([np.full(36, values[:36].mean()), values[36:]])
    new = rng.normal(size=(4, 100))
    inverse = (vectors / values) @ vectors.T
    expected = np.sqrt(np.einsum("nd,de,ne->n", new - train.mean(0), inverse, new - train.mean(0)))
    np.testing.assert_allclose(novelty.learn(train).distances(new), expected, rtol=1e-8)


def test_a_direction_in_which_training_examples_never_differ_counts_and_is_finite():
    train = np.column_stack([np.arange(10.0), np.full(10, 2.0)])
    far, near = novelty.learn(train).distances([[4.5, 3.0], [4.5, 2.0]])
    assert near == pytest.approx(0, abs=1e-9)
    assert far == pytest.approx(np.sqrt(1 / (1e-3 * train[:, 0].var(ddof=1) / 2)))
    with pytest.raises(ValueError, match=r"finite, \[N, D\] of two examples or more"):
        novelty.learn(train[:1])


def test_sharpness_is_that_of_a_sine_and_knows_no_brightness_and_no_contrast():
    row = np.sin(2 * np.pi * np.arange(64) / 8)
    sine = np.tile(row, (64, 1))[None, ..., None]
    inner = np.tile(row[1:-1], (62, 1)).var() / row.var()
    expected = (2 - 2 * np.cos(2 * np.pi / 8)) ** 2 * inner  # the second difference of a sine is a multiple of it
    assert novelty.sharpness(sine)[0] == pytest.approx(expected)
    assert novelty.sharpness(40 * sine + 90)[0] == pytest.approx(expected)
    slow = np.tile(np.sin(2 * np.pi * np.arange(64) / 32), (64, 1))[None, ..., None]
    assert novelty.sharpness(np.concatenate([slow, sine], axis=-1))[0] == pytest.approx(expected)  # its sharpest plane
    assert novelty.sharpness(np.full((2, 5, 5, 1), 7)).tolist() == [0, 0]


def test_oddness_counts_the_known_values_that_are_at_least_as_large():
    assert novelty.oddness([0, 2, 5], [3, 1, 2, 2]).tolist() == [1.0, 4 / 5, 1 / 5]
    assert novelty.rare([0.2, 0.4], 4).tolist() == [True, False]  # beyond all four
    assert novelty.rare([0.01, 0.011], 999).tolist() == [True, False]
