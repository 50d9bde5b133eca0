"""Whether probabilities can be believed: reliability curves with consistency bands, a test of calibration, Brier parts.

Bins hold equal numbers of examples, and examples with one probability stay in one bin: how the data are ordered cannot
matter. What a calibrated model would show is drawn from the probabilities themselves (Bröcker & Smith, 2007;
Vaicenavicius et al., 2019), so that the test keeps its level at any n, K and number of bins; asymptotic ones
(Hosmer–Lemeshow, Spiegelhalter's z) do not where probabilities lie near 0 and 1, and z sees no errors that cancel.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from ordinal_blast.evaluation.validation import as_clusters, as_count, as_labelled_probs, check_confidence

BINS = 10
DRAWS = 1000
_CHUNK = 4_000_000  # numbers drawn at once


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


def debiased_ece(labels: ArrayLike, probs: ArrayLike, num_classes: int, bins: int = BINS) -> float:
    """Calibration error of the most probable grade without the bias of chance, root mean square over bins, 0 to 1.

    sqrt(max(0, Σ_bins n/N (gap² - s²/n))): squared gaps less what their own spread s² makes of them (Bröcker, 2012;
    Kumar et al., 2019). The square has no bias before it is cut off at 0; bins of one example are left out.
    """
    labels, probs = as_labelled_probs(labels, probs, num_classes)
    confidence = probs.max(axis=1)
    gaps = (probs.argmax(axis=1) == labels) - confidence
    places = equal_mass(confidence, as_count(bins, "bins"))
    n, sums, squares = (np.bincount(places, values, bins) for values in (np.ones(len(gaps)), gaps, gaps**2))
    several = n > 1
    n, sums, squares = n[several], sums[several], squares[several]
    without_chance = (sums**2 - squares) / (n * (n - 1))  # the mean product of two different examples
    return float(np.sqrt(max(0.0, (n * without_chance).sum() / n.sum()))) if n.size else float("nan")


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
    places = np.stack([equal_mass(column, bins) for column in values.T])
    belongs = (places[:, :, None] == np.arange(bins)).astype(np.float32)  # [T, N, bins]
    n = belongs.sum(axis=1).astype(np.int64)
    predicted = np.stack([np.bincount(place, column, bins) for place, column in zip(places, values.T, strict=True)])
    chosen = probs.argmax(axis=1)

    def sums_of(events: list[np.ndarray]) -> np.ndarray:
        """Events less what was predicted, float64 `[T, R, bins]`, from `[R, N]` a target."""
        counts = [event.astype(np.float32) @ belong for event, belong in zip(events, belongs, strict=True)]
        return np.stack(counts).astype(np.float64) - predicted[:, None]

    events = [labels[None] > k for k in range(num_classes - 1)] + [chosen[None] == labels]
    seen = sums_of(events)[:, 0]
    rng = np.random.default_rng(seed)
    if clusters is None:
        edges = np.concatenate([np.ones((len(probs), 1)), above], axis=1).astype(np.float32)
        lower, upper = (edges[np.arange(len(probs)), chosen + step] for step in (1, 0))

        def calibrated(size: int) -> np.ndarray:
            drawn = rng.random((size, len(labels)), np.float32)
            hits = (drawn >= lower) & (drawn < upper)
            return sums_of([*(drawn < edges[:, k + 1] for k in range(num_classes - 1)), hits])

        width = len(labels)
    else:
        members = as_clusters(clusters, len(labels))
        width = int(members.max()) + 1
        residuals = np.concatenate(events).T - values
        together = np.stack(
            [
                np.bincount(members * bins + place, residual, width * bins).reshape(width, bins)
                for place, residual in zip(places, residuals.T, strict=True)
            ]
        )

        def calibrated(size: int) -> np.ndarray:
            return rng.choice([-1.0, 1.0], (size, width)) @ together

    sizes = np.diff([*range(0, draws, max(1, _CHUNK // width)), draws])
    null = np.concatenate([calibrated(int(size)) for size in sizes], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        tails = np.quantile(null, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1) / n
        mean, gap = predicted / n, seen / n
    weights = 1 / np.maximum(n[:-1], 1) / len(labels)
    statistic = float((seen[:-1] ** 2 * weights).sum())
    as_much = (null[:-1] ** 2 * weights[:, None]).sum(axis=(0, 2)) >= statistic * (1 - 1e-12)
    p_value = (1 + int(as_much.sum())) / (1 + draws)
    return Reliability(mean, mean + gap, mean + tails[0], mean + tails[1], n, statistic, p_value)


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
