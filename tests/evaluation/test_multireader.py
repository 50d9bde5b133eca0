"""Seeds as readers: published numbers, the formulas written out, and what must never be certain."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

from ordinal_blast.evaluation import delong, jackknife, metrics, multireader, roc, simultaneous
from ordinal_blast.evaluation.multireader import ALIKE, NO_VARIANCE, ONE_EXAMPLE, ONE_SEED, UNDEFINED, analyse

# Van Dyke et al. (1993): 5 readers, 45 cases and 69 controls in 2 treatments. Areas times 2 * 45 * 69, and the lower
# triangle of DeLong's covariance times 10,000, readers within treatments.
AREAS = np.array([[5711, 5333, 5613, 6043, 5153], [5886, 5622, 5724, 6206, 5775]]) / 6210
TRIANGLE = """
    8.961210453 6.675676529 13.062105488 5.120672274 5.932152659 7.892421129 2.349391770 2.600698133
    1.311277812 2.965794141 6.152158611 10.408499401 5.034274694 2.167584945 17.187615419 3.684357485
    3.889974241 2.940864468 0.387864544 2.153098334 4.840321622 4.506926429 7.499436628 4.236739770
    1.109806526 7.221651674 3.193411561 8.771618479 4.470735209 4.865455482 3.507923338 1.910924276
    3.147335070 4.956674537 4.867202695 8.749861523 0.086894357 0.065531564 0.052054454 0.010710344
    0.078714698 0.029234610 0.063003652 0.012591370 0.005140410 1.173599544 1.734526530 3.255619608
    -0.118386130 2.398020092 1.010086450 3.495186367 2.519188242 0.006339886 6.777156644
"""


def van_dyke():
    covariance = np.zeros((10, 10))
    covariance[np.tril_indices(10)] = np.array(TRIANGLE.split(), float) / 10_000
    return analyse(AREAS, covariance + np.tril(covariance, -1).T, units=114)


def random_study(variants=3, seeds=4, units=9, seed=0, spread=1.0):
    """Values, and the influence of units on them, of a study of no particular kind."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=units) + np.repeat(rng.normal(size=(variants, units)), seeds, axis=0)
    influence = rng.normal(size=(variants * seeds, units)) + shared
    influence -= influence.mean(axis=1, keepdims=True)
    values = spread * rng.normal(size=(variants, seeds)) + rng.normal(size=(variants, 1))
    shaped = influence.reshape(variants, seeds, units)
    return analyse(values, influence @ influence.T, units=units, influence=shaped, case_df=units - 1)


def by_loops(comparison):
    """Obuchowski and Rockette's formulas, pair by pair: the components and F, of all variants."""
    values, covariance = comparison.values, comparison.covariance
    variants, seeds = values.shape
    kinds = {"error": [], "cov1": [], "cov2": [], "cov3": []}
    for (i, (v, s)), (j, (w, t)) in itertools.product(enumerate(np.ndindex(values.shape)), repeat=2):
        kind = ("error" if s == t else "cov2") if v == w else ("cov1" if s == t else "cov3")
        kinds[kind].append(covariance[i, j])
    of = {kind: sum(terms) / len(terms) for kind, terms in kinds.items()}
    grand = sum(values.ravel()) / values.size
    treatments, readers, both = 0.0, 0.0, 0.0
    for v in range(variants):
        treatments += seeds * (sum(values[v]) / seeds - grand) ** 2 / (variants - 1)
    for s in range(seeds):
        readers += variants * (sum(values[:, s]) / variants - grand) ** 2 / (seeds - 1)
    for v, s in np.ndindex(values.shape):
        rest = values[v, s] - sum(values[v]) / seeds - sum(values[:, s]) / variants + grand
        both += rest**2 / ((variants - 1) * (seeds - 1))
    of["variant_reader"] = max(both - of["error"] + of["cov1"] + of["cov2"] - of["cov3"], 0)
    of["reader"] = max((readers - both) / variants - of["cov1"] + of["cov3"], 0)
    total = both + seeds * max(of["cov2"] - of["cov3"], 0)
    return of, treatments, total, total**2 * (variants - 1) * (seeds - 1) / both**2


