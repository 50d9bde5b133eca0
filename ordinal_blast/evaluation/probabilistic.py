"""Metrics of class probabilities: proper scores and calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.evaluation.validation import as_labelled_probs


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
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def _binned_gap(confidence: np.ndarray, hits: np.ndarray, bins: int) -> float:
    """Sum over bins of |hits - confidence| / N."""
    gaps = np.bincount(confidence_bins(confidence, bins), hits - confidence, bins)
    return float(np.abs(gaps).sum() / len(hits))


def rps(labels: ArrayLike, probs: ArrayLike, num_classes: int) -> float:
    """Ranked probability score, mean of Σ_k (P(y ≤ k) - 1[y ≤ k])²: 0 (sure and right) to K-1.

    Not divided by K-1, as is usual in ordinal classification. labels `[N]`, probs `[N, K]` (Epstein, 1969).
    """
    return float(rps_values(*as_labelled_probs(labels, probs, num_classes)).mean())


def log_loss(labels: ArrayLike, probs: ArrayLike, num_classes: int) -> float:
    """Mean of -log p_y in nats, 0 to inf; inf where a label has probability 0, because clipping would hide it."""
    return float(log_loss_values(*as_labelled_probs(labels, probs, num_classes)).mean())


def ece(labels: ArrayLike, probs: ArrayLike, num_classes: int, bins: int = 15) -> float:
    """Expected calibration error of the most probable class, 0 to 1: Σ_bins |correct - confidence| / N.

    Judges the probabilities alone: the class is their argmax, whatever rule decided the grade (Guo et al., 2017).
    """
    labels, probs = as_labelled_probs(labels, probs, num_classes)
    return _binned_gap(probs.max(axis=1), probs.argmax(axis=1) == labels, bins)
