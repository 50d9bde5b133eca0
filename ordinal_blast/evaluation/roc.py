"""ROC curves: the area, its interval, the curve, and DeLong's tests, in float64."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from ordinal_blast.evaluation.delong import (
    ROUND_OFF,
    AUCComparison,
    check_options,
    delong_noninferiority,
    delong_test,
    delong_variance,
)
from ordinal_blast.evaluation.delong_many import auc_per_threshold, delong_contrast, delong_per_threshold, delong_seeds
from ordinal_blast.evaluation.placements import placements
from ordinal_blast.evaluation.validation import as_binary, as_clusters, as_scores

__all__ = [
    "AUCComparison",
    "auc",
    "auc_ci",
    "auc_per_threshold",
    "curve",
    "delong_contrast",
    "delong_noninferiority",
    "delong_per_threshold",
    "delong_seeds",
    "delong_test",
    "delong_variance",
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
    method: Literal["wald", "logit"] = "wald",
    *,
    clusters: ArrayLike | None = None,
) -> tuple[float, float]:
    """Interval of the area from DeLong's variance: "wald" clipped to [0, 1], or "logit", symmetric in log odds.

    An area of 0 or 1 has variance 0, which is no certainty: its other limit is that of Clopper & Pearson (1934) for as
    many independent pairs of a case and a control as can be formed. nan where the variance is 0 otherwise, as for
    constant scores.
    """
    check_options("two-sided", confidence)
    if method not in ("wald", "logit"):
        raise ValueError(f"method must be 'wald' or 'logit', found {method!r}")
    area, variance = auc(labels, scores), delong_variance(labels, scores, clusters=clusters)
    if area in (0, 1):
        limit = ((1 - confidence) / 2) ** (1 / _independent_pairs(labels, clusters))
        return (limit, 1.0) if area else (0.0, 1 - limit)
    if variance <= ROUND_OFF**2:
        return np.nan, np.nan
    error = np.sqrt(variance)
    z = stats.norm.ppf((1 + confidence) / 2)
    if method == "wald":
        low, high = area - z * error, area + z * error
    else:
        low, high = special.expit(special.logit(area) + np.array([-z, z]) * error / (area * (1 - area)))
    return max(float(low), 0.0), min(float(high), 1.0)


def _independent_pairs(labels: ArrayLike, clusters: ArrayLike | None) -> int:
    """Most pairs of a case and a control that share no example, and no cluster."""
    is_case = as_binary(labels)
    units = np.arange(len(is_case)) if clusters is None else as_clusters(clusters, len(is_case))
    with_cases, with_controls, any_of_them = (len(np.unique(ids)) for ids in (units[is_case], units[~is_case], units))
    return min(with_cases, with_controls, any_of_them // 2)


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
