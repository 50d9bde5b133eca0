"""Tests over seeds, folds and data sets: the published example of the field, arithmetic by hand, and scipy."""

from __future__ import annotations

import itertools
import math
import sys

import numpy as np
import pytest
from scipy import stats

from ordinal_blast.evaluation import significance
from ordinal_blast.evaluation.multiplicity import holm

# Demšar (2006), Statistical comparisons of classifiers over multiple data sets, JMLR 7, table 6: areas under the curve
# of C4.5, C4.5+m, C4.5+cf, C4.5+m+cf on 14 data sets. He ranks the two .975 of one row apart: they tie only in print.
# His text gives the mean ranks and the critical difference.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.97501, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
METHODS = ["plain", "m", "cf", "both"]


def test_published_mean_ranks_and_critical_difference():
    found = significance.nemenyi(DEMSAR, higher_is_better=True)
    np.testing.assert_allclose(found.mean_ranks, [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    # Published 2.569 sqrt(4 * 5 / (6 * 14)) = 1.25.
    assert found.critical_difference == pytest.approx(2.569 * math.sqrt(20 / 84), abs=5e-4)


def test_nemenyi_rejects_exactly_beyond_the_critical_difference():
    found = significance.nemenyi(DEMSAR, higher_is_better=True)
    gaps = np.abs(found.mean_ranks[:, None] - found.mean_ranks)
    edge = significance.nemenyi(DEMSAR, higher_is_better=True, alpha=float(found.p_values[0, 3]))
    assert edge.critical_difference == pytest.approx(gaps[0, 3], rel=1e-6)
    np.testing.assert_array_equal(found.p_values < found.alpha, gaps > found.critical_difference)
    np.testing.assert_array_equal(found.p_values, found.p_values.T)


def test_friedman_by_ranks_with_ties_and_by_iman_and_davenport():
    found = significance.friedman(DEMSAR, higher_is_better=True)
    ranks = stats.rankdata(-DEMSAR, axis=1)
    between = 14**2 * ((ranks.mean(axis=0) - 2.5) ** 2).sum() / 14 * 3
    chi_squared = between / ((ranks - 2.5) ** 2).sum() * 14
    assert found.chi_squared == pytest.approx(chi_squared, rel=1e-10)
    f = 13 * chi_squared / (14 * 3 - chi_squared)
    assert (found.f, found.df) == (pytest.approx(f, rel=1e-10), (3, 39))
    assert found.p_value == pytest.approx(stats.f.sf(f, 3, 39), rel=1e-10)


def test_friedman_at_its_limits():
    order = np.tile([1.0, 2.0, 3.0], (6, 1))
    best = significance.friedman(order, higher_is_better=False)
    assert (best.mean_ranks.tolist(), best.f) == ([1, 2, 3], math.inf)
    assert best.p_value == pytest.approx(6 / 6**6, rel=1e-12)
    assert significance.friedman(order, higher_is_better=True).mean_ranks.tolist() == [3, 2, 1]
    tied = significance.friedman(np.ones((6, 3)), higher_is_better=True)
    assert (tied.chi_squared, tied.f, tied.p_value) == (0, 0, 1)


def test_paired_t_is_the_t_test_of_scipy():
    a, b = np.random.default_rng(0).normal(size=(2, 8))
    found, expected = significance.paired_t(a, b, confidence=0.9), stats.ttest_rel(a, b)
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-10)
    assert found.ci == pytest.approx(tuple(expected.confidence_interval(0.9)), rel=1e-10)
    assert found.sd == pytest.approx((a - b).std(ddof=1), rel=1e-12)


def test_runs_that_agree_exactly():
    same = significance.paired_t([1.0, 2.0], [1.0, 2.0])
    assert (same.mean, same.sd, same.statistic, same.p_value) == (0, 0, 0, 1)
    assert same.degenerate == "no difference: no interval"
    np.testing.assert_array_equal(same.ci, [math.nan] * 2)


# Equal differences but for rounding, and p = 1e-31 where that is taken for spread.
CONSTANT = [0.8, 0.9, 0.7, 0.6], [0.7, 0.8, 0.6, 0.5]


@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_constant_difference_is_no_certainty(scale, dtype):
    # In float32 the rounding is a spread of 1e-8, and p = 1e-23 where that is taken for one.
    a, b = (np.array(CONSTANT) * scale).astype(dtype).astype(np.float64)
    for found in (
        significance.paired_t(a, b),
        significance.corrected_t(a, b, num_train=75, num_test=25),
    ):
        assert (found.mean, found.sd) == (pytest.approx(0.1 * scale, rel=1e-6), 0)
        np.testing.assert_array_equal([found.statistic, found.p_value, *found.ci], [math.nan] * 4)
        assert found.degenerate == "constant difference: no test"


def test_equal_runs_in_another_order_of_summation_do_not_differ():
    seeds = np.array([[0.1, 0.2, 0.3], [0.5, 0.6, 0.7], [0.15, 0.25, 0.95], [0.9, 0.8, 0.3]])
    a = (seeds[:, 0] + seeds[:, 1]) + seeds[:, 2]
    b = seeds[:, 0] + (seeds[:, 1] + seeds[:, 2])
    assert (a != b).any()
    for found in (
        significance.paired_t(a, b),
        significance.corrected_t(a, b, num_train=75, num_test=25),
        significance.wilcoxon_holm(np.stack([a, b], axis=1), ["a", "b"])[0],
        significance.friedman(np.stack([a, b, a], axis=1), higher_is_better=True),
    ):
        assert found.p_value == 1
    many = np.tile(np.stack([a, b, a], axis=1), (5, 1))
    assert significance.friedman(many, higher_is_better=True).p_value == 1
    nemenyi = significance.nemenyi(many, higher_is_better=False)
    assert nemenyi.mean_ranks.tolist() == [2, 2, 2]
    np.testing.assert_array_equal(nemenyi.p_values, 1)


def test_corrected_t_by_hand():
    # Differences 1 2 3: mean 2, variance 1; standard error sqrt(1/3 + 10/90).
    found = significance.corrected_t([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], num_train=90, num_test=10)
    t = 2 / math.sqrt(1 / 3 + 1 / 9)
    assert found.statistic == pytest.approx(t, rel=1e-12)
    assert found.p_value == pytest.approx(2 * stats.t.sf(t, 2), rel=1e-12)


def test_wilcoxon_by_enumeration_of_signs():
    differences = np.array([0.3, -0.1, 0.7, 0.2, 0.9, -0.4, 1.1])
    ranks = stats.rankdata(np.abs(differences))
    observed = ranks[differences > 0].sum()
    sums = [np.dot(signs, ranks) for signs in itertools.product([0, 1], repeat=7)]
    exact = 2 * np.mean(np.array(sums) >= observed)
    found = significance.wilcoxon_holm(np.stack([differences, np.zeros(7)], axis=1), ["a", "b"])
    assert found[0].p_value == pytest.approx(exact, rel=1e-12)
    assert found[0].p_holm == found[0].p_value
    assert found[0].median_difference == 0.3


def test_wilcoxon_of_differences_that_are_equal_but_for_rounding():
    # Five differences of +.1, one of -.1 and one of .2: W- = 3.5, and 7 of 128 signs give as little.
    a, b = [0.8, 0.9, 0.7, 0.6, 0.9, 0.5, 0.8], [0.7, 0.8, 0.6, 0.7, 0.7, 0.4, 0.7]
    found = significance.wilcoxon_holm(np.stack([a, b], axis=1), ["a", "b"])[0]
    assert (found.statistic, found.p_value) == (3.5, 0.109375)


def test_wilcoxon_of_all_pairs_is_adjusted_by_holm():
    found = significance.wilcoxon_holm(DEMSAR, METHODS)
    assert [(each.a, each.b) for each in found] == list(itertools.combinations(METHODS, 2))
    np.testing.assert_array_equal([each.p_holm for each in found], holm([each.p_value for each in found]))
    # Published for the first pair, whose two zero differences are split: R+ = 93, R- = 12.
    assert found[0].statistic == 12


def test_wilcoxon_of_equal_methods():
    equal = significance.wilcoxon_holm(DEMSAR[:, [0, 0]], ["a", "b"])[0]
    assert (equal.statistic, equal.p_value, equal.p_holm) == (14 * 15 / 4, 1, 1)


def test_bayesian_signed_rank_follows_the_direction_and_the_rope():
    pytest.importorskip("baycomp")
    a = np.linspace(0.1, 0.2, 12)
    b = np.zeros(12)
    better = significance.bayesian_signed_rank(a, b, 0.01, higher_is_better=True, seed=0, samples=2000)
    worse = significance.bayesian_signed_rank(a, b, 0.01, higher_is_better=False, seed=0, samples=2000)
    equal = significance.bayesian_signed_rank(a, b, 0.5, higher_is_better=True, seed=0, samples=2000)
    assert better.p_a > 0.99
    assert worse.p_b > 0.99
    assert equal.p_rope > 0.99
    again = significance.bayesian_signed_rank(a, b, 0.01, higher_is_better=True, seed=0, samples=2000)
    assert again == better
    for each in (better, worse, equal):
        assert each.p_a + each.p_rope + each.p_b == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("rope", [0.02, 0.3])
@pytest.mark.parametrize("higher", [True, False])
def test_bayesian_t_is_that_of_baycomp(higher, rope):
    baycomp = pytest.importorskip("baycomp")
    a, b = np.random.default_rng(1).normal([0.1, 0], 0.3, (28, 2)).T
    posterior = significance.bayesian_t(a, b, rope, num_train=3, num_test=1, higher_is_better=higher)
    left, equal, right = baycomp.two_on_single(a, b, rope=rope, runs=7)  # seven times fourfold: a quarter is tested
    expected = (left, equal, right) if higher else (right, equal, left)
    assert (posterior.p_a, posterior.p_rope, posterior.p_b) == pytest.approx(expected, rel=1e-12)


def test_bayesian_t_without_a_region_halves_the_p_value_of_the_corrected_t():
    a, b = np.random.default_rng(1).normal(size=(2, 9))
    sizes = {"num_train": 75, "num_test": 25}
    posterior = significance.bayesian_t(a, b, 0.0, higher_is_better=True, **sizes)
    assert 2 * min(posterior.p_a, posterior.p_b) == pytest.approx(
        significance.corrected_t(a, b, **sizes).p_value, rel=1e-12
    )
    assert posterior.p_rope == pytest.approx(0, abs=1e-15)


def test_bayesian_t_of_equal_differences_is_no_certainty():
    posterior = significance.bayesian_t([1.0, 2.0], [0.0, 1.0], 0.1, num_train=3, num_test=1, higher_is_better=True)
    np.testing.assert_array_equal([posterior.p_a, posterior.p_rope, posterior.p_b], [math.nan] * 3)


@pytest.mark.parametrize(("datasets", "p"), [(2, "0.5"), (3, "0.25"), (4, "0.125")])
def test_few_data_sets_are_refused_with_the_p_value_that_they_could_reach(datasets, p):
    assert significance.refusal(datasets).endswith(f"the exact p of a pair would still be {p}.")
    agreeing = np.stack([np.arange(1.0, datasets + 1), np.zeros(datasets)], axis=1)
    assert significance.wilcoxon_holm(agreeing, ["a", "b"])[0].p_value == float(p)


def test_five_data_sets_are_tested():
    assert significance.refusal(5) == ""


def test_bayesian_signed_rank_names_the_extra_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "baycomp", None)
    with pytest.raises(ImportError, match=r"ordinal-blast\[bayes\]"):
        significance.bayesian_signed_rank([1.0, 2.0], [0.0, 1.0], 0.1, higher_is_better=True, seed=0)


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_friedman_of_two_blocks_that_agree_is_one_in_six(higher_is_better):
    found = significance.friedman([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], higher_is_better=higher_is_better)
    assert (found.f, found.p_value, found.p_from) == (math.inf, 1 / 6, "permutations")


