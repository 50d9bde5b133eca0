"""Whether probabilities can be believed: reliability curves with consistency bands, a test of calibration, Brier parts.

Bins hold equal numbers of examples, and examples with one probability stay in one bin: how the data are ordered cannot
matter. What a calibrated model would show is drawn from the probabilities themselves (Bröcker & Smith, 2007;
Vaicenavicius et al., 2019), so that the test keeps its level at any n, K and number of bins; asymptotic ones
(Hosmer–Lemeshow, Spiegelhalter's z) do not where probabilities lie near 0 and 1, and z sees no errors that cancel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from ordinal_blast.evaluation.validation import as_clusters, as_count, as_labelled_probs, as_seed, check_confidence

BINS = 10
DRAWS = 1000
_BLOCK = 50_000  # numbers that are drawn at once: they stay in cache


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Curves of T = K targets: row k < K-1 is "the grade is above k", the last "the most probable grade is right".

    predicted, observed: means of each bin, `[K, bins]`, NaN in an empty bin; low, high: where `observed` of a
    calibrated model lies; n: int `[K, bins]`. statistic: squared gaps of the thresholds, Σ_k Σ_bins n/N (observed -
    predicted)²; p_value: how often a calibrated model shows as much.
    """

    predicted: np.ndarray
    observed: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray
    statistic: float
    p_value: float


@dataclasses.dataclass(frozen=True)
class Parts:
    """A score taken apart: score = miscalibration - discrimination + uncertainty, exactly."""

    score: float
    miscalibration: float
    discrimination: float
    uncertainty: float


