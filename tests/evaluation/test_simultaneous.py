"""Several differences at once: published critical values, bounds, and intervals that agree with their p values."""

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

from ordinal_blast.evaluation import multireader, simultaneous
from ordinal_blast.evaluation.multireader import Contrast
from ordinal_blast.evaluation.simultaneous import against, family, interval, p_value

HALF = {count: np.full((count, count), 0.5) + np.eye(count) / 2 for count in range(1, 13)}


def contrast(statistic, df=np.inf, error=1.0):
    reach = stats.t.ppf(0.975, df) * error
    estimate = statistic * error
    p_value = 2 * stats.t.sf(abs(statistic), df)
    return Contrast(estimate, error, df, (estimate - reach, estimate + reach), p_value, "seeds and examples")


NO_TEST = Contrast(0.0, np.nan, np.nan, (np.nan, np.nan), np.nan, "seeds and examples", "the same")


@pytest.mark.parametrize(
    ("count", "critical"),
    # Two-sided, 5 %, infinitely many degrees of freedom, correlations of one half (Dunnett, 1964).
    [(1, 1.96), (2, 2.21), (3, 2.35), (4, 2.44), (5, 2.51), (6, 2.57), (7, 2.61), (8, 2.65), (9, 2.69), (12, 2.77)],
)
def test_critical_values_are_dunnetts(count, critical):
    adjusted = family([contrast(1.0)] * count, HALF[count])
    assert stats.norm.isf(adjusted.level / 2) == pytest.approx(critical, abs=0.012)
    assert adjusted.cis[0] == pytest.approx((1 - critical, 1 + critical), abs=0.012)


@pytest.mark.parametrize(("count", "critical"), [(2, 2.57), (4, 2.89), (8, 3.19)])
def test_with_ten_degrees_of_freedom_they_are_dunnetts_or_a_little_wider(count, critical):
    adjusted = family([contrast(1.0, df=10)] * count, HALF[count])
    reach = adjusted.cis[0, 1] - 1
    assert 0 <= reach / critical - 1 < 0.04
    assert reach == pytest.approx(stats.t.isf(adjusted.level / 2, 10), rel=1e-12)


def test_without_correlation_it_is_sidaks():
    contrasts = [contrast(t) for t in (2.9, 2.2, 1.0, 0.1)]
    adjusted = family(contrasts, np.eye(4))
    assert adjusted.p_values == pytest.approx([1 - (1 - c.p_value) ** 4 for c in contrasts], abs=0.003)
    assert adjusted.level == pytest.approx(1 - 0.95**0.25, rel=0.03)


def test_the_same_difference_many_times_is_one_difference():
    adjusted = family([contrast(2.1)] * 5, np.ones((5, 5)))
    assert adjusted.p_values == pytest.approx(contrast(2.1).p_value, rel=0.05)  # 3 s.d. of the draws
    assert adjusted.level == pytest.approx(0.05, rel=0.02)
    turned = family([contrast(2.1), contrast(-2.1)], [[1, -1], [-1, 1]])
    assert turned.p_values == pytest.approx(contrast(2.1).p_value, rel=0.05)


def test_one_difference_is_not_adjusted():
    alone = contrast(2.0, df=7, error=0.3)
    adjusted = family([NO_TEST, alone], np.eye(2))
    assert (adjusted.size, adjusted.level) == (1, pytest.approx(0.05, rel=1e-12))
    assert adjusted.p_values[1] == pytest.approx(alone.p_value, rel=1e-12)
    assert adjusted.cis[1] == pytest.approx(alone.ci, rel=1e-12)
    assert np.isnan([adjusted.p_values[0], *adjusted.cis[0]]).all()


def test_what_has_no_test_does_not_count():
    adjusted = family([contrast(2.3), NO_TEST, contrast(1.0), NO_TEST], HALF[4])
    two = family([contrast(2.3), contrast(1.0)], HALF[2])
    assert (adjusted.size, adjusted.level) == (2, two.level)
    assert adjusted.p_values[[0, 2]] == pytest.approx(two.p_values, rel=1e-12)
    nothing = family([NO_TEST, NO_TEST], np.eye(2))
    assert (nothing.size, np.isnan(nothing.p_values).all(), nothing.cis.shape) == (0, True, (2, 2))
    assert family([], np.empty((0, 0))).size == 0


