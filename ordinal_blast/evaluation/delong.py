"""DeLong's tests: are two areas under ROC curves different, beyond the chance of which examples were tested?

DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44:837. With placements V of m cases and n controls, the covariance
of the areas is S = cov(V_cases) / m + cov(V_controls) / n, here always of the wanted difference itself, so that no
accuracy is lost to subtraction. Where examples share a patient, Obuchowski (1997a), Biometrics 53:567, sums placements
within each cluster first and adds the covariance of a cluster's cases with its controls; clusters of one give DeLong's.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ordinal_blast.evaluation.placements import Placements, placements
from ordinal_blast.evaluation.validation import (
    as_binary,
    as_clusters,
    as_real,
    as_scores,
    check_choice,
    check_confidence,
    count_units,
)

Alternative = Literal["two-sided", "less", "greater"]

PAIRED_ASSUMES = (
    "Two fixed models on the same independent examples, enough of them for a normal approximation: it does not cover "
    "the spread over training seeds, examples that share a patient, nested models, or several comparisons at once."
)
CLUSTERED_ASSUMES = (
    "Two fixed models on independent clusters, enough of them for a normal approximation: it does not cover the spread "
    "over training seeds, nested models, or several comparisons at once."
)
UNPAIRED_ASSUMES = (
    "Two fixed scores, each on its own independent examples, enough of them for a t approximation: it does not cover "
    "the spread over training seeds, examples that share a patient, or several comparisons at once."
)
NO_TEST, NO_INTERVAL = "estimated variance 0: no test", "estimated variance 0: no interval"
FEW = 20  # on the smaller side, below which a normal approximation is too sure
FEWEST = 5  # below which thresholds are not tested at all
# How often the paired test errs at .05: two equal areas of .7 that correlate by .5, so many cases and 100 controls.
ERRS = {2: 0.20, 3: 0.13, 4: 0.10, 5: 0.10, 7: 0.08, 10: 0.07, 15: 0.06}
ROUND_OFF = 1e-14  # areas are 1 at most; a true error below it would take 1e14 pairs of a case and a control


@dataclasses.dataclass(frozen=True)
class AUCComparison:
    """Areas of a and b and the test of their difference.

    difference is auc_a - auc_b; ci its interval at `confidence`, clipped to [-1, 1] and one-sided where the alternative
    is; statistic is Z (df inf) or t, of difference - null; assumes says what the p value rests on and leaves out.
    degenerate: empty, or what to print where the estimated variance is 0. A sample without spread is no certainty: the
    interval is nan, and so are statistic and p, unless difference = null (statistic 0).
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
    degenerate: str = ""


def sides(labels: ArrayLike, clusters: ArrayLike | None = None) -> tuple[int, int]:
    """How many cases there are and how many controls, or clusters `[N]`, such as patients, with one of them."""
    is_case = as_binary(labels)
    units = np.arange(len(is_case)) if clusters is None else as_clusters(clusters, len(is_case))
    return count_units(units[is_case]), count_units(units[~is_case])


def smaller_side(labels: ArrayLike, clusters: ArrayLike | None = None) -> int:
    """Cases or controls `[N]`, whichever are fewer, or clusters with one: what DeLong's approximation rests on."""
    return min(sides(labels, clusters))


def few(count: int) -> str:
    """What to print beside a test with so many on the smaller side, one sentence; empty from `FEW` on."""
    if count >= FEW:
        return ""
    error = min((rate for least, rate in ERRS.items() if count >= least), default=1.0)
    return (
        f"There are {count} on the smaller side, and with so few the test errs more often than it says: at .05 in "
        f"{error:.2f} of samples (measured with 100 on the other side)."
    )


def placements_of(labels: ArrayLike, scores: ArrayLike, name: str = "scores") -> Placements:
    """Placements of checked labels and scores; ValueError below 2 cases or 2 controls, where no variance exists."""
    is_case = as_binary(labels)
    placed = placements(is_case, as_scores(scores, len(is_case), name))
    if min(len(placed.cases), len(placed.controls)) < 2:
        raise ValueError(
            f"a variance needs at least 2 cases and 2 controls, found {len(placed.cases)} and {len(placed.controls)}"
        )
    return placed


def covariance(
    cases: np.ndarray, controls: np.ndarray, labels: ArrayLike, clusters: ArrayLike | None = None
) -> np.ndarray:
    """Covariance `[k, k]` of k areas, or differences of areas, from placements `[k, m]` and `[k, n]`.

    Clusters `[N]` (such as patients) gather examples that are not independent; None: all are.
    """
    deviations = [side - side.mean(axis=1, keepdims=True) for side in (cases, controls)]
    if clusters is None:
        return sum(v @ v.T / (v.shape[1] * (v.shape[1] - 1)) for v in deviations)
    is_case = as_binary(labels)
    members = as_clusters(clusters, len(is_case))
    sides = [members[is_case], members[~is_case]]
    counts = [count_units(side) for side in sides]
    if min(counts) < 2:
        raise ValueError(
            f"cases must lie in 2 clusters or more and so must controls, found {counts[0]} and {counts[1]}"
        )
    size = members.max() + 1
    gathered = [
        np.stack([np.bincount(side, row, size) for row in v]) / v.shape[1]
        for side, v in zip(sides, deviations, strict=True)
    ]
    own = sum(v @ v.T * count / (count - 1) for v, count in zip(gathered, counts, strict=True))
    cross = gathered[0] @ gathered[1].T * size / (size - 1)
    return own + cross + cross.T