def equal_mass(values: np.ndarray, bins: int) -> np.ndarray:
    """Bin of each value `[N]` in 0..bins-1 by its rank; values that tie share the bin of their mean rank."""
    return np.minimum((stats.rankdata(values) - 0.5) * bins // len(values), bins - 1).astype(np.int64)


def squared_gap(labels: ArrayLike, probs: ArrayLike, num_classes: int, bins: int = BINS) -> float:
    """Mean square over bins of the most probable grade's gap, right - confidence, without the bias of chance.

    Σ_bins n/N (gap² - s²/n): squares less what their own spread s² makes of them (Bröcker, 2012; Kumar et al., 2019).
    Below 0 as often as above for a calibrated model, so that a mean over models has no bias either; bins of one example
    are left out, NaN where all are.
    """
    labels, probs = as_labelled_probs(labels, probs, num_classes)
    confidence = probs.max(axis=1)
    gaps = (probs.argmax(axis=1) == labels) - confidence
    places = equal_mass(confidence, as_count(bins, "bins"))
    n, sums, squares = (np.bincount(places, values, bins) for values in (np.ones(len(gaps)), gaps, gaps**2))
    several = n > 1
    n, sums, squares = n[several], sums[several], squares[several]
    without_chance = (sums**2 - squares) / (n * (n - 1))  # the mean product of two different examples
    return float((n * without_chance).sum() / n.sum()) if n.size else float("nan")


def debiased_ece(labels: ArrayLike, probs: ArrayLike, num_classes: int, bins: int = BINS) -> float:
    """Calibration error of the most probable grade as a root mean square: sqrt(max(0, `squared_gap`)), 0 to 1."""
    return float(np.sqrt(np.maximum(0, squared_gap(labels, probs, num_classes, bins))))


def assess(
    labels: ArrayLike,
    probs: ArrayLike,
    num_classes: int,
    *,
    bins: int = BINS,
    confidence: float = 0.95,
    clusters: ArrayLike | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Reliability:
    """Reliability of probs `[N, K]` against labels `[N]`, with bands and the test that they are calibrated.

    Labels are drawn from the probabilities. With clusters `[N]`, whose examples depend on one another, signs of the
    residuals of whole clusters are drawn instead: a test for many clusters, not an exact one.
    """
    labels, probs = as_labelled_probs(labels, probs, num_classes)
    bins, draws = as_count(bins, "bins"), as_count(draws, "draws", 20)
    check_confidence(confidence)
    above = np.clip(1 - np.cumsum(probs, axis=1), 0, 1)
    above[:, -1] = 0
    values = np.concatenate([above[:, :-1], probs.max(axis=1, keepdims=True)], axis=1)
    places = [equal_mass(column, bins) for column in values.T]
    chosen = probs.argmax(axis=1)
    events = np.stack([*(labels > k for k in range(num_classes - 1)), labels == chosen])
    seen, predicted = (_sums(of, places, bins) for of in (events, values.T))
    n = np.stack([np.bincount(place, minlength=bins) for place in places])
    rng = np.random.default_rng(as_seed(seed))
    if clusters is None:
        null = _counts(above, chosen, places, bins, draws, rng) - predicted[:, :, None]
    else:
        null = _signed(events - values.T, places, bins, as_clusters(clusters, len(labels)), draws, rng)
    gap = seen - predicted
    with np.errstate(invalid="ignore", divide="ignore"):
        tails = np.quantile(null, [(1 - confidence) / 2, (1 + confidence) / 2], axis=2)
        observed, low, high = (np.clip((predicted + one) / n, 0, 1) for one in (gap, *tails))
        mean = predicted / n
    weights = 1 / np.maximum(n[:-1], 1) / len(labels)
    statistic = float((gap[:-1] ** 2 * weights).sum())
    as_much = (null[:-1] ** 2 * weights[:, :, None]).sum(axis=(0, 1)) >= statistic * (1 - 1e-12)
    return Reliability(mean, observed, low, high, n, statistic, (1 + int(as_much.sum())) / (1 + draws))


def _sums(values: np.ndarray, places: Sequence[np.ndarray], bins: int) -> np.ndarray:
    """Sums of values `[K, N]` over the examples of each bin of each target, `[K, bins]`."""
    sums = np.zeros((len(values), bins))
    for total, of_target, place in zip(sums, values.astype(np.float64), places, strict=True):
        order = np.argsort(place, kind="stable")
        filled, starts = np.unique(place[order], return_index=True)
        total[filled] = np.add.reduceat(of_target[order], starts)
    return sums


def _counts(
    above: np.ndarray, chosen: np.ndarray, places: Sequence[np.ndarray], bins: int, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """How many targets come true in each bin, `[K, bins, R]`, with labels drawn from P(y > k) `[N, K]` R times.

    A label is above k where a uniform number is below P(y > k), block of examples by block; counts of a block are whole
    numbers that float32 holds exactly.
    """
    total = np.zeros((above.shape[1], bins, draws))
    limits, targets = above.astype(np.float32), np.arange(len(total))[:, None]
    rows = np.arange(len(above))
    low, high = limits[rows, chosen], np.where(chosen > 0, limits[rows, chosen - 1], 2)  # of the grade chosen
    for block in _blocks(len(above), draws):
        fate = rng.random((len(above[block]), draws), np.float32)
        of_bin = np.zeros((len(total), bins, len(fate)), np.float32)
        of_bin[targets, [place[block] for place in places], np.arange(len(fate))] = 1
        for k, (count, members) in enumerate(zip(total, of_bin, strict=True)):
            if k < len(total) - 1:
                event = fate < limits[block, k, None]
            else:
                event = (fate < high[block, None]) & (fate >= low[block, None])
            count += members @ event.astype(np.float32)
    return total


def _signed(
    residuals: np.ndarray,
    places: Sequence[np.ndarray],
    bins: int,
    members: np.ndarray,
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Sums of residuals `[K, N]` in each bin, `[K, bins, R]`, when clusters int `[N]` take signs together R times."""
    order = np.argsort(members, kind="stable")
    starts = np.searchsorted(members[order], np.arange(int(members.max()) + 2))
    total = np.zeros((len(residuals) * bins, draws))
    for block in _blocks(len(starts) - 1, draws):
        chosen = order[starts[block.start] : starts[block.stop]]
        width = block.stop - block.start
        cells = (members[chosen] - block.start) * bins
        sums = [
            np.bincount(cells + place[chosen], of_target[chosen], width * bins).reshape(width, bins)
            for place, of_target in zip(places, residuals, strict=True)
        ]
        total += np.concatenate(sums, axis=1).T @ rng.choice([-1.0, 1.0], (width, draws))
    return total.reshape(len(residuals), bins, draws)


def _blocks(count: int, draws: int) -> Iterator[slice]:
    """Slices of 0..count of which `_BLOCK` numbers are drawn at once."""
    step = max(1, _BLOCK // draws)
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def brier_parts(labels: ArrayLike, probs: ArrayLike, num_classes: int) -> Parts:
    """The Brier score Σ_k (p_k - 1[y = k])², 0 to 2, taken apart without bins (Dimitriadis, Gneiting & Jordan, 2021).

    miscalibration: what isotonic recalibration of each grade's probability would save; uncertainty: the score of the
    grades' own frequencies; discrimination: how much better than those the recalibrated probabilities are.
    """
    labels, probs = as_labelled_probs(labels, probs, num_classes)
    events = (labels[:, None] == np.arange(num_classes)).astype(np.float64)
    best = np.stack([_isotonic(event, column) for event, column in zip(events.T, probs.T, strict=True)], axis=1)
    score, recalibrated, constant = (_brier(events, values) for values in (probs, best, events.mean(axis=0)))
    return Parts(score, score - recalibrated, constant - recalibrated, constant)


def _brier(events: np.ndarray, values: np.ndarray) -> float:
    return float(((events - values) ** 2).sum(axis=1).mean())


def _isotonic(events: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The rising function of values `[N]` with the least squares to events `[N]`, at these values."""
    _, places = np.unique(values, return_inverse=True)
    n = np.bincount(places)
    return optimize.isotonic_regression(np.bincount(places, events) / n, weights=n).x[places]
