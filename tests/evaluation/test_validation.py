"""What may enter the statistics: ids, probabilities of every float type, and some hundreds of things that may not."""

from __future__ import annotations

import math
from collections.abc import Callable

import ml_dtypes
import numpy as np
import pandas as pd
import pytest
from scipy import special

from ordinal_blast.embryo import outcome
from ordinal_blast.evaluation import (
    bootstrap,
    calibration,
    conformal,
    costs,
    metrics,
    multireader,
    raters,
    reliability,
    roc,
    significance,
    uncertainty,
)
from ordinal_blast.evaluation.multiplicity import holm
from ordinal_blast.evaluation.validation import as_clusters, as_probs

LABELS, SCORES, OTHER = [0, 1, 0, 1], [1.0, 3.0, 2.0, 4.0], [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("clusters", "first"),
    [
        (["a", "b", None, "a"], r"clusters\[2\] = None is no id"),
        (["a", math.nan, "b", "a"], r"clusters\[1\] = nan is no id"),
        ([1.0, 2.0, 2.0, math.nan], r"clusters\[3\] = nan is no id"),
        (np.array([1.0, math.nan, 2.0, 2.0]), r"clusters\[1\] = nan is no id"),
        (["a", "b", "", "a"], r"clusters\[2\] = '' is no id"),
        (["a", " ", "b", "a"], r"clusters\[1\] = ' ' is no id"),
        ([b"a", b"b", b"", b"a"], r"clusters\[2\] = b'' is no id"),
        (np.array(["a", math.nan, "b", "a"]), r"clusters\[1\] = 'nan' is no id"),
        (np.array(["a", None, "b", "a"], object), r"clusters\[1\] = None is no id"),
        (np.array(["2024-01-01", "NaT", "2024-01-02", "2024-01-02"], "M8[D]"), r"clusters\[0\] = .* is no id"),
        (pd.Series(["a", None, "b", "a"]), r"clusters\[1\] = (None|nan) is no id"),
        (pd.Series([1, None, 2, 2], dtype="Int64"), r"clusters\[1\] = (<NA>|nan) is no id"),
        (pd.Categorical(["a", "b", None, "a"]), r"clusters\[2\] = nan is no id"),
        ([1, 2, "2", 1], r"clusters\[2\] = '2' is str, clusters\[0\] = 1 is a number"),
        (["a", b"a", "b", "b"], r"clusters\[1\] = b'a' is bytes, clusters\[0\] = 'a' is str"),
        (np.ma.masked_equal([1, 2, 9, 2], 9), r"clusters\[2\] is masked"),
        ([[1], [2], [3], [4]], r"clusters\[0\] = \[1\] is no id"),
        (5, "clusters must be a vector of ids, found 5"),
        ([1, 1, 1, 1], "at least 2 clusters"),
    ],
)
def test_missing_and_mixed_ids_are_refused_with_their_row(clusters, first):
    for call in (
        lambda: as_clusters(clusters, 4),
        lambda: roc.delong_test(LABELS, SCORES, OTHER, clusters=clusters),
        lambda: bootstrap.summary_intervals(LABELS, LABELS, 2, seed=0, clusters=clusters, resamples=2),
    ):
        with pytest.raises(ValueError, match=first):
            call()


@pytest.mark.parametrize(
    "clusters",
    [
        ["b", "a", "b", "c"],
        [b"b", b"a", b"b", b"c"],
        (2, 1, 2, 3),
        np.array([2.5, 1, 2.5, 3]),
        np.array(["b", "a", "b", "c"], object),
        pd.Series(["b", "a", "b", "c"]),
        [2**70, 1, 2**70, 2**70 + 1],
        (name for name in "babc"),
    ],
)
def test_ids_are_text_or_numbers(clusters):
    assert as_clusters(clusters, 4).tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_probabilities_of_every_float_type_are_accepted(dtype):
    rng = np.random.default_rng(0)
    exact = special.softmax(rng.normal(size=(2000, 5)), axis=1)
    probs = exact.astype(dtype)
    labels = rng.integers(0, 5, 2000)
    step = float(ml_dtypes.finfo(dtype).eps)
    assert metrics.log_loss(labels, probs, 5) == pytest.approx(metrics.log_loss(labels, exact, 5), abs=step)
    assert metrics.rps(labels, probs, 5) == pytest.approx(metrics.rps(labels, exact, 5), abs=step)
    np.testing.assert_allclose(as_probs(probs, 5).sum(axis=1), 1, atol=1e-6)