def test_van_dyke_is_analysed_as_published():
    study = van_dyke()
    assert study.f_statistic == pytest.approx(4.484854, rel=1e-7)
    assert study.df == (1, pytest.approx(15.06611, rel=2e-7))
    assert study.p_value == pytest.approx(0.05123303, rel=1e-7)
    of = study.components
    assert (of.error, of.cov1) == (pytest.approx(0.0007921325, rel=1e-7), pytest.approx(0.0003420090, rel=2e-7))
    assert (of.cov2, of.cov3) == (pytest.approx(0.0003395265, rel=1e-7), pytest.approx(0.0002358497, rel=2e-7))
    assert of.variant_reader == pytest.approx(0.0002045840, rel=1e-7)
    assert of.reader == pytest.approx(0.0015364254, rel=1e-7)


def test_van_dykes_difference_is_as_published():
    for pooled in (False, True):
        difference = van_dyke().difference(0, 1, pooled=pooled)
        assert difference.estimate == pytest.approx(-0.04380032, rel=1e-7)
        assert difference.standard_error == pytest.approx(0.0206825, rel=1e-6)
        assert difference.ci == (pytest.approx(-0.0878671960, rel=1e-7), pytest.approx(0.0002665519, rel=1e-6))
        assert difference.p_value == pytest.approx(0.05123303, rel=1e-7)
        assert difference.basis == "seeds and examples"


@pytest.mark.parametrize(
    ("treatment", "area", "error", "df", "low", "high"),
    [
        (0, 0.8970370, 0.03307642, 12.59597, 0.8253461, 0.9687280),
        (1, 0.9408374, 0.02150464, 12.56530, 0.8942155, 0.9874592),
    ],
)
def test_van_dykes_areas_are_as_published(treatment, area, error, df, low, high):
    mean = van_dyke().mean(treatment)
    assert (mean.estimate, mean.standard_error) == (pytest.approx(area, rel=1e-7), pytest.approx(error, rel=2e-7))
    assert mean.df == pytest.approx(df, rel=4e-7)
    assert mean.ci == (pytest.approx(low, rel=1e-7), pytest.approx(high, rel=1e-7))


@pytest.mark.parametrize("spread", [0.01, 1.0, 5.0])
def test_the_formulas_hold_written_out_in_loops(spread):
    study = random_study(spread=spread)
    of, treatments, total, df = by_loops(study)
    assert dataclasses.asdict(study.components) == pytest.approx(of, rel=1e-12)
    assert study.f_statistic == pytest.approx(treatments / total, rel=1e-12)
    assert study.df == (2, pytest.approx(df, rel=1e-12))
    assert study.p_value == pytest.approx(stats.f.sf(treatments / total, 2, df), rel=1e-8)
    pooled = study.difference(2, 0, pooled=True)
    assert pooled.estimate == pytest.approx(study.values[2].mean() - study.values[0].mean(), rel=1e-12)
    assert (pooled.standard_error, pooled.df) == pytest.approx((math.sqrt(2 * total / 4), df), rel=1e-12)


def test_a_difference_rests_on_its_two_variants_alone():
    study = random_study()
    chosen = [v * 4 + s for v in (2, 0) for s in range(4)]
    two = analyse(study.values[[2, 0]], study.covariance[np.ix_(chosen, chosen)], units=9, case_df=8)
    of, _, total, df = by_loops(two)
    difference = study.difference(2, 0)
    assert of["cov2"] > of["cov3"]
    assert (difference.standard_error, difference.df) == pytest.approx((math.sqrt(2 * total / 4), df), rel=1e-12)
    assert difference == two.difference(0, 1, pooled=True)
    assert difference.p_value == pytest.approx(two.p_value, rel=1e-12)


def test_the_parts_of_an_error_are_those_of_seeds_and_of_examples():
    study = random_study()
    _, _, total, _ = by_loops(study)
    pooled, seeds = study.difference(2, 0, pooled=True), study.difference(2, 0, "seeds")
    (of_seeds, df), (of_examples, case_df) = pooled.parts
    assert (df, case_df) == (6, 8)
    assert of_seeds + of_examples == pytest.approx(2 * total / 4, rel=1e-12)
    assert of_examples == pytest.approx(2 * (study.components.cov2 - study.components.cov3), rel=1e-12)
    gaps = study.values[2] - study.values[0]
    assert seeds.parts == ((pytest.approx(gaps.var(ddof=1) / 4, rel=1e-12), 3), (0, 8))
    assert study.difference(2, 0).parts[0] == (pytest.approx(gaps.var(ddof=1) / 4, rel=1e-12), 3)
    assert study.mean(1).parts[0] == (pytest.approx(study.values[1].var(ddof=1) / 4, rel=1e-12), 3)
    fixed = study.difference(2, 0, "examples")
    assert fixed.parts == ((pytest.approx(fixed.standard_error**2, rel=1e-12), 8),)


