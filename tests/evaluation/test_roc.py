"""ROC curves and DeLong tests against exact rational arithmetic over all pairs, and the edges where peers go wrong."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from ordinal_blast.evaluation import roc
from ordinal_blast.evaluation.delong import compare


def draw(n: int = 60, seed: int = 0, decimals: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and two correlated scores with ties."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 3 == 0).astype(int)
    shared = rng.normal(size=n) + labels
    return labels, np.round(shared + rng.normal(size=n), decimals), np.round(shared + rng.normal(size=n), decimals)


def wins(labels, scores) -> list[list[Fraction]]:
    """1, 1/2 or 0 for each case against each control: the definition, over all pairs."""
    cases = [s for y, s in zip(labels, scores, strict=True) if y]
    controls = [s for y, s in zip(labels, scores, strict=True) if not y]
    return [[Fraction(int(x > y) * 2 + int(x == y), 2) for y in controls] for x in cases]


def mean(values) -> Fraction:
    values = list(values)
    return sum(values, Fraction(0)) / len(values)


def variance(values) -> Fraction:
    values = list(values)
    return sum((v - mean(values)) ** 2 for v in values) / (len(values) - 1)


def exact(labels, *weighted) -> tuple[Fraction, Fraction]:
    """Area and DeLong variance of a weighted sum of scores' areas, exactly: pairs of (weight, scores)."""
    tables = [(weight, wins(labels, scores)) for weight, scores in weighted]
    m, n = len(tables[0][1]), len(tables[0][1][0])
    cases = [sum(w * mean(t[i]) for w, t in tables) for i in range(m)]
    controls = [sum(w * mean(t[i][j] for i in range(m)) for w, t in tables) for j in range(n)]
    return mean(cases), variance(cases) / m + variance(controls) / n


@pytest.mark.parametrize("seed", range(4))
def test_area_and_variance_are_exact(seed):
    labels, scores, _ = draw(seed=seed)
    area, spread = exact(labels, (1, scores))
    assert roc.auc(labels, scores) == float(area)
    assert roc.delong_variance(labels, scores) == pytest.approx(float(spread), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_paired_test_is_exact(seed):
    labels, a, b = draw(seed=seed)
    difference, spread = exact(labels, (1, a), (-1, b))
    z = float(difference) / math.sqrt(spread)
    reach = 1.959963984540054 * math.sqrt(spread)
    found = roc.delong_test(labels, a, b)
    assert found.difference == pytest.approx(float(difference), abs=1e-15)
    assert found.statistic == pytest.approx(z, rel=1e-10)
    assert found.p_value == pytest.approx(math.erfc(abs(z) / math.sqrt(2)), rel=1e-10)
    assert found.ci == pytest.approx((float(difference) - reach, float(difference) + reach), rel=1e-10)


def test_unpaired_test_is_exact():
    labels_a, a, _ = draw(60, seed=0)
    labels_b, b, _ = draw(45, seed=1)
    (area_a, var_a), (area_b, var_b) = exact(labels_a, (1, a)), exact(labels_b, (1, b))
    t = float(area_a - area_b) / math.sqrt(var_a + var_b)
    df = float((var_a + var_b) ** 2 / (var_a**2 / 59 + var_b**2 / 44))
    found = roc.delong_test(labels_a, a, b, paired=False, labels_b=labels_b)
    assert found.df == pytest.approx(df, rel=1e-12)
    assert found.statistic == pytest.approx(t, rel=1e-10)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-10)


def test_one_sided_p_values_add_to_one_and_halve_the_two_sided():
    labels, a, b = draw()
    two, less, greater = (roc.delong_test(labels, a, b, alternative=each) for each in ("two-sided", "less", "greater"))
    assert less.p_value + greater.p_value == pytest.approx(1, rel=1e-12)
    assert two.p_value == pytest.approx(2 * min(less.p_value, greater.p_value), rel=1e-12)
    assert less.ci[0] == -1
    assert greater.ci[1] == 1


def test_a_bound_of_the_interval_as_null_gives_its_p_value():
    labels, a, b = draw()
    low, high = roc.delong_test(labels, a, b, confidence=0.9).ci
    assert roc.delong_test(labels, a, b, null=high).p_value == pytest.approx(0.1, rel=1e-9)
    assert roc.delong_test(labels, a, b, alternative="greater", null=low).p_value == pytest.approx(0.05, rel=1e-9)