def test_friedman_of_many_blocks_that_agree_is_not_certain():
    found = significance.friedman(np.tile(np.arange(12.0), (30, 1)), higher_is_better=True)
    assert found.f == math.inf
    assert 0 < found.p_value < 1e-4
    assert significance.friedman(DEMSAR, higher_is_better=True).p_from == "F"


def test_bayesian_signed_rank_of_equal_methods_is_practical_equality():
    pytest.importorskip("baycomp")
    a = np.array([0.1, 0.2, 0.3, 0.4])
    equal = significance.bayesian_signed_rank(a, a, 0, higher_is_better=True, seed=0, samples=200)
    assert (equal.p_a, equal.p_rope, equal.p_b) == (0, 1, 0)
    # Differences of .1 lie at the edge of the region, some of them a last digit beyond it.
    edge = significance.bayesian_signed_rank(*CONSTANT, 0.1, higher_is_better=True, seed=0, samples=200)
    assert edge.p_rope == 1


def test_every_result_says_what_it_assumes_in_one_sentence():
    a, b = DEMSAR[:, 0], DEMSAR[:, 1]
    results = [
        significance.paired_t(a, b),
        significance.corrected_t(a, b, num_train=9, num_test=1),
        significance.wilcoxon_holm(DEMSAR, METHODS)[0],
        significance.friedman(DEMSAR, higher_is_better=True),
        significance.nemenyi(DEMSAR, higher_is_better=True),
        significance.bayesian_t(a, b, 0.01, num_train=9, num_test=1, higher_is_better=True),
    ]
    for result in results:
        assert result.assumes.count(".") == 1
        assert result.assumes.endswith(".")
        assert "not" in result.assumes or "conservative" in result.assumes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: significance.paired_t([1.0, None], [2.0, 1.0]), r"a\[1\] must be a number"),
        (
            lambda: significance.corrected_t([1.0, 2.0], [0.0, 0.0], num_train=9, num_test=1, confidence=95),
            "confidence must lie between 0 and 1, found 95",
        ),
        (lambda: significance.friedman(DEMSAR[:, :2], higher_is_better=True), r"shape \[2, 3\] or larger"),
        (lambda: significance.wilcoxon_holm(DEMSAR, ["a"]), "1 methods named but scores have 4 columns"),
        (
            lambda: significance.ranks([[0.0, math.nan], [0.0, 1.0]], higher_is_better=True),
            r"entry \(0, 1\) of scores \[blocks, methods\] is nan",
        ),
        (lambda: significance.paired_t([1.0], [2.0]), "2 or more"),
        (lambda: significance.paired_t([1.0, math.nan], [2.0, 1.0]), "pair 1 is not finite"),
        (lambda: significance.corrected_t([1.0, 2.0], [0.0, 0.0], num_train=0, num_test=1), "num_train"),
        (lambda: significance.nemenyi(DEMSAR, higher_is_better=True, alpha=5), "alpha must lie between 0 and 1"),
        (
            lambda: significance.bayesian_t([1, 2], [0, 0], -1, num_train=3, num_test=1, higher_is_better=True),
            "rope must be 0 or more, found -1",
        ),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
