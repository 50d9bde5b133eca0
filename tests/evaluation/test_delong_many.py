"""Clusters, k models and thresholds: against loops over the published formulas, and the cases they reduce to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ordinal_blast.evaluation import roc
from ordinal_blast.evaluation.multiplicity import holm


def draw(n: int = 90, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels `[n]`, correlated scores `[k, n]` with ties, and clusters of unequal size that mix cases and controls."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 3 == 0).astype(int)
    clusters = rng.integers(0, n // 4, n)
    patient = rng.normal(size=n)[clusters]
    return labels, np.round(labels + patient + rng.normal(size=(k, n)), 1), clusters


def obuchowski(labels, scores, clusters) -> np.ndarray:
    """Covariance `[k, k]` of areas by Obuchowski's sums over clusters, written as loops."""
    cases, controls = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    wins = (scores[:, cases, None] > scores[:, None, controls]) + 0.5 * (
        scores[:, cases, None] == scores[:, None, controls]
    )
    v10, v01, area = wins.mean(axis=2), wins.mean(axis=1), wins.mean(axis=(1, 2))
    m, n = len(cases), len(controls)
    own_cases = own_controls = across = 0.0
    for cluster in np.unique(clusters):
        inside_cases, inside_controls = clusters[cases] == cluster, clusters[controls] == cluster
        x = v10[:, inside_cases].sum(axis=1) - inside_cases.sum() * area
        y = v01[:, inside_controls].sum(axis=1) - inside_controls.sum() * area
        own_cases, own_controls = own_cases + np.outer(x, x), own_controls + np.outer(y, y)
        across = across + np.outer(x, y) + np.outer(y, x)
    i10, i01, i = (len(np.unique(each)) for each in (clusters[cases], clusters[controls], clusters))
    s10, s01, s11 = i10 / (i10 - 1) / m * own_cases, i01 / (i01 - 1) / n * own_controls, i / (i - 1) * across
    return s10 / m + s01 / n + s11 / (m * n)


@pytest.mark.parametrize("seed", range(3))
def test_clustered_variance_is_obuchowskis(seed):
    labels, scores, clusters = draw(seed=seed)
    expected = obuchowski(labels, scores, clusters)
    assert roc.delong_variance(labels, scores[0], clusters=clusters) == pytest.approx(expected[0, 0], rel=1e-10)
    np.testing.assert_allclose(
        roc.delong_contrast(labels, scores, clusters=clusters).covariance, expected, rtol=1e-9, atol=1e-15
    )
    found = roc.delong_test(labels, scores[0], scores[1], clusters=clusters)
    spread = expected[0, 0] + expected[1, 1] - 2 * expected[0, 1]
    assert found.standard_error**2 == pytest.approx(spread, rel=1e-9)


def test_clusters_of_one_are_no_clusters():
    labels, scores, _ = draw()
    names = [f"patient {i}" for i in range(len(labels))]
    alone, plain = (roc.delong_test(labels, scores[0], scores[1], clusters=c) for c in (names, None))
    assert alone.statistic == pytest.approx(plain.statistic, rel=1e-12)


def test_copies_within_a_cluster_add_no_information():
    labels, scores, _ = draw()
    copied = roc.delong_variance(np.repeat(labels, 3), np.repeat(scores[0], 3), clusters=np.arange(270) // 3)
    assert copied == pytest.approx(roc.delong_variance(labels, scores[0]), rel=1e-12)


def test_contrast_of_two_models_is_the_square_of_the_paired_test():
    labels, scores, _ = draw()
    pair = roc.delong_test(labels, scores[0], scores[1])
    found = roc.delong_contrast(labels, scores[:2])
    assert found.df == 1
    assert found.statistic == pytest.approx(pair.statistic**2, rel=1e-10)
    assert found.p_value == pytest.approx(pair.p_value, rel=1e-9)


def test_contrast_of_three_models_by_the_formula_and_in_any_basis():
    labels, scores, _ = draw()
    found = roc.delong_contrast(labels, scores)
    contrast = np.array([[1.0, -1, 0], [0, 1, -1]])
    shift = contrast @ [roc.auc(labels, row) for row in scores]
    spread = contrast @ found.covariance @ contrast.T
    assert found.statistic == pytest.approx(shift @ np.linalg.solve(spread, shift), rel=1e-9)
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 2), rel=1e-12)
    other = roc.delong_contrast(labels, scores, [[2, -1, -1], [0, 3, -3], [1, 1, -2]])
    assert (other.df, other.statistic) == (2, pytest.approx(found.statistic, rel=1e-9))


def test_contrast_of_equal_models():
    labels, scores, _ = draw()
    same = roc.delong_contrast(labels, [scores[0]] * 3)
    assert (same.statistic, same.df, same.p_value) == (0, 0, 1)
    doubled = roc.delong_contrast(labels, [scores[0], scores[0], scores[1]])
    assert doubled.df == 1
    assert doubled.p_value == pytest.approx(roc.delong_test(labels, scores[0], scores[1]).p_value, rel=1e-9)


