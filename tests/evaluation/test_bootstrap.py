"""The bootstrap: seeds, an independent loop over resamples, known standard errors, and clusters."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ordinal_blast.evaluation import bootstrap, metrics
from ordinal_blast.evaluation.metrics import summary
from ordinal_blast.evaluation.rounding import difference


def draw(n: int = 120, num_classes: int = 3, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, n)
    a, b = (np.clip(labels + rng.integers(-1, 2, n), 0, num_classes - 1) for _ in range(2))
    return labels, a, b, rng.dirichlet(np.ones(num_classes), n), rng.dirichlet(np.ones(num_classes), n)


def test_estimates_are_those_of_the_summary():
    labels, a, b, p, q = draw()
    ones = bootstrap.summary_intervals(labels, a, 3, p, seed=0, resamples=5)
    expected_a, expected_b = summary(labels, a, 3, p), summary(labels, b, 3, q)
    assert {name: each.estimate for name, each in ones.items()} == pytest.approx(expected_a, rel=1e-12)
    both = bootstrap.summary_differences(labels, a, b, 3, p, q, seed=0, resamples=5)
    assert {name: each.a for name, each in both.items()} == pytest.approx(expected_a, rel=1e-12)
    assert {name: each.b for name, each in both.items()} == pytest.approx(expected_b, rel=1e-12)


def test_a_seed_fixes_the_result_and_another_changes_it():
    labels, a, _, p, _ = draw()
    once, again, other = (bootstrap.summary_intervals(labels, a, 3, p, seed=s, resamples=200) for s in (1, 1, 2))
    assert once == again
    assert once["log_loss"] != other["log_loss"]


@pytest.mark.parametrize("clusters", [None, np.arange(120) // 3])
def test_runs_are_resampled_together_and_averaged(clusters):
    labels, a, b, p, q = draw()
    options = {"seed": 4, "clusters": clusters, "resamples": 40}
    both = bootstrap.resample(labels, np.stack([a, b]), 3, np.stack([p, q]), **options)
    one, other = (bootstrap.resample(labels, g[None], 3, r[None], **options) for g, r in ((a, p), (b, q)))
    assert both.estimates == pytest.approx(
        {name: (value + other.estimates[name]) / 2 for name, value in one.estimates.items()}, rel=1e-12
    )
    for name, values in both.values.items():
        assert values.shape == (40,)
        np.testing.assert_allclose(values, (one.values[name] + other.values[name]) / 2, rtol=1e-12)
    with pytest.raises(ValueError, match="must hold 1 run or more"):
        bootstrap.resample(labels, np.stack([a, b]), 3, p[None], **options)


def test_memory_chunks_change_nothing(monkeypatch):
    labels, a, b, p, q = draw()
    whole = bootstrap.summary_differences(labels, a, b, 3, p, q, seed=0, resamples=50, clusters=np.arange(120) // 2)
    monkeypatch.setattr(bootstrap, "CHUNK", 60 * 7)
    parts = bootstrap.summary_differences(labels, a, b, 3, p, q, seed=0, resamples=50, clusters=np.arange(120) // 2)
    assert parts == whole


@pytest.mark.parametrize("clustered", [False, True])
def test_limits_agree_with_a_plain_loop(clustered):
    labels, a, _, p, _ = draw(240)
    clusters = np.arange(240) // 4 if clustered else None
    found = bootstrap.summary_intervals(labels, a, 3, p, seed=0, clusters=clusters, resamples=4000)
    rng = np.random.default_rng(99)
    values = []
    for _ in range(1500):
        if clustered:
            index = (4 * rng.integers(60, size=60)[:, None] + np.arange(4)).ravel()
        else:
            index = np.concatenate([rng.choice(np.flatnonzero(labels == c), (labels == c).sum()) for c in range(3)])
        values.append(summary(labels[index], a[index], 3, p[index]))
    for name, interval in found.items():
        loop = np.array([value[name] for value in values])
        low, high = np.quantile(loop, [0.025, 0.975])
        assert interval.low == pytest.approx(low, abs=0.35 * loop.std())
        assert interval.high == pytest.approx(high, abs=0.35 * loop.std())


def test_width_is_that_of_the_binomial():
    # All of one label: accuracy's standard error is sqrt(p (1 - p) / n).
    labels, predictions = np.zeros(400, int), np.arange(400) % 5 == 0
    found = bootstrap.summary_intervals(labels, predictions.astype(int), 2, seed=0, resamples=8000)["accuracy"]
    error = math.sqrt(0.2 * 0.8 / 400)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_repeating_every_example_in_a_cluster_keeps_the_clustered_width():
    labels, a, _, p, _ = draw()
    thrice = [np.repeat(each, 3, axis=0) for each in (labels, a, p)]
    once = bootstrap.summary_intervals(labels, a, 3, p, seed=0, clusters=np.arange(120))
    copies = bootstrap.summary_intervals(thrice[0], thrice[1], 3, thrice[2], seed=0, clusters=np.arange(360) // 3)
    for name, interval in once.items():
        assert (copies[name].low, copies[name].high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_equal_models_do_not_differ():
    labels, a, _, p, _ = draw()
    for each in bootstrap.summary_differences(labels, a, a, 3, p, p, seed=0, resamples=200).values():
        assert (each.difference, each.low, each.high, each.p_value) == (0, 0, 0, 1)


def test_p_value_of_accuracy_is_the_exact_sign_test():
    # a is right where b is wrong 10 times and the reverse twice; the rest agree: McNemar's exact test.
    labels = np.zeros(40, int)
    a, b = np.zeros(40, int), np.zeros(40, int)
    b[:10], a[10:12] = 1, 1
    exact = 2 * sum(math.comb(12, k) for k in range(3)) / 2**12
    found = bootstrap.summary_differences(labels, a, b, 2, seed=0, resamples=20_000)["accuracy"]
    assert found.difference == pytest.approx(8 / 40)
    assert found.p_value == pytest.approx(exact, abs=4 * math.sqrt(exact / 20_000))


def test_p_value_is_never_zero():
    labels = np.zeros(60, int)
    found = bootstrap.summary_differences(labels, labels, labels + 1, 2, seed=0, resamples=99)["accuracy"]
    assert (found.difference, found.p_value) == (1, 1 / 100)


def test_exchanging_models_mirrors_the_difference():
    labels, a, b, p, q = draw()
    forth = bootstrap.summary_differences(labels, a, b, 3, p, q, seed=0, resamples=300)
    back = bootstrap.summary_differences(labels, b, a, 3, q, p, seed=0, resamples=300)
    for name, each in forth.items():
        assert back[name].difference == -each.difference
        assert (back[name].low, back[name].high) == pytest.approx((-each.high, -each.low), abs=1e-12)


def test_infinite_losses_stay_infinite_and_spoil_nothing_else():
    labels, a, _, p, _ = draw()
    p[0] = np.eye(3)[(labels[0] + 1) % 3]
    found = bootstrap.summary_intervals(labels, a, 3, p, seed=0, resamples=300)
    assert found["log_loss"].estimate == found["log_loss"].high == math.inf
    assert math.isfinite(found["log_loss"].low)
    assert all(math.isfinite(each.high) for name, each in found.items() if name != "log_loss")
    both = bootstrap.summary_differences(labels, a, a, 3, p, p, seed=0, resamples=300)["log_loss"]
    assert math.isnan(both.difference)
    assert math.isnan(both.p_value)


def test_runs_in_another_order_do_not_differ():
    # Their means differ in the last digit, which must not put 0 outside an interval.
    labels, a, b, p, q = draw()
    runs, probs = np.stack([a, b, (a + b) // 2]), np.stack([p, q, (p + q) / 2])
    forth = bootstrap.resample(labels, runs, 3, probs, seed=0, resamples=300)
    back = bootstrap.resample(labels, runs[::-1], 3, probs[::-1], seed=0, resamples=300)
    assert any((forth.values[name] != back.values[name]).any() for name in forth.values)
    for name, values in forth.values.items():
        assert not difference(values, back.values[name]).any()


def test_undefined_resamples_are_counted():
    # Two clusters of one grade each: half of the resamples hold one grade only, and kappa is 0/0 there.
    found = bootstrap.summary_intervals([0, 0, 1, 1], [0, 0, 1, 1], 2, seed=0, clusters=[5, 5, 7, 7])
    assert found["qwk"].undefined == pytest.approx(0.5, abs=0.05)
    assert (found["qwk"].low, found["qwk"].high) == (1, 1)
    assert found["accuracy"].undefined == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": [1, 2]}, r"clusters must have shape \(4,\)"),
        ({"clusters": [1, 1, 1, 1]}, "at least 2 clusters"),
        ({"resamples": 0}, "resamples must be 1 or more"),
        ({"confidence": 95}, "between 0 and 1, found 95"),
    ],
)
def test_bad_options_are_one_clear_line(options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap.summary_intervals([0, 1, 0, 1], [0, 1, 1, 1], 2, seed=0, **options)


def test_probabilities_of_one_model_only_are_refused():
    with pytest.raises(ValueError, match="both or neither"):
        bootstrap.summary_differences([0, 1], [0, 1], [1, 1], 2, np.eye(2), seed=0)


def test_the_metrics_resampled_are_all_of_the_summary():
    labels, a, _, p, _ = draw()
    assert list(bootstrap.summary_intervals(labels, a, 3, p, seed=0, resamples=2)) == list(
        metrics.summary(labels, a, 3, p)
    )
