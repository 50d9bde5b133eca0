"""How many examples DeLong's test needs to tell two areas under ROC curves apart, by a formula and by simulation.

Two scores of the same examples are binormal: standard normal for controls, shifted by √2 Φ⁻¹(area) for cases, and
correlated alike on both sides. The variance of DeLong's difference is then (1 / m + 1 / n) (v_a + v_b − 2 c) with the
covariance of placements c = Φ₂(Φ⁻¹(A_a), Φ⁻¹(A_b); ρ / 2) − A_a A_b, and v the same of a score with itself, ρ = 1
(Obuchowski & McClish 1997b).
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from ordinal_blast.evaluation.delong import delong_test
from ordinal_blast.evaluation.validation import as_count, as_real

MOST = 10**9  # examples that are looked for


def delong_power(
    auc_a: float, auc_b: float, cases: int, controls: int, *, correlation: float, level: float = 0.05
) -> float:
    """The chance that the two-sided test at `level` rejects equal areas, by the formula.

    correlation: of the two scores among cases, and among controls. ValueError: areas outside (0, 1), fewer than two
    cases or controls, a correlation outside (-1, 1) or a level outside (0, 1).
    """
    a, b, rho = _checked(auc_a, auc_b, correlation, level)
    spread = math.sqrt((1 / as_count(cases, "cases", 2) + 1 / as_count(controls, "controls", 2)) * _unit(a, b, rho))
    shift, limit = (a - b) / spread, stats.norm.isf(level / 2)
    return float(stats.norm.sf(limit - shift) + stats.norm.cdf(-limit - shift))


def delong_sample_size(
    auc_a: float, auc_b: float, *, case_share: float, correlation: float, power: float = 0.8, level: float = 0.05
) -> int:
    """The fewest examples, a share of them cases, with which the test rejects equal areas with the wanted power.

    By the formula, N q (1 − q) = (z_(level / 2) + z_(1 − power))² (v_a + v_b − 2 c) / (A_a − A_b)², rounded up, and
    enough for two cases and two controls. ValueError: equal areas, a share outside (0, 1), a power outside (level, 1),
    more than `MOST` examples, and as `delong_power`.
    """
    a, b, rho = _checked(auc_a, auc_b, correlation, level)
    q, wanted = _inside(case_share, "case_share"), _inside(power, "power")
    if a == b:
        raise ValueError(f"auc_a and auc_b are both {a}: no number of examples tells them apart")
    if wanted <= level:
        raise ValueError(f"power must be above the level, {level}, with which equal areas are rejected, found {power}")
    reach = stats.norm.isf(level / 2) + stats.norm.isf(1 - wanted)
    needed = max((reach / (a - b)) ** 2 * _unit(a, b, rho) / (q * (1 - q)), 2 / min(q, 1 - q))
    if not needed < MOST:
        raise ValueError(f"more than {MOST:.0e} examples are needed: the areas are too near to each other")
    return math.ceil(needed)


def delong_power_simulated(
    auc_a: float,
    auc_b: float,
    cases: int,
    controls: int,
    *,
    correlation: float,
    level: float = 0.05,
    studies: int = 1000,
    seed: int = 0,
) -> float:
    """The share of so many simulated studies in which `delong_test` rejects equal areas at `level`.

    Arguments and errors as `delong_power`.
    """
    a, b, rho = _checked(auc_a, auc_b, correlation, level)
    sizes = as_count(cases, "cases", 2), as_count(controls, "controls", 2)
    rng = np.random.default_rng(as_count(seed, "seed", 0))
    labels = np.repeat([1, 0], sizes)
    shift = math.sqrt(2) * stats.norm.ppf([a, b])[:, None] * labels
    rejected = 0
    for _ in range(as_count(studies, "studies")):
        drawn, other = rng.standard_normal((2, len(labels)))
        first, second = np.stack([drawn, rho * drawn + math.sqrt(1 - rho**2) * other]) + shift
        rejected += delong_test(labels, first, second).p_value < level
    return rejected / studies


def _unit(a: float, b: float, correlation: float) -> float:
    """v_a + v_b − 2 c: the variance of one case's, or control's, difference of placements."""
    at = stats.norm.ppf([a, b])

    def covariance(i: int, j: int, rho: float) -> float:
        both = stats.multivariate_normal.cdf(at[[i, j]], cov=[[1.0, rho / 2], [rho / 2, 1.0]])
        return float(both - stats.norm.cdf(at[i]) * stats.norm.cdf(at[j]))

    return covariance(0, 0, 1.0) + covariance(1, 1, 1.0) - 2 * covariance(0, 1, correlation)


def _checked(auc_a: float, auc_b: float, correlation: float, level: float) -> tuple[float, float, float]:
    areas = [_inside(value, name) for name, value in (("auc_a", auc_a), ("auc_b", auc_b))]
    _inside(level, "level")
    rho = as_real(correlation, "correlation")
    if not -1 < rho < 1:
        raise ValueError(f"correlation must lie between -1 and 1, found {correlation}")
    return areas[0], areas[1], rho


def _inside(value: float, name: str) -> float:
    number = as_real(value, name)
    if not 0 < number < 1:
        raise ValueError(f"{name} must lie between 0 and 1, found {value}")
    return number
