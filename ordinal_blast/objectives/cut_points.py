"""Cut points of a thresholded regression: exact minimisers of the training error, by dynamic programming."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

CRITERIA: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "absolute": np.abs,
    "squared": np.square,
    "zero_one": lambda apart: apart != 0,
}


def fit(
    outputs: np.ndarray, labels: np.ndarray, weights: np.ndarray, num_classes: int, criterion: str = "absolute"
) -> tuple[float, ...]:
    """K-1 increasing cut points that minimise sum_i w_i error(#(cuts below output_i) - label_i); O(N log N + N K).

    outputs `[N]`, labels `[N]` in 0 ... K-1, weights `[N]`. Each cut lies midway between the training outputs it
    separates; several in one interval divide it evenly, and those beyond all outputs lie one grade apart. Examples
    with equal outputs always get the same grade. Of several optima the one with the lowest cuts is returned.
    """
    values, group = np.unique(np.asarray(outputs, np.float64), return_inverse=True)
    error = CRITERIA[criterion](np.arange(num_classes)[None, :] - np.asarray(labels)[:, None])
    cost = np.zeros((len(values), num_classes))
    np.add.at(cost, group, np.asarray(weights, np.float64)[:, None] * error)
    # total[k, i]: cost of giving grade k to the i lowest values. The best path may only move up in grade.
    total = np.concatenate([np.zeros((num_classes, 1)), np.cumsum(cost.T, axis=1)], axis=1)
    best, starts = total[0], []
    for k in range(1, num_classes):
        # Grade k begins at some j <= i: best(i) = total_k(i) + min_j (best_{k-1}(j) - total_k(j)).
        advantage = best - total[k]
        lowest = np.minimum.accumulate(advantage)
        is_new = np.concatenate([[True], advantage[1:] < lowest[:-1]])
        starts.append(np.maximum.accumulate(np.where(is_new, np.arange(len(advantage)), 0)))
        best = total[k] + lowest
    position, positions = len(values), []
    for start in reversed(starts):
        position = int(start[position])
        positions.append(position)
    return _place(values, np.array(positions[::-1]))


def _place(values: np.ndarray, positions: np.ndarray) -> tuple[float, ...]:
    """Cuts as numbers: a cut at position j has the j lowest values below it."""
    cuts = []
    for j in np.unique(positions):
        count = int(np.sum(positions == j))
        if j == 0:
            cuts += list(values[0] - np.arange(count, 0, -1))
        elif j == len(values):
            cuts += list(values[-1] + np.arange(1, count + 1))
        else:
            cuts += list(np.linspace(values[j - 1], values[j], count + 2)[1:-1])
    return tuple(float(c) for c in cuts)
