"""Bootstrap intervals of the metrics of `metrics.summary`, thousands of resamples at once.

Each metric of the summary depends on the examples only through sums over them: the table of counts, the sums of the
proper scores, and the calibration gap of each bin. A resample is a vector of how often each unit is drawn, so that all
resamples are one product of two matrices, draws `[R, U]` by sums `[U, S]`. Units are examples, or whole clusters where
examples share a patient. They are never drawn within labels: another test set has other shares of them too, and limits
that take these as known are too short (of a nominal .95 with 5 grades and 50 examples, quadratic kappa .86, balanced
accuracy .88; as drawn here .92 and .94, mean squared error .88).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse, special

from ordinal_blast.evaluation.metrics import COUNT_METRICS
from ordinal_blast.evaluation.probabilistic import confidence_bins, log_loss_values, rps_values
from ordinal_blast.evaluation.validation import (
    as_clusters,
    as_count,
    as_labelled_probs,
    as_num_classes,
    as_pair,
    as_seed,
    as_weights,
    check_confidence,
)

ECE_BINS = 15
CHUNK = 2_000_000  # draws held at once: 16 MB

ASSUMES = "A fixed model and independent {units}; {limits} limits: it does not cover the spread over training seeds."
NO_SPREAD = "no spread over resamples: no interval"
# Coverage of mmae, min_sensitivity at .95, 5 grades: percentile .58, .65 (50 examples), .73, .76 (200); BCa .75, .86,
# .85, .87.
NO_INTERVAL = {
    "mmae": "the largest of several noisy errors is too large on every resample: no interval",
    "min_sensitivity": "the smallest of several noisy shares is too small on every resample: no interval",
    "ece": "gaps of bins are too large on every resample: no interval",
}
ACCELERATED = ("gmsec",)  # coverage .91 by percentiles, .93 by BCa (5 grades, 50 examples)


@dataclasses.dataclass(frozen=True)
class Interval:
    """A metric with its limits; undefined is the share of resamples left out because the metric was nan.

    degenerate: empty, or why there is no interval, and the limits are nan.
    """

    estimate: float
    low: float
    high: float
    undefined: float
    assumes: str
    degenerate: str = ""


@dataclasses.dataclass(frozen=True)
class _Units:
    """What each unit that is drawn adds to the sums behind the summary, `[U, S]`."""

    sums: sparse.csr_array
    num_classes: int

    @property
    def total(self) -> np.ndarray:
        """The sums of all units, `[1, S]`."""
        return np.asarray(self.sums.sum(axis=0))[None]

    def drawn(self, resamples: int, seed: int) -> np.ndarray:
        """Sums `[R, S]` of as many units drawn with replacement."""
        rng, size = np.random.default_rng(as_seed(seed)), self.sums.shape[0]

        def draw(count: int) -> np.ndarray:
            cells = rng.integers(size, size=(count, size)) + size * np.arange(count)[:, None]
            return np.bincount(cells.ravel(), minlength=cells.size).reshape(cells.shape) @ self.sums

        step = max(1, CHUNK // size)
        return np.concatenate([draw(min(step, resamples - done)) for done in range(0, resamples, step)])

    def without_one(self, name: str) -> np.ndarray:
        """A metric without each unit, `[U]`."""
        step = max(1, CHUNK // self.sums.shape[1])
        starts = range(0, self.sums.shape[0], step)
        parts = (self.total - self.sums[start : start + step].toarray() for start in starts)
        return np.concatenate([_summaries(part, self.num_classes)[name] for part in parts])


def _sums(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, probs: ArrayLike | None, weights: np.ndarray
) -> sparse.csr_array:
    """What each example adds to the sums behind the summary, `[N, S]`."""

    def one_per_row(columns: np.ndarray, values: np.ndarray, width: int) -> sparse.csr_array:
        return sparse.csr_array((values, columns, np.arange(len(columns) + 1)), shape=(len(columns), width))

    blocks = [one_per_row(labels * num_classes + predictions, weights, num_classes**2)]
    if probs is not None:
        _, probs = as_labelled_probs(labels, probs, num_classes)
        confidence, hits = probs.max(axis=1), probs.argmax(axis=1) == labels
        losses = log_loss_values(labels, probs)
        # Infinite losses are counted apart: drawn zero times they would otherwise add 0 * inf.
        infinite = np.isinf(losses)
        scores = np.stack([rps_values(labels, probs), np.where(infinite, 0, losses), infinite], axis=1)
        gaps = one_per_row(confidence_bins(confidence, ECE_BINS), weights * (hits - confidence), ECE_BINS)
        blocks += [sparse.csr_array(scores * weights[:, None]), gaps]
    return sparse.hstack(blocks, format="csr")


def _summaries(sums: np.ndarray, num_classes: int) -> dict[str, np.ndarray]:
    """The summary `[R]` per metric from sums `[R, S]`."""
    cells = num_classes**2
    counts = sums[:, :cells].reshape(-1, num_classes, num_classes)
    result = {metric.__name__: metric.of_counts(counts) for metric in COUNT_METRICS}
    if sums.shape[1] > cells:
        n = counts.sum(axis=(-2, -1))
        result["rps"] = sums[:, cells] / n
        result["log_loss"] = np.where(sums[:, cells + 2] > 0, np.inf, sums[:, cells + 1] / n)
        result["ece"] = np.abs(sums[:, cells + 3 :]).sum(axis=1) / n
    return result


def _units(
    labels: ArrayLike,
    predictions: ArrayLike,
    num_classes: int,
    probs: ArrayLike | None,
    clusters: ArrayLike | None,
    weights: ArrayLike | None,
) -> _Units:
    """What is drawn: examples that count, or the clusters of them."""
    num_classes = as_num_classes(num_classes)
    labels, predictions = as_pair(labels, predictions, num_classes)
    counted = as_weights(weights, len(labels))
    members = np.arange(len(labels)) if clusters is None else as_clusters(clusters, len(labels))
    kept = counted > 0
    members = np.unique(members[kept], return_inverse=True)[1]
    belongs = sparse.csr_array((np.ones(len(members)), (members, np.arange(len(members)))))
    rows = _sums(labels, predictions, num_classes, probs, counted)[kept]
    return _Units(sparse.csr_array(belongs @ rows), num_classes)


def _between(values: np.ndarray, lower: float, upper: float) -> tuple[float, float, float]:
    """The values at two shares of those that are not nan, and the share that is."""
    defined = np.sort(values[~np.isnan(values)])
    undefined = 1 - len(defined) / len(values)
    if not len(defined) or defined[0] == defined[-1]:  # a sample without spread is no certainty
        return np.nan, np.nan, undefined
    # Order statistics, not interpolated: a log loss may be infinite.
    last = len(defined) - 1
    return float(defined[int(lower * last)]), float(defined[last - int((1 - upper) * last)]), undefined


def _accelerated(
    values: np.ndarray, estimate: float, without_one: np.ndarray, confidence: float
) -> tuple[float, float, float]:
    """Limits corrected for bias z0 and acceleration a: Φ(z0 + (z0 + z) / (1 - a (z0 + z))) (BCa; Efron, 1987)."""
    defined = values[~np.isnan(values)]
    below = ((defined < estimate).mean() + (defined <= estimate).mean()) / 2 if len(defined) else 0.0
    gaps = np.nanmean(without_one) - without_one[~np.isnan(without_one)]
    spread = (gaps**2).sum()
    if not 0 < below < 1 or spread == 0:
        return np.nan, np.nan, float(np.isnan(values).mean())
    bias, acceleration = special.ndtri(below), (gaps**3).sum() / (6 * spread**1.5)
    z = bias + special.ndtri(np.array([1 - confidence, 1 + confidence]) / 2)
    lower, upper = special.ndtr(bias + z / (1 - acceleration * z))
    return _between(values, float(lower), float(upper))


def summary_intervals(
    labels: ArrayLike,
    predictions: ArrayLike,
    num_classes: int,
    probs: ArrayLike | None = None,
    *,
    seed: int,
    clusters: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """Every metric of `metrics.summary` of one model with its bootstrap interval, or the reason why there is none.

    Examples `[N]` are drawn, or, given clusters `[N]` (such as patients), whole clusters; weights `[N]` as for the
    summary. Percentile limits (Efron & Tibshirani, 1993); for gmsec BCa; none for the largest and smallest of several
    grades and for calibration gaps, which no resample tells without bias. ValueError as `metrics.summary`.
    """
    resamples = as_count(resamples, "resamples")
    check_confidence(confidence)
    units = _units(labels, predictions, num_classes, probs, clusters, weights)
    estimates, values = (_summaries(sums, units.num_classes) for sums in (units.total, units.drawn(resamples, seed)))
    drawn = "examples" if clusters is None else "clusters, drawn whole"

    def interval(name: str) -> Interval:
        estimate = float(estimates[name][0])
        if name in NO_INTERVAL:
            return Interval(estimate, np.nan, np.nan, 0.0, ASSUMES.format(units=drawn, limits="no"), NO_INTERVAL[name])
        if name in ACCELERATED:
            ends, kind = _accelerated(values[name], estimate, units.without_one(name), confidence), "BCa"
        else:
            ends, kind = _between(values[name], (1 - confidence) / 2, (1 + confidence) / 2), "percentile"
        assumes = ASSUMES.format(units=drawn, limits=kind)
        return Interval(estimate, *ends, assumes, NO_SPREAD if np.isnan(ends[0]) else "")

    return {name: interval(name) for name in estimates}