def test_a_sum_that_float16_explains_is_rounding_there_and_an_error_in_float64():
    probs = np.array([[0.1, 0.2, 0.3, 0.4]], np.float16)
    probs[0, 3] += np.float16(2**-11)
    assert abs(probs.astype(np.float64).sum() - 1) > 1e-4
    assert metrics.rps([3], probs, 4) == pytest.approx(0.01 + 0.09 + 0.36, abs=2e-3)
    with pytest.raises(ValueError, match=r"sums to 1\.000\d+, not 1: that is rounding beyond what float64 allows"):
        metrics.rps([3], probs.astype(np.float64), 4)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([2.0, 0.5, 0.1], "give probabilities, not logits"),
        ([2.0, -0.5, 0.1], "negative or missing entry: give probabilities, not logits or log-probabilities"),
        ([-0.1, -2.5, -4.0], "negative or missing entry: give probabilities, not logits or log-probabilities"),
        ([0.9, 0.6, 0.1], "the probability of each class, not of each threshold"),
        ([math.inf, 0.0, 0.0], "sums to inf, not 1: give probabilities, not logits"),
        ([0.5, math.nan, 0.5], r"has a negative or missing entry$"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_what_is_no_rounding_is_told_apart(row, message, dtype):
    with pytest.raises(ValueError, match=message):
        metrics.ece([0], np.array([row], dtype), 3)


def test_plateaus_and_crossings_are_not_made_by_rounding():
    # Differences of a cumulative distribution: .1 .1 .1 .7 in truth, and none of the three equal.
    probs = np.diff(np.array([[0, 0.1, 0.2, 0.3, 1.0]]), axis=1)
    assert len(set(probs[0, :3].tolist())) > 1
    for order in ([0, 1, 2, 3], [1, 0, 2, 3], [2, 1, 0, 3], [1, 2, 0, 3]):
        assert metrics.unimodal_share(probs[:, order], 4) == 1
        assert metrics.unimodal_share(probs[:, order].astype(np.float32), 4) == 1
    assert metrics.unimodal_share([[0.1, 0.1 - 1e-9, 0.1, 0.7 + 1e-9]], 4) == 0
    assert metrics.crossing_rate([[0.3, 0.1 + 0.2], [1e9, 1e9 + 1e-6], [math.inf, math.inf]], 3) == 0
    assert metrics.crossing_rate([[0.3, 0.3 + 1e-9], [-math.inf, 0.0]], 3) == 1


def test_an_edge_of_a_bin_belongs_to_the_bin_below_it():
    # 7 * .1 is .7000000000000001 in binary: with .65 it lies in the bin of .6 to .7, and their errors cancel.
    probs = [[1 - 7 * 0.1, 7 * 0.1], [0.35, 0.65]]
    assert metrics.ece([1, 0], probs, 2, bins=10) == pytest.approx((0.65 - 0.3) / 2, rel=1e-12)


BAD = {
    "none": None,
    "number": 3,
    "word": "abcd",
    "empty": [],
    "ragged": [[0], [0, 1]],
    "three axes": np.zeros((2, 2, 2), int),
    "scalar array": np.array(3),
    "none inside": [0, None, 1, 0],
    "digits as text": ["0", "1", "0", "1"],
    "bytes": [b"0", b"1", b"0", b"1"],
    "masked": np.ma.masked_equal([0, 1, 9, 0], 9),
    "text inside": np.array([0, 1, "a", 0], object),
    "complex": [0j, 1, 0, 1],
    "dates": np.array(["2024-01-01"] * 4, "M8[D]"),
    "durations": np.array([0, 1, 0, 1], "m8[s]"),
    "beyond integers": [0, 1, 10**30, 0],
    "records": np.zeros(4, [("grade", int)]),
    "a dictionary": {"a": 1},
    "a set": {0, 1},
    "too long": [0, 1, 0, 1, 0],
    "categories": pd.Categorical(["a", "b", "a", "b"]),
}
NO_GRADES = {
    "floats": [0.0, 1.0, 0.0, 1.0],
    "NaN": [0, math.nan, 1, 0],
    "infinite": [0, math.inf, 1, 0],
    "bools": [True, False, True, False],
    "bools among integers": np.array([True, 0, 1, 0], object),
    "below 0": [-1, 0, 1, 0],
    "beyond K": [0, 1, 2**40, 0],
    "unsigned": np.array([0, 1, 2**64 - 1, 0], np.uint64),
    "nullable": pd.array([0, 1, None, 0], dtype="Int64"),
    "two axes": [[0, 1], [1, 0]],
}
PROBS, ROWS = np.full((4, 2), 0.5), [[0, 1], [1, 1], [0, 0], [1, 1]]

OF_GRADES: dict[str, Callable] = {
    "summary": lambda bad: metrics.summary(bad, LABELS, 2),
    "qwk": lambda bad: metrics.qwk(LABELS, bad, 2),
    "rps": lambda bad: metrics.rps(bad, PROBS, 2),
    "calibration": lambda bad: calibration.fit(np.log(PROBS), bad, 2),
    "bootstrap": lambda bad: bootstrap.summary_intervals(LABELS, bad, 2, seed=0, resamples=2),
    "intervals": lambda bad: bootstrap.summary_intervals(bad, LABELS, 2, seed=0, resamples=2),
    "quality": lambda bad: outcome.quality_group(bad, LABELS),
    "thresholds": lambda bad: roc.delong_per_threshold(bad, SCORES, OTHER, 2),
}
OF_NUMBERS: dict[str, Callable] = {
    "scores": lambda bad: roc.delong_test(LABELS, bad, OTHER),
    "many scores": lambda bad: roc.delong_contrast(LABELS, bad),
    "probs": lambda bad: metrics.rps(LABELS, bad, 2),
    "cumulative": lambda bad: metrics.crossing_rate(bad, 2),
    "unimodal": lambda bad: metrics.unimodal_share(bad, 2),
    "log_probs": lambda bad: calibration.fit(bad, LABELS, 2),
    "annotations": raters.vote,
    "raters": lambda bad: raters.leave_one_out(ROWS, [] if bad is None else bad),
    "paired": lambda bad: significance.paired_t(bad, OTHER),
    "wilcoxon": lambda bad: significance.wilcoxon_holm(bad, ["a", "b"]),
    "friedman": lambda bad: significance.friedman(bad, higher_is_better=True),
}


@pytest.mark.parametrize("function", OF_GRADES)
@pytest.mark.parametrize("kind", BAD | NO_GRADES)
def test_no_bad_grade_passes(function, kind):
    with pytest.raises(ValueError, match=r"^[^\n]{10,200}$"):
        OF_GRADES[function]((BAD | NO_GRADES)[kind])


@pytest.mark.parametrize("function", OF_NUMBERS)
@pytest.mark.parametrize("kind", BAD)
def test_no_bad_number_passes(function, kind):
    with pytest.raises(ValueError, match=r"^[^\n]{10,200}$"):
        OF_NUMBERS[function](BAD[kind])


@pytest.mark.parametrize("k", [None, 0, 1, -3, 2.0, 2.5, "2", True, math.nan, math.inf, 10**9, [2], np.array([2, 2])])
def test_no_bad_number_of_classes_passes(k):
    for call in (
        lambda: metrics.summary(LABELS, LABELS, k),
        lambda: metrics.ece(LABELS, PROBS, k),
        lambda: metrics.unimodal_share(PROBS, k),
        lambda: metrics.crossing_rate(PROBS, k),
        lambda: calibration.fit(np.log(PROBS), LABELS, k),
        lambda: bootstrap.summary_intervals(LABELS, LABELS, k, seed=0, resamples=2),
        lambda: roc.delong_per_threshold(LABELS, SCORES, OTHER, k),
    ):
        with pytest.raises(ValueError, match=r"^num_classes must be"):
            call()


@pytest.mark.parametrize("value", [None, -1, 2.5, "2", math.nan, math.inf, 10**9, 10**400, [2]])
def test_no_bad_option_passes(value):
    for call in (
        lambda: metrics.ece(LABELS, PROBS, 2, bins=value),
        lambda: metrics.off_by_k_accuracy(LABELS, LABELS, 2, k=value),
        lambda: bootstrap.summary_intervals(LABELS, LABELS, 2, seed=0, resamples=value),
        lambda: roc.auc_ci(LABELS, SCORES, confidence=value),
        lambda: significance.paired_t(SCORES, OTHER, confidence=value),
        lambda: significance.nemenyi([SCORES, OTHER], higher_is_better=True, alpha=value),
        lambda: roc.delong_noninferiority(LABELS, SCORES, OTHER, value),
    ):
        with pytest.raises(ValueError, match=r" must (be|lie) .*found"):
            call()


@pytest.mark.parametrize("value", [None, 3, "other", ["logit"], np.array(["logit", "wald"]), {}])
def test_no_bad_name_of_a_method_passes(value):
    compared = multireader.measure("mae", LABELS, [[LABELS]], num_classes=2)
    for call in (
        lambda: calibration.fit(np.log(PROBS), LABELS, 2, value),
        lambda: conformal.scores(PROBS, 2, value),
        lambda: roc.auc_ci(LABELS, SCORES, method=value),
        lambda: roc.delong_test(LABELS, SCORES, OTHER, alternative=value),
        lambda: uncertainty.split([PROBS], 2, value),
        lambda: raters.vote([LABELS], value),
        lambda: compared.mean(0, value),
        lambda: compared.difference(0, 0, value),
    ):
        with pytest.raises(ValueError, match=r" must be one of .*, found"):
            call()
    with pytest.raises(ValueError, match="no jackknife of"):
        multireader.measure(value, LABELS, [[LABELS]], num_classes=2)


@pytest.mark.parametrize("seed", [None, -1, 0.0, math.nan, "3", 2**32, np.array([1, 2])])
def test_no_bad_seed_passes(seed):
    for call in (
        lambda: bootstrap.summary_intervals(LABELS, LABELS, 2, seed=seed, resamples=2),
        lambda: reliability.assess(LABELS, PROBS, 2, seed=seed),
        lambda: significance.bayesian_signed_rank(SCORES, OTHER, 0.1, higher_is_better=True, seed=seed),
    ):
        with pytest.raises(ValueError, match=r"^seed must be .*found"):
            call()


@pytest.mark.parametrize("weight", [5e-324, 1e308])
def test_weights_whose_products_overflow_or_vanish_are_refused(weight):
    with pytest.raises(ValueError, match=r"^weights\[1\] = .* cannot be computed with"):
        metrics.summary(LABELS, LABELS, 2, weights=[1, weight, 1, 1])


def test_numbers_at_the_edge_of_float64_are_refused_without_a_warning():
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1"):
        roc.auc_ci(LABELS, SCORES, confidence=1 - 2**-53)
    with pytest.raises(ValueError, match=r"probs\[0\] sums to inf, not 1"):
        metrics.rps(LABELS, np.full((4, 2), 1e308), 2)
    for exponent in (-1, math.nan, math.inf, "2", 101):
        with pytest.raises(ValueError, match="exponent must"):
            costs.power(3, exponent)
    assert as_clusters([10**400, 0, 10**400], 3).tolist() == [1, 0, 1]


@pytest.mark.parametrize("df", [0, -1, math.nan, None, "3"])
def test_a_posterior_without_a_mean_or_degrees_of_freedom_is_refused(df):
    with pytest.raises(ValueError, match=r"^df must be"):
        significance.student_posterior(0.1, 0.1, df, 0.01, higher_is_better=True)
    with pytest.raises(ValueError, match="mean must be a finite number, found nan"):
        significance.student_posterior(math.nan, 0.1, 3, 0.01, higher_is_better=False)


@pytest.mark.parametrize("seed", range(40))
def test_no_degenerate_sample_is_certain_or_warns(seed):
    # Few examples, few distinct scores, infinite ones: no p value of 0, no one-point interval, and no warning.
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 9))
    labels = np.append([0, 0, 1, 1], rng.integers(0, 2, n - 4))
    scores = rng.choice([-np.inf, -1.0, 0.0, 1 / 3, 1.0, np.inf], (6, n), p=rng.dirichlet(np.full(6, 0.3)))
    if seed % 4 == 0:
        scores[0] = labels
    clusters = np.append([0, 1, 0, 1], rng.integers(0, 3, n - 4))
    for groups in (None, clusters):
        low, high = roc.auc_ci(labels, scores[0], clusters=groups)
        assert math.isnan(low) or low < high
        tests = [
            roc.delong_test(labels, scores[0], scores[1], clusters=groups),
            roc.delong_test(labels, scores[0], scores[0], clusters=groups),
            roc.delong_noninferiority(labels, scores[0], scores[2], 0.1, clusters=groups),
            roc.delong_contrast(labels, scores[:2], clusters=groups),
        ]
        for test in tests:
            assert math.isnan(test.p_value) == (test.degenerate.endswith("no test"))
            assert test.p_value != 0
    for test in roc.delong_per_threshold(labels, scores[0], scores[1], 2):
        assert math.isnan(test.p_holm) == math.isnan(test.test.p_value)


