"""Exact permutation p values against plain enumeration, scipy, and the size they promise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from ordinal_blast.evaluation import permutation
from ordinal_blast.evaluation.rounding import difference, level


@pytest.mark.parametrize("seed", range(6))
def test_signed_ranks_by_enumeration_with_ties_and_zeros(seed):
    differences = np.random.default_rng(seed).integers(-3, 4, 9).astype(float)
    ranks, zero = stats.rankdata(np.abs(differences)), differences == 0
    half = ranks[zero].sum() / 2
    smaller = min(ranks[differences > 0].sum(), ranks[differences < 0].sum())
    sums = np.array([np.dot(signs, ranks[~zero]) for signs in itertools.product([0, 1], repeat=int((~zero).sum()))])
    statistic, p_value = permutation.signed_rank(differences)
    assert statistic == smaller + half
    assert p_value == min(1, 2 * np.mean(sums <= smaller))


@pytest.mark.parametrize("n", [12, 50])
def test_signed_ranks_without_ties_are_those_of_scipy(n):
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    expected = stats.wilcoxon(differences, method="exact")
    assert permutation.signed_rank(differences) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-12)


@pytest.mark.parametrize(
    ("n", "expected"),
    [(60, 0.0482253810823743), (120, 0.00190751128769713), (240, 8.99029783063554e-06)],
)
def test_signed_ranks_of_many_differences_are_those_of_coin(n, expected):
    # R 4.2.2, coin 1.4-2: wilcoxsign_test(d ~ rep(0, n), zero.method = "Pratt"), distribution "exact" for 60 and 120
    # and "asymptotic" for 240 (exact 7.1e-06), d = ((0:(n - 1)) * 37) %% 11 - 4. Zeros: 6, 11, 22.
    _, p_value = permutation.signed_rank(np.arange(n) * 37 % 11 - 4.0)
    assert p_value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_friedman_by_enumeration_with_ties(seed):
    ranks = stats.rankdata(np.random.default_rng(seed).integers(0, 3, (4, 3)), axis=1)
    observed = np.square(ranks.sum(axis=0)).sum()
    orders = [[row[list(order)] for order in itertools.permutations(range(3))] for row in ranks]
    spreads = np.array([np.square(np.sum(rows, axis=0)).sum() for rows in itertools.product(*orders)])
    assert permutation.friedman(ranks) == pytest.approx(np.mean(spreads >= observed - 1e-9), rel=1e-12)


def test_friedman_by_drawing_is_near_the_exact_value(monkeypatch):
    ranks = stats.rankdata(np.random.default_rng(5).normal(size=(5, 4)) + np.arange(4) * 0.4, axis=1)
    exact = permutation.friedman(ranks)
    monkeypatch.setattr(permutation, "EXACT_ROWS", 1)
    drawn = permutation.friedman(ranks)
    assert drawn == permutation.friedman(ranks)
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact / permutation.DRAWS))


def test_friedman_of_two_blocks_keeps_its_level():
    # Measured for F: .16 below .05 with two blocks of three.
    rng = np.random.default_rng(0)
    found = [permutation.friedman(stats.rankdata(rng.normal(size=(2, 3)), axis=1)) for _ in range(300)]
    assert min(found) == 1 / 6


def test_levelled_values_keep_their_order_and_join_only_what_is_near():
    values = np.array([0.3, 0.1 + 0.2, 0.3 + 1e-9, -0.3, 0.0, 5e-17])
    found = level(values, 1e-12)
    assert stats.rankdata(found).tolist() == [4.5, 4.5, 6, 1, 2.5, 2.5]
    np.testing.assert_allclose(found, values, atol=1e-12)


def test_a_difference_of_rounding_is_exactly_zero():
    a, b = np.array([0.1 + 0.2, 1.0, np.inf, np.inf, 1e-9]), np.array([0.3, 0.5, 1.0, np.inf, 0.0])
    np.testing.assert_array_equal(difference(a, b), [0, 0.5, np.inf, np.nan, 1e-9])