def test_p_lies_between_the_raw_one_and_bonferronis_however_small():
    statistics = (0.0, 0.5, 2.0, 3.0, 4.0, 6.0, 9.0)
    for correlation in (np.eye(7), HALF[7], np.ones((7, 7))):
        contrasts = [contrast(t, df=30) for t in statistics]
        raw = np.array([c.p_value for c in contrasts])
        adjusted = family(contrasts, correlation).p_values
        assert (adjusted >= raw * (1 - 1e-9)).all()
        assert (adjusted <= np.minimum(7 * raw, 1) * (1 + 1e-9)).all()
        assert (np.diff(adjusted) <= 0).all()
    assert adjusted[0] == 1
    assert family([contrast(9.0)] * 7, np.eye(7)).p_values[0] == pytest.approx(7 * contrast(9.0).p_value, rel=1e-12)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99, 0.999])
def test_an_interval_excludes_zero_where_its_p_is_below_the_level(confidence):
    rng = np.random.default_rng(0)
    decided = 0
    for seed, count in itertools.product(range(12), (2, 5, 40)):
        loadings = rng.uniform(-1, 1, count) if seed % 3 else np.ones(count)
        correlation = np.outer(loadings, loadings)
        np.fill_diagonal(correlation, 1)
        centre = stats.norm.isf((1 - confidence) / 2)
        contrasts = [contrast(rng.normal(centre, 1), rng.choice([3.0, 8.5, np.inf])) for _ in range(count)]
        adjusted = family(contrasts, correlation, confidence=confidence)
        excludes = (adjusted.cis[:, 0] > 0) | (adjusted.cis[:, 1] < 0)
        assert (excludes == (adjusted.p_values < 1 - confidence)).all()
        decided += int(excludes.sum())
    assert decided > 0


def test_degrees_of_freedom_are_those_of_the_difference():
    few, many = contrast(3.0, df=3), contrast(3.0, df=100)
    adjusted = family([few, many], HALF[2])
    reach = stats.t.isf(adjusted.level / 2, [3, 100])
    assert adjusted.cis[:, 1] - 3.0 == pytest.approx(reach, rel=1e-12)
    assert adjusted.p_values[0] > 0.05 > adjusted.p_values[1]
    assert adjusted.p_values[1] == pytest.approx(2 * many.p_value, rel=0.1)


def test_a_family_errs_as_often_as_it_says():
    rng = np.random.default_rng(1)
    draws = rng.multivariate_normal(np.zeros(4), HALF[4], 4000)
    least = family([contrast(2.44)] * 4, HALF[4])
    critical = stats.norm.isf(least.level / 2)
    assert (np.abs(draws).max(axis=1) > critical).mean() == pytest.approx(0.05, abs=0.011)
    assert least.p_values[0] == pytest.approx(0.05, abs=0.002)


def test_bad_input_is_one_line():
    with pytest.raises(ValueError, match=r"correlation must have shape \[2, 2\]"):
        family([contrast(1.0)] * 2, np.eye(3))
    with pytest.raises(ValueError, match="negative eigenvalue"):
        family([contrast(1.0)] * 3, [[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]])
    with pytest.raises(ValueError, match="confidence"):
        family([contrast(1.0)], np.eye(1), confidence=1.0)


def study(values, influence):
    """A comparison of values `[V, S]` and influence `[V, S, U]`."""
    flat = influence.reshape(values.size, -1)
    return multireader.analyse(values, flat @ flat.T, units=flat.shape[1], influence=influence)


def test_differences_to_one_reference_share_it_over_seeds_and_examples():
    rng = np.random.default_rng(0)
    values, influence = rng.normal(size=(4, 5)), rng.normal(size=(4, 5, 30))
    means, variances = influence.mean(axis=1), values.var(axis=1, ddof=1)
    others = [0, 2, 3]
    covariance = np.empty((3, 3))
    for i, v in enumerate(others):
        for j, w in enumerate(others):
            over_examples = sum((means[v] - means[1]) * (means[w] - means[1]))
            over_seeds = (variances[1] + (variances[v] if v == w else 0)) / 5
            covariance[i, j] = over_examples + over_seeds
    scale = np.sqrt(np.diag(covariance))
    assert against([study(values, influence)], 1) == pytest.approx(covariance / np.outer(scale, scale), rel=1e-12)


