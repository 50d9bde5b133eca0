"""Metrics of class probabilities: proper scores and calibration; weights `[N]` say how much each example counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.evaluation.validation import (
    as_count,
    as_labelled_probs,
    as_num_classes,
    as_numbers,
    as_probs,
    as_weights,
    step,
)


def rps_values(labels: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """Ranked probability score of each example, `[N]`; see `rps`."""
    levels = np.arange(probs.shape[1])
    return np.square(np.cumsum(probs, axis=1) - (levels >= labels[:, None])).sum(axis=1)


def log_loss_values(labels: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """Logarithmic score -log p_y of each example, `[N]`; see `log_loss`."""
    with np.errstate(divide="ignore"):
        return -np.log(probs[np.arange(len(labels)), labels])


def confidence_bins(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Bin of each confidence in (0, 1], int: bins of equal width, closed on the right."""
    # What lies on an edge but for rounding, such as 1 - .7 for tenths, must not fall into the bin above it.
    return np.clip(np.ceil(confidence * bins - 1e-9).astype(np.int64) - 1, 0, bins - 1)


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Σ w v / Σ w over the examples that count: what does not may be infinite."""
    counted = weights > 0
    return float((values[counted] * weights[counted]).sum() / weights.sum())


def rps(labels: ArrayLike, probs: ArrayLike, num_classes: int, *, weights: ArrayLike | None = None) -> float:
    """Ranked probability score, mean of Σ_k (P(y ≤ k) - 1[y ≤ k])²: 0 (sure and right) to K-1.

    Not divided by K-1, as is usual in ordinal classification. labels `[N]`, probs `[N, K]` (Epstein, 1969).
    """
    labels, probs = as_labelled_probs(labels, probs, num_classes)
    return _mean(rps_values(labels, probs), as_weights(weights, len(labels)))


def log_loss(labels: ArrayLike, probs: ArrayLike, num_classes: int, *, weights: ArrayLike | None = None) -> float:
    """Mean of -log p_y in nats, 0 to inf; inf where a label has probability 0, because clipping would hide it."""
    labels, probs = as_labelled_probs(labels, probs, num_classes)
    return _mean(log_loss_values(labels, probs), as_weights(weights, len(labels)))


def ece(
    labels: ArrayLike, probs: ArrayLike, num_classes: int, bins: int = 15, *, weights: ArrayLike | None = None
) -> float:
    """Expected calibration error of the most probable class, 0 to 1: Σ_bins |correct - confidence| / N.

    Judges the probabilities alone: the class is their argmax, whatever rule decided the grade (Guo et al., 2017).
    Never 0 for a calibrated model on few examples: `reliability.debiased_ece` is without that bias.
    """
    labels, probs = as_labelled_probs(labels, probs, num_classes)
    counted, confidence = as_weights(weights, len(labels)), probs.max(axis=1)
    gaps = counted * ((probs.argmax(axis=1) == labels) - confidence)
    binned = np.bincount(confidence_bins(confidence, as_count(bins, "bins")), gaps)
    return float(np.abs(binned).sum() / counted.sum())


def unimodal_share(probs: ArrayLike, num_classes: int) -> float:
    """Share of rows of probs `[N, K]` that rise to one peak and then fall, plateaus allowed, 0 to 1.

    Steps within the rounding of the probabilities' own type are plateaus.
    """
    numbers = as_numbers(probs, "probs")
    flat, steps = 2 * step(numbers), np.diff(as_probs(numbers, as_num_classes(num_classes)), axis=1)
    fallen = np.logical_or.accumulate(steps < -flat, axis=1)
    return float(1 - ((steps > flat) & fallen).any(axis=1).mean())


def crossing_rate(cumulative: ArrayLike, num_classes: int) -> float:
    """Share of examples whose P(y > k), or its logits, rises somewhere with k and so is no distribution, 0 to 1.

    cumulative `[N, K-1]`, column k about y > k, as given by a head with one sigmoid per threshold. Rises within the
    rounding of their own type are none.
    """
    numbers = as_numbers(cumulative, "cumulative")
    if numbers.ndim != 2 or numbers.shape[1] != as_num_classes(num_classes) - 1 or not len(numbers):
        raise ValueError(f"cumulative must have shape [N, {num_classes - 1}], found {numbers.shape}")
    cumulative = numbers.astype(np.float64)
    if np.isnan(cumulative).any():
        raise ValueError(f"cumulative[{np.argwhere(np.isnan(cumulative))[0][0]}] holds NaN")
    earlier, later = cumulative[:, :-1], cumulative[:, 1:]
    flat = 2 * step(numbers) * np.maximum(1, np.where(np.isinf(earlier), 0, np.abs(earlier)))
    return float((later > earlier + flat).any(axis=1).mean())