def test_where_seeds_do_not_vary_examples_have_their_degrees_of_freedom():
    study = random_study(spread=0.0)
    assert (study.difference(0, 1).df, study.mean(0).df) == (8, 8)
    assert study.difference(0, 1).standard_error > 0


def test_a_mean_rests_on_its_variant_alone():
    study = random_study()
    values, covariance = study.values[1], study.covariance[4:8, 4:8]
    cov2 = sum(covariance[s, t] for s in range(4) for t in range(4) if s != t) / 12
    spread, total = values.var(ddof=1), values.var(ddof=1) + 4 * cov2
    mean = study.mean(1)
    assert cov2 > 0
    assert (mean.estimate, mean.standard_error) == pytest.approx((values.mean(), math.sqrt(total / 4)), rel=1e-12)
    assert mean.df == pytest.approx(3 * total**2 / spread**2, rel=1e-12)
    assert mean.p_value == pytest.approx(2 * stats.t.sf(abs(mean.estimate) / mean.standard_error, mean.df), rel=1e-10)


def test_negative_covariances_over_examples_take_nothing_off():
    values = np.array([[1.0, 2.0, 4.0], [2.0, 1.0, 3.0]])
    covariance = np.eye(6) - 0.1
    covariance[:3, 3:] = covariance[3:, :3] = 0.05  # Cov2 is -.1, Cov3 is .05
    study = analyse(values, covariance, units=9)
    paired = stats.ttest_rel(*values)
    assert study.difference(0, 1).p_value == pytest.approx(paired.pvalue, rel=1e-12)
    assert study.difference(0, 1).df == pytest.approx(2)
    assert study.mean(0).standard_error == pytest.approx(stats.sem(values[0]), rel=1e-12)
    assert study.p_value == pytest.approx(paired.pvalue, rel=1e-12)


def test_over_seeds_alone_it_is_the_t_test():
    study = random_study()
    difference, mean = study.difference(0, 1, "seeds"), study.mean(0, "seeds")
    paired, single = stats.ttest_rel(study.values[0], study.values[1]), stats.ttest_1samp(study.values[0], 0)
    assert (difference.p_value, difference.basis) == (pytest.approx(paired.pvalue, rel=1e-12), "seeds")
    assert difference.ci == pytest.approx(tuple(paired.confidence_interval()), rel=1e-12)
    assert mean.p_value == pytest.approx(single.pvalue, rel=1e-12)
    assert mean.ci == pytest.approx(tuple(single.confidence_interval()), rel=1e-12)


def test_over_examples_alone_it_is_the_variance_of_the_mean_influence():
    study = random_study()
    averaged = study.influence.mean(axis=1)
    difference, mean = study.difference(0, 1, "examples"), study.mean(0, "examples")
    assert difference.standard_error == pytest.approx(math.sqrt(((averaged[0] - averaged[1]) ** 2).sum()), rel=1e-12)
    assert mean.standard_error == pytest.approx(math.sqrt((averaged[0] ** 2).sum()), rel=1e-12)
    assert (difference.df, difference.basis, mean.df, mean.basis) == (8, "examples", 8, "examples")
    reach = stats.t.ppf(0.975, 8) * mean.standard_error
    assert mean.ci == pytest.approx((mean.estimate - reach, mean.estimate + reach), rel=1e-12)