@pytest.mark.parametrize("paired", [True, False])
def test_scores_that_rank_alike_give_p_one(paired):
    labels, a, _ = draw()
    for other in (a, np.exp(a), 3 * a - 7):
        found = roc.delong_test(labels, a, other, paired=paired)
        assert (found.difference, found.statistic, found.p_value) == (0, 0, 1)


def test_both_perfect_gives_p_one():
    found = roc.delong_test([0, 0, 1, 1], [0, 1, 2, 3], [-5, -5, 9, 9])
    assert (found.auc_a, found.auc_b, found.statistic, found.p_value) == (1, 1, 0, 1)
    np.testing.assert_array_equal(found.ci, (math.nan, math.nan))
    assert found.degenerate == "estimated variance 0: no interval"


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("paired", [True, False])
def test_a_difference_without_variance_is_no_certainty(paired, alternative):
    found = roc.delong_test([0, 0, 1, 1], [0, 0, 1, 1], [5, 5, 5, 5], paired, alternative)
    assert (found.difference, found.standard_error) == (0.5, 0)
    np.testing.assert_array_equal([found.statistic, found.p_value, *found.ci], [math.nan] * 4)
    assert found.degenerate == "estimated variance 0: no test"


def test_variance_left_by_rounding_is_none():
    # Each case placed 1/3 higher by a than by b, and each control one third too: equal but in their last digits.
    labels = [0, 0, 0, 1, 1, 1]
    assert roc.delong_test(labels, [0, 1, 2, 3, 4, 5], [5, 1, 2, 3, 4, 0]).degenerate == ""
    third = compare(1.0, 2 / 3, 1e-34, math.inf, "two-sided", 0.0, 0.95, "")
    assert math.isnan(third.p_value)
    equal = compare(0.1 + 0.2, 0.3, 1e-34, math.inf, "two-sided", 0.0, 0.95, "")
    assert (equal.statistic, equal.p_value) == (0, 1)


def newcombe(area, m, n, z=1.959963984540054):
    """Newcombe's (2006) limits, method 5, by search on a grid of a millionth."""
    theta = np.linspace(0, 1, 1_000_001)
    more = (m + n) / 2 - 1
    spread = theta * (1 - theta) * (1 + more * (1 - theta) / (2 - theta) + more * theta / (1 + theta)) / (m * n)
    inside = theta[np.abs(area - theta) <= z * np.sqrt(spread) + 1e-12]
    return inside.min(), inside.max()


@pytest.mark.parametrize("method", ["wald", "logit", "newcombe"])
@pytest.mark.parametrize(("cases", "controls"), [(2, 2), (2, 100), (30, 25)])
def test_perfect_separation_is_no_certainty(method, cases, controls):
    labels = np.repeat([1, 0], [cases, controls])
    low, high = roc.auc_ci(labels, labels, method=method)
    # At an area of 1 the equation is 1 - θ = z² θ (...) / (m n), and θ = 1 a root.
    inside = newcombe(1.0, cases, controls)
    assert (low, high) == (pytest.approx(np.nextafter(inside[0], 1), abs=2e-6), 1)
    assert roc.auc_ci(labels, -labels, method=method) == (0, pytest.approx(1 - low, abs=1e-12))


def test_clusters_count_once_at_the_boundary():
    labels, patients = [0, 0, 0, 0, 1, 1, 1, 1], ["a", "a", "b", "b", "c", "c", "d", "d"]
    assert roc.auc_ci(labels, labels, clusters=patients) == roc.auc_ci([0, 0, 1, 1], [0, 0, 1, 1])
    assert roc.smaller_side(labels, patients) == 2
    assert roc.smaller_side(labels) == 4
    assert roc.smaller_side([1, 0, 0, 1, 0], ["a", "a", "b", "a", "c"]) == 1


@pytest.mark.parametrize(("cases", "controls", "area"), [(15, 15, 0.95), (3, 100, 0.9), (5, 5, 0.7), (40, 40, 0.95)])
def test_the_interval_covers(cases, controls, area):
    # 500 samples at a nominal .95; "wald" has .83, .65, .87 and .89 here.
    labels = np.repeat([1, 0], [cases, controls])
    scores = np.random.default_rng(0).normal(size=(500, len(labels))) + math.sqrt(2) * stats.norm.ppf(area) * labels
    intervals = np.array([roc.auc_ci(labels, row) for row in scores])
    covered = ((intervals[:, 0] <= area) & (area <= intervals[:, 1])).mean()
    assert 0.925 <= covered <= 0.995


