"""The bootstrap: seeds, an independent loop over resamples, known standard errors, clusters, and R's BCa limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ordinal_blast.evaluation import bootstrap, metrics
from ordinal_blast.evaluation.metrics import summary

WITHOUT = {"mmae", "min_sensitivity", "ece"}


def draw(n: int = 120, num_classes: int = 3, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, n)
    a, b = (np.clip(labels + rng.integers(-2, 3, n), 0, num_classes - 1) for _ in range(2))
    return labels, a, b, rng.dirichlet(np.ones(num_classes), n), rng.dirichlet(np.ones(num_classes), n)


def test_estimates_are_those_of_the_summary():
    labels, a, _, p, _ = draw()
    found = bootstrap.summary_intervals(labels, a, 3, p, seed=0, resamples=5)
    assert {name: one.estimate for name, one in found.items()} == pytest.approx(summary(labels, a, 3, p), rel=1e-12)
    assert list(found) == list(metrics.summary(labels, a, 3, p))


def test_a_seed_fixes_the_result_and_another_changes_it():
    labels, a, _, p, _ = draw()
    once, again, other = (bootstrap.summary_intervals(labels, a, 3, p, seed=s, resamples=200) for s in (1, 1, 2))
    assert repr(once) == repr(again)
    assert once["log_loss"] != other["log_loss"]


def test_memory_chunks_change_nothing(monkeypatch):
    labels, a, _, p, _ = draw()
    whole = bootstrap.summary_intervals(labels, a, 3, p, seed=0, resamples=50, clusters=np.arange(120) // 2)
    monkeypatch.setattr(bootstrap, "CHUNK", 60 * 7)
    parts = bootstrap.summary_intervals(labels, a, 3, p, seed=0, resamples=50, clusters=np.arange(120) // 2)
    assert repr(parts) == repr(whole)


@pytest.mark.parametrize("clustered", [False, True])
def test_limits_agree_with_a_plain_loop(clustered):
    labels, a, _, p, _ = draw(240)
    clusters = np.arange(240) // 4 if clustered else None
    found = bootstrap.summary_intervals(labels, a, 3, p, seed=0, clusters=clusters, resamples=4000)
    rng = np.random.default_rng(99)
    values = []
    for _ in range(1500):
        index = (
            (4 * rng.integers(60, size=60)[:, None] + np.arange(4)).ravel()
            if clustered
            else rng.integers(240, size=240)
        )
        values.append(summary(labels[index], a[index], 3, p[index]))
    for name in found.keys() - WITHOUT - {"gmsec"}:
        loop = np.array([value[name] for value in values])
        low, high = np.quantile(loop, [0.025, 0.975])
        assert found[name].low == pytest.approx(low, abs=0.35 * loop.std())
        assert found[name].high == pytest.approx(high, abs=0.35 * loop.std())


def test_width_is_that_of_the_binomial():
    labels, predictions = np.zeros(400, int), np.arange(400) % 5 == 0
    found = bootstrap.summary_intervals(labels, predictions.astype(int), 2, seed=0, resamples=8000)["accuracy"]
    error = math.sqrt(0.2 * 0.8 / 400)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_the_shares_of_labels_vary_too():
    # Grade 1 is always missed: accuracy is the share of grade 0, which varies from one test set to another.
    labels = np.repeat([0, 1], [280, 120])
    found = bootstrap.summary_intervals(labels, np.zeros(400, int), 2, seed=0, resamples=8000)["accuracy"]
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(0.7 * 0.3 / 400), rel=0.06)


def test_repeating_every_example_in_a_cluster_keeps_the_clustered_width():
    labels, a, _, p, _ = draw()
    thrice = [np.repeat(each, 3, axis=0) for each in (labels, a, p)]
    once = bootstrap.summary_intervals(labels, a, 3, p, seed=0, clusters=np.arange(120))
    copies = bootstrap.summary_intervals(thrice[0], thrice[1], 3, thrice[2], seed=0, clusters=np.arange(360) // 3)
    for name in once.keys() - WITHOUT:
        interval, other = once[name], copies[name]
        assert (other.low, other.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


@pytest.mark.parametrize("clustered", [False, True])
def test_weights_count_examples_and_the_sizes_of_all_change_nothing(clustered):
    labels, a, _, p, _ = draw()
    weights = np.random.default_rng(1).integers(1, 4, 120)
    options = {"seed": 0, "clusters": np.arange(120) // 2 if clustered else None, "resamples": 300}
    found = bootstrap.summary_intervals(labels, a, 3, p, weights=weights, **options)
    expected = summary(labels, a, 3, p, weights)
    assert {name: one.estimate for name, one in found.items()} == pytest.approx(expected, rel=1e-12)
    scaled = bootstrap.summary_intervals(labels, a, 3, p, weights=weights / 7, **options)
    plain = bootstrap.summary_intervals(labels, a, 3, p, **options)
    alike = bootstrap.summary_intervals(labels, a, 3, p, weights=np.full(120, 0.3), **options)
    for name in found.keys() - WITHOUT:
        assert (scaled[name].low, scaled[name].high) == pytest.approx((found[name].low, found[name].high), rel=1e-9)
        assert (alike[name].low, alike[name].high) == pytest.approx((plain[name].low, plain[name].high), rel=1e-9)
        assert plain[name].low != found[name].low


def test_what_weighs_nothing_is_not_drawn():
    labels, a, _, p, _ = draw()
    weights = (np.arange(120) % 3 > 0) * 1.0
    p[0] = np.eye(3)[(labels[0] + 1) % 3]  # an infinite loss that does not count
    kept = weights > 0
    found = bootstrap.summary_intervals(labels, a, 3, p, weights=weights, seed=0, resamples=100)
    alone = bootstrap.summary_intervals(labels[kept], a[kept], 3, p[kept], seed=0, resamples=100)
    for name in found.keys() - WITHOUT:
        assert (found[name].low, found[name].high) == pytest.approx((alone[name].low, alone[name].high), rel=1e-12)


def test_no_interval_where_resamples_are_biased():
    labels, a, _, p, _ = draw()
    found = bootstrap.summary_intervals(labels, a, 3, p, seed=0, resamples=50)
    assert {name for name, one in found.items() if one.degenerate} == WITHOUT
    for name in WITHOUT:
        assert math.isnan(found[name].low)
        assert math.isnan(found[name].high)
        assert found[name].degenerate.endswith(": no interval")


def test_accelerated_limits_are_those_of_r():
    # boot::boot.ci(type = "bca") of this mean, a million resamples and L by the jackknife.
    data = np.array([1.31, 2.07, 4.19, 8.44, 16.9, 3.3, 2.6, 7.1, 0.4, 5.23])
    values = np.random.default_rng(0).choice(data, (400_000, 10)).mean(axis=1)
    low, high, undefined = bootstrap._accelerated(values, data.mean(), (data.sum() - data) / 9, 0.95)
    assert (low, high) == pytest.approx((3.083, 9.343), rel=5e-3)
    assert undefined == 0


def test_infinite_losses_stay_infinite_and_spoil_nothing_else():
    labels, a, _, p, _ = draw()
    p[0] = np.eye(3)[(labels[0] + 1) % 3]
    found = bootstrap.summary_intervals(labels, a, 3, p, seed=0, resamples=300)
    assert found["log_loss"].estimate == found["log_loss"].high == math.inf
    assert math.isfinite(found["log_loss"].low)
    assert all(math.isfinite(found[name].high) for name in found.keys() - WITHOUT - {"log_loss"})


def test_undefined_resamples_are_counted():
    # Two clusters of one grade each: half of the resamples hold one grade only, and kappa is 0/0 there.
    found = bootstrap.summary_intervals([0, 0, 1, 1], [0, 0, 1, 0], 2, seed=0, clusters=[5, 5, 7, 7])
    assert found["kendall_tau"].undefined == pytest.approx(0.5, abs=0.05)
    assert found["accuracy"].undefined == 0


@pytest.mark.parametrize("grades", [[0, 0, 1, 1], [1, 1, 0, 0]])
def test_what_every_resample_shares_is_no_certainty(grades):
    found = bootstrap.summary_intervals([0, 0, 1, 1], grades, 2, seed=0)
    for name in ("accuracy", "gmsec", "balanced_accuracy"):
        assert math.isnan(found[name].low)
        assert found[name].degenerate == "no spread over resamples: no interval"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": [1, 2]}, r"clusters must have shape \(4,\)"),
        ({"clusters": [1, 1, 1, 1]}, "at least 2 clusters"),
        ({"resamples": 0}, "resamples must be 1 or more"),
        ({"confidence": 95}, "between 0 and 1, found 95"),
        ({"weights": [1, 1, -1, 1]}, r"weights\[2\] = -1\.0 is no weight"),
    ],
)
def test_bad_options_are_one_clear_line(options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap.summary_intervals([0, 1, 0, 1], [0, 1, 1, 1], 2, seed=0, **options)


def test_limits_cover_as_often_as_they_say():
    # 50 examples of five grades, 400 test sets, a nominal .95: drawn within labels, kappa has .86.
    shares = np.array([0.35, 0.25, 0.2, 0.12, 0.08])
    grades = np.arange(5)
    confused = np.exp(-1.3 * np.abs(grades[:, None] - grades))
    table = shares[:, None] * confused / confused.sum(axis=1, keepdims=True)
    truth = {"accuracy": metrics.accuracy.of_counts(table), "qwk": metrics.qwk.of_counts(table)}
    rng = np.random.default_rng(0)
    covered = dict.fromkeys(truth, 0)
    for _ in range(400):
        cells = rng.choice(25, 50, p=table.ravel())
        found = bootstrap.summary_intervals(cells // 5, cells % 5, 5, seed=0, resamples=400)
        for name, value in truth.items():
            covered[name] += found[name].low <= value <= found[name].high
    assert 0.92 * 400 <= covered["accuracy"] <= 0.97 * 400
    assert 0.89 * 400 <= covered["qwk"] <= 0.97 * 400
