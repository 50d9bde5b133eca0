"""Several tests at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.evaluation.validation import as_floats


def holm(p_values: ArrayLike) -> np.ndarray:
    """Holm's adjusted p values `[M]`: max over p_(j) ≤ p_(i) of (M - j + 1) p_(j), at most 1 (Holm, 1979).

    Keeps the chance of any false finding below the level whatever the dependence. NaN, a test that could not be made,
    finds nothing: it stays NaN and is not counted in M. ValueError: a p value outside 0..1.
    """
    p_values = as_floats(p_values, "p_values")
    if p_values.ndim != 1:
        raise ValueError(f"p_values must be a vector [M], found shape {p_values.shape}")
    bad = np.flatnonzero((p_values < 0) | (p_values > 1))
    if len(bad):
        raise ValueError(f"p_values[{bad[0]}] = {p_values[bad[0]]} is outside 0..1")
    order = np.argsort(p_values)[: np.count_nonzero(~np.isnan(p_values))]  # NaN sorts last
    adjusted = np.full_like(p_values, np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.arange(len(order), 0, -1) * p_values[order]))
    return adjusted
