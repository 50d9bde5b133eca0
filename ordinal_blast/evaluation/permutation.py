"""P values of two rank tests from their permutations, exact with ties, for samples too small to approximate.

Ranks are doubled, so that ties share whole numbers and sums of them are compared without rounding.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy import stats

EXACT_SIGNS = 200  # differences up to which all signs are counted
EXACT_BLOCKS = 20  # blocks up to which all permutations are counted
EXACT_ROWS = 200_000  # sums of ranks held at once for that
DRAWS = 20_000  # permutations drawn where they are too many to count


def signed_rank(differences: np.ndarray) -> tuple[float, float]:
    """Wilcoxon's T, the smaller sum of signed ranks, and its two-sided p value, of differences `[B]` with equal ties.

    Zero differences are ranked and split between the signs (Demšar, 2006). p is exact given the ranks, over all signs
    of the differences that are not 0, up to 200 of them; beyond that normal, with the variance of the same signs.
    """
    doubled = np.rint(2 * stats.rankdata(np.abs(differences))).astype(np.int64)
    smaller = int(min(doubled[differences > 0].sum(), doubled[differences < 0].sum()))
    statistic = (smaller + doubled[differences == 0].sum() / 2) / 2
    signed = doubled[differences != 0]
    if len(signed) > EXACT_SIGNS:
        # Zeros have no sign that could vary: they widen nothing, as they would in scipy's "zsplit".
        return statistic, float(2 * stats.norm.cdf((2 * smaller - signed.sum()) / np.linalg.norm(signed)))
    chance = np.zeros(signed.sum() + 1)  # of each sum of the ranks with a plus sign
    chance[0] = 1
    for rank in signed:
        chance[rank:] += chance[: len(chance) - rank].copy()
        chance /= 2
    return statistic, min(1.0, 2 * float(chance[: smaller + 1].sum()))


def friedman(ranks: np.ndarray) -> float:
    """Chance that ranks `[B, M]`, permuted within each block, lie as far apart as they do: Friedman's test.

    Exact where all permutations can be counted, else (1 + number as extreme) / (1 + number drawn), with a fixed seed.
    """
    doubled = np.rint(2 * ranks).astype(np.int64)
    observed = np.square(doubled.sum(axis=0)).sum()  # for fixed ranks Friedman's chi-squared grows with this alone
    counted = _all_sums(doubled)
    if counted is None:
        return _drawn(doubled, observed)
    sums, counts = counted
    return float(counts[np.square(sums).sum(axis=1) >= observed].sum() / counts.sum())


def _all_sums(doubled: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Sums of ranks by method, sorted, `[P, M]` and how many permutations give each; None where they are too many."""
    num_methods = doubled.shape[1]
    orders = math.factorial(num_methods)
    if orders > EXACT_ROWS or len(doubled) > EXACT_BLOCKS:
        return None
    places = np.array(list(itertools.permutations(range(num_methods))))
    # One block may stay as it is, and methods may be renamed: only how the sums lie matters.
    sums: np.ndarray = np.sort(doubled[:1], axis=1)
    counts: np.ndarray = np.ones(1)
    for row in doubled[1:]:
        if len(sums) * orders > EXACT_ROWS:
            return None
        moved = np.sort((sums[:, None] + row[places]).reshape(-1, num_methods), axis=1)
        sums, origin = np.unique(moved, axis=0, return_inverse=True)
        counts = np.bincount(origin.ravel(), np.repeat(counts, orders))
    return sums, counts


def _drawn(doubled: np.ndarray, observed: int) -> float:
    rng = np.random.default_rng(0)
    totals = np.zeros((DRAWS, doubled.shape[1]), np.int64)
    for row in doubled:
        totals += rng.permuted(np.broadcast_to(row, totals.shape), axis=1)
    return (1 + int((np.square(totals).sum(axis=1) >= observed).sum())) / (1 + DRAWS)
