"""Metrics: arithmetic by hand, scipy where it has them, properties, and the edges where peers go wrong."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from ordinal_blast.evaluation import metrics

KEYS = [
    "accuracy",
    "off_by_one_accuracy",
    "balanced_accuracy",
    "mae",
    "mse",
    "rmse",
    "amae",
    "mmae",
    "qwk",
    "linear_kappa",
    "kendall_tau",
    "spearman",
    "min_sensitivity",
    "gmsec",
]
PROB_KEYS = ["rps", "log_loss", "ece"]
SYMMETRIC = ["accuracy", "off_by_one_accuracy", "mae", "mse", "rmse", "qwk", "linear_kappa", "kendall_tau", "spearman"]


def draw(num_classes: int, n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, n)
    predictions = np.clip(labels + rng.integers(-2, 3, n), 0, num_classes - 1)
    return labels, predictions, rng.dirichlet(np.ones(num_classes), n)


def test_summary_has_the_promised_keys():
    labels, predictions, probs = draw(4)
    assert list(metrics.summary(labels, predictions, num_classes=4)) == KEYS
    full = metrics.summary(labels, predictions, num_classes=4, probs=probs)
    assert list(full) == KEYS + PROB_KEYS
    assert all(type(value) is float for value in full.values())


@pytest.mark.parametrize("key", KEYS)
def test_each_key_of_the_summary_is_a_function(key):
    labels, predictions, _ = draw(4)
    assert getattr(metrics, key)(labels, predictions, 4) == metrics.summary(labels, predictions, 4)[key]


@pytest.mark.parametrize("key", PROB_KEYS)
def test_each_probability_key_of_the_summary_is_a_function(key):
    labels, predictions, probs = draw(4)
    assert getattr(metrics, key)(labels, probs, 4) == metrics.summary(labels, predictions, 4, probs)[key]


# Labels 0 0 1 2 2 2 predicted 0 1 1 0 2 2: recalls 1/2, 1, 2/3; errors 0 1 0 2 0 0.
BY_HAND = {
    "accuracy": 4 / 6,
    "off_by_one_accuracy": 5 / 6,
    "balanced_accuracy": (1 / 2 + 1 + 2 / 3) / 3,
    "mae": 3 / 6,
    "mse": (1 + 4) / 6,
    "rmse": math.sqrt(5 / 6),
    "amae": (1 / 2 + 0 + 2 / 3) / 3,
    "mmae": 2 / 3,
    # Margins 2 1 3 and 2 2 2: disagreement by chance (2*2*1 + 2*2*4 + 1*2*1 + 1*2*1 + 3*2*4 + 3*2*1) / 6 = 54 / 6.
    "qwk": 1 - 5 / (54 / 6),
    "linear_kappa": 1 - 3 / ((4 + 8 + 2 + 2 + 12 + 6) / 6),
    # Concordant 8: (0,0) with (1,1), (2,2)x2 gives 3; (0,1) with (2,2)x2 gives 2; (1,1) with (2,2)x2 gives 2; 7 in all.
    # Discordant 2: (2,0) with (0,1) and with (1,1). Untied pairs 11 and 12.
    "kendall_tau": (7 - 2) / math.sqrt(11 * 12),
    "min_sensitivity": 1 / 2,
    "gmsec": math.sqrt(1 / 2 * 2 / 3),
}


@pytest.mark.parametrize("key", BY_HAND)
def test_arithmetic_by_hand(key):
    value = getattr(metrics, key)([0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 2, 2], 3)
    assert value == pytest.approx(BY_HAND[key], rel=1e-12)


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_rank_correlations_are_those_of_scipy(num_classes):
    labels, predictions, _ = draw(num_classes)
    assert metrics.kendall_tau(labels, predictions, num_classes) == pytest.approx(
        stats.kendalltau(labels, predictions).statistic, abs=1e-12
    )
    assert metrics.spearman(labels, predictions, num_classes) == pytest.approx(
        stats.spearmanr(labels, predictions).statistic, abs=1e-12
    )


@pytest.mark.parametrize(
    ("key", "labels", "predictions", "num_classes", "expected"),
    [
        ("off_by_one_accuracy", [0, 2], [2, 0], 3, 0.0),
        ("amae", [0, 0, 4], [4, 4, 4], 5, 2.0),
        ("mmae", [0, 0, 4], [4, 4, 4], 5, 4.0),
        ("balanced_accuracy", [0, 0, 4], [4, 4, 4], 5, 0.5),
        ("min_sensitivity", [0, 0, 2], [0, 1, 2], 3, 0.5),
        ("gmsec", [1, 1, 3, 3], [1, 0, 3, 3], 5, math.sqrt(0.5)),
        ("qwk", [0, 1, 2], [1, 1, 1], 3, 0.0),
        ("linear_kappa", [0, 0, 0, 2], [2, 2, 2, 2], 3, 0.0),
        ("qwk", [1, 1, 1], [0, 1, 2], 3, 0.0),
    ],
)
def test_absent_grades_and_constant_predictors(key, labels, predictions, num_classes, expected):
    assert getattr(metrics, key)(labels, predictions, num_classes) == expected


@pytest.mark.parametrize(
    ("key", "labels", "predictions"),
    [
        ("kendall_tau", [0, 1, 2], [1, 1, 1]),
        ("spearman", [1, 1, 1], [0, 1, 2]),
        ("qwk", [1, 1], [1, 1]),
        ("linear_kappa", [1, 1], [1, 1]),
    ],
)
def test_zero_over_zero_is_nan(key, labels, predictions):
    assert math.isnan(getattr(metrics, key)(labels, predictions, 3))


def test_grades_beyond_those_seen_change_nothing():
    labels, predictions, _ = draw(3)
    assert metrics.summary(labels, predictions, 3) == pytest.approx(metrics.summary(labels, predictions, 6), rel=1e-12)


def test_perfect_predictions():
    labels, _, _ = draw(5)
    best = metrics.summary(labels, labels, 5, probs=np.eye(5)[labels])
    zero = {"mae", "mse", "rmse", "amae", "mmae", "rps", "log_loss", "ece"}
    assert best == pytest.approx({key: 0.0 if key in zero else 1.0 for key in KEYS + PROB_KEYS}, abs=1e-15)


@pytest.mark.parametrize("key", KEYS)
def test_reversing_the_scale_changes_nothing(key):
    labels, predictions, _ = draw(5)
    metric = getattr(metrics, key)
    assert metric(4 - labels, 4 - predictions, 5) == pytest.approx(metric(labels, predictions, 5), rel=1e-12)


@pytest.mark.parametrize("key", SYMMETRIC)
def test_exchanging_labels_and_predictions_changes_nothing(key):
    labels, predictions, _ = draw(5)
    metric = getattr(metrics, key)
    assert metric(predictions, labels, 5) == pytest.approx(metric(labels, predictions, 5), rel=1e-12)


@pytest.mark.parametrize("key", KEYS)
def test_many_tables_at_once_give_each_table_its_value(key):
    metric = getattr(metrics, key)
    pairs = [draw(4, seed=seed)[:2] for seed in range(6)]
    tables = np.stack([metrics.confusion(*pair, 4) for pair in pairs]).reshape(2, 3, 4, 4)
    expected = np.reshape([metric(*pair, 4) for pair in pairs], (2, 3))
    np.testing.assert_allclose(metric.of_counts(tables), expected, rtol=1e-12)


def test_confusion_has_labels_in_rows():
    assert metrics.confusion([0, 2, 2], [1, 2, 2], 3).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 2]]


def test_ranked_probability_score_by_hand():
    # y = 0: (.2 - 1)² + (.7 - 1)² + 0; y = 2: .5² + .5² + 0.
    assert metrics.rps([0, 2], [[0.2, 0.5, 0.3], [0.5, 0.0, 0.5]], 3) == pytest.approx((0.73 + 0.5) / 2, rel=1e-12)


def test_log_loss_by_hand():
    probs = [[0.25, 0.75], [0.5, 0.5]]
    assert metrics.log_loss([0, 1], probs, 2) == pytest.approx((math.log(4) + math.log(2)) / 2, rel=1e-12)
    assert metrics.log_loss([0], [[0.0, 1.0]], 2) == math.inf


def test_expected_calibration_error_by_hand():
    # Two bins closed on the right: .6 and .8 are right (|2 - 1.4|), .5 and .4 are wrong (|0 - .9|).
    probs = [[0.6, 0.4, 0.0], [0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.4, 0.3, 0.3]]
    assert metrics.ece([0, 0, 2, 1], probs, 3, bins=2) == pytest.approx((0.6 + 0.9) / 4, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1, 3, -1], [0, 0, 0, 0], 3), r"labels\[2\] = 3 is outside 0\.\.2"),
        (([0, 1, 2, -1], [0, 0, 0, 0], 3), r"labels\[3\] = -1 is outside 0\.\.2"),
        (([0, 1], [0, 5], 3), r"predictions\[1\] = 5 is outside 0\.\.2"),
        (([0, 1], [0], 3), "2 labels but 1 predictions"),
        (([0.0, 1.0], [0, 1], 3), "labels must be integers, found float64"),
        (([], [], 3), "non-empty"),
        (([[0, 1]], [[0, 1]], 3), r"found shape \(1, 2\)"),
        (([0], [0], 1), "num_classes must be 2 or more"),
        (([0], [0], 3, [[0.5, 0.5]]), r"shape \[N, 3\], found \(1, 2\)"),
        (([0, 1], [0, 1], 2, [[0.5, 0.5], [0.5, 0.6]]), r"probs\[1\] sums to 1\.1, not 1"),
        (([0, 1], [0, 1], 2, [[0.5, 0.5], [-0.5, 1.5]]), r"probs\[1\] = \[-0\.5, 1\.5\] has a negative"),
        (([0, 1], [0, 1], 2, [[0.5, 0.5], [math.nan, 0.5]]), r"probs\[1\] = \[nan, 0\.5\] has a negative or missing"),
        (([0, 1], [0, 1], 2, [[0.5, 0.5]]), "2 labels but 1 rows"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        metrics.summary(*arguments)
    assert "\n" not in str(caught.value)


def test_imports_stay_light():
    code = (
        "import sys\n"
        "from ordinal_blast.evaluation import bootstrap, calibration, metrics, raters, roc, significance\n"
        "assert not {'jax', 'pandas', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("key", KEYS)
def test_a_whole_weight_is_the_example_as_often(key):
    labels, predictions, _ = draw(4)
    weights = np.random.default_rng(1).integers(0, 4, 200)
    often = np.repeat(labels, weights), np.repeat(predictions, weights)
    metric = getattr(metrics, key)
    assert metric(labels, predictions, 4, weights=weights) == pytest.approx(metric(*often, 4), rel=1e-12)
    assert metric(labels, predictions, 4, weights=weights / 7) == pytest.approx(metric(*often, 4), rel=1e-12)


@pytest.mark.parametrize("key", PROB_KEYS)
def test_a_whole_weight_is_the_example_as_often_for_probabilities(key):
    labels, _, probs = draw(4)
    probs[0] = np.eye(4)[(labels[0] + 1) % 4]  # an infinite loss that does not count
    weights = np.random.default_rng(1).integers(0, 4, 200)
    weights[0] = 0
    expected = getattr(metrics, key)(np.repeat(labels, weights), np.repeat(probs, weights, axis=0), 4)
    for size in (1, 7):
        found = getattr(metrics, key)(labels, probs, 4, weights=weights / size)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_weighted_metrics_are_those_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, predictions, probs = draw(4)
    weights = np.random.default_rng(2).exponential(size=200)
    found = metrics.summary(labels, predictions, 4, probs, weights)
    of = {"sample_weight": weights}
    assert found["accuracy"] == pytest.approx(sklearn.accuracy_score(labels, predictions, **of), rel=1e-12)
    assert found["mae"] == pytest.approx(sklearn.mean_absolute_error(labels, predictions, **of), rel=1e-12)
    assert found["mse"] == pytest.approx(sklearn.mean_squared_error(labels, predictions, **of), rel=1e-12)
    recalls = sklearn.recall_score(labels, predictions, average=None, **of)
    assert found["balanced_accuracy"] == pytest.approx(recalls.mean(), rel=1e-12)
    assert found["min_sensitivity"] == pytest.approx(recalls.min(), rel=1e-12)
    assert found["log_loss"] == pytest.approx(sklearn.log_loss(labels, probs, **of), rel=1e-12)
    for key, kind in (("qwk", "quadratic"), ("linear_kappa", "linear")):
        expected = sklearn.cohen_kappa_score(labels, predictions, weights=kind, **of)
        assert found[key] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1, -0.5], r"weights\[2\] = -0\.5 is no weight"),
        ([1, math.nan, 1], r"weights\[1\] = nan is no weight"),
        ([math.inf, 1, 1], r"weights\[0\] = inf is no weight"),
        ([0, 0, 0], "weights are all 0"),
        ([1, 1], r"weights must have shape \(3,\)"),
        (["1", "1", "1"], "weights must be numbers, found text"),
    ],
)
def test_bad_weights_are_one_clear_line(weights, message):
    labels, probs = [0, 1, 2], np.eye(3)
    for call in (
        lambda: metrics.qwk(labels, labels, 3, weights=weights),
        lambda: metrics.confusion(labels, labels, 3, weights),
        lambda: metrics.summary(labels, labels, 3, weights=weights),
        *(lambda key=key: getattr(metrics, key)(labels, probs, 3, weights=weights) for key in PROB_KEYS),
    ):
        with pytest.raises(ValueError, match=message):
            call()
