"""ROC curves: the area, its interval, the curve, and DeLong's tests, in float64."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from ordinal_blast.evaluation.delong import (
    AUCComparison,
    check_options,
    delong_noninferiority,
    delong_test,
    delong_variance,
)
from ordinal_blast.evaluation.delong_many import auc_per_threshold, delong_contrast, delong_per_threshold, delong_seeds
from ordinal_blast.evaluation.placements import placements
from ordinal_blast.evaluation.validation import as_binary, as_scores

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

    An area of 0 or 1 has variance 0 and gives that one point: such a sample says too little for either method.
    """
    check_options("two-sided", confidence)
    area, error = auc(labels, scores), np.sqrt(delong_variance(labels, scores, clusters=clusters))
    z = stats.norm.ppf((1 + confidence) / 2)
    if method == "wald":
        low, high = area - z * error, area + z * error
    elif method == "logit":
        if area in (0, 1):
            return area, area
        low, high = special.expit(special.logit(area) + np.array([-z, z]) * error / (area * (1 - area)))
    else:
        raise ValueError(f"method must be 'wald' or 'logit', found {method!r}")
    return max(float(low), 0.0), min(float(high), 1.0)


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