@pytest.mark.parametrize("seed", range(30))
def test_no_degenerate_grid_is_certain_or_warns(seed):
    # Few blocks, few distinct scores, each off by its rounding: the same results as without the rounding.
    rng = np.random.default_rng(seed)
    plain = rng.integers(1, 4, (int(rng.integers(2, 6)), 3)) / 8
    noisy = plain * 0.7 * (1 + rng.integers(-2, 3, plain.shape) * 2.0**-52)
    for higher in (True, False):
        found = [significance.friedman(each, higher_is_better=higher) for each in (plain, noisy)]
        assert found[0].p_value == found[1].p_value > 0
        np.testing.assert_array_equal(found[0].mean_ranks, found[1].mean_ranks)
        pairs = [significance.nemenyi(each, higher_is_better=higher).p_values for each in (plain, noisy)]
        np.testing.assert_array_equal(*pairs)
    found = [significance.wilcoxon_holm(each, "abc") for each in (plain, noisy)]
    for a, b in zip(*found, strict=True):
        assert (a.statistic, a.p_value, a.p_holm) == (b.statistic, b.p_value, b.p_holm)
        assert a.p_value > 0
    for run in (
        significance.paired_t,
        lambda a, b: significance.corrected_t(a, b, num_train=3, num_test=1),
    ):
        a, b = (run(each[:, 0], each[:, 1]) for each in (plain, noisy))
        assert a.degenerate == b.degenerate
        np.testing.assert_allclose(b.p_value, a.p_value, rtol=1e-6)
        assert not a.p_value <= 1e-12


def test_holm_takes_no_bad_p_values():
    for bad in ("a", [[0.1]], ["0.1"], [0.1, None], [1.5], [-0.1], np.ma.masked_equal([0.1, 9], 9)):
        with pytest.raises(ValueError, match=r"^p_values"):
            holm(bad)
