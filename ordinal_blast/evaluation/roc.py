"""ROC curves: the area, its interval, the curve, and DeLong's tests, in float64."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from ordinal_blast.evaluation.delong import (
    FEW,
    ROUND_OFF,
    AUCComparison,
    check_options,
    delong_noninferiority,
    delong_test,
    delong_variance,
    few,
    sides,
    smaller_side,
)
from ordinal_blast.evaluation.delong_many import delong_contrast, delong_per_threshold
from ordinal_blast.evaluation.placements import placements
from ordinal_blast.evaluation.validation import as_binary, as_scores, check_choice

__all__ = [
    "FEW",
    "AUCComparison",
    "auc",
    "auc_ci",
    "curve",
    "delong_contrast",
    "delong_noninferiority",
    "delong_per_threshold",
    "delong_test",
    "delong_variance",
    "few",
    "smaller_side",
]


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve, P(score of a case > of a control) + P(equal) / 2, 0 to 1.

    labels `[N]` in {0, 1}, scores `[N]`; infinite scores are ranked. ValueError: NaN, no cases or no controls.
    """
    is_case = as_binary(labels)
    return placements(is_case, as_scores(scores, len(is_case))).auc


def auc_ci(
    labels: ArrayLike,
    scores: ArrayLike,
    confidence: float = 0.95,
    method: Literal["logit", "newcombe", "wald"] = "logit",
    *,
    clusters: ArrayLike | None = None,
) -> tuple[float, float]:
    """Interval of the area: "logit", DeLong's variance in log odds, or "wald", the same as it is, clipped to [0, 1].

    Neither knows the spread of few examples, or of none: where fewer than `FEW` lie on the smaller side "logit" is
    "newcombe", and where the variance is 0, as at an area of 1, both are. Of a nominal .95 it covers .93 and more for
    areas of .5 to .99, from 4 cases and 4 controls on (2 and 2: .89), but for scores that spread twice as wide among
    15 cases as among the controls: .87. Clusters, such as patients, count as one example there, which is too wide.
    """
    check_options("two-sided", confidence)
    check_choice(method, "method", ("logit", "newcombe", "wald"))
    area, variance = auc(labels, scores), delong_variance(labels, scores, clusters=clusters)
    z, error, (cases, controls) = stats.norm.ppf((1 + confidence) / 2), np.sqrt(variance), sides(labels, clusters)
    few_there = method == "logit" and min(cases, controls) < FEW
    if method == "newcombe" or few_there or variance <= ROUND_OFF**2 or area in (0, 1):
        return _newcombe(area, cases, controls, z)
    if method == "wald":
        return max(float(area - z * error), 0.0), min(float(area + z * error), 1.0)
    low, high = special.expit(special.logit(area) + np.array([-z, z]) * error / (area * (1 - area)))
    return float(low), float(high)


def _newcombe(area: float, cases: int, controls: int, z: float) -> tuple[float, float]:
    """Limits θ: (area - θ)² = z² θ (1 - θ) (1 + N (1 - θ) / (2 - θ) + N θ / (1 + θ)) / (m n) with N = (m + n) / 2 - 1.

    The variance is that of Hanley & McNeil (1982) at the limit, not at the area, so that it is never 0 (Newcombe, 2006,
    Statistics in Medicine 25:559, method 5).
    """
    more = (cases + controls) / 2 - 1

    def beyond(limit: float) -> float:
        spread = limit * (1 - limit) * (1 + more * (1 - limit) / (2 - limit) + more * limit / (1 + limit))
        return (area - limit) ** 2 - z**2 * spread / (cases * controls)

    inside = min(max(area, 1e-15), 1 - 1e-15)  # at 0 and at 1 lies a root of its own
    low = 0.0 if area == 0 else float(optimize.brentq(beyond, 0, inside))
    high = 1.0 if area == 1 else float(optimize.brentq(beyond, inside, 1))
    return low, high


def curve(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False positive rates, true positive rates and thresholds `[P]`, from (0, 0) at +inf to (1, 1).

    Each distinct score is one point: score >= threshold is called a case. The trapezoid under it is `auc`.
    """
    is_case = as_binary(labels)
    scores = as_scores(scores, len(is_case))
    order = np.argsort(-scores)
    ranked, cases = scores[order], is_case[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    tpr = np.append(0.0, np.cumsum(cases)[last] / cases.sum())
    fpr = np.append(0.0, np.cumsum(~cases)[last] / (~cases).sum())
    return fpr, tpr, np.append(np.inf, ranked[last])
