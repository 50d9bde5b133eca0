"""Bootstrap intervals and randomisation tests for every metric of `metrics.summary`, thousands of resamples at once.

Each metric of the summary depends on the examples only through sums over them: the table of counts, the sums of the
proper scores, and the calibration gap of each bin. A resample is a vector of how often each unit is drawn, so that all
resamples are one product of two matrices, draws `[R, U]` by sums `[U, S]`. Units are examples drawn within each label
(stratified, so that every resample keeps the label counts), or whole clusters where examples share a patient.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from ordinal_blast.evaluation.metrics import COUNT_METRICS
from ordinal_blast.evaluation.probabilistic import confidence_bins, log_loss_values, rps_values
from ordinal_blast.evaluation.rounding import difference
from ordinal_blast.evaluation.validation import (
    as_array,
    as_clusters,
    as_count,
    as_labelled_probs,
    as_num_classes,
    as_pair,
    check_confidence,
)

ECE_BINS = 15
CHUNK = 2_000_000  # draws held at once: 16 MB

STRATIFIED = "independent examples, drawn within each label, so that the label shares are taken as known"
CLUSTERED = "independent clusters, drawn whole, whatever their labels"
ASSUMES = "Fixed models and {units}; percentile limits; it does not cover the spread over training seeds."


@dataclasses.dataclass(frozen=True)
class Interval:
    """A metric with its percentile limits; undefined is the share of resamples left out because the metric was nan."""

    estimate: float
    low: float
    high: float
    undefined: float
    assumes: str


@dataclasses.dataclass(frozen=True)
class Resamples:
    """Every metric of the summary, averaged over runs: its estimate, and its values `[R]` on R resampled test sets.

    The same labels, seed and clusters draw the same test sets, so that values of two methods are paired: subtract them
    by `rounding.difference`, so that what is equal but for rounding leaves 0.
    """

    estimates: dict[str, float]
    values: dict[str, np.ndarray]
    assumes: str


@dataclasses.dataclass(frozen=True)
class Difference:
    """A metric of a and b, a - b with percentile limits, and the p value of a randomisation test that they are alike.

    undefined is the share of resamples left out because the difference was nan.
    """

    a: float
    b: float
    difference: float
    low: float
    high: float
    p_value: float
    undefined: float
    assumes: str


def _sums(labels: ArrayLike, predictions: ArrayLike, num_classes: int, probs: ArrayLike | None) -> sparse.csr_array:
    """What each example adds to the sums behind the summary, `[N, S]`."""
    labels, predictions = as_pair(labels, predictions, as_num_classes(num_classes))

    def one_per_row(columns: np.ndarray, values: np.ndarray, width: int) -> sparse.csr_array:
        return sparse.csr_array((values, columns, np.arange(len(columns) + 1)), shape=(len(columns), width))

    blocks = [one_per_row(labels * num_classes + predictions, np.ones(len(labels)), num_classes**2)]
    if probs is not None:
        _, probs = as_labelled_probs(labels, probs, num_classes)
        confidence, hits = probs.max(axis=1), probs.argmax(axis=1) == labels
        losses = log_loss_values(labels, probs)
        # Infinite losses are counted apart: drawn zero times they would otherwise add 0 * inf.
        infinite = np.isinf(losses)
        scores = np.stack([rps_values(labels, probs), np.where(infinite, 0, losses), infinite], axis=1)
        gaps = one_per_row(confidence_bins(confidence, ECE_BINS), hits - confidence, ECE_BINS)
        blocks += [sparse.csr_array(scores), gaps]
    return sparse.hstack(blocks, format="csr")


def _summaries(sums: np.ndarray, num_classes: int) -> dict[str, np.ndarray]:
    """The summary `[R]` per metric from sums `[R, S]`."""
    cells = num_classes**2
    counts = np.rint(sums[:, :cells]).reshape(-1, num_classes, num_classes)
    result = {metric.__name__: metric.of_counts(counts) for metric in COUNT_METRICS}
    if sums.shape[1] > cells:
        n = counts.sum(axis=(-2, -1))
        result["rps"] = sums[:, cells] / n
        result["log_loss"] = np.where(sums[:, cells + 2] > 0, np.inf, sums[:, cells + 1] / n)
        result["ece"] = np.abs(sums[:, cells + 3 :]).sum(axis=1) / n
    return result


def _units(
    sums: sparse.csr_array, labels: ArrayLike, clusters: ArrayLike | None
) -> tuple[sparse.csr_array, np.ndarray, str]:
    """Sums of each unit that is drawn, `[U, S]`, the stratum `[U]` it is drawn in, and the assumption in words."""
    if clusters is None:
        return sums, np.asarray(labels), ASSUMES.format(units=STRATIFIED)
    members = as_clusters(clusters, sums.shape[0])
    count = members.max() + 1
    belongs = sparse.csr_array((np.ones(len(members)), (members, np.arange(len(members)))), shape=(count, len(members)))
    return belongs @ sums, np.zeros(count, np.int64), ASSUMES.format(units=CLUSTERED)


def _in_chunks(draw: Callable[[int], np.ndarray], units: sparse.csr_array, resamples: int) -> np.ndarray:
    """draw(r) `[r, U]` times units `[U, S]`, `[resamples, S]`, with bounded memory."""
    size = max(1, CHUNK // units.shape[0])
    return np.concatenate([draw(min(size, resamples - done)) @ units for done in range(0, resamples, size)])


def _resampled(units: sparse.csr_array, strata: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Sums `[R, S]` of units drawn with replacement within each stratum."""
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]

    def draw(count: int) -> np.ndarray:
        times = np.empty((count, len(strata)))
        for group in members:
            cells = rng.integers(len(group), size=(count, len(group))) + len(group) * np.arange(count)[:, None]
            times[:, group] = np.bincount(cells.ravel(), minlength=cells.size).reshape(cells.shape)
        return times

    return _in_chunks(draw, units, resamples)


