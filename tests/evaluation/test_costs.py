"""Costs: the optimal decision against brute force, and the rules that it contains."""

from __future__ import annotations

import numpy as np
import pytest

from ordinal_blast.evaluation import costs, metrics

PROBS = np.random.default_rng(0).dirichlet([0.7] * 4, size=50)


def test_the_decision_costs_least_of_all():
    matrix = np.random.default_rng(1).uniform(size=(4, 4))
    decided = costs.decide(PROBS, matrix, 4)
    for row, grade in zip(PROBS, decided, strict=True):
        expected = [sum(row[y] * matrix[y, k] for y in range(4)) for k in range(4)]
        assert expected[grade] == min(expected)


def test_mode_median_and_rounded_mean_are_decisions_of_three_costs():
    assert costs.decide(PROBS, costs.power(4, 0), 4).tolist() == PROBS.argmax(axis=1).tolist()
    median = (np.cumsum(PROBS, axis=1) < 0.5).sum(axis=1)
    assert costs.decide(PROBS, costs.power(4, 1), 4).tolist() == median.tolist()
    mean = np.rint(PROBS @ np.arange(4))
    assert costs.decide(PROBS, costs.power(4, 2), 4).tolist() == mean.tolist()


def test_the_mean_cost_is_that_of_the_table_of_counts():
    labels, matrix = np.arange(50) % 4, np.random.default_rng(2).normal(size=(4, 4))
    decided = costs.decide(PROBS, matrix, 4)
    counts = metrics.confusion(labels, decided, 4)
    assert costs.mean_cost(labels, decided, matrix, 4) == pytest.approx((counts * matrix).sum() / 50, rel=1e-12)
    assert costs.mean_cost(labels, decided, costs.power(4, 2), 4) == metrics.mse(labels, decided, 4)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [(np.eye(3), r"shape \[4, 4\], found \(3, 3\)"), (np.full((4, 4), np.nan), r"costs\[0, 0\] = nan is not finite")],
)
def test_bad_costs_are_one_clear_line(matrix, message):
    with pytest.raises(ValueError, match=message):
        costs.decide(PROBS, matrix, 4)
