"""Studies whose truth is known: variants and seeds that grade the examples of one test set, drawn from a model.

Example i has a latent truth t, and variant v with seed s sees p = ρ t + √(1 - ρ²) ε, all standard normal, so that every
measure of a population of examples is a function of the correlation ρ, known by quadrature. Fisher's z of ρ is normal
over seeds, with a spread of κ / √N: κ times its standard error from N examples. The error ε is a sum of one that all
share, one of the variant and one of the seed. Labels and grades are t and p cut at the same quantiles; examples of one
patient share half of the variance of t and of every error.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from scipy import special, stats

SHARES = {3: (0.5, 0.3, 0.2), 5: (0.4, 0.25, 0.15, 0.12, 0.08)}  # of grades, the worst first
EQUAL, BETTER = 0.8, 0.85  # correlations with the truth
VARIANTS = 6  # five that are equal in the population, and one that is better
BETTER_ONE = VARIANTS - 1
PATIENT = np.resize(np.arange(1, 7), 1000)  # numbers of examples
WITHIN = 0.5  # correlation of two examples of a patient


@dataclasses.dataclass(frozen=True)
class Variation:
    """κ of the first variant and of the others, and the shares of the variance of ε that a variant and a seed own."""

    first: float
    others: float
    variant: float
    seed: float


VARIATIONS = {
    "low": Variation(0.3, 0.3, 0.4, 0.1),
    "middle": Variation(1.0, 1.0, 0.25, 0.25),
    "high": Variation(2.5, 2.5, 0.1, 0.4),
    "unequal": Variation(2.5, 0.3, 0.25, 0.25),
}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One kind of study: N test examples, of patients or not, seeds, how much these vary, K grades, share of cases."""

    examples: int
    seeds: int
    variation: str
    patients: bool
    grades: int
    cases: float = 0.2


@dataclasses.dataclass(frozen=True)
class Drawn:
    """labels `[N]`, is_case `[N]`, scores and grades `[V, S, N]`, and the patient of each example or None."""

    labels: np.ndarray
    is_case: np.ndarray
    scores: np.ndarray
    grades: np.ndarray
    patients: np.ndarray | None


def _cuts(shares: tuple[float, ...]) -> np.ndarray:
    return stats.norm.ppf(np.cumsum(shares)[:-1])


def draw(scenario: Scenario, rng: np.random.Generator) -> Drawn:
    """One study; drawn again until two patients (or examples) or more are on either side of the binary outcome."""
    count, seeds, of = scenario.examples, scenario.seeds, VARIATIONS[scenario.variation]
    sizes = PATIENT[: int(np.searchsorted(np.cumsum(PATIENT), count)) + 1]
    patients = np.repeat(np.arange(len(sizes)), sizes)[:count] if scenario.patients else np.arange(count)

    def normal(*shape: int) -> np.ndarray:
        own = rng.standard_normal((*shape, count))
        if not scenario.patients:
            return own
        shared = rng.standard_normal((*shape, int(patients[-1]) + 1))[..., patients]
        return np.sqrt(WITHIN) * shared + np.sqrt(1 - WITHIN) * own

    while True:
        truth = normal()
        is_case = truth > stats.norm.isf(scenario.cases)
        if min(len(np.unique(patients[is_case])), len(np.unique(patients[~is_case]))) > 1:
            break
    shared = 1 - of.variant - of.seed
    noise = (
        np.sqrt(shared) * normal()
        + np.sqrt(of.variant) * normal(VARIANTS, 1)
        + np.sqrt(of.seed) * normal(VARIANTS, seeds)
    )
    correlation = np.tanh(_centres() + _spreads(scenario)[:, None] * rng.standard_normal((VARIANTS, seeds)))[..., None]
    scores = correlation * truth + np.sqrt(1 - correlation**2) * noise
    cuts = _cuts(SHARES[scenario.grades])
    return Drawn(
        labels=np.searchsorted(cuts, truth),
        is_case=is_case,
        scores=scores,
        grades=(scores[..., None] > cuts).sum(axis=-1),
        patients=patients if scenario.patients else None,
    )


def _centres() -> np.ndarray:
    """Fisher's z of the variants, `[V, 1]`."""
    return np.arctanh([[EQUAL]] * (VARIANTS - 1) + [[BETTER]])


def _spreads(scenario: Scenario) -> np.ndarray:
    """Standard deviations of Fisher's z over seeds, `[V]`."""
    of = VARIATIONS[scenario.variation]
    return np.array([of.first] + [of.others] * (VARIANTS - 1)) / np.sqrt(scenario.examples)


def truths(scenario: Scenario) -> dict[str, np.ndarray]:
    """The mean over seeds, in the population of examples, of qwk, mae, accuracy and auc of each variant, `[V]`."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)
    correlations = np.tanh(_centres() + _spreads(scenario)[:, None] * nodes)
    values = [[_measures(float(rho), scenario.grades, scenario.cases) for rho in row] for row in correlations]
    return {
        name: np.array([[value[name] for value in row] for row in values]) @ weights / weights.sum()
        for name in values[0][0]
    }


@functools.lru_cache(256)
def _measures(rho: float, grades: int, cases: float) -> dict[str, float]:
    """The measures of a population where labels and scores are correlated so."""
    cuts, error = _cuts(SHARES[grades]), np.sqrt(1 - rho**2)
    table = []
    for low, high in zip([-9, *cuts], [*cuts, 9], strict=True):
        at, mass = _normal_between(low, high)
        upto = special.ndtr((np.array([-np.inf, *cuts, np.inf])[:, None] - rho * at) / error) @ mass
        table.append(np.diff(upto))
    joint = np.array(table)
    gaps = np.abs(np.subtract.outer(np.arange(len(joint)), np.arange(len(joint))))
    by_chance = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    threshold = float(stats.norm.isf(cases))
    case, of_cases = _normal_between(threshold, 9)
    control, of_controls = _normal_between(-9, threshold)
    above = special.ndtr(rho * np.subtract.outer(case, control) / (error * np.sqrt(2)))
    return {
        "qwk": 1 - float((joint * gaps**2).sum() / (by_chance * gaps**2).sum()),
        "mae": float((joint * gaps).sum()),
        "accuracy": float(np.trace(joint)),
        "auc": float(of_cases @ above @ of_controls / (of_cases.sum() * of_controls.sum())),
    }


def _normal_between(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and masses of the standard normal between two limits, by Gauss and Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    at = (low + high) / 2 + nodes * (high - low) / 2
    return at, weights * (high - low) / 2 * stats.norm.pdf(at)