def test_measures_of_the_same_examples_share_them():
    rng = np.random.default_rng(0)
    influence = rng.normal(size=(3, 1, 40))
    one, two = study(rng.normal(size=(3, 1)), influence), study(rng.normal(size=(3, 1)), -2 * influence)
    other = study(rng.normal(size=(3, 1)), rng.normal(size=(3, 1, 20)))
    correlation = against([one, two, other], 0)
    assert correlation.shape == (6, 6)
    assert correlation[:2, 2:4] == pytest.approx(-correlation[:2, :2], rel=1e-12)
    assert (correlation[:4, 4:] == 0).all()
    assert np.diagonal(correlation).tolist() == [1] * 6
    assert correlation == pytest.approx(correlation.T)


def test_between_measures_nothing_is_supposed_of_seeds():
    rng = np.random.default_rng(0)
    values, nothing = rng.normal(size=(3, 4)), np.zeros((3, 4, 10))
    correlation = against([study(values, nothing), study(values, nothing)], 0)
    assert (correlation[:2, 2:] == 0).all()
    assert 0 < correlation[0, 1] < 1


def test_what_has_no_variance_is_correlated_with_nothing():
    values = np.array([[0.1, 0.2], [0.1, 0.2], [0.3, 0.9]])
    influence = np.zeros((3, 2, 5))
    influence[2] = [1, -1, 2, -2, 0]
    values[:2] = 0.1
    assert against([study(values, influence)], 0)[0].tolist() == [1, 0]
    undefined = values.copy()
    undefined[2, 0] = np.nan
    assert np.isfinite(
        against([study(undefined, np.where(np.isnan(undefined)[..., None], np.nan, influence))], 0)
    ).all()


def test_the_whole_family_of_a_study_is_simultaneous():
    rng = np.random.default_rng(3)
    comparison = study(rng.normal(size=(4, 5)), rng.normal(size=(4, 5, 30)))
    contrasts = [comparison.difference(v, 0) for v in (1, 2, 3)]
    adjusted = simultaneous.family(contrasts, against([comparison], 0))
    for j, one in enumerate(contrasts):
        assert adjusted.cis[j].mean() == pytest.approx(one.estimate, rel=1e-10)
        assert adjusted.cis[j, 0] < one.ci[0] < one.ci[1] < adjusted.cis[j, 1]
        assert one.p_value < adjusted.p_values[j] <= min(1, 3 * one.p_value)


def in_parts(estimate, *parts):
    """A contrast as `multireader` makes it, of parts (variance, df); seeds first."""
    variance = sum(part for part, _ in parts)
    df = variance**2 / sum(part**2 / freedom for part, freedom in parts)
    p = 2 * stats.t.sf(abs(estimate) / math.sqrt(variance), df)
    reach = stats.t.ppf(0.975, df) * math.sqrt(variance)
    ends = (estimate - reach, estimate + reach)
    return Contrast(estimate, math.sqrt(variance), df, ends, p, "seeds and examples", parts=parts)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_either_part_has_the_quantile_of_its_own_degrees_of_freedom(confidence):
    one = in_parts(0.7, (0.03, 2), (0.01, 28))
    t = stats.t.ppf((1 + confidence) / 2, [2, 28])
    reach = math.sqrt(0.03 * t[0] ** 2 + 0.01 * t[1] ** 2)
    assert interval(one, confidence=confidence) == pytest.approx((0.7 - reach, 0.7 + reach), rel=1e-10)
    assert reach > stats.t.ppf((1 + confidence) / 2, one.df) * 0.2


def test_of_one_part_it_is_the_t_test():
    for one in (in_parts(0.5, (0.04, 7)), contrast(2.5, df=7, error=0.2), in_parts(0.5, (0.04, 7), (0.0, 3))):
        assert p_value(one) == pytest.approx(2 * stats.t.sf(2.5, 7), rel=1e-10)
        assert interval(one) == pytest.approx(one.ci, rel=1e-10)
    assert p_value(contrast(2.5)) == pytest.approx(2 * stats.norm.sf(2.5), rel=1e-10)


