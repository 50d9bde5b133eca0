"""How far a new example lies from those that taught a network, measured on its features, and how sharp an image is.

A distance alone says little: it is held against those of examples that taught nothing, such as validation examples.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

_MOST_AXES = 64  # directions with a variance of their own; all others share one
_LEAST = 1e-3  # of the mean variance: what directions have at least, in which training examples hardly differ
RARE = 0.01  # share of known examples that are as odd, from which on a new one is said to be


@dataclasses.dataclass(frozen=True)
class Familiar:
    """A normal distribution of features `[D]` in which r directions have a variance of their own.

    mean: `[D]`; axes: `[r, D]`, orthonormal; variances: `[r]` along them; rest: the variance in every other direction.
    """

    mean: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    rest: float

    def distances(self, features: ArrayLike) -> np.ndarray:
        """Mahalanobis distance of features `[N, D]` from the mean, float64 `[N]` (Lee et al., 2018, one class)."""
        centred = np.asarray(features, np.float64) - self.mean
        along = centred @ self.axes.T
        beside = np.maximum((centred**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        return np.sqrt((along**2 / self.variances).sum(axis=1) + beside / self.rest)


def learn(features: ArrayLike) -> Familiar:
    """The distribution of training features `[N, D]`, by probabilistic principal components (Tipping & Bishop, 1999).

    ValueError for fewer than two examples, or for a feature that is not finite.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
        raise ValueError(f"features must be finite, [N, D] of two examples or more, found {features.shape}")
    mean = features.mean(axis=0)
    centred = features - mean
    count, width = features.shape
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    variances = singular**2 / (count - 1)
    least = max(_LEAST * variances.sum() / width, np.finfo(np.float64).tiny)
    kept = min(_MOST_AXES, width, int((variances > least).sum()))
    others = width - kept
    rest = variances[kept:].sum() / others if others else least
    return Familiar(mean, axes[:kept], variances[:kept], float(max(rest, least)))


def sharpness(images: ArrayLike) -> np.ndarray:
    """Variance of the Laplacian over that of the pixels (after Pech-Pacheco et al., 2000), of the sharpest channel.

    images: `[N, H, W, C]`. Returns float64 `[N]`, which no brightness or contrast changes: about 20 for white noise, 0
    for what is even.
    """
    x = np.asarray(images, np.float64)
    inner = x[:, 1:-1, 1:-1]
    laplacian = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:] - 4 * inner
    contrast = x.var(axis=(1, 2))
    return (laplacian.var(axis=(1, 2)) / np.where(contrast > 0, contrast, np.inf)).max(axis=-1)


def oddness(values: ArrayLike, known: ArrayLike) -> np.ndarray:
    """Share of known values `[V]` that are at least as large, the new one counted among them, float64 `[N]`.

    A conformal p-value: of new examples like the known ones no more than a share p has one of p or less.
    """
    ordered = np.sort(np.asarray(known, np.float64))
    larger = len(ordered) - np.searchsorted(ordered, np.asarray(values, np.float64), side="left")
    return (larger + 1) / (len(ordered) + 1)


def rare(shares: ArrayLike, known: int) -> np.ndarray:
    """Whether so small a share is a reason to warn, bool `[N]`: RARE, or with few known examples beyond all of them."""
    return np.asarray(shares) <= max(RARE, 1 / (known + 1))