def limits(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Percentile limits of the values `[R]` that are not nan, and the share that is."""
    defined = np.sort(values[~np.isnan(values)])
    undefined = 1 - len(defined) / len(values)
    if not len(defined):
        return np.nan, np.nan, undefined
    # Order statistics, not interpolated: a log loss may be infinite.
    low = int((1 - confidence) / 2 * (len(defined) - 1))
    return float(defined[low]), float(defined[-1 - low]), undefined


def _difference(
    a: np.ndarray,
    b: np.ndarray,
    drawn: np.ndarray,
    swapped: np.ndarray,
    confidence: float,
    assumes: str,
) -> Difference:
    """One metric's difference from its values a and b `[1]`, and its differences drawn and swapped `[R]`."""
    observed = float(difference(a, b)[0])
    # Sums come out in another order after a swap: what is equal but for rounding must count as equal.
    as_extreme = ~(np.abs(swapped) < abs(observed) * (1 - 1e-9) - 1e-12)
    p_value = (1 + int(as_extreme.sum())) / (1 + len(swapped)) if np.isfinite(observed) else np.nan
    low, high, undefined = limits(drawn, confidence)
    return Difference(float(a[0]), float(b[0]), observed, low, high, p_value, undefined, assumes)


def resample(
    labels: ArrayLike,
    predictions: ArrayLike,
    num_classes: int,
    probs: ArrayLike | None = None,
    *,
    seed: int,
    clusters: ArrayLike | None = None,
    resamples: int = 2000,
) -> Resamples:
    """Every metric of `metrics.summary` on resampled test sets, the mean over M runs of one method.

    predictions `[M, N]`, probs `[M, N, K]`: every run is graded on the same draw of the examples `[N]`, within each
    label, or, given clusters `[N]` (such as patients), of whole clusters. ValueError as `metrics.summary`.
    """
    resamples, num_classes = as_count(resamples, "resamples"), as_num_classes(num_classes)
    predictions = as_array(predictions, "predictions")
    probs = None if probs is None else as_array(probs, "probs")
    runs = len(predictions) if predictions.ndim == 2 else 0
    if runs < 1 or (probs is not None and (probs.ndim != 3 or len(probs) != runs)):
        raise ValueError("predictions [M, N] must hold 1 run or more, and probs [M, N, K] as many")
    sums = [_sums(labels, predictions[m], num_classes, None if probs is None else probs[m]) for m in range(runs)]
    width = sums[0].shape[1]
    units, strata, assumes = _units(sparse.hstack(sums, format="csr"), labels, clusters)

    def mean(total: np.ndarray) -> dict[str, np.ndarray]:
        summaries = [_summaries(total[:, m * width : (m + 1) * width], num_classes) for m in range(runs)]
        return {name: np.mean([summary[name] for summary in summaries], axis=0) for name in summaries[0]}

    estimates = mean(np.asarray(units.sum(axis=0))[None])
    values = mean(_resampled(units, strata, resamples, np.random.default_rng(seed)))
    return Resamples({name: float(value[0]) for name, value in estimates.items()}, values, assumes)


def summary_intervals(
    labels: ArrayLike,
    predictions: ArrayLike,
    num_classes: int,
    probs: ArrayLike | None = None,
    *,
    seed: int,
    clusters: ArrayLike | None = None,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """Every metric of `metrics.summary` with its bootstrap interval.

    Examples `[N]` are drawn within each label, or, given clusters `[N]` (such as patients), clusters are drawn whole.
    ValueError as `metrics.summary`. Percentile limits (Efron & Tibshirani, 1993).
    """
    check_confidence(confidence)
    drawn = resample(
        labels,
        as_array(predictions, "predictions")[None],
        num_classes,
        None if probs is None else as_array(probs, "probs")[None],
        seed=seed,
        clusters=clusters,
        resamples=resamples,
    )
    return {
        name: Interval(estimate, *limits(drawn.values[name], confidence), drawn.assumes)
        for name, estimate in drawn.estimates.items()
    }


def summary_differences(
    labels: ArrayLike,
    predictions_a: ArrayLike,
    predictions_b: ArrayLike,
    num_classes: int,
    probs_a: ArrayLike | None = None,
    probs_b: ArrayLike | None = None,
    *,
    seed: int,
    clusters: ArrayLike | None = None,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> dict[str, Difference]:
    """a - b of every metric of `metrics.summary` for two models graded on the same examples.

    The interval draws the same examples (or clusters) for both. The p value exchanges a and b at random within examples
    (or clusters) and is (1 + number at least as extreme) / (1 + resamples), so that it is never 0 (Phipson & Smyth,
    2010). A metric that a swap leaves undefined counts as extreme. ValueError as `metrics.summary`.
    """
    resamples = as_count(resamples, "resamples")
    check_confidence(confidence)
    if (probs_a is None) != (probs_b is None):
        raise ValueError("give probs_a and probs_b both or neither")
    pairs = ((predictions_a, probs_a), (predictions_b, probs_b))
    sums_a, sums_b = (_sums(labels, predictions, num_classes, probs) for predictions, probs in pairs)
    width = sums_a.shape[1]
    units, strata, assumes = _units(sparse.hstack([sums_a, sums_b], format="csr"), labels, clusters)
    units_a, units_b = units[:, :width], units[:, width:]
    draws, swaps = np.random.default_rng(seed).spawn(2)

    total = np.asarray(units.sum(axis=0))[None]
    a, b = _summaries(total[:, :width], num_classes), _summaries(total[:, width:], num_classes)
    drawn = _resampled(units, strata, resamples, draws)
    drawn_a, drawn_b = _summaries(drawn[:, :width], num_classes), _summaries(drawn[:, width:], num_classes)

    moved = _in_chunks(lambda r: swaps.integers(2, size=(r, units.shape[0])) * 1.0, units_b - units_a, resamples)
    swapped_a = _summaries(total[:, :width] + moved, num_classes)
    swapped_b = _summaries(total[:, width:] - moved, num_classes)

    return {
        name: _difference(
            a[name],
            b[name],
            difference(drawn_a[name], drawn_b[name]),
            difference(swapped_a[name], swapped_b[name]),
            confidence,
            assumes,
        )
        for name in a
    }
