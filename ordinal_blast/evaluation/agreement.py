"""Do several gradings of one group agree: would a model trained again rank, and pick, the same examples?

A group is what one is picked from, such as the embryos of a treatment. Values are means over groups of two examples or
more. Their standard error is that of groups drawn anew, and with three seeds or more of seeds drawn anew too (the
jackknife over seeds, which is on the large side for what pairs of seeds say; Efron & Stein, 1981).
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ordinal_blast.evaluation.multireader import BASIS, NO_VARIANCE
from ordinal_blast.evaluation.rounding import RELATIVE
from ordinal_blast.evaluation.validation import as_array, as_members, as_scores, check_confidence

ONE_GROUP = "one group: no interval"


@dataclasses.dataclass(frozen=True)
class Agreement:
    """A mean over `groups` groups with its t interval, of `examples` examples, and what chance alone would give.

    test: no test of chance, but estimate, standard error, degrees of freedom, ci and basis; degenerate says why there
    is no interval.
    """

    estimate: float
    standard_error: float
    df: float
    ci: tuple[float, float]
    basis: str
    chance: float
    groups: int
    examples: int
    degenerate: str = ""


def kendalls_w(scores: ArrayLike, groups: ArrayLike, *, confidence: float = 0.95) -> Agreement:
    """Kendall's W of S seeds that rank the examples of a group, corrected for ties: 1 for one ranking, 1 / S by chance.

    scores `[S, N]`, groups `[N]`. W = 12 Σ_i (R_i - R.)² / (S² (n³ - n) - S Σ_s T_s), R_i the sum of the ranks of
    example i, T = Σ (t³ - t) over ties of t (Kendall & Babington-Smith, 1939). Groups that every seed ties whole say
    nothing and are left out. ValueError: fewer than 2 seeds, NaN, no group of two.
    """
    of = rank_correlation(scores, groups, confidence=confidence)
    seeds = len(as_array(scores, "scores"))

    def w(correlation: float) -> float:
        return (1 + (seeds - 1) * correlation) / seeds

    error = of.standard_error * (seeds - 1) / seeds
    ends = w(of.ci[0]), w(of.ci[1])
    return dataclasses.replace(of, estimate=w(of.estimate), standard_error=error, ci=ends, chance=1 / seeds)


def rank_correlation(scores: ArrayLike, groups: ArrayLike, *, confidence: float = 0.95) -> Agreement:
    """How two seeds' rankings of a group correlate, (S W - 1) / (S - 1): 0 by chance, however many seeds there are.

    Without ties it is the mean of Spearman's correlation over pairs of seeds. Arguments and errors as `kendalls_w`.
    """
    rows, members = _checked(scores, groups)
    least = -1 / (len(rows) - 1)
    size = int(members.max()) + 1
    ranks = [_centred_ranks(row, members) for row in rows]
    products = np.empty((len(rows), len(rows), size))
    for a, b in itertools.combinations_with_replacement(range(len(rows)), 2):
        products[a, b] = products[b, a] = np.bincount(members, ranks[a] * ranks[b], size)

    def correlation(products: np.ndarray) -> np.ndarray:
        count = len(products)
        own = np.einsum("ssg->g", products)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (products.sum(axis=(0, 1)) - own) / ((count - 1) * own)

    return _estimate(correlation, products, np.bincount(members), 0.0, (least, 1.0), confidence)


def top_agreement(
    scores: ArrayLike, groups: ArrayLike, others: ArrayLike | None = None, *, confidence: float = 0.95
) -> Agreement:
    """Share of pairs of different seeds that pick the same example of a group, the highest score.

    scores `[S, N]`, groups `[N]`. others `[S, N]`: the second of a pair is a seed of these instead, such as those of
    another method. A seed draws among its tied highest: two that tie the same two agree half the time. Chance is that
    of picks at random. Errors as `kendalls_w`.
    """
    rows, members = _checked(scores, groups)
    second = rows if others is None else _checked(others, groups)[0]
    if len(second) != len(rows):
        raise ValueError(f"{len(rows)} seeds but {len(second)} of the others: pairs need as many")
    shares, other = picks(rows, members), picks(second, members)
    size = members.max() + 1
    agree = np.stack([[np.bincount(members, mine * theirs, size) for theirs in other] for mine in shares])

    def different(agree: np.ndarray) -> np.ndarray:
        count = len(agree)
        return (agree.sum(axis=(0, 1)) - np.einsum("ssg->g", agree)) / (count * (count - 1))

    sizes = np.bincount(members)
    return _estimate(different, agree, sizes, float((1 / sizes).mean()), (0.0, 1.0), confidence)


def picks(scores: np.ndarray, members: np.ndarray) -> np.ndarray:
    """How likely each example is picked of its group, `[..., N]`: an equal share for each of the highest scores."""
    size = int(members.max()) + 1
    rows = scores.reshape(-1, scores.shape[-1])
    highest = np.full((len(rows), size), -np.inf)
    for row, best in zip(rows, highest, strict=True):
        np.maximum.at(best, members, row)
    top = rows == highest[:, members]
    ties = np.stack([np.bincount(members, row, size) for row in top])
    return (top / ties[:, members]).reshape(scores.shape)


def _checked(scores: ArrayLike, groups: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Scores `[S, n]` and groups `[n]`, 0..G-1, of the examples that are not alone in their group."""
    rows = as_array(scores, "scores")
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(f"scores must have shape [S, N] of 2 seeds or more, found {rows.shape}")
    rows = np.stack([as_scores(row, rows.shape[1], f"scores[{seed}]") for seed, row in enumerate(rows)])
    members = as_members(groups, rows.shape[1], "groups")
    kept = np.bincount(members, minlength=1)[members] > 1
    if not kept.any():
        raise ValueError("no group has 2 examples or more: there is nothing to pick from")
    return rows[:, kept], np.unique(members[kept], return_inverse=True)[1]


