"""What errors cost, and the grades that cost least: one decision for every purpose, from the same probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.evaluation.validation import as_floats, as_num_classes, as_pair, as_probs, as_real

MOST_POWER = 100  # of a distance: more is beyond float64 for many grades
RULES = {"mode": 0, "median": 1, "mean": 2}  # by the exponent of the costs that they are best for


def decide(probs: ArrayLike, costs: ArrayLike, num_classes: int) -> np.ndarray:
    """The grade of least expected cost Σ_y p_y costs[y, ŷ], int `[N]`; the lowest of several.

    costs `[K, K]`: row the true grade, column the decision. 1 off the diagonal decides the mode, |y - ŷ| the median,
    (y - ŷ)² the rounded mean (Elkan, 2001).
    """
    num_classes = as_num_classes(num_classes)
    return (as_probs(probs, num_classes) @ as_costs(costs, num_classes)).argmin(axis=1)


def mean_cost(labels: ArrayLike, predictions: ArrayLike, costs: ArrayLike, num_classes: int) -> float:
    """Mean of costs[y, ŷ] over examples, labels and predictions int `[N]`."""
    num_classes = as_num_classes(num_classes)
    return float(as_costs(costs, num_classes)[as_pair(labels, predictions, num_classes)].mean())


def power(num_classes: int, exponent: float) -> np.ndarray:
    """Costs |y - ŷ|^exponent, `[K, K]`; exponent 0 costs 1 wherever the grade is wrong."""
    grades = np.arange(as_num_classes(num_classes))
    if not 0 <= as_real(exponent, "exponent") <= MOST_POWER:
        raise ValueError(f"exponent must lie between 0 and {MOST_POWER}, found {exponent}")
    distance = np.abs(grades[:, None] - grades).astype(np.float64)
    return np.where(distance > 0, distance**exponent, 0)


def decide_by(decides_by: str, probs: ArrayLike, num_classes: int) -> tuple[str, np.ndarray]:
    """The rule, and its grades `[N]`, for probs `[N, K]` that several models have the mean of.

    decides_by: the rule of these models; where that is not one of probabilities, the median.
    """
    rule = next((rule for rule in RULES if decides_by.split()[0] == rule), "median")
    return rule, decide(probs, power(num_classes, RULES[rule]), num_classes)


def as_costs(costs: ArrayLike, num_classes: int) -> np.ndarray:
    """Costs as float64 `[K, K]`; ValueError for another shape, or the first that is not finite."""
    costs = as_floats(costs, "costs")
    if costs.shape != (num_classes, num_classes):
        raise ValueError(f"costs must have shape [{num_classes}, {num_classes}], found {costs.shape}")
    bad = np.argwhere(~np.isfinite(costs))
    if len(bad):
        raise ValueError(f"costs[{bad[0][0]}, {bad[0][1]}] = {costs[tuple(bad[0])]} is not finite")
    return costs
