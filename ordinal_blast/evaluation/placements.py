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
    ranked = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    sizes = np.diff(starts, append=len(scores))
    cases = np.add.reduceat(is_case[order], starts, dtype=np.int64)
    controls = sizes - cases

    # In halves, so that everything up to the last division is a whole number: no drift, and no area above 1.
    controls_below = 2 * np.cumsum(controls) - controls
    cases_above = 2 * cases.sum() - (2 * np.cumsum(cases) - cases)
    num_cases, num_controls = int(cases.sum()), int(controls.sum())
    halves = int((cases * controls_below).sum())

    group = np.empty(len(scores), np.int64)
    group[order] = np.repeat(np.arange(len(starts)), sizes)
    return Placements(
        cases=(controls_below / (2 * num_controls))[group[is_case]],
        controls=(cases_above / (2 * num_cases))[group[~is_case]],
        auc=halves / (2 * num_cases * num_controls),
    )