def test_with_one_seed_it_is_over_examples_and_says_so():
    study = random_study(seeds=1)
    assert study.basis == "examples"
    assert study.difference(0, 1) == study.difference(0, 1, "examples")
    assert study.mean(2) == study.mean(2, "examples")
    assert study.difference(0, 1, "seeds").degenerate == study.mean(0, "seeds").degenerate == ONE_SEED
    assert math.isnan(study.components.cov2)
    assert math.isnan(study.detectable(seeds=5))
    gaps = study.values[1:, 0] - study.values[0, 0]
    spread = np.array([[-1, 1, 0], [-1, 0, 1]]) @ study.covariance @ np.array([[-1, 1, 0], [-1, 0, 1]]).T
    hotelling = gaps @ np.linalg.solve(spread, gaps) * 7 / (2 * 8)
    assert (study.f_statistic, study.df) == (pytest.approx(hotelling, rel=1e-10), (2, 7))
    assert study.p_value == pytest.approx(stats.f.sf(hotelling, 2, 7), rel=1e-10)
    of_two = random_study(variants=2, seeds=1)
    assert of_two.p_value == pytest.approx(of_two.difference(0, 1).p_value, rel=1e-10)


def test_ten_equal_variants_with_one_seed_differ_as_often_as_the_level_says():
    rng, p_values = np.random.default_rng(0), []
    for _ in range(300):
        labels = rng.integers(0, 5, 24)
        grades = rng.integers(0, 5, (10, 1, 24))
        p_values.append(multireader.measure("mae", labels, grades, num_classes=5).p_value)
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_more_variants_than_examples_have_no_f_with_one_seed():
    study = multireader.measure("mae", [0, 1, 2, 2], np.random.default_rng(0).integers(0, 3, (9, 1, 4)), num_classes=3)
    assert math.isnan(study.p_value)


def test_one_variant_has_a_mean_and_no_f():
    study = random_study(variants=1)
    assert math.isnan(study.f_statistic)
    assert math.isnan(study.p_value)
    assert not study.mean(0).degenerate


@pytest.mark.parametrize("over", ["both", "seeds", "examples"])
def test_an_interval_excludes_zero_where_p_is_below_its_level(over):
    for seed in range(200):
        study = random_study(seed=seed, spread=(0.1, 1.0, 3.0)[seed % 3])
        for contrast in (study.difference(0, 1, over), study.mean(0, over)):
            assert (contrast.ci[0] > 0 or contrast.ci[1] < 0) == (contrast.p_value < 0.05)


def test_the_confidence_is_that_of_the_intervals():
    study = van_dyke()
    wide = dataclasses.replace(study, confidence=0.99).difference(0, 1)
    reach = stats.t.ppf(0.995, wide.df) * wide.standard_error
    assert wide.ci == pytest.approx((wide.estimate - reach, wide.estimate + reach), rel=1e-12)
    with pytest.raises(ValueError, match="confidence"):
        analyse(AREAS, study.covariance, units=114, confidence=95)


def test_swapping_variants_turns_the_sign():
    study = random_study()
    there, back = study.difference(0, 2), study.difference(2, 0)
    assert (back.estimate, back.ci) == (-there.estimate, pytest.approx((-there.ci[1], -there.ci[0]), rel=1e-12))
    assert back.p_value == pytest.approx(there.p_value, rel=1e-12)


def test_the_order_of_variants_and_of_seeds_is_nothing():
    study = random_study()
    of_variants, of_seeds = np.array([2, 0, 1]), np.array([3, 1, 0, 2])
    place = (of_variants[:, None] * 4 + of_seeds).ravel()
    moved = analyse(study.values[of_variants][:, of_seeds], study.covariance[np.ix_(place, place)], units=9, case_df=8)
    assert moved.p_value == pytest.approx(study.p_value, rel=1e-10)
    assert dataclasses.asdict(moved.components) == pytest.approx(dataclasses.asdict(study.components), rel=1e-10)
    for over in ("both", "seeds", "examples"):
        here, there = study.difference(2, 1, over), moved.difference(0, 2, over)
        assert (there.p_value, *there.ci) == pytest.approx((here.p_value, *here.ci), rel=1e-10)
    assert moved.detectable() == pytest.approx(study.detectable(), rel=1e-10)


