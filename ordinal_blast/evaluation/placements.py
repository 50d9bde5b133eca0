"""Placement values: where each case stands among the controls and each control among the cases.

They are to the area under the ROC curve what the examples are to a mean: their averages are the area, and their spread
is its variance (DeLong, DeLong & Clarke-Pearson, 1988). One sort gives them all, O(N log N) (Sun & Xu, 2014).
"""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Placements:
    """Placements of one score, ties counting half, in the order of the examples.

    cases `[m]`: share of controls scored below each case; controls `[n]`: share of cases scored above each control;
    auc: the mean of either, exact before its one rounding.
    """

    cases: np.ndarray
    controls: np.ndarray
    auc: float


def placements(is_case: np.ndarray, scores: np.ndarray) -> Placements:
    """Placements of float64 `[N]` scores without NaN, given bool `[N]` with some of each.

    Scores are compared exactly: where a model is sure, what tells two examples apart may be in the last digits.
    """
    cases, controls = np.sort(scores[is_case]), np.sort(scores[~is_case])
    # In halves, so that everything up to the last division is a whole number: no drift, and no area above 1.
    below, above = _twice_below(controls, scores[is_case]), _twice_below(cases, scores[~is_case])
    pairs = 2 * len(cases) * len(controls)
    return Placements(
        cases=below / (2 * len(controls)),
        controls=(2 * len(cases) - above) / (2 * len(cases)),
        auc=int(below.sum()) / pairs,
    )


def _twice_below(ranked: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """How many of the ranked are below each score and how many at or below it, added."""
    return np.searchsorted(ranked, scores, "left") + np.searchsorted(ranked, scores, "right")
