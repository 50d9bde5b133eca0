"""Are the examples of one group put in the right order: is the best of a treatment picked, and above the others?

Pairs and picks are of one group only, which is what a clinic chooses from: a model may tell patients apart, and rank
the embryos of none. Values of V variants with S seeds are compared over new seeds and new groups, by `multireader`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.evaluation import multireader
from ordinal_blast.evaluation.agreement import ordered, picks
from ordinal_blast.evaluation.multireader import Comparison
from ordinal_blast.evaluation.validation import as_array, as_members, as_scores


def c_index(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, *, confidence: float = 0.95) -> Comparison:
    """Share of the pairs of one group with different labels that scores put in their order, ties counting half.

    labels `[N]`, grades or a binary outcome; scores `[V, S, N]`; groups `[N]`. .5 is chance; all pairs count alike
    (Harrell et al., 1982, stratified). ValueError: NaN, other shapes, fewer than 2 groups with different labels.
    """
    truth, rows, members = _checked(labels, scores, groups)
    size = int(members.max()) + 1
    order, start, first, _ = ordered(truth, members)
    pairs = np.bincount(members[order], first - start, size)
    levels = np.empty(len(truth), np.int64)  # of labels within their group, from 0
    levels[order] = np.cumsum(first == np.arange(len(truth))) - 1
    levels[order] -= levels[order][start]
    in_order = [_in_order(levels, row, members, size) for row in rows.reshape(-1, len(truth))]
    return _ratio(np.stack(in_order).reshape(*rows.shape[:2], size), pairs, confidence)


def _in_order(levels: np.ndarray, scores: np.ndarray, members: np.ndarray, size: int) -> np.ndarray:
    """How many pairs of each group scores put in the order of levels int `[N]`, ties counting half, `[G]`."""
    order, start, first, beyond = ordered(scores, members)
    levels, groups = levels[order], members[order]
    counts = np.zeros(size)
    for level in range(1, int(levels.max()) + 1):
        higher = levels == level
        lower = np.append(0, np.cumsum(levels < level))  # up to each place
        twice = lower[first[higher]] + lower[beyond[higher]] - 2 * lower[start[higher]]
        counts += np.bincount(groups[higher], twice / 2, size)
    return counts


def critical_errors(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike, *, confidence: float = 0.95) -> Comparison:
    """Share of picks, the highest score of a group, that have its lowest label although a higher one was there.

    Over groups with different labels, each once a seed. A pick among tied highest scores is drawn: it counts for the
    share of them that has the lowest label. Arguments and errors as `c_index`.
    """
    truth, rows, members = _checked(labels, scores, groups)
    size = int(members.max()) + 1
    lowest = np.full(size, np.inf)
    np.minimum.at(lowest, members, truth)
    wrong = picks(rows, members) * (truth == lowest[members])
    counts = [np.bincount(members, row, size) for row in wrong.reshape(-1, len(truth))]
    return _ratio(np.stack(counts).reshape(*rows.shape[:2], size), np.ones(size), confidence)


def contrasting(labels: ArrayLike, groups: ArrayLike) -> np.ndarray:
    """Which examples `[N]` are of a group that has different labels: only there is a pick right or wrong."""
    labels = as_array(labels, "labels")
    truth = as_scores(labels, labels.size, "labels")
    members = as_members(groups, len(truth), "groups")
    low, high = np.full(members.max(initial=0) + 1, np.inf), np.full(members.max(initial=0) + 1, -np.inf)
    np.minimum.at(low, members, truth)
    np.maximum.at(high, members, truth)
    return (low < high)[members]


def _checked(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels `[n]`, scores `[V, S, n]` and groups `[n]`, 0..G-1, of the examples in groups of different labels."""
    kept = contrasting(labels, groups)
    rows = as_array(scores, "scores")
    if rows.ndim != 3 or not rows.size:
        raise ValueError(f"scores must have shape [V, S, N], found {rows.shape}")
    checked = [as_scores(rows[v, s], len(kept), f"scores[{v}, {s}]") for v, s in np.ndindex(rows.shape[:2])]
    members = np.unique(as_members(groups, len(kept), "groups")[kept], return_inverse=True)[1]
    if members.max(initial=0) < 1:
        raise ValueError("fewer than 2 groups have different labels: nothing says how the order varies over groups")
    rows = np.stack(checked).reshape(rows.shape)[..., kept]
    return as_scores(as_array(labels, "labels")[kept], int(kept.sum()), "labels"), rows, members


def _ratio(parts: np.ndarray, counts: np.ndarray, confidence: float) -> Comparison:
    """Sums of parts `[V, S, G]` by those of counts `[G]`, and their covariance by leaving groups out in turn."""
    sums, total = parts.sum(axis=-1), counts.sum()
    without = (sums[..., None] - parts) / (total - counts)
    return multireader.jackknifed(sums / total, without.reshape(-1, len(counts)), confidence=confidence)