@pytest.mark.parametrize(("cases", "error"), [(2, 0.20), (3, 0.13), (5, 0.10), (10, 0.07)])
def test_the_test_errs_as_often_as_is_said_of_few(cases, error):
    rng = np.random.default_rng(cases)
    labels = np.repeat([1, 0], [cases, 100])
    shift = math.sqrt(2) * stats.norm.ppf(0.7) * labels
    wrong = 0
    for _ in range(600):
        shared, a, b = rng.normal(size=(3, len(labels)))
        found = roc.delong_test(labels, (shared + a) / math.sqrt(2) + shift, (shared + b) / math.sqrt(2) + shift)
        wrong += found.p_value < 0.05
    assert wrong / 600 == pytest.approx(error, abs=3 * math.sqrt(error * (1 - error) / 600))
    assert f"in {error:.2f} of samples" in found.assumes
    assert roc.few(cases) in found.assumes


def test_enough_on_both_sides_needs_no_warning():
    assert roc.few(20) == ""
    assert "in 0.06 of samples" in roc.few(19)
    assert "in 0.20 of samples" in roc.few(2)


@pytest.mark.parametrize("value", [0.0, math.inf, -math.inf])
def test_constant_scores_are_no_certainty(value):
    scores = np.full(6, value)
    assert roc.auc([0, 1, 0, 1, 0, 1], scores) == 0.5
    assert roc.delong_variance([0, 1, 0, 1, 0, 1], scores) == 0
    low, high = roc.auc_ci([0, 1, 0, 1, 0, 1], scores)
    assert (low, high) == pytest.approx(newcombe(0.5, 3, 3), abs=2e-6)
    assert low + high == pytest.approx(1, abs=1e-12)


def test_scores_that_differ_in_their_last_digit_differ():
    assert roc.auc([0, 1], [1.0, np.nextafter(1.0, 2)]) == 1
    assert roc.auc([0, 1], [-5e-324, 0.0]) == 1


def test_perfect_against_fair_is_finite():
    labels, a, _ = draw()
    found = roc.delong_test(labels, labels + 0.0, a)
    assert found.auc_a == 1
    assert math.isfinite(found.statistic)
    assert 0 < found.p_value < 1


@pytest.mark.parametrize("seed", range(20))
def test_perfect_separation_is_exactly_one(seed):
    rng = np.random.default_rng(seed)
    labels = np.append([0, 0, 1, 1], rng.integers(0, 2, rng.integers(10, 3000)))
    scores = np.float32(rng.uniform(size=len(labels)) + labels)
    scores[labels == 1] += np.float32(0.5)
    assert roc.auc(labels, scores) == 1
    assert roc.auc(1 - labels, scores) == 0
    assert roc.delong_variance(labels, scores) == 0


def test_scores_beyond_float32_are_ranked():
    base = 2.0**24
    assert roc.auc([0, 1, 0, 1], [base, base + 1, base + 2, base + 3]) == 0.75


def test_infinite_scores_are_ranked():
    assert roc.auc([0, 0, 1, 1], [-np.inf, 1.0, 1.0, np.inf]) == 3.5 / 4


@pytest.mark.parametrize("transform", [np.tanh, lambda s: s**3, lambda s: 2 * s + 1], ids=["tanh", "cube", "affine"])
def test_monotone_maps_change_nothing(transform):
    labels, a, b = draw()
    found, moved = roc.delong_test(labels, a, b), roc.delong_test(labels, transform(a), b)
    assert moved == found


def test_permuting_examples_changes_nothing():
    labels, a, b = draw()
    order = np.random.default_rng(1).permutation(len(labels))
    found, moved = roc.delong_test(labels, a, b), roc.delong_test(labels[order], a[order], b[order])
    assert moved.statistic == pytest.approx(found.statistic, rel=1e-12)
    assert moved.difference == found.difference


def test_exchanging_cases_and_controls_mirrors_the_area():
    labels, a, b = draw()
    assert roc.auc(1 - labels, a) == pytest.approx(1 - roc.auc(labels, a), abs=1e-15)
    found, mirrored = roc.delong_test(labels, a, b), roc.delong_test(1 - labels, -a, -b)
    assert mirrored.statistic == pytest.approx(found.statistic, rel=1e-12)
    swapped = roc.delong_test(labels, b, a)
    assert swapped.statistic == -found.statistic
    assert swapped.p_value == found.p_value


def test_large_samples_do_not_overflow():
    n = 150_000
    labels, scores = np.arange(n) % 2, np.arange(n)
    assert roc.auc(labels, scores) == 0.5 + 1 / n
    low, high = roc.auc_ci(labels, scores)
    assert 0.49 < low < 0.5 < high < 0.51