def test_a_scale_changes_estimates_and_no_verdict():
    study = random_study()
    scaled = analyse(100 * study.values, 100**2 * study.covariance, units=9, case_df=8)
    moved = analyse(study.values + 7, study.covariance, units=9, case_df=8)
    here = study.difference(0, 1)
    assert scaled.p_value == pytest.approx(study.p_value, rel=1e-10)
    assert scaled.difference(0, 1).ci == pytest.approx((100 * here.ci[0], 100 * here.ci[1]), rel=1e-10)
    assert scaled.detectable() == pytest.approx(100 * study.detectable(), rel=1e-10)
    assert moved.difference(0, 1).ci == pytest.approx(here.ci, rel=1e-10)
    assert moved.mean(0).ci == pytest.approx(tuple(end + 7 for end in study.mean(0).ci), rel=1e-10)


def power(shift, between, cases, seeds, case_df, level=0.05):
    """Of the interval of a verdict, over all that MS(TR) may come out as."""
    of_seeds, of_cases = stats.t.ppf(1 - level / 2, [seeds - 1, case_df])
    error = math.sqrt(2 * (between + cases) / seeds)

    def seen(drawn):
        spread = between * drawn / (seeds - 1)
        reach = math.sqrt(2 / seeds * (spread * of_seeds**2 + cases * of_cases**2))
        excludes = stats.norm.sf((reach - shift) / error) + stats.norm.cdf((-reach - shift) / error)
        return excludes * stats.chi2.pdf(drawn, seeds - 1)

    return integrate.quad(seen, 0, np.inf)[0]


def test_more_seeds_and_units_buy_what_the_formula_says():
    study, of = van_dyke(), van_dyke().components
    for seeds, units, level, asked in ((5, 114, 0.05, 0.8), (3, 50, 0.01, 0.8), (10, 114, 0.05, 0.9)):
        share = 114 / units
        between = of.variant_reader + share * (of.error - of.cov1 - of.cov2 + of.cov3)
        cases = seeds * share * (of.cov2 - of.cov3)
        seen = study.detectable(seeds=seeds, units=units, level=level, power=asked)
        case_df = (study.case_df + 1) / share - 1
        assert power(seen, between, cases, seeds, case_df, level) == pytest.approx(asked, abs=2e-4)
    with pytest.raises(ValueError, match="seeds must be 2 or more"):
        study.detectable(seeds=1)
    with pytest.raises(ValueError, match="power must lie between 0 and 1"):
        study.detectable(power=1.0)


def test_what_a_design_can_show_its_verdicts_see_with_that_power():
    covariance = np.kron(np.eye(2), np.full((3, 3), 2 / 3))  # over cases, which seeds share: half the variance
    shift = analyse([[1, -1, 0], [-1, 1, 0]], covariance, units=100, case_df=99).detectable()  # MS(TR) is 2
    rng, seen = np.random.default_rng(0), 0
    for _ in range(1500):
        values = rng.normal(0, math.sqrt(2 / 3), (2, 1)) + rng.normal(0, math.sqrt(2), (2, 3)) + [[shift], [0]]
        low, high = simultaneous.interval(analyse(values, covariance, units=100, case_df=99).difference(0, 1))
        seen += low > 0 or high < 0
    assert seen / 1500 == pytest.approx(0.8, abs=0.03)


def graded(variants=2, seeds=3, examples=40, num_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(num_classes), examples // num_classes)
    grades = np.clip(labels + rng.integers(-1, 2, (variants, seeds, examples)), 0, num_classes - 1)
    return labels, grades, rng.dirichlet(np.ones(num_classes), (variants, seeds, examples))


@pytest.mark.parametrize("name", multireader.MEASURES)
@pytest.mark.parametrize("cases", [None, np.arange(40) * 7 % 11], ids=["examples", "patients"])
def test_the_covariance_is_the_jackknifes(name, cases):
    labels, grades, probs = graded()
    study = multireader.measure(name, labels, grades, num_classes=4, probs=probs, cases=cases)
    _, without = jackknife.leave_one_out(name, labels, grades.reshape(6, 40), 4, probs.reshape(6, 40, 4), cases=cases)
    units = without.shape[1]
    expected = (units - 1) ** 2 / units * np.cov(without)
    assert study.covariance == pytest.approx(expected, rel=1e-9)
    assert (study.units, study.case_df) == (units, units - 1)
    flat = study.influence.reshape(6, units)
    assert flat @ flat.T == pytest.approx(study.covariance, rel=1e-9)
    assert flat.sum(axis=1) == pytest.approx(0, abs=1e-9)
    if name not in ("rps", "log_loss"):
        single = getattr(metrics, name)(labels, grades[1, 2], 4)
        assert study.values[1, 2] == pytest.approx(single, rel=1e-12)


def test_of_accuracy_the_variance_is_the_binomials():
    labels, grades, _ = graded()
    study = multireader.measure("accuracy", labels, grades, num_classes=4)
    hits = (grades == labels).reshape(6, 40)
    assert study.covariance == pytest.approx(np.cov(hits) / 40, rel=1e-10)
    assert (study.influence.reshape(6, 40) > 0).tolist() == hits.tolist()


def test_weights_count_examples():
    labels, grades, _ = graded()
    weights = 1.0 + np.arange(40) % 3
    study = multireader.measure("mae", labels, grades, num_classes=4, weights=weights)
    expected = np.average(np.abs(grades - labels), axis=2, weights=weights)
    assert study.values == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["accuracy", "log_loss"])
