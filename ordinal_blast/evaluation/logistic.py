"""From a score to the probability of an outcome: log-odds that are linear in the score."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ordinal_blast.evaluation.validation import as_scores

_STEPS, _CLOSE = 100, 1e-10


def fit(scores: ArrayLike, outcome: ArrayLike) -> tuple[float, float]:
    """Intercept a and slope b of logit P(y = 1) = a + b · score with the greatest likelihood of outcome bool `[N]`.

    Every score counts by its distance from their mean, so that Newton's steps are stable. NaN for scores that are all
    alike or separate the outcomes, where there is no greatest. ValueError: NaN, or lengths differ.
    """
    y = np.asarray(outcome, bool)
    x = as_scores(np.asarray(scores), len(y), "scores").astype(np.float64)
    spread = x.std() if len(x) else 0.0
    overlap = len(np.unique(y)) == 2 and x[y].min() < x[~y].max() and x[~y].min() < x[y].max()
    if not spread or not overlap:
        return np.nan, np.nan
    centre = x.mean()
    design = np.stack([np.ones_like(x), (x - centre) / spread], axis=1)
    beta = np.array([special.logit(y.mean()), 0.0])
    for _ in range(_STEPS):
        p = special.expit(design @ beta)
        step = np.linalg.solve(design.T * (p * (1 - p)) @ design, design.T @ (y - p))
        beta = beta + step
        if np.abs(step).max() < _CLOSE:
            break
    slope = beta[1] / spread
    return float(beta[0] - slope * centre), float(slope)