def test_a_verdict_on_one_contrast_agrees_with_its_interval():
    rng = np.random.default_rng(0)
    for _ in range(300):
        one = in_parts(
            rng.normal(0, 2), (rng.uniform(0, 1), rng.integers(1, 9)), (rng.uniform(0, 1), rng.integers(1, 99))
        )
        low, high = interval(one)
        assert (low > 0 or high < 0) == (p_value(one) < 0.05)
        alone = family([one], np.eye(1))
        assert (alone.p_values[0], *alone.cis[0]) == (p_value(one), pytest.approx(low), pytest.approx(high))
    assert p_value(contrast(1e9)) == pytest.approx(2 * stats.norm.sf(30), rel=1e-10)
    assert p_value(in_parts(0.0, (1.0, 2), (1.0, 9))) == 1
    assert np.isnan([p_value(NO_TEST), *interval(NO_TEST)]).all()


@pytest.mark.parametrize(("seeds", "units"), [(2, np.inf), (3, np.inf), (3, 9), (5, 29)])
@pytest.mark.parametrize("share", [0.3, 0.8, 0.98])
def test_it_errs_no_oftener_than_it_says_where_satterthwaites_does(seeds, units, share):
    rng = np.random.default_rng(0)
    studies = 20_000
    estimates = rng.standard_normal(studies)
    own = share * rng.chisquare(seeds - 1, studies) / (seeds - 1)
    shared = (1 - share) * (rng.chisquare(units - 1, studies) / (units - 1) if np.isfinite(units) else np.ones(studies))
    parts = np.stack([own, shared], axis=1)
    for level in (0.05, 0.0125):
        quantiles = special.stdtrit([seeds - 1, units - 1], 1 - level / 2)
        one = in_parts(1.0, (own[0], seeds - 1), (shared[0], units - 1))
        low, high = interval(one, confidence=1 - level)
        reaches = np.sqrt(parts @ quantiles**2)
        assert (high - low) / 2 == pytest.approx(reaches[0], rel=1e-10)
        assert 0.05 * level < (np.abs(estimates) > reaches).mean() < level + 3 * math.sqrt(level / studies)
    if seeds == 3 and share > 0.5:
        df = (own + shared) ** 2 / (own**2 / (seeds - 1) + shared**2 / (units - 1))
        published = 2 * special.stdtr(df, -np.abs(estimates) / np.sqrt(own + shared))
        assert (published < 0.0125).mean() > 0.02


def test_an_interval_stays_within_its_bounds():
    one = in_parts(0.97, (0.0004, 4), (0.0002, 30))
    low, high = interval(one, bounds=(0, 1))
    plain = interval(one)
    odds = math.log(0.97 / 0.03)
    reach = (plain[1] - plain[0]) / 2 / (0.97 * 0.03)
    assert plain[1] > 1 > high
    assert (low, high) == pytest.approx((special.expit(odds - reach), special.expit(odds + reach)), rel=1e-10)
    twice = in_parts(2 * 0.97 - 1, (0.0016, 4), (0.0008, 30))
    assert interval(twice, bounds=(-1, 1)) == pytest.approx((2 * low - 1, 2 * high - 1), rel=1e-10)
    narrow = in_parts(0.5, (1e-8, 4))
    assert interval(narrow, bounds=(0, 1)) == pytest.approx(interval(narrow), rel=1e-6)
    with pytest.raises(ValueError, match=r"between its bounds 0\.0 and 1\.0, found 1\.2"):
        interval(in_parts(1.2, (1.0, 3)), bounds=(0, 1))


def test_a_seed_with_an_infinite_value_shares_nothing_and_does_not_warn():
    infinite = np.array([[np.inf, 1.0, 2.0], [1.0, 2.0, 4.0]])
    shared = simultaneous.sharing(infinite, np.array([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(shared, [[1 / 3, 1 / 3], [1 / 3, 10 / 9]])
