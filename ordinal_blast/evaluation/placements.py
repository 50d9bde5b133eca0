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
    order = np.argsort(scores)
    ranked, case = scores[order], is_case[order]
    first = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    ties = np.diff(first, append=len(ranked))
    # In halves, so that everything up to the last division is a whole number: no drift, and no area above 1.
    cases = np.append(0, np.cumsum(case))
    twice_below = np.repeat(cases[first] + cases[first + ties], ties)  # cases below each example and at or below it
    twice = np.empty(len(scores), np.int64)
    twice[order] = np.where(case, np.repeat(2 * first + ties, ties) - twice_below, twice_below)
    below, above = twice[is_case], twice[~is_case]
    return Placements(
        cases=below / (2 * len(above)),
        controls=(2 * len(below) - above) / (2 * len(below)),
        auc=int(below.sum()) / (2 * len(below) * len(above)),
    )