def delong_variance(labels: ArrayLike, scores: ArrayLike, *, clusters: ArrayLike | None = None) -> float:
    """Variance of the area under the curve, var(V_cases) / m + var(V_controls) / n; clustered where clusters are given.

    labels `[N]` in {0, 1}, scores `[N]`, higher for cases. ValueError: NaN scores, fewer than 2 cases or 2 controls.
    """
    placed = placements_of(labels, scores)
    return float(covariance(placed.cases[None], placed.controls[None], labels, clusters)[0, 0])


def check_options(alternative: str, confidence: float) -> None:
    """ValueError for an unknown alternative or a confidence outside (0, 1)."""
    check_choice(alternative, "alternative", ("two-sided", "less", "greater"))
    check_confidence(confidence)


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
    if not -1 <= as_real(null, "null") <= 1:
        raise ValueError(f"null must be a difference of areas, -1 to 1, found {null}")
    difference, error = auc_a - auc_b, float(np.sqrt(max(variance, 0.0)))
    shift, spread = difference - null, stats.norm if np.isinf(df) else stats.t(df)
    if error > ROUND_OFF:
        statistic, degenerate = shift / error, ""
    else:
        error = 0.0
        statistic, degenerate = (0.0, NO_INTERVAL) if abs(shift) <= ROUND_OFF else (np.nan, NO_TEST)
    if alternative == "two-sided":
        p_value = 2 * float(spread.sf(abs(statistic)))
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
        ci=(np.nan, np.nan) if degenerate else (max(low, -1.0), min(high, 1.0)),
        standard_error=error,
        statistic=statistic,
        df=df,
        p_value=p_value,
        alternative=alternative,
        null=null,
        confidence=confidence,
        assumes=assumes,
        degenerate=degenerate,
    )


def delong_test(
    labels: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    paired: bool = True,
    alternative: Alternative = "two-sided",
    *,
    labels_b: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    null: float = 0.0,
    confidence: float = 0.95,
) -> AUCComparison:
    """Test of AUC(a) - AUC(b) = null against the alternative ("greater": a is better).

    Paired: both scores `[N]` of the same examples; Z = (difference - null) / sqrt(var), with clusters `[N]` where
    examples share a patient. Unpaired: scores_b belong to other examples with labels_b (None: to examples labelled
    alike); t with Satterthwaite's degrees of freedom (V_a + V_b)² / (V_a² / (N_a - 1) + V_b² / (N_b - 1)). Scores that
    rank alike give p = 1. Where the estimated variance is 0 nothing else is tested: see `AUCComparison.degenerate`.
    With fewer than `FEW` cases or controls `assumes` says how often the test errs.
    ValueError: NaN scores, fewer than 2 cases or 2 controls.
    """
    if paired and labels_b is not None:
        raise ValueError("paired=True compares scores of the same examples: give labels_b only with paired=False")
    if not paired and clusters is not None:
        raise ValueError("clusters are for paired=True: two samples have no common clusters")
    labels_b = labels if labels_b is None else labels_b
    a, b = placements_of(labels, scores_a, "scores_a"), placements_of(labels_b, scores_b, "scores_b")
    if paired:
        variance = covariance((a.cases - b.cases)[None], (a.controls - b.controls)[None], labels, clusters)[0, 0]
        df, assumes = np.inf, PAIRED_ASSUMES if clusters is None else CLUSTERED_ASSUMES
    else:
        part_a, part_b = delong_variance(labels, scores_a), delong_variance(labels_b, scores_b)
        variance = part_a + part_b
        spread = sum(part**2 / (len(of.cases) + len(of.controls) - 1) for part, of in ((part_a, a), (part_b, b)))
        df, assumes = variance**2 / spread if variance > ROUND_OFF**2 else np.inf, UNPAIRED_ASSUMES
    smaller = min(smaller_side(labels, clusters), smaller_side(labels_b, clusters))
    assumes = " ".join(filter(None, (assumes, few(smaller))))
    return compare(a.auc, b.auc, variance, df, alternative, null, confidence, assumes)


def delong_noninferiority(
    labels: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    margin: float,
    *,
    clusters: ArrayLike | None = None,
    confidence: float = 0.95,
) -> AUCComparison:
    """Paired test that a is worse than b by less than margin: AUC(a) - AUC(b) > -margin, margin > 0 in area.

    A small p value, or a lower limit of the one-sided interval above -margin, shows it.
    """
    if not 0 < as_real(margin, "margin") < 1:
        raise ValueError(f"margin must be above 0 and below 1, found {margin}")
    return delong_test(
        labels, scores_a, scores_b, alternative="greater", clusters=clusters, null=-margin, confidence=confidence
    )