def test_an_example_of_weight_zero_is_left_out(name):
    labels, grades, probs = graded()
    counted = np.arange(40) % 3 > 0
    weighted = multireader.measure(name, labels, grades, num_classes=4, probs=probs, weights=counted.astype(float))
    rest = multireader.measure(name, labels[counted], grades[..., counted], num_classes=4, probs=probs[:, :, counted])
    assert (weighted.units, weighted.case_df) == (rest.units, rest.case_df) == (26, 25)
    assert weighted.covariance == pytest.approx(rest.covariance, rel=1e-10)


@pytest.mark.parametrize("cases", [None, np.arange(40) * 7 % 11], ids=["examples", "patients"])
def test_areas_have_delongs_covariance(cases):
    labels, _, probs = graded(num_classes=2)
    scores = probs[..., 1]
    study = multireader.auc(labels, scores, cases)
    for v, s in np.ndindex(2, 3):
        assert study.values[v, s] == pytest.approx(roc.auc(labels, scores[v, s]), rel=1e-12)
        own = roc.delong_variance(labels, scores[v, s], clusters=cases)
        assert study.covariance[v * 3 + s, v * 3 + s] == pytest.approx(own, rel=1e-10)
    single = multireader.auc(labels, scores[:, :1], cases)
    fixed = delong.delong_test(labels, scores[0, 0], scores[1, 0], clusters=cases)
    assert single.difference(0, 1).standard_error == pytest.approx(fixed.standard_error, rel=1e-10)
    flat = study.influence.reshape(6, -1)
    assert flat @ flat.T == pytest.approx(study.covariance, rel=1e-10 if cases is None else 0.3)
    assert study.case_df == (19 if cases is None else min(len(set(cases[:20])), len(set(cases[20:]))) - 1)