def ordered(scores: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The examples by group and score, and in that order `[N]`: where its group starts, its ties start, and they end.

    scores `[N]`, members int `[N]` in 0..G-1; the last place is beyond the ties.
    """
    order = np.lexsort((scores, members))
    groups, ranked = members[order], scores[order]
    first = np.flatnonzero(np.append(True, (groups[1:] != groups[:-1]) | (ranked[1:] != ranked[:-1])))
    ties = np.diff(first, append=len(ranked))
    start = np.searchsorted(groups, np.arange(int(groups[-1]) + 1))[groups]
    return order, start, np.repeat(first, ties), np.repeat(first + ties, ties)


def _centred_ranks(scores: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Rank of each score `[N]` within its group, ties sharing their mean, less the mean rank of the group."""
    order, start, first, beyond = ordered(scores, members)
    centred = np.empty(len(scores))
    centred[order] = (first + beyond - 1) / 2 - start - (np.bincount(members)[members[order]] - 1) / 2
    return centred


def _estimate(
    of_groups: Callable[[np.ndarray], np.ndarray],
    pairs: np.ndarray,
    sizes: np.ndarray,
    chance: float,
    bounds: tuple[float, float],
    confidence: float,
) -> Agreement:
    """The mean of a value of each group `[G]`, a function of what pairs of seeds say `[S, S, G]`, within its bounds."""
    check_confidence(confidence)
    values = of_groups(pairs)
    defined = np.isfinite(values)
    values, pairs, sizes = values[defined], pairs[..., defined], sizes[defined]
    count, seeds = len(values), len(pairs)
    basis = BASIS["both" if seeds > 2 else "examples"]
    if not count:
        raise ValueError("every seed ties every group whole: there is no ranking")
    estimate = float(values.mean())

    def result(error: float, df: float, degenerate: str) -> Agreement:
        reach = float(stats.t.ppf((1 + confidence) / 2, df)) * error
        ends = tuple(np.clip([estimate - reach, estimate + reach], *bounds).tolist())
        return Agreement(estimate, error, df, ends, basis, chance, count, int(sizes.sum()), degenerate)

    if count < 2:
        return result(math.nan, math.nan, ONE_GROUP)
    parts = [(float(values.var(ddof=1)) / count, count - 1)]
    if seeds > 2:
        others = [np.delete(np.arange(seeds), seed) for seed in range(seeds)]
        without = np.array([np.nanmean(of_groups(pairs[np.ix_(rest, rest)])) for rest in others])
        parts.append(((seeds - 1) * float(without.var()), seeds - 1))
    total = sum(variance for variance, _ in parts)
    if not total > RELATIVE**2:
        return result(math.nan, math.nan, NO_VARIANCE)
    return result(math.sqrt(total), total**2 / sum(variance**2 / df for variance, df in parts), "")
