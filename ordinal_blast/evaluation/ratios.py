"""Shares and means of what examples add up to, of variants and seeds: Σ parts / Σ wholes, analysed as all measures are.

The value without one unit is a subtraction from either sum, so that the jackknife of all units takes one pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.evaluation import multireader
from ordinal_blast.evaluation.multireader import Comparison
from ordinal_blast.evaluation.validation import as_clusters, as_floats

NO_WHOLE = "nothing to take a share of with a seed, or without one of its examples: no interval"


def compare(
    parts: ArrayLike, wholes: ArrayLike, *, cases: ArrayLike | None = None, confidence: float = 0.95
) -> Comparison:
    """Σ_n parts / Σ_n wholes of V variants with S seeds, `[V, S, N]` each (or what stretches to it).

    Covariances are the jackknife's over examples, or over cases `[N]`, such as patients; those that are 0 of every
    whole are no examples. A grader without seeds, such as a human, has the same row for each of them: its differences
    to others are then over the seeds of these, see `multireader`. ValueError: other shapes, or fewer than 2 units.
    """
    parts, wholes = np.broadcast_arrays(as_floats(parts, "parts"), as_floats(wholes, "wholes"))
    if parts.ndim != 3 or not parts.size:
        raise ValueError(f"parts must have shape [V, S, N], found {parts.shape}")
    counted = (wholes != 0).any(axis=(0, 1))
    units = np.arange(parts.shape[2]) if cases is None else as_clusters(cases, parts.shape[2])
    names, units = np.unique(units[counted], return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"a share needs examples of 2 units or more that it is of, found {len(names)}")
    sums = [
        np.stack([np.bincount(units, row, len(names)) for row in side[..., counted].reshape(-1, counted.sum())])
        for side in (parts, wholes)
    ]
    part, whole = sums
    totals = part.sum(axis=1), whole.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = totals[0] / totals[1]
        without = (totals[0][:, None] - part) / (totals[1][:, None] - whole)
    defined = np.isfinite(values).all() and np.isfinite(without).all()
    return multireader.jackknifed(
        values.reshape(parts.shape[:2]), without, confidence=confidence, degenerate="" if defined else NO_WHOLE
    )
