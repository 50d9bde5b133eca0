"""DeLong's tests: are two areas under ROC curves different, beyond the chance of which examples were tested?

DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44:837. With placements V of m cases and n controls, the covariance
of the areas is S = cov(V_cases) / m + cov(V_controls) / n, here always of the wanted difference itself, so that no
accuracy is lost to subtraction.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ordinal_blast.evaluation.placements import Placements, placements
from ordinal_blast.evaluation.validation import as_binary, as_scores

Alternative = Literal["two-sided", "less", "greater"]

PAIRED_ASSUMES = (
    "Two fixed models on the same independent examples, enough of them for a normal approximation: it does not cover "
    "the spread over training seeds, examples that share a patient, nested models, or several comparisons at once."
)
UNPAIRED_ASSUMES = (
    "Two fixed scores, each on its own independent examples, enough of them for a t approximation: it does not cover "
    "the spread over training seeds, examples that share a patient, or several comparisons at once."
)
DEGENERATE = (
    " The estimated variance is 0, so that the interval and the p value are the formula's and no evidence: "
    "use a permutation test."
)


@dataclasses.dataclass(frozen=True)
class AUCComparison:
    """Areas of a and b and the test of their difference.

    difference is auc_a - auc_b; ci its interval at `confidence`, clipped to [-1, 1] and one-sided where the alternative
    is; statistic is Z (df inf) or t, of difference - null; assumes says what the p value rests on and leaves out.
    """

    auc_a: float
    auc_b: float
    difference: float
    ci: tuple[float, float]
    standard_error: float
    statistic: float
    df: float
    p_value: float
    alternative: Alternative
    null: float
    confidence: float
    assumes: str


def placements_of(labels: ArrayLike, scores: ArrayLike, name: str = "scores") -> Placements:
    """Placements of checked labels and scores; ValueError below 2 cases or 2 controls, where no variance exists."""
    is_case = as_binary(labels)
    found = placements(is_case, as_scores(scores, len(is_case), name))
    if min(len(found.cases), len(found.controls)) < 2:
        raise ValueError(
            f"a variance needs at least 2 cases and 2 controls, found {len(found.cases)} and {len(found.controls)}"
        )
    return found


def _variance(cases: np.ndarray, controls: np.ndarray) -> float:
    return float(cases.var(ddof=1) / len(cases) + controls.var(ddof=1) / len(controls))


def delong_variance(labels: ArrayLike, scores: ArrayLike) -> float:
    """Variance of the area under the curve, var(V_cases) / m + var(V_controls) / n.

    labels `[N]` in {0, 1}, scores `[N]`, higher for cases. ValueError: NaN scores, fewer than 2 cases or 2 controls.
    """
    found = placements_of(labels, scores)
    return _variance(found.cases, found.controls)


def check_options(alternative: str, confidence: float) -> None:
    """ValueError for an unknown alternative or a confidence outside (0, 1)."""
    if alternative not in ("two-sided", "less", "greater"):
        raise ValueError(f"alternative must be 'two-sided', 'less' or 'greater', found {alternative!r}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, found {confidence}")


def compare(
    auc_a: float,
    auc_b: float,
    variance: float,
    df: float,
    alternative: Alternative,
    null: float,
    confidence: float,
    assumes: str,
) -> AUCComparison:
    """The test of auc_a - auc_b = null, given the variance of the difference and degrees of freedom (inf: normal)."""
    check_options(alternative, confidence)
    difference, error = auc_a - auc_b, float(np.sqrt(variance))
    shift = difference - null
    if error > 0:
        statistic = shift / error
    else:
        statistic = float(np.copysign(np.inf, shift)) if shift else 0.0
        assumes += DEGENERATE
    spread = stats.norm if np.isinf(df) else stats.t(df)
    if alternative == "two-sided":
        p_value = min(1.0, 2 * float(spread.sf(abs(statistic))))
        reach = float(spread.ppf((1 + confidence) / 2)) * error
        low, high = difference - reach, difference + reach
    else:
        p_value = float(spread.sf(statistic) if alternative == "greater" else spread.cdf(statistic))
        reach = float(spread.ppf(confidence)) * error
        low, high = (difference - reach, 1.0) if alternative == "greater" else (-1.0, difference + reach)
    return AUCComparison(
        auc_a=auc_a,
        auc_b=auc_b,
        difference=difference,
        ci=(max(low, -1.0), min(high, 1.0)),
        standard_error=error,
        statistic=statistic,
        df=df,
        p_value=p_value,
        alternative=alternative,
        null=null,
        confidence=confidence,
        assumes=assumes,
    )


def delong_test(
    labels: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    paired: bool = True,
    alternative: Alternative = "two-sided",
    *,
    labels_b: ArrayLike | None = None,
    null: float = 0.0,
    confidence: float = 0.95,
) -> AUCComparison:
    """Test of AUC(a) - AUC(b) = null against the alternative ("greater": a is better).

    Paired: both scores `[N]` of the same examples; Z = (difference - null) / sqrt(var). Unpaired: scores_b belong to
    other examples with labels_b (None: to examples labelled alike); t with Satterthwaite's degrees of freedom
    (V_a + V_b)² / (V_a² / (N_a - 1) + V_b² / (N_b - 1)). Scores that rank alike give p = 1. `null=-margin` with
    alternative "greater" asks for non-inferiority. ValueError: NaN scores, fewer than 2 cases or 2 controls.
    """
    if paired and labels_b is not None:
        raise ValueError("paired=True compares scores of the same examples: give labels_b only with paired=False")
    a = placements_of(labels, scores_a, "scores_a")
    b = placements_of(labels if labels_b is None else labels_b, scores_b, "scores_b")
    if paired:
        variance, df = _variance(a.cases - b.cases, a.controls - b.controls), np.inf
    else:
        parts = [_variance(each.cases, each.controls) for each in (a, b)]
        spare = [len(each.cases) + len(each.controls) - 1 for each in (a, b)]
        variance = sum(parts)
        weights = sum(part**2 / free for part, free in zip(parts, spare, strict=True))
        df = variance**2 / weights if weights else np.inf
    assumes = PAIRED_ASSUMES if paired else UNPAIRED_ASSUMES
    return compare(a.auc, b.auc, variance, df, alternative, null, confidence, assumes)
