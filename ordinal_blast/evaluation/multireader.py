"""Are methods different, over new training seeds and new test examples at once? Seeds are readers, examples are cases.

Radiology compares treatments by images that several readers read under each of them. Here treatments are variants,
readers are training seeds, and cases are test examples, or patients: the multi-reader multi-case analysis of Obuchowski
& Rockette (1995), as corrected by Hillis (2007; Hillis, 2014; Hillis, Berbaum & Metz 2008). With the values θ `[V, S]`
of one measure and their covariance Σ over cases, its mean variance σ², and mean covariances Cov1 (same seed), Cov2
(same variant), Cov3 (neither),

    MS(T) = S / (V - 1) Σ_v (θ_v. - θ..)²        MS(TR) = Σ_vs (θ_vs - θ_v. - θ_.s + θ..)² / ((V - 1)(S - 1))
    F = MS(T) / D,  D = MS(TR) + S max(Cov2 - Cov3, 0),  on V - 1 and D² (V - 1)(S - 1) / MS(TR)² degrees of freedom.

What it does not cover: another training set, another split, tuning.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from ordinal_blast.evaluation import jackknife
from ordinal_blast.evaluation.delong import covariance as delong_covariance
from ordinal_blast.evaluation.delong import placements_of
from ordinal_blast.evaluation.rounding import RELATIVE
from ordinal_blast.evaluation.validation import (
    as_array,
    as_binary,
    as_clusters,
    as_count,
    as_floats,
    as_num_classes,
    check_choice,
    check_confidence,
    count_units,
)

Over = Literal["both", "seeds", "examples"]
BASIS = {"both": "seeds and examples", "seeds": "seeds", "examples": "examples"}
MEASURES = jackknife.MEASURES
UNDEFINED = "undefined or infinite with a seed: no interval"
ONE_EXAMPLE = "a grade with a single test example, or patient: no interval"
ALIKE = "the same by construction: no test"
NO_VARIANCE = "estimated variance 0: no test"
ONE_SEED = "one seed: no interval over seeds"


@dataclasses.dataclass(frozen=True)
class Contrast:
    """An estimate, its standard error, t interval and two-sided test of 0 on df degrees of freedom (inf: normal).

    basis: what would be drawn anew: "seeds and examples", "examples" (one seed) or "seeds". degenerate: empty, or why
    there is no interval; ci and p_value are NaN then. parts: the variances of seeds and of examples that add up to the
    square of the standard error, each with its degrees of freedom.
    """

    estimate: float
    standard_error: float
    df: float
    ci: tuple[float, float]
    p_value: float
    basis: str
    degenerate: str = ""
    parts: tuple[tuple[float, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Components:
    """Variances of a value: seeds (readers), variant by seed, error, and covariances of errors over cases.

    cov1: same seed, other variant; cov2: same variant, other seed; cov3: neither. NaN where there are not two of each.
    """

    reader: float
    variant_reader: float
    error: float
    cov1: float
    cov2: float
    cov3: float


@dataclasses.dataclass(frozen=True, eq=False)
class Variation:
    """What the values of variants with `seeds` seeds each vary with, over `units` examples or patients.

    case_df: degrees of freedom of a variance over cases alone. F tests that all variants are alike, over seeds and
    examples; with one seed over examples.
    """

    seeds: int
    units: int
    case_df: float
    f_statistic: float
    df: tuple[float, float]
    p_value: float
    components: Components
    degenerate: str

    def detectable(
        self, *, seeds: int | None = None, units: int | None = None, power: float = 0.8, level: float = 0.05
    ) -> float:
        """The smallest difference of two variants that a verdict (`simultaneous`) sees with this power at this level.

        Its variance is (2 / S') (σ²_TR + U / U' (σ² - Cov1 + (S' - 1)(Cov2 - Cov3))) (Hillis et al., 2011); left out,
        seeds S' and units U' are those of this comparison. NaN without two variants and two seeds that vary.
        """
        num_seeds = as_count(self.seeds if seeds is None else seeds, "seeds", 2)
        share = self.units / as_count(self.units if units is None else units, "units", 2)
        check_confidence(power, "power")
        check_confidence(level, "level")
        if not power > level:
            raise ValueError(f"power must be above the level {level}, at which nothing is there, found {power}")
        of = self.components
        if self.degenerate or math.isnan(of.variant_reader):
            return math.nan
        between = of.variant_reader + share * max(of.error - of.cov1 - of.cov2 + of.cov3, 0.0)
        cases = num_seeds * share * max(of.cov2 - of.cov3, 0.0)
        case_df = max((self.case_df + 1) / share - 1, 1.0)
        return math.sqrt(2 / num_seeds) * _shift(between, cases, num_seeds - 1, case_df, power, level)


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison(Variation):
    """V variants with S seeds each on one test set: values `[V, S]` and their covariance over cases `[VS, VS]`.

    influence `[V, S, U]`: what each of U units (examples or patients) adds, so that its products sum to the covariance
    (to the clustered DeLong's but for its small factors); None where only the covariance is known.
    """

    values: np.ndarray
    covariance: np.ndarray
    influence: np.ndarray | None
    confidence: float
    basis: str

    @property
    def variation(self) -> Variation:
        """The same without what each seed and each case says, which grows with their numbers."""
        return Variation(*(getattr(self, field.name) for field in dataclasses.fields(Variation)))

    def difference(self, a: int, b: int, over: Over = "both", *, pooled: bool = False) -> Contrast:
        """Variant a minus variant b: SE = sqrt(2 D / S) on D² (S - 1) / MS(TR)² degrees of freedom, from these two.

        pooled: D of all variants instead, as is usual for readers; it supposes that all vary alike over seeds, which
        losses do not. over: "seeds" (test examples fixed: paired t) or "examples" (seeds fixed) alone.
        """
        check_choice(over, "over", BASIS)
        values, covariance = self._of([a, b])
        num_seeds = values.shape[1]
        over = "examples" if over == "both" and num_seeds == 1 else over
        with np.errstate(invalid="ignore"):  # inf - inf
            estimate = float((values[0] - values[1]).mean())
        if reason := self.degenerate or _undefined(values, covariance):
            return _none(estimate, BASIS[over], reason)
        if self._alike(a, b):
            return _none(0.0, BASIS[over], ALIKE)
        if over == "examples":
            sign = np.repeat([1.0, -1.0], num_seeds) / num_seeds
            variance = float(sign @ covariance.reshape(2 * num_seeds, -1) @ sign)
            return self._contrast(estimate, variance, self.case_df, over)
        if num_seeds == 1:
            return _none(estimate, BASIS[over], ONE_SEED)
        if pooled:
            values, covariance = self._of(range(len(self.values)))
        _, _, cov2, cov3 = _covariances(covariance)
        cases = num_seeds * max(cov2 - cov3, 0.0) if over == "both" else 0.0
        freedom = (len(values) - 1) * (num_seeds - 1)
        return self._spread(estimate, 2, _interaction(values), cases, freedom, over)

    def mean(self, a: int, over: Over = "both") -> Contrast:
        """A variant's own value: variance (MS(R) + S max(Cov2, 0)) / S with MS(R) and Cov2 of its seeds alone."""
        check_choice(over, "over", BASIS)
        values, covariance = self._of([a])
        num_seeds = values.shape[1]
        over = "examples" if over == "both" and num_seeds == 1 else over
        estimate = float(values.mean())
        if reason := self.degenerate or _undefined(values, covariance):
            return _none(estimate, BASIS[over], reason)
        if over == "examples":
            return self._contrast(estimate, float(covariance.mean()), self.case_df, over)
        if num_seeds == 1:
            return _none(estimate, BASIS[over], ONE_SEED)
        _, _, cov2, _ = _covariances(covariance)
        cases = num_seeds * max(cov2, 0.0) if over == "both" else 0.0
        return self._spread(estimate, 1, float(values.var(ddof=1)), cases, num_seeds - 1, over)

    def combined(self, coefficients: ArrayLike) -> Comparison:
        """The comparison of sums of its variants, coefficients `[M, V]`: values c θ, and covariances c Σ cᵀ.

        So that a difference of differences, such as (a - b) - (c - d), is the `difference` of a + d and b + c.
        ValueError: another shape, or what is not finite.
        """
        sums = as_floats(coefficients, "coefficients")
        if sums.ndim != 2 or sums.shape[1] != len(self.values):
            raise ValueError(f"coefficients must have shape [M, {len(self.values)}], found {sums.shape}")
        covariance = self.covariance.reshape(*self.values.shape, *self.values.shape)
        size = len(sums) * self.values.shape[1]
        return analyse(
            sums @ self.values,
            np.einsum("mv,vswt,nw->msnt", sums, covariance, sums).reshape(size, size),
            units=self.units,
            influence=None if self.influence is None else np.einsum("mv,vsu->msu", sums, self.influence),
            case_df=self.case_df,
            confidence=self.confidence,
            degenerate=self.degenerate,
        )

    def _of(self, chosen: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Values `[v, S]` and covariance `[v, S, v, S]` of some variants."""
        covariance = self.covariance.reshape(*self.values.shape, *self.values.shape)
        rows = [as_count(one, "a variant's number", 0, len(self.values) - 1) for one in chosen]
        return self.values[rows], covariance[rows][:, :, rows]

    def _alike(self, a: int, b: int) -> bool:
        """Whether two variants have equal values with every seed, and no example tells them apart."""
        gaps = self.values[a] - self.values[b]
        if self.influence is None or np.abs(gaps).max() > RELATIVE:
            return False
        return bool(np.abs(self.influence[a] - self.influence[b]).max() <= RELATIVE)

    def _spread(self, estimate: float, count: int, between: float, cases: float, freedom: int, over: Over) -> Contrast:
        total, share = between + cases, count / self.values.shape[1]
        df = freedom * (total / between) ** 2 if between > RELATIVE**2 else self.case_df
        parts = ((share * between, float(freedom)), (share * cases, self.case_df))
        return self._contrast(estimate, share * total, df, over, parts)

    def _contrast(
        self, estimate: float, variance: float, df: float, over: Over, parts: tuple[tuple[float, float], ...] = ()
    ) -> Contrast:
        error = math.sqrt(max(variance, 0.0))
        if not error > RELATIVE * max(1.0, abs(estimate)):
            return _none(estimate, BASIS[over], NO_VARIANCE)
        reach = float(special.stdtrit(df, (1 + self.confidence) / 2)) * error
        p_value = float(2 * special.stdtr(df, -abs(estimate) / error))
        ci = (estimate - reach, estimate + reach)
        return Contrast(estimate, error, df, ci, p_value, BASIS[over], parts=parts or ((variance, df),))


def analyse(
    values: ArrayLike,
    covariance: ArrayLike,
    *,
    units: int,
    influence: np.ndarray | None = None,
    case_df: float = math.inf,
    confidence: float = 0.95,
    degenerate: str = "",
) -> Comparison:
    """The analysis of values `[V, S]` whose covariance over cases `[VS, VS]` is known, of `units` cases.

    ValueError: shapes that do not fit, or a confidence outside (0, 1).
    """
    check_confidence(confidence)
    values, covariance = as_floats(values, "values"), as_floats(covariance, "covariance")
    if values.ndim != 2 or not values.size:
        raise ValueError(f"values must have shape [V, S], found {values.shape}")
    if covariance.shape != (values.size, values.size):
        raise ValueError(f"covariance must have shape [{values.size}, {values.size}], found {covariance.shape}")
    if not (isinstance(case_df, numbers.Real) and case_df > 0):
        raise ValueError(f"case_df must be a number above 0, found {case_df!r:.100}")
    units = as_count(units, "units", 2)
    num_variants, num_seeds = values.shape
    covariances, reader, variant_reader = (math.nan,) * 4, math.nan, math.nan
    statistic, df, p_value = math.nan, (float(num_variants - 1), math.nan), math.nan
    if not _undefined(values, covariance):
        error, cov1, cov2, cov3 = covariances = _covariances(covariance.reshape(*values.shape, *values.shape))
        between = _interaction(values)
        if num_variants > 1 and num_seeds > 1:
            variant_reader = max(between - error + cov1 + cov2 - cov3, 0.0)
            of_seeds = num_variants * float(values.mean(axis=0).var(ddof=1))
            reader = max((of_seeds - between) / num_variants - cov1 + cov3, 0.0)
        if not degenerate:
            statistic, df, p_value = _f_test(values, covariance, between, cov2 - cov3, case_df)
    return Comparison(
        num_seeds,
        units,
        case_df,
        statistic,
        df,
        p_value,
        Components(reader, variant_reader, *covariances),
        degenerate,
        values,
        covariance,
        influence,
        confidence,
        BASIS["both" if num_seeds > 1 else "examples"],
    )


def auc(
    labels: ArrayLike, scores: ArrayLike, cases: ArrayLike | None = None, *, confidence: float = 0.95
) -> Comparison:
    """Areas under the ROC curve of V variants with S seeds: labels `[N]` in {0, 1}, scores `[V, S, N]`.

    Covariances are DeLong's, or Obuchowski's (1997a) where cases `[N]`, such as patients, share examples. ValueError:
    NaN scores, fewer than 2 cases or controls (or patients on a side), other shapes.
    """
    scores = as_array(scores, "scores")
    if scores.ndim != 3 or not scores.size:
        raise ValueError(f"scores must have shape [V, S, N], found {scores.shape}")
    num_variants, num_seeds, _ = scores.shape
    is_case = as_binary(labels)
    rows = [placements_of(labels, scores[v, s], f"scores[{v}, {s}]") for v, s in np.ndindex(num_variants, num_seeds)]
    sides = np.stack([row.cases for row in rows]), np.stack([row.controls for row in rows])
    units = np.arange(len(is_case)) if cases is None else as_clusters(cases, len(is_case))
    counts = [count_units(units[side]) for side in (is_case, ~is_case)]
    size = int(units.max()) + 1
    influence = np.zeros((len(rows), size))
    for placed, members, count in zip(sides, (units[is_case], units[~is_case]), counts, strict=True):
        deviations = (placed - placed.mean(axis=1, keepdims=True)) / placed.shape[1]
        gathered = np.stack([np.bincount(members, row, size) for row in deviations])
        influence += gathered * math.sqrt(count / max(count - 1, 1))
    return analyse(
        np.array([row.auc for row in rows]).reshape(num_variants, num_seeds),
        delong_covariance(*sides, labels, cases),
        units=size,
        influence=influence.reshape(num_variants, num_seeds, size),
        case_df=min(counts) - 1,
        confidence=confidence,
    )


def measure(
    name: str,
    labels: ArrayLike,
    grades: ArrayLike,
    *,
    num_classes: int,
    probs: ArrayLike | None = None,
    cases: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """A measure of MEASURES of V variants with S seeds: labels `[N]`, grades `[V, S, N]`, probs `[V, S, N, K]`.

    Covariances are the jackknife's over examples, or over cases `[N]`, such as patients: (U - 1) / U Σ_u d_u d_uᵀ, d_u
    the values without unit u less their mean. weights `[N]` count examples. ValueError: another name, shapes or grades.
    """
    grades = as_array(grades, "grades")
    if grades.ndim != 3 or not grades.size:
        raise ValueError(f"grades must have shape [V, S, N], found {grades.shape}")
    shape = grades.shape[:2]
    if probs is not None:
        probs = as_array(probs, "probs")
        if probs.shape != (*grades.shape, as_num_classes(num_classes)):
            raise ValueError(f"probs must have shape {[*grades.shape, num_classes]}, found {list(probs.shape)}")
        probs = probs.reshape(-1, *probs.shape[2:])
    values, without = jackknife.leave_one_out(
        name, labels, grades.reshape(-1, grades.shape[2]), num_classes, probs, cases=cases, weights=weights
    )
    return jackknifed(
        values.reshape(shape),
        without,
        confidence=confidence,
        degenerate=ONE_EXAMPLE if jackknife.hangs_on_one_unit(name, labels, cases, weights) else "",
    )


def jackknifed(values: np.ndarray, without: np.ndarray, *, confidence: float, degenerate: str = "") -> Comparison:
    """The analysis of values `[V, S]` that are `[VS, U]` without each unit: covariance (U - 1) / U Σ_u d_u d_uᵀ."""
    size = without.shape[1]
    with np.errstate(invalid="ignore"):
        influence = math.sqrt((size - 1) / size) * (without.mean(axis=1, keepdims=True) - without)
    return analyse(
        values,
        influence @ influence.T,
        units=size,
        influence=influence.reshape(*values.shape, size),
        case_df=size - 1,
        confidence=confidence,
        degenerate=degenerate,
    )


def _undefined(values: np.ndarray, covariance: np.ndarray) -> str:
    return "" if np.isfinite(values).all() and np.isfinite(covariance).all() else UNDEFINED


def _none(estimate: float, basis: str, reason: str) -> Contrast:
    return Contrast(estimate, math.nan, math.nan, (math.nan, math.nan), math.nan, basis, reason)


def _interaction(values: np.ndarray) -> float:
    """MS(TR) of values `[V, S]`; NaN without two of each."""
    num_variants, num_seeds = values.shape
    if min(values.shape) < 2:
        return math.nan
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    return float((rest**2).sum() / ((num_variants - 1) * (num_seeds - 1)))


def _covariances(covariance: np.ndarray) -> tuple[float, float, float, float]:
    """Error variance, Cov1, Cov2 and Cov3, means over the kinds of pairs, of a covariance `[V, S, V, S]`."""
    num_variants, num_seeds = covariance.shape[:2]
    everything = float(covariance.sum())
    same = float(np.einsum("vsvs->", covariance))
    same_seed = float(np.einsum("vsws->", covariance)) - same
    same_variant = float(np.einsum("vsvt->", covariance)) - same
    neither = everything - same - same_seed - same_variant
    pairs = (
        num_variants * num_seeds * np.array([1, num_variants - 1, num_seeds - 1, (num_variants - 1) * (num_seeds - 1)])
    )
    sums = (same, same_seed, same_variant, neither)
    error, cov1, cov2, cov3 = (s / int(n) if n else math.nan for s, n in zip(sums, pairs, strict=True))
    return error, cov1, cov2, cov3


def _f_test(
    values: np.ndarray, covariance: np.ndarray, between: float, shared: float, case_df: float
) -> tuple[float, tuple[float, float], float]:
    """F, its degrees of freedom and p value, with one seed Hotelling's (1931); NaN for one variant or no variance."""
    num_variants, num_seeds = values.shape
    if num_variants < 2:
        return math.nan, (num_variants - 1, math.nan), math.nan
    if num_seeds == 1:
        contrast = np.diff(np.eye(num_variants), axis=0)
        shift, spread = contrast @ values[:, 0], contrast @ covariance @ contrast.T
        rank = int(np.linalg.matrix_rank(spread, hermitian=True))
        if not rank or num_variants - 1 > case_df:  # fewer examples than contrasts leave nothing to judge them by
            return math.nan, (num_variants - 1, math.nan), math.nan
        left = case_df - rank + 1
        squared = float(shift @ np.linalg.pinv(spread, hermitian=True) @ shift)
        statistic = squared / rank * (1 - (rank - 1) / case_df)
        return statistic, (rank, left), float(stats.f.sf(statistic, rank, min(left, 1e9)))
    total = between + num_seeds * max(shared, 0.0)
    if not total > RELATIVE**2:
        return math.nan, (num_variants - 1, math.nan), math.nan
    freedom = (num_variants - 1) * (num_seeds - 1)
    df = freedom * (total / between) ** 2 if between > RELATIVE**2 else math.inf
    statistic = num_seeds * float(values.mean(axis=1).var(ddof=1)) / total
    return statistic, (num_variants - 1, df), float(stats.f.sf(statistic, num_variants - 1, min(df, 1e9)))


def _shift(between: float, cases: float, freedom: int, case_df: float, power: float, level: float) -> float:
    """The mean at which the interval of a verdict, which reaches sqrt(Σ t_i² s_i²), excludes 0 with this power.

    By quadrature over what MS(TR), whose mean is `between`, may come out as.
    """
    if not between + cases > RELATIVE**2:
        return math.nan
    spread = between * stats.chi2.ppf((np.arange(4096) + 0.5) / 4096, freedom) / freedom
    of_seeds, of_cases = -special.stdtrit([freedom, case_df], level / 2)
    reach, error = np.sqrt(spread * of_seeds**2 + cases * of_cases**2), math.sqrt(between + cases)

    def missing(shift: float) -> float:
        return float((special.ndtr((shift - reach) / error) + special.ndtr((-shift - reach) / error)).mean()) - power

    return float(optimize.brentq(missing, 0.0, float(reach.max()) + 10 * error))
