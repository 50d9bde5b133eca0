"""Are methods different, over seeds, folds and data sets? Tests over a grid of scores.

Scores are `[B, M]`: one row per block (a data set), one column per method, seeds and hold-outs averaged first, so that
blocks are independent (Demšar, 2006). Every result says in `assumes` what it rests on and what it leaves out. For one
test set, seeds and examples at once, see `multireader`.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ordinal_blast.errors import needs
from ordinal_blast.evaluation import permutation
from ordinal_blast.evaluation.multiplicity import holm
from ordinal_blast.evaluation.rounding import level, round_off, settled
from ordinal_blast.evaluation.validation import as_count, as_floats, as_real, as_seed, check_confidence

NO_TEST = "constant difference: no test"
NO_INTERVAL = "no difference: no interval"
# Measured (tests/evaluation/test_holdouts.py: 2,000 tables of 500 rows, 30 hold-outs of a quarter) at nominal .05:
CORRECTED_T_ERRS = (0.041, 0.096)  # how often, for two equal linear learners and for two of nearest neighbours
SINGLE = 2.0**-22  # what float32 may do to a difference of two scores, of their size
FEWEST_DATA_SETS = 5  # below which nothing is said of data sets in general
FEW_BLOCKS = 10  # up to which the approximations of Friedman's test are not to be trusted (Demšar, 2006)


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """Mean of a - b with its t interval and test.

    degenerate: empty, or what to print where all differences are equal but for rounding, that of float32 included. They
    have no spread to judge by, so interval and standard error are nan, and so is p unless the difference is 0, where it
    is 1.
    """

    mean: float
    sd: float
    standard_error: float
    n: int
    ci: tuple[float, float]
    statistic: float
    p_value: float
    assumes: str
    degenerate: str = ""


@dataclasses.dataclass(frozen=True)
class PairwiseTest:
    """One pair of methods: median of a - b over blocks, the smaller sum of signed ranks, p before and after Holm."""

    a: str
    b: str
    median_difference: float
    statistic: float
    p_value: float
    p_holm: float
    assumes: str


@dataclasses.dataclass(frozen=True)
class Friedman:
    """Mean ranks `[M]` (1 best), Friedman's chi-squared and the less conservative F of Iman and Davenport.

    p_from: what p_value comes from, "F", or "permutations" where blocks are too few for it or all rank alike (F inf).
    """

    mean_ranks: np.ndarray
    chi_squared: float
    p_chi_squared: float
    f: float
    df: tuple[int, int]
    p_value: float
    assumes: str
    p_from: Literal["F", "permutations"] = "F"


@dataclasses.dataclass(frozen=True)
class Nemenyi:
    """P values `[M, M]` of all pairs, and the difference of mean ranks that is critical at level alpha."""

    mean_ranks: np.ndarray
    p_values: np.ndarray
    critical_difference: float
    alpha: float
    assumes: str


@dataclasses.dataclass(frozen=True)
class BayesianComparison:
    """Probabilities that a is better by more than rope, that they are practically equal, and that b is better."""

    p_a: float
    p_rope: float
    p_b: float
    rope: float
    assumes: str


def _as_pair(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    a, b = as_floats(a, "a"), as_floats(b, "b")
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ValueError(f"a and b must be vectors of one length, 2 or more, found {a.shape} and {b.shape}")
    bad = np.flatnonzero(~np.isfinite(a) | ~np.isfinite(b))
    if len(bad):
        raise ValueError(f"pair {bad[0]} is not finite: a is {a[bad[0]]} and b is {b[bad[0]]}")
    return a, b


def _as_table(values: ArrayLike, columns: int, axes: str, rows: int = 2) -> np.ndarray:
    """Values as finite float64 with that many rows and columns at least; ValueError otherwise."""
    values = as_floats(values, axes.split()[0])
    if values.ndim != 2 or len(values) < rows or values.shape[1] < columns:
        raise ValueError(f"need {axes} of shape [{rows}, {columns}] or larger, found {list(values.shape)}")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"entry ({row}, {column}) of {axes} is {values[row, column]}: every cell needs a finite value")
    return values


def _check_rope(rope: float) -> None:
    if as_real(rope, "rope") < 0:
        raise ValueError(f"rope must be 0 or more, found {rope}")


def _as_scores(scores: ArrayLike, num_methods: int = 2) -> np.ndarray:
    return _as_table(scores, num_methods, "scores [blocks, methods]")


def _t_test(a: ArrayLike, b: ArrayLike, overlap: float, confidence: float, assumes: str) -> PairedDifference:
    """Mean of a - b `[B]` with variance (1 / B + overlap) s²: interval, t and p value, or why there are none."""
    check_confidence(confidence)
    a, b = _as_pair(a, b)
    differences = settled(a, b)
    n, mean, sd = len(differences), float(differences.mean()), float(differences.std(ddof=1))
    if np.ptp(differences) <= SINGLE * max(np.abs(a).max(), np.abs(b).max()):
        sd, error, ci = 0.0, math.nan, (math.nan, math.nan)
        statistic, p_value, degenerate = (math.nan, math.nan, NO_TEST) if mean else (0.0, 1.0, NO_INTERVAL)
    else:
        error = sd * math.sqrt(1 / n + overlap)
        reach = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
        statistic, ci, degenerate = mean / error, (mean - reach, mean + reach), ""
        p_value = float(2 * stats.t.sf(abs(statistic), n - 1))
    return PairedDifference(mean, sd, error, n, ci, statistic, p_value, assumes, degenerate)


def paired_t(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> PairedDifference:
    """Mean of a - b over paired runs, such as seeds `[S]`: t interval and test."""
    assumes = "Runs are independent and their differences near normal: it does not cover which examples were tested."
    return _t_test(a, b, 0.0, confidence, assumes)


def corrected_t(
    a: ArrayLike, b: ArrayLike, *, num_train: int, num_test: int, confidence: float = 0.95
) -> PairedDifference:
    """Mean of a - b over J repeated hold-outs or folds `[J]` with variance (1/J + n_test/n_train) s².

    The added share allows for training sets that overlap (Nadeau & Bengio, 2003).
    """
    if as_real(num_train, "num_train") < 1 or as_real(num_test, "num_test") < 1:
        raise ValueError(f"num_train and num_test must be 1 or more, found {num_train} and {num_test}")
    return _t_test(
        a,
        b,
        num_test / num_train,
        confidence,
        "Random splits of one data set whose runs correlate by the share tested, a rule of thumb: it does not cover "
        "other data sets.",
    )


def wilcoxon_holm(scores: ArrayLike, methods: Sequence[str]) -> tuple[PairwiseTest, ...]:
    """Wilcoxon's signed-rank test of every pair of methods over blocks, scores `[B, M]`, adjusted by Holm.

    Unlike mean ranks, a pair's result does not depend on which other methods are compared (Benavoli et al., 2016). Zero
    differences are ranked and split between the signs, so that they count against a difference (Demšar, 2006). Sizes
    that are equal but for rounding share their rank; p is exact, ties or not, up to 200 blocks.
    """
    scores = _as_scores(scores)
    if len(methods) != scores.shape[1]:
        raise ValueError(f"{len(methods)} methods named but scores have {scores.shape[1]} columns")
    results = []
    for i, j in itertools.combinations(range(len(methods)), 2):
        differences = settled(scores[:, i], scores[:, j])
        results.append((methods[i], methods[j], float(np.median(differences)), *permutation.signed_rank(differences)))
    assumes = "Blocks are independent, differences symmetric: it does not weigh the spread within a block."
    adjusted = holm([result[-1] for result in results]).tolist()
    return tuple(PairwiseTest(*result, p, assumes) for result, p in zip(results, adjusted, strict=True))


def refusal(num_datasets: int) -> str:
    """Why nothing is tested across so few data sets, as one sentence; empty from five on.

    Of n pairs the smallest exact p is 2 / 2^n, where all agree: 1/8 for four.
    """
    if num_datasets >= FEWEST_DATA_SETS:
        return ""
    return (
        f"Across data sets nothing is tested: {num_datasets} of them are no sample of data sets, of which a test needs "
        f"{FEWEST_DATA_SETS} at the least; were they all to agree, the exact p of a pair would still be "
        f"{2 / 2**num_datasets:g}."
    )


def ranks(scores: ArrayLike, *, higher_is_better: bool) -> np.ndarray:
    """Ranks `[B, M]` within each block, 1 the best; scores `[B, M]` that are equal but for rounding share theirs."""
    scores = _as_table(scores, 1, "scores [blocks, methods]", rows=1)
    levelled = np.stack([level(row, round_off(row)) for row in scores])
    return stats.rankdata(-levelled if higher_is_better else levelled, axis=1)


def friedman(scores: ArrayLike, *, higher_is_better: bool) -> Friedman:
    """Friedman's test that M ≥ 3 methods rank alike over B blocks, scores `[B, M]`.

    F = (B - 1) χ² / (B (M - 1) - χ²) with M - 1 and (M - 1)(B - 1) degrees of freedom (Iman & Davenport, 1980). Up to
    10 blocks, and where all of them rank alike, p comes from the permutations of ranks within blocks instead.
    """
    ranked = ranks(_as_scores(scores, 3), higher_is_better=higher_is_better)
    num_blocks, num_methods = ranked.shape
    df = (num_methods - 1, (num_methods - 1) * (num_blocks - 1))
    if (ranked == ranked[:, :1]).all():
        chi_squared, p_chi_squared = 0.0, 1.0
    else:
        chi_squared, p_chi_squared = (float(value) for value in stats.friedmanchisquare(*ranked.T))
    left = num_blocks * (num_methods - 1) - chi_squared
    f = (num_blocks - 1) * chi_squared / left if left > 1e-9 * num_blocks else math.inf
    permuted = num_blocks <= FEW_BLOCKS or math.isinf(f)
    return Friedman(
        mean_ranks=ranked.mean(axis=0),
        chi_squared=chi_squared,
        p_chi_squared=p_chi_squared,
        f=f,
        df=df,
        p_value=permutation.friedman(ranked) if permuted else float(stats.f.sf(f, *df)),
        assumes="Blocks are independent and only ranks within them count: it does not weigh the size of differences or "
        "the spread within a block.",
        p_from="permutations" if permuted else "F",
    )


def nemenyi(scores: ArrayLike, *, higher_is_better: bool, alpha: float = 0.05) -> Nemenyi:
    """Nemenyi's test of all pairs of mean ranks, scores `[B, M]`, after Friedman's has rejected.

    Critical difference q_alpha sqrt(M (M + 1) / (6 B)), q from the studentized range over sqrt(2) (Demšar, 2006).
    """
    from scikit_posthocs import posthoc_nemenyi_friedman  # imports plotting: seconds, and only needed here

    scores = _as_scores(scores)
    if not 0 < as_real(alpha, "alpha") < 1:
        raise ValueError(f"alpha must lie between 0 and 1, found {alpha}")
    ranked = ranks(scores, higher_is_better=higher_is_better)
    num_blocks, num_methods = ranked.shape
    quantile = float(stats.studentized_range.ppf(1 - alpha, num_methods, np.inf)) / np.sqrt(2)
    return Nemenyi(
        mean_ranks=ranked.mean(axis=0),
        p_values=np.asarray(posthoc_nemenyi_friedman(ranked), np.float64),
        critical_difference=float(quantile * np.sqrt(num_methods * (num_methods + 1) / (6 * num_blocks))),
        alpha=alpha,
        assumes="Blocks are independent, and many: it is conservative, and a pair's result depends on which other "
        "methods are in the pool.",
    )


def bayesian_t(
    a: ArrayLike, b: ArrayLike, rope: float, *, num_train: int, num_test: int, higher_is_better: bool
) -> BayesianComparison:
    """Posterior probabilities over J repeated hold-outs `[J]` with a region of practical equivalence |a - b| ≤ rope.

    Bayesian correlated t: `student_posterior` with the variance of `corrected_t` (Corani & Benavoli, 2015).
    """
    one = corrected_t(a, b, num_train=num_train, num_test=num_test)
    error = math.nan if one.degenerate else one.sd * math.sqrt(1 / one.n + num_test / num_train)
    return student_posterior(one.mean, error, one.n - 1, rope, higher_is_better=higher_is_better)


def student_posterior(
    mean: float, standard_error: float, df: float, rope: float, *, higher_is_better: bool
) -> BayesianComparison:
    """Probabilities where the difference a - b is Student's t around its estimate: a flat prior, df degrees of freedom.

    NaN without a standard error above 0: no spread is no certainty. ValueError: a negative rope.
    """
    _check_rope(rope)
    gain = as_real(mean, "mean") if higher_is_better else -as_real(mean, "mean")
    error, df = float(as_floats(standard_error, "standard_error")), float(as_floats(df, "df"))
    if not df > 0:
        raise ValueError(f"df must be above 0, found {df}")
    if error > 0:
        p_a, p_b = (float(stats.t.sf((rope - side) / error, df)) for side in (gain, -gain))
        p_rope = max(0.0, 1 - p_a - p_b)
    else:
        p_a = p_rope = p_b = math.nan
    return BayesianComparison(
        p_a=p_a,
        p_rope=p_rope,
        p_b=p_b,
        rope=rope,
        assumes="A flat prior, the standard error of the difference as it is estimated, and rope chosen beforehand: it "
        "does not cover other data sets, nor how many methods are compared.",
    )


def bayesian_signed_rank(
    a: ArrayLike, b: ArrayLike, rope: float, *, higher_is_better: bool, seed: int, samples: int = 50_000
) -> BayesianComparison:
    """Posterior probabilities over blocks `[B]` with a region of practical equivalence |a - b| ≤ rope.

    Bayesian signed-rank test with a Dirichlet process prior (Benavoli et al., 2014; Benavoli et al., 2017). Differences
    at the edge of the region, but for rounding, lie inside it. NotInstalled without the package baycomp.
    """
    with needs("bayes"):
        import baycomp
    a, b = _as_pair(a, b)
    _check_rope(rope)
    seed, samples = as_seed(seed), as_count(samples, "samples")
    gains = settled(a, b) if higher_is_better else settled(b, a)
    if gains.any():
        edge = rope + round_off(a, b) if rope else 0.0
        posterior = baycomp.SignedRankTest(np.zeros_like(gains), gains, rope=edge, nsamples=samples, random_state=seed)
        p_b, p_rope, p_a = (float(p) for p in posterior.probs())
    else:
        p_b, p_rope, p_a = 0.0, 1.0, 0.0
    return BayesianComparison(
        p_a=p_a,
        p_rope=p_rope,
        p_b=p_b,
        rope=rope,
        assumes="Blocks are independent draws from a population of problems, and rope was chosen beforehand: it does "
        "not weigh the spread within a block.",
    )
