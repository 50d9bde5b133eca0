"""Verdicts: intervals that hold together with few seeds and few examples, and p values that agree with them.

Few seeds: an error of which one part is estimated from S - 1 degrees of freedom comes out small by chance, just where a
difference then looks sure, and Satterthwaite's degrees of freedom come out large with it: with 3 seeds that vary, they
err in .08 instead of .05, and in .037 instead of .0125. So either part of the variance, of seeds and of examples, has
the quantile of its own degrees of freedom: an interval reaches sqrt(Σ t_i² s_i²), and for normal estimates never errs
more often than it says (Banerjee, 1961).

Several differences: the max-t method. Estimates are jointly near normal with a known correlation, and the family errs
where the largest |t| does (Hothorn, Bretz & Westfall, 2008). As degrees of freedom are unequal, a difference enters by
the normal quantile z of its own p: adjusted p = P(max |Z| ≥ z) (Hasler & Hothorn, 2008).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from ordinal_blast.evaluation.multireader import Comparison, Contrast
from ordinal_blast.evaluation.validation import as_count, as_floats, as_real, check_confidence

DRAWS = 100_000  # of the joint normal, with a fixed seed
FURTHEST = 30.0  # normal quantile: p of 1e-197
SURE = 200  # draws beyond a value from which their share is taken; further out Bonferroni's bound is as good


@dataclasses.dataclass(frozen=True, eq=False)
class Family:
    """J differences at once: adjusted p `[J]`, intervals `[J, 2]` that all hold with the confidence asked for.

    level: what one difference of the family is tested at. NaN for those that have no test; they do not count in size.
    """

    p_values: np.ndarray
    cis: np.ndarray
    level: float
    size: int


def family(contrasts: Sequence[Contrast], correlation: ArrayLike, *, confidence: float = 0.95) -> Family:
    """Differences with intervals and p values that hold at once, given the correlation `[J, J]` of their estimates.

    An interval excludes 0 exactly where its p is below 1 - confidence, but for the error of DRAWS draws. ValueError:
    a correlation of another shape or that is none.
    """
    check_confidence(confidence)
    correlation = as_floats(correlation, "correlation")
    count = len(contrasts)
    if correlation.shape != (count, count):
        raise ValueError(f"correlation must have shape [{count}, {count}], found {correlation.shape}")
    p_values, cis = np.full(count, np.nan), np.full((count, 2), np.nan)
    tested = np.flatnonzero([not np.isnan(contrast.p_value) for contrast in contrasts]).tolist()
    if not tested:
        return Family(p_values, cis, 1 - confidence, 0)
    largest = _largest(correlation[np.ix_(tested, tested)])
    level = _level(largest, len(tested), 1 - confidence)
    p_values[tested] = _adjusted(np.array([p_value(contrasts[j]) for j in tested]), largest)
    cis[tested] = [interval(contrasts[j], confidence=1 - level) for j in tested]
    return Family(p_values, cis, level, len(tested))


def interval(
    contrast: Contrast, *, confidence: float = 0.95, bounds: tuple[float, float] | None = None
) -> tuple[float, float]:
    """The interval of a verdict on one contrast; NaN where it has none.

    bounds: of a measure, such as (0, 1) of an area: it is then symmetric in log((x - low) / (high - x)), which stays
    within them and covers better near to them. ValueError: bounds that the estimate is not between.
    """
    check_confidence(confidence)
    if math.isnan(contrast.p_value):
        return math.nan, math.nan
    reach = _reach(contrast, -float(special.ndtri((1 - confidence) / 2)))
    if bounds is None:
        return contrast.estimate - reach, contrast.estimate + reach
    low, high = (as_real(end, f"bounds[{i}]") for i, end in enumerate(bounds))
    if not low < contrast.estimate < high:
        raise ValueError(f"the estimate must lie between its bounds {low} and {high}, found {contrast.estimate}")
    width, share = high - low, (contrast.estimate - low) / (high - low)
    ends = special.expit(special.logit(share) + np.array([-1, 1]) * reach / (width * share * (1 - share)))
    return low + width * float(ends[0]), low + width * float(ends[1])


def p_value(contrast: Contrast) -> float:
    """The p value of a verdict on one contrast: below 1 - confidence where its interval excludes 0."""
    if math.isnan(contrast.p_value):
        return math.nan
    size = abs(contrast.estimate)
    if size >= _reach(contrast, FURTHEST):
        return float(2 * special.ndtr(-FURTHEST))
    z = optimize.brentq(lambda z: _reach(contrast, z) - size, 0.0, FURTHEST, xtol=1e-14)
    return float(2 * special.ndtr(-z))


def _reach(contrast: Contrast, z: float) -> float:
    """How far an interval reaches at the level of a normal quantile z: sqrt(Σ t_i² s_i²) of the parts."""
    level = special.ndtr(-z)
    parts = contrast.parts or ((contrast.standard_error**2, contrast.df),)
    return math.hypot(*(math.sqrt(part) * float(special.stdtrit(df, level)) for part, df in parts))


def against(comparisons: Sequence[Comparison], reference: int) -> np.ndarray:
    """Correlation `[J, J]` of the differences of all variants to the reference, measure after measure, in order.

    What test examples share is estimated from their influence, over measures too where the units are the same. Seeds
    are too few to estimate what two differences share over them: within a measure that is the variance of the reference
    between its seeds; between measures nothing is supposed, which errs on the safe side (Šidák, 1967).
    """
    over_cases, over_seeds = [], []
    for one in comparisons:
        reference = as_count(reference, "reference", 0, len(one.values) - 1)
        others = [v for v in range(len(one.values)) if v != reference]
        influence = np.zeros((*one.values.shape, 1)) if one.influence is None else one.influence
        averaged = np.nan_to_num(influence.mean(axis=1))
        over_cases.append(averaged[others] - averaged[reference])
        over_seeds.append(sharing(one.values[others], one.values[reference]))
    ends = np.cumsum([0, *(len(block) for block in over_seeds)])
    total = np.zeros((ends[-1], ends[-1]))
    for i, rows in enumerate(over_cases):
        for j, columns in enumerate(over_cases):
            if rows.shape[1] == columns.shape[1]:
                total[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] = rows @ columns.T
    for i, block in enumerate(over_seeds):
        total[ends[i] : ends[i + 1], ends[i] : ends[i + 1]] += block
    return as_correlation(total)


def sharing(others: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Covariance `[V - 1, V - 1]` of means over seeds `[V - 1, S]` less the reference's `[S]`; 0 with one seed."""
    count = others.shape[1]
    if count < 2:
        return np.zeros((len(others), len(others)))
    with np.errstate(invalid="ignore"):  # inf - inf: it has no test
        own, shared = np.nan_to_num(others.var(axis=1, ddof=1)), np.nan_to_num(reference.var(ddof=1))
    return (shared + np.diag(own)) / count