def test_curve_by_hand_and_its_trapezoid():
    fpr, tpr, thresholds = roc.curve([0, 1, 0, 1, 1], [1, 2, 2, 3, 3])
    assert fpr.tolist() == [0, 0, 0.5, 1]
    assert tpr.tolist() == [0, 2 / 3, 1, 1]
    assert thresholds.tolist() == [math.inf, 3, 2, 1]
    labels, a, _ = draw()
    fpr, tpr, _ = roc.curve(labels, a)
    assert np.trapezoid(tpr, fpr) == pytest.approx(roc.auc(labels, a), rel=1e-12)


def test_intervals_stay_within_what_areas_can_be():
    labels, good, poor = [0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6], [6, 5, 3, 4, 2, 1]
    low, high = roc.auc_ci(labels, good, method="wald")
    assert low < high == 1
    assert roc.auc_ci(labels, poor, method="wald")[0] == 0
    assert 0 < roc.auc_ci(labels, poor)[0] < roc.auc_ci(labels, good)[1] < 1
    assert roc.delong_test(labels, good, poor).ci[1] == 1
    assert roc.delong_test(labels, poor, good).ci[0] == -1


def test_intervals_by_their_formulas():
    labels, a, _ = draw()
    area, error = roc.auc(labels, a), math.sqrt(roc.delong_variance(labels, a))
    z = 1.6448536269514722
    assert roc.auc_ci(labels, a, 0.9, "wald") == pytest.approx((area - z * error, area + z * error), rel=1e-12)
    shift = z * error / (area * (1 - area))
    odds = math.log(area / (1 - area))
    expected = tuple(1 / (1 + math.exp(-(odds + sign * shift))) for sign in (-1, 1))
    assert roc.auc_ci(labels, a, confidence=0.9) == pytest.approx(expected, rel=1e-12)
    assert roc.auc_ci(labels, a, 0.9, "newcombe") == pytest.approx(newcombe(area, 20, 40, z), abs=2e-6)
    fewer = np.arange(len(labels)) >= np.flatnonzero(labels)[0] + 1  # 19 cases
    assert roc.auc_ci(labels[fewer], a[fewer]) == roc.auc_ci(labels[fewer], a[fewer], method="newcombe")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: roc.auc([1, 1], [0.1, 0.2]), "2 cases and 0 controls"),
        (lambda: roc.auc([0, 0], [0.1, 0.2]), "0 cases and 2 controls"),
        (lambda: roc.auc([0, 2], [0.1, 0.2]), r"labels\[1\] = 2 is outside 0\.\.1"),
        (lambda: roc.auc([0, 1], [0.1, math.nan]), r"scores\[1\] is NaN"),
        (lambda: roc.auc([0, 1], [2**53 + 1, 2**53 + 2]), r"scores\[1\] = 9007199254740994 has no exact float64"),
        (lambda: roc.auc([0, 1], [0.1, None]), r"scores\[1\] must be a number, found None"),
        (lambda: roc.auc([0, 1], ["0.1", "0.2"]), "scores must be numbers, found text"),
        (lambda: roc.auc([0, 1], np.ma.masked_equal([0.1, 9.0], 9.0)), r"scores\[1\] is masked"),
        (lambda: roc.auc([0.0, math.nan], [0.1, 0.2]), "labels must be integers, found float64 with NaN at 1"),
        (lambda: roc.auc([True, None], [0.1, 0.2]), r"labels\[0\] must be a number, found True"),
        (lambda: roc.auc([0, 1], [0.1]), r"shape \(2,\) like the labels, found \(1,\)"),
        (lambda: roc.delong_variance([0, 0, 1], [0.1, 0.2, 0.3]), "at least 2 cases and 2 controls, found 1 and 2"),
        (lambda: roc.delong_test([0, 1], [0, 1], [0, math.nan]), r"at least 2 cases"),
        (lambda: roc.delong_test([0, 0, 1, 1], [0, 1, 2, 3], [0, 1, 2, 3], alternative="more"), "found 'more'"),
        (lambda: roc.delong_test([0, 0, 1, 1], [0, 1, 2, 3], [0, 1, 2, 3], labels_b=[0, 1, 0, 1]), "paired=False"),
        (lambda: roc.auc_ci([0, 0, 1, 1], [0, 2, 1, 3], confidence=95), "between 0 and 1, found 95"),
        (lambda: roc.auc_ci([0, 0, 1, 1], [0, 2, 1, 3], method="exact"), "logit, newcombe, wald, found 'exact'"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
