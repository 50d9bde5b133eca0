"""Values that are equal but for rounding are made equal, before a rank, a sign or a spread is taken of them.

The last digit of a mean depends on the order of what is averaged, and .8 - .7 is not .9 - .8 in binary: a rank would
take that digit for a difference, and a t test for a spread.
"""

from __future__ import annotations

import numpy as np

RELATIVE = 1e-12


def round_off(*values: np.ndarray) -> float:
    """What counts as rounding: 1e-12 of the largest finite magnitude among the values."""
    return RELATIVE * max(float(np.max(np.abs(array), where=np.isfinite(array), initial=0)) for array in values)


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a - b, and exactly 0 where that is rounding; nan where both are the same infinity."""
    with np.errstate(invalid="ignore"):
        gap = np.subtract(a, b)
    return np.where(np.abs(gap) <= round_off(a, b), 0.0, gap)


def level(values: np.ndarray, tolerance: float) -> np.ndarray:
    """Values `[N]` where neighbours on the line no further apart than the tolerance all get the lowest value of them.

    Unlike rounding to a grid, this never parts two values that are equal but for rounding.
    """
    order = np.argsort(values)
    ranked = values[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(ranked) > tolerance]))
    levelled = np.empty_like(ranked)
    levelled[order] = np.repeat(ranked[starts], np.diff(starts, append=len(ranked)))
    return levelled


def settled(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a - b `[B]` where sizes that are equal but for rounding are equal, and what is rounding alone is 0."""
    gap = difference(a, b)
    return np.sign(gap) * level(np.abs(gap), round_off(a, b))