def as_correlation(covariance: np.ndarray) -> np.ndarray:
    """The correlation of a covariance `[J, J]`; what has no variance is correlated with nothing."""
    scale = np.sqrt(np.diagonal(covariance))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.nan_to_num(covariance / np.outer(scale, scale))
    np.fill_diagonal(correlation, 1.0)
    return np.clip(correlation, -1, 1)


def _largest(correlation: np.ndarray) -> np.ndarray:
    """max |Z| of DRAWS draws of the joint normal, ascending."""
    values, vectors = np.linalg.eigh(correlation)
    if values.min() < -1e-6 * len(values):
        raise ValueError("correlation is none: it has a negative eigenvalue")
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T  # the one root that no rounding of vectors turns
    return np.sort(np.abs(root @ _draws(len(values))).max(axis=0))


@functools.lru_cache(maxsize=4)
def _draws(size: int) -> np.ndarray:
    """DRAWS independent normal vectors, `[size, DRAWS]`, the same for every family of a size."""
    return np.ascontiguousarray(np.random.default_rng(0).standard_normal((DRAWS, size)).T)


def _level(largest: np.ndarray, count: int, alpha: float) -> float:
    """The level of one test at which the family errs with alpha: between Bonferroni's and none."""
    if count == 1:
        return alpha
    beyond = round(alpha * len(largest))
    drawn = 2 * stats.norm.sf(largest[-beyond]) if beyond >= SURE else 0.0
    return min(max(float(drawn), alpha / count), alpha)


def _adjusted(raw: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Adjusted p values `[J]`, between the raw ones and Bonferroni's."""
    if len(raw) == 1:
        return raw
    beyond = len(largest) - np.searchsorted(largest, stats.norm.isf(raw / 2))
    bounds = len(raw) * raw
    drawn = np.where(beyond < SURE, np.minimum(bounds, SURE / len(largest)), beyond / len(largest))
    return np.minimum(1, np.clip(drawn, raw, bounds))