def test_non_inferiority_is_a_shifted_one_sided_test():
    labels, scores, _ = draw()
    found = roc.delong_noninferiority(labels, scores[0], scores[1], margin=0.1)
    two_sided = roc.delong_test(labels, scores[0], scores[1])
    z = (two_sided.difference + 0.1) / two_sided.standard_error
    assert found.p_value == pytest.approx(stats.norm.sf(z), rel=1e-10)
    assert (found.ci[0] > -0.1) == (found.p_value < 0.05)


def test_models_that_rank_alike_on_one_sample_are_not_certain_to_do_so_on_another():
    labels, scores, _ = draw()
    found = roc.delong_noninferiority(labels, scores[0], scores[0], margin=0.1)
    assert math.isnan(found.p_value)
    assert found.degenerate == "estimated variance 0: no test"


def test_a_contrast_without_variance_is_not_tested():
    # Perfect against constant: areas 1 and .5 with every placement the same.
    labels = np.array([0, 0, 0, 1, 1, 1])
    for contrast in (None, [[1e6, -1e6]], [[1e-20, -1e-20]]):
        found = roc.delong_contrast(labels, [labels, np.ones(6)], contrast)
        assert math.isnan(found.p_value)
        assert found.degenerate == "estimated variance 0: no test"


def test_a_contrast_may_be_of_any_size():
    labels, scores, _ = draw()
    plain = roc.delong_contrast(labels, scores, [[1, -1, 0], [0, 1, -1]])
    sized = roc.delong_contrast(labels, scores, [[1e9, -1e9, 0], [0, 1e-9, -1e-9]])
    assert (sized.df, sized.statistic) == (2, pytest.approx(plain.statistic, rel=1e-9))


def test_thresholds_with_fewer_than_five_on_a_side_are_left_out():
    grades = np.repeat([0, 1, 2, 3], [4, 6, 10, 5])
    a, b = np.random.default_rng(0).normal(size=(2, 25)) + grades
    assert [one.threshold for one in roc.delong_per_threshold(grades, a, b, 4)] == [1, 2]
    twins = np.arange(25) // 2  # 5 patients of the highest grade become 3
    assert [one.threshold for one in roc.delong_per_threshold(grades, a, b, 4, clusters=twins)] == [1]


def test_a_test_that_could_not_be_made_is_not_counted():
    np.testing.assert_allclose(holm([0.01, math.nan, 0.04]), [0.02, math.nan, 0.04], rtol=1e-12)
    np.testing.assert_array_equal(holm([math.nan, math.nan]), [math.nan, math.nan])


def test_thresholds_are_binary_problems_adjusted_together():
    rng = np.random.default_rng(0)
    grades = rng.integers(0, 4, 150)
    a, b = grades + rng.normal(size=150), grades + 2 * rng.normal(size=150)
    found = roc.delong_per_threshold(grades, a, b, 4)
    assert [each.threshold for each in found] == [0, 1, 2]
    assert [each.test for each in found] == [roc.delong_test(grades > k, a, b) for k in range(3)]
    np.testing.assert_array_equal([each.p_holm for each in found], holm([each.test.p_value for each in found]))


def test_thresholds_with_a_score_each_and_with_one_side_empty():
    grades = np.array([1, 1, 2, 2, 2, 1] * 2)
    columns = np.random.default_rng(0).normal(size=(12, 3))
    assert [each.threshold for each in roc.delong_per_threshold(grades, columns, columns[:, 0], 4)] == [1]


def test_holm_by_hand():
    # Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, and never below the one before.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02], rtol=1e-12)
    np.testing.assert_array_equal(holm([0.7, 0.6]), [1, 1])
    assert holm([]).shape == (0,)


LABELS, SCORES, _ = draw()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: roc.delong_contrast(LABELS, SCORES[:1]), "2 models or more"),
        (lambda: roc.delong_contrast(LABELS, SCORES, [[1, -1]]), r"shape \[c, 3\]"),
        (lambda: roc.delong_contrast(LABELS, SCORES, [[1, 0, 0]]), "must sum to 0"),
        (lambda: roc.delong_noninferiority(LABELS, SCORES[0], SCORES[1], margin=0), "margin must be above 0"),
        (lambda: roc.delong_test(LABELS, *SCORES[:2], clusters=[1]), r"clusters must have shape \(90,\)"),
        (lambda: roc.delong_test(LABELS, *SCORES[:2], clusters=LABELS), "and so must controls, found 1 and 1"),
        (lambda: roc.delong_test(LABELS, *SCORES[:2], False, clusters=LABELS), "no common clusters"),
        (lambda: roc.delong_per_threshold([0, 1], [[0.1], [0.2]], [0.1, 0.2], 3), r"shape \[2\] or \[2, 2\]"),
        (lambda: holm([0.1, 1.2]), r"p_values\[1\] = 1\.2"),
        (lambda: holm([0.1, None]), r"p_values\[1\] must be a number, found None"),
        (lambda: roc.delong_contrast(LABELS, SCORES, [[0, 0, 0]]), "not be all 0"),
        (lambda: roc.delong_contrast(LABELS, SCORES, [[math.inf, -math.inf, 0]]), "must sum to 0"),
        (lambda: roc.delong_noninferiority(LABELS, SCORES[0], SCORES[1], margin=1), "margin must be above 0"),
        (lambda: roc.delong_test(LABELS, *SCORES[:2], null=math.nan), "null must be a finite number"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