def test_of_an_area_degrees_of_freedom_are_those_of_the_smaller_side():
    scores = np.random.default_rng(0).normal(size=(2, 3, 12))
    for labels in ([1] * 3 + [0] * 9, [0] * 3 + [1] * 9):
        assert multireader.auc(labels, scores).case_df == 2
        assert multireader.auc(labels, scores, np.arange(12) // 2).case_df == 1
        assert multireader.auc(labels, scores).difference(0, 1).parts[1][1] == 2


def test_of_two_grades_the_area_is_somers_d():
    labels, grades, _ = graded(num_classes=2, examples=200)
    area = multireader.auc(labels, grades.astype(float)).difference(0, 1)
    concordance = multireader.measure("somers_d", labels, grades, num_classes=2).difference(0, 1)
    assert concordance.estimate == pytest.approx(2 * area.estimate, rel=1e-10)
    assert concordance.standard_error == pytest.approx(2 * area.standard_error, rel=0.01)


def test_variants_that_are_the_same_are_not_tested():
    labels, grades, probs = graded()
    grades[1] = grades[0]
    for study in (
        multireader.measure("qwk", labels, grades, num_classes=4),
        multireader.auc(labels > 1, np.repeat(probs[:1, ..., 3], 2, axis=0)),
    ):
        for over in ("both", "seeds", "examples"):
            difference = study.difference(0, 1, over)
            assert (difference.estimate, difference.degenerate) == (0, ALIKE)
            assert all(math.isnan(value) for value in (difference.p_value, *difference.ci))
        assert not study.mean(0).degenerate


def test_equal_values_from_other_examples_are_tested():
    labels = np.array([0, 0, 1, 1])
    grades = np.array([[[0, 1, 1, 1]] * 2, [[0, 0, 0, 1]] * 2])
    study = multireader.measure("accuracy", labels, grades, num_classes=2)
    difference = study.difference(0, 1)
    assert (difference.estimate, difference.p_value, difference.degenerate) == (0, 1, "")
    assert difference.standard_error == pytest.approx(math.sqrt(2 / 3 / 4), rel=1e-12)


def test_no_variance_is_never_certainty():
    grades = np.array([[[1] * 6] * 3, [[2, 0] * 3] * 3])  # off by one everywhere, and by two
    study = multireader.measure("mse", [0, 2] * 3, grades, num_classes=3)
    assert study.values.tolist() == [[1] * 3, [4] * 3]
    for over in ("both", "seeds", "examples"):
        contrast = study.difference(1, 0, over)
        assert (contrast.estimate, contrast.degenerate) == (3, NO_VARIANCE)
        assert math.isnan(contrast.p_value)
        assert math.isnan(contrast.ci[0])
        assert study.mean(0, over).degenerate == NO_VARIANCE
    assert math.isnan(study.p_value)
    perfect = multireader.auc([0, 0, 1, 1], [[[1, 2, 3, 4.0]] * 2, [[4, 3, 2, 1.0]] * 2])
    assert (perfect.difference(0, 1).estimate, perfect.difference(0, 1).degenerate) == (1, NO_VARIANCE)
    assert perfect.mean(0).degenerate == NO_VARIANCE


def test_a_seed_without_kappa_leaves_the_other_variants_alone():
    labels = np.array([1, 1, 1, 1, 1, 1])
    grades = np.array([[[0, 1, 1, 1, 0, 1]] * 2, [[0, 1, 0, 1, 0, 1]] * 2, [[0, 1, 0, 1, 0, 1], [1] * 6]])
    study = multireader.measure("qwk", labels, grades, num_classes=2)
    assert np.isnan(study.values).tolist() == [[False] * 2, [False] * 2, [False, True]]
    for contrast in (study.difference(2, 0), study.difference(0, 2, "seeds"), study.mean(2, "examples")):
        assert contrast.degenerate == UNDEFINED
        assert math.isnan(contrast.p_value)
    assert study.difference(0, 1).degenerate == ALIKE  # with one grade of labels kappa is 0 whatever is said
    assert math.isnan(study.p_value)
    assert math.isnan(study.detectable())


def test_an_infinite_loss_leaves_the_other_variants_alone():
    labels, grades, probs = graded(variants=3)
    study = multireader.measure("log_loss", labels, grades, num_classes=4, probs=probs)
    probs[2, 1, 0] = [0, 1, 0, 0]
    worse = multireader.measure("log_loss", labels, grades, num_classes=4, probs=probs)
    assert worse.values[2, 1] == math.inf
    assert worse.difference(1, 0) == study.difference(1, 0)
    assert worse.mean(0) == study.mean(0)
    assert (worse.difference(2, 0).degenerate, worse.mean(2).degenerate) == (UNDEFINED, UNDEFINED)
    assert worse.mean(2).estimate == math.inf
    probs[1, 1, 0] = [0, 1, 0, 0]
    both = multireader.measure("log_loss", labels, grades, num_classes=4, probs=probs)
    assert math.isnan(both.difference(2, 1).estimate)


def test_a_grade_with_one_example_has_no_interval_of_its_mean_over_grades():
    labels, grades, _ = graded()
    labels[labels == 3] = 2
    labels[-1] = 3
    study = multireader.measure("amae", labels, grades, num_classes=4)
    assert study.difference(0, 1).degenerate == study.mean(0).degenerate == study.degenerate == ONE_EXAMPLE
    assert study.difference(0, 1).estimate == pytest.approx(study.values[0].mean() - study.values[1].mean())
    assert math.isnan(study.p_value)
    assert not multireader.measure("mae", labels, grades, num_classes=4).difference(0, 1).degenerate


def test_two_units_leave_one_degree_of_freedom():
    study = multireader.measure("mae", [0, 2], [[[1, 2]], [[0, 0]]], num_classes=3)
    difference = study.difference(0, 1)
    assert (difference.df, difference.estimate) == (1, -0.5)
    assert difference.standard_error == pytest.approx(1.5, rel=1e-12)  # of the gaps 1 and -2, sd / sqrt(2)


def test_bad_input_is_one_line():
    labels, grades, probs = graded()
    with pytest.raises(ValueError, match=r"grades must have shape \[V, S, N\]"):
        multireader.measure("qwk", labels, grades[0], num_classes=4)
    with pytest.raises(ValueError, match="probs must have shape"):
        multireader.measure("rps", labels, grades, num_classes=4, probs=probs[..., :3])
    with pytest.raises(ValueError, match=r"scores must have shape \[V, S, N\]"):
        multireader.auc(labels > 1, probs[0, ..., 0])
    with pytest.raises(ValueError, match=r"scores\[1, 2\]"):
        multireader.auc(labels > 1, np.where(np.arange(240).reshape(2, 3, 40) == 217, np.nan, probs[..., 3]))
    with pytest.raises(ValueError, match=r"covariance must have shape \[10, 10\]"):
        analyse(AREAS, np.eye(4), units=114)
    with pytest.raises(ValueError, match=r"values must have shape \[V, S\]"):
        analyse(AREAS[0], np.eye(5), units=114)
    with pytest.raises(ValueError, match="units must be 2 or more"):
        analyse(AREAS, np.eye(10), units=1)


@pytest.mark.parametrize("number", [-1, 2, 0.0, None, "0", [0]])
def test_a_variant_that_is_not_there_is_refused_and_not_counted_from_the_end(number):
    compared = multireader.measure("mae", [0, 1, 2, 1], [[[0, 1, 2, 2]], [[0, 1, 1, 1]]], num_classes=3)
    for call in (
        lambda: compared.mean(number),
        lambda: compared.difference(0, number),
        lambda: simultaneous.against([compared], number),
    ):
        with pytest.raises(ValueError, match=r" must be .*found"):
            call()


def test_a_power_that_chance_alone_has_and_degrees_of_freedom_that_are_none_are_refused():
    compared = multireader.analyse([[0.1, 0.2], [0.3, 0.5]], np.eye(4), units=9, case_df=8)
    with pytest.raises(ValueError, match=r"power must be above the level 0\.05"):
        compared.detectable(power=0.04)
    with pytest.raises(ValueError, match="level must lie between 0 and 1, found 2"):
        compared.detectable(level=2)
    for df in (0, math.nan, None, "8"):
        with pytest.raises(ValueError, match="case_df must be a number above 0"):
            multireader.analyse([[0.1, 0.2], [0.3, 0.5]], np.eye(4), units=9, case_df=df)


def test_a_difference_of_differences_is_that_of_sums():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, 80)
    grades = np.clip(labels + rng.integers(-1, 2, (4, 3, 80)), 0, 2)
    whole = multireader.measure("mae", labels, grades, num_classes=3)
    two = whole.combined([[0, 1, 1, 0], [1, 0, 0, 1]])
    a, b, c, d = whole.values
    np.testing.assert_allclose(two.values, [b + c, a + d], rtol=1e-12)
    contrast = two.difference(1, 0)
    gaps = (a - b) - (c - d)
    assert contrast.estimate == pytest.approx(gaps.mean())
    # Over these seeds alone it is Student's t of the differences of differences, seed by seed.
    alone = two.difference(1, 0, "seeds")
    assert alone.standard_error == pytest.approx(gaps.std(ddof=1) / math.sqrt(3))
    signs = np.repeat([1.0, -1.0, -1.0, 1.0], 3) / 3
    assert two.difference(1, 0, "examples").standard_error == pytest.approx(math.sqrt(signs @ whole.covariance @ signs))
    one, same = whole.combined([[0, 1, 0, 0], [1, 0, 0, 0]]).difference(1, 0), whole.difference(0, 1)
    assert one.ci == pytest.approx(same.ci)
    assert (one.df, one.p_value) == pytest.approx((same.df, same.p_value))
    with pytest.raises(ValueError, match=r"coefficients must have shape \[M, 4\], found \(2, 3\)"):
        whole.combined(np.ones((2, 3)))
