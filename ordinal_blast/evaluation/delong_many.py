"""DeLong for more than one pair: k models at once, and every threshold of an ordinal grade."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ordinal_blast.evaluation.delong import (
    FEWEST,
    NO_TEST,
    ROUND_OFF,
    Alternative,
    AUCComparison,
    covariance,
    delong_test,
    placements_of,
    smaller_side,
)
from ordinal_blast.evaluation.multiplicity import holm
from ordinal_blast.evaluation.validation import as_floats, as_grades, as_num_classes, as_numbers, as_scores

CONTRAST_ASSUMES = (
    "Fixed models on the same independent examples (or clusters), enough of them for a chi-squared approximation: it "
    "does not cover the spread over training seeds or nested models."
)


@dataclasses.dataclass(frozen=True)
class AUCContrast:
    """Areas `[k]`, their covariance `[k, k]`, and the chi-squared test that a contrast of them is 0.

    degenerate: empty, or what to print where a difference that is not 0 has estimated variance 0, and p is nan.
    """

    aucs: np.ndarray
    covariance: np.ndarray
    statistic: float
    df: int
    p_value: float
    assumes: str
    degenerate: str = ""


@dataclasses.dataclass(frozen=True)
class ThresholdComparison:
    """DeLong's test for "the grade is above threshold", with its p value adjusted by Holm over all thresholds."""

    threshold: int
    test: AUCComparison
    p_holm: float


def delong_contrast(
    labels: ArrayLike,
    scores: ArrayLike,
    contrast: ArrayLike | None = None,
    *,
    clusters: ArrayLike | None = None,
) -> AUCContrast:
    """Test that L θ = 0 for the areas θ of k models: χ² = (Lθ)ᵀ (L S Lᵀ)⁺ Lθ, df = rank (DeLong et al., 1988).

    labels `[N]`, scores `[k, N]`, contrast L `[c, k]` with rows that sum to 0; None: all areas are equal.
    ValueError: NaN scores, fewer than 2 models, 2 cases or 2 controls, a contrast of another shape or row sum.
    """
    scores = as_numbers(scores, "scores")
    if scores.ndim != 2 or len(scores) < 2:
        raise ValueError(f"scores must have shape [k, N] with 2 models or more, found {scores.shape}")
    contrast = as_floats(np.diff(np.eye(len(scores)), axis=0) if contrast is None else contrast, "contrast")
    if contrast.ndim != 2 or contrast.shape[1] != len(scores) or not len(contrast):
        raise ValueError(f"contrast must have shape [c, {len(scores)}], found {contrast.shape}")
    size = np.abs(contrast).max(axis=1, keepdims=True)
    if not ((size > 0) & (size < np.inf)).all() or np.abs((contrast / size).sum(axis=1)).max() > 1e-9:
        raise ValueError("each row of contrast must sum to 0, and not be all 0, so that equal areas are its null")
    contrast = contrast / size  # the test does not depend on the size of a row, what counts as rounding does
    placed = [placements_of(labels, row, f"scores[{i}]") for i, row in enumerate(scores)]
    areas = np.array([one.auc for one in placed])
    cases, controls = np.stack([one.cases for one in placed]), np.stack([one.controls for one in placed])
    shift = contrast @ areas
    spread = covariance(contrast @ cases, contrast @ controls, labels, clusters)
    values, vectors = np.linalg.eigh(spread)
    kept = values > max(ROUND_OFF**2, 1e-12 * values.max())
    along = vectors.T @ shift
    statistic, df = float((along[kept] ** 2 / values[kept]).sum()), int(kept.sum())
    p_value, degenerate = float(stats.chi2.sf(statistic, df)) if df else 1.0, ""
    if np.abs(along[~kept]).max(initial=0) > 1e-12:
        statistic, p_value, degenerate = np.nan, np.nan, NO_TEST
    everything = covariance(cases, controls, labels, clusters)
    return AUCContrast(areas, everything, statistic, df, p_value, CONTRAST_ASSUMES, degenerate)


def _by_threshold(scores: ArrayLike, num_classes: int, length: int, name: str) -> np.ndarray:
    """Scores as `[K-1, N]`: one score for all thresholds `[N]`, or one each `[N, K-1]`."""
    scores = as_numbers(scores, name)
    if scores.ndim == 1:
        return np.broadcast_to(as_scores(scores, length, name), (num_classes - 1, length))
    if scores.shape != (length, num_classes - 1):
        raise ValueError(f"{name} must have shape [{length}] or [{length}, {num_classes - 1}], found {scores.shape}")
    return np.stack([as_scores(column, length, f"{name}[:, {k}]") for k, column in enumerate(scores.T)])


def delong_per_threshold(
    labels: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    num_classes: int,
    *,
    alternative: Alternative = "two-sided",
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> tuple[ThresholdComparison, ...]:
    """Paired DeLong test for "the grade is above k" at each k with 5 labels (or clusters) on both sides, and Holm.

    With fewer the test errs in .10 of samples and more where it says .05: such a threshold is left out.
    labels `[N]` in 0..K-1; scores `[N]`, such as the expected grade, or `[N, K-1]`, such as P(y > k).
    """
    num_classes = as_num_classes(num_classes)
    labels = as_grades(labels, num_classes)
    a = _by_threshold(scores_a, num_classes, len(labels), "scores_a")
    b = _by_threshold(scores_b, num_classes, len(labels), "scores_b")
    above = [labels > k for k in range(num_classes - 1)]
    tested = [
        k for k, cases in enumerate(above) if 0 < cases.sum() < len(cases) and smaller_side(cases, clusters) >= FEWEST
    ]
    tests = [
        delong_test(above[k], a[k], b[k], alternative=alternative, clusters=clusters, confidence=confidence)
        for k in tested
    ]
    adjusted = holm([test.p_value for test in tests])
    return tuple(ThresholdComparison(*row) for row in zip(tested, tests, adjusted.tolist(), strict=True))
