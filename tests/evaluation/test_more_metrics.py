"""Metrics outside the summary: by hand, and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from ordinal_blast.evaluation import metrics, roc

LABELS, PREDICTIONS = [0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 2, 2]


@pytest.mark.parametrize(("k", "expected"), [(0, 4 / 6), (1, 5 / 6), (2, 1.0)])
def test_off_by_k(k, expected):
    assert metrics.off_by_k_accuracy(LABELS, PREDICTIONS, 3, k=k) == expected


def test_recalls_are_nan_for_an_absent_grade():
    np.testing.assert_array_equal(metrics.recalls(LABELS, PREDICTIONS, 4), [1 / 2, 1, 2 / 3, math.nan])


@pytest.mark.parametrize("seed", range(3))
def test_somers_d_is_that_of_scipy(seed):
    rng = np.random.default_rng(seed)
    labels, predictions = rng.integers(0, 4, (2, 80))
    assert metrics.somers_d(labels, predictions, 4) == pytest.approx(
        stats.somersd(labels, predictions).statistic, abs=1e-12
    )


def test_somers_d_of_two_classes_is_the_area():
    labels, predictions = [0, 1, 1, 0, 1], [0, 1, 0, 1, 1]
    assert (metrics.somers_d(labels, predictions, 2) + 1) / 2 == pytest.approx(roc.auc(labels, predictions), rel=1e-12)


def test_closeness_evaluation_by_hand():
    # Labels n = (2, 1, 3), N = 6. prox(ŷ, y) of the six examples in order:
    prox = [
        -math.log2(1 / 6),  # 0 as 0: 2/2
        -math.log2((0.5 + 2) / 6),  # 0 as 1: 1/2 + n_0
        -math.log2(0.5 / 6),  # 1 as 1
        -math.log2((1 + 1 + 3) / 6),  # 2 as 0: 2/2 + n_1 + n_2
        -math.log2(1.5 / 6),
        -math.log2(1.5 / 6),
    ]
    best = -2 * math.log2(1 / 6) - math.log2(0.5 / 6) - 3 * math.log2(1.5 / 6)
    assert metrics.cem(LABELS, PREDICTIONS, 3) == pytest.approx(sum(prox) / best, rel=1e-12)


def test_closeness_evaluation_over_all_pairs():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 4, 50), rng.integers(0, 6, 50)
    n = np.bincount(labels, minlength=6)

    def prox(a: int, b: int) -> float:
        between = n[a + 1 : b + 1].sum() if a < b else n[b:a].sum()
        return -math.log2((n[a] / 2 + between) / n.sum())

    expected = sum(map(prox, predictions, labels)) / sum(map(prox, labels, labels))
    assert metrics.cem(labels, predictions, 6) == pytest.approx(expected, rel=1e-12)
    assert metrics.cem(labels, labels, 6) == 1
    assert metrics.cem([2, 2], [0, 0], 3) == 0


def test_unimodal_share_allows_plateaus():
    probs = [[0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [0.4, 0.4, 0.2], [0.0, 0.0, 1.0]]
    assert metrics.unimodal_share(probs, 3) == 3 / 4
    assert metrics.unimodal_share([[0.3, 0.1, 0.1, 0.5], [0.1, 0.1, 0.4, 0.4]], 4) == 1 / 2


def test_crossing_rate_counts_rows_that_rise():
    assert metrics.crossing_rate([[0.9, 0.5], [0.5, 0.6], [0.2, 0.2]], 3) == 1 / 3
    assert metrics.crossing_rate([[0.9], [0.1]], 2) == 0


@pytest.mark.parametrize("bad", [[[0.1, 0.2, 0.3]], [0.1, 0.2], [[0.1, math.nan]], np.zeros((0, 2))])
def test_crossing_rate_refuses_bad_input(bad):
    with pytest.raises(ValueError, match="cumulative"):
        metrics.crossing_rate(bad, 3)
