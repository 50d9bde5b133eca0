"""Who the embryos are: treatments, clinics, latent quality, grades, development and outcome.

Every random number of embryo i comes from `fold_in(key, i)`, and of its treatment from `fold_in(key, treatment)`: an
embryo is the same whatever the number simulated. Shares follow Kragh et al. (2019), section 3; effects, correlations,
clinics' sizes and hours are this project's own.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from statistics import NormalDist

import jax
import numpy as np
from scipy.special import expit, ndtr

from ordinal_blast.ranges import SEED, SHARES, Range, check_fields, list_of, number, whole

METHODS = ("IVF", "ICSI", "both")
INSTRUMENTS = ("EmbryoScope", "EmbryoScope+")
DRAWS = 10
_NUMBERS = list_of(number())
_SHARE, _EFFECT = number(least=0, most=1), number(least=-100, most=100)
_RANGES = {
    "embryos": whole(1),
    "size": whole(1),
    "hours": Range(
        "increasing numbers from 0 on, one or more",
        lambda value: _NUMBERS.holds(value) and value[0] >= 0 and bool(np.all(np.diff(value) > 0)),
    ),
    "planes": Range(
        "one or more numbers, each once", lambda value: _NUMBERS.holds(value) and len(set(value)) == len(value)
    ),
    "seed": SEED,
    "clinics": whole(1),
    "raters": whole(0),
    "empty_share": _SHARE,
    "embryos_per_treatment": number(least=1),
    "method_shares": SHARES,
    "embryoscope_plus_share": _SHARE,
    "icm_shares": SHARES,
    "te_shares": SHARES,
    "treatment_correlation": _SHARE,
    "icm_te_correlation": number(least=-0.99, most=1),
    "annotator_noise": number(least=0),
    "rater_bias": _SHARE,
    "abstain_share": _SHARE,
    "mean_age": number(least=0),
    "age_spread": number(least=0),
    "transfer_share": _SHARE,
    "transfer_effect": _EFFECT,
    "heartbeat_share": _SHARE,
    "heartbeat_effect": _EFFECT,
    "age_effect": _EFFECT,
}


@dataclasses.dataclass(frozen=True)
class Simulation:
    """What is simulated: the size of the set, the imaging grid, and the shares and effects of the population.

    size: H = W in pixels. hours: increasing frame times in hours post insemination (hpi). planes: focal offsets in µm.
    Shares of grades are worst to best (C, B, A); effects are log odds per standard deviation. Raises UsageError for
    what is outside its range.
    """

    embryos: int
    size: int
    hours: tuple[float, ...]
    planes: tuple[float, ...]
    seed: int
    clinics: int = 4
    raters: int = 0
    empty_share: float = 0.0
    embryos_per_treatment: float = 8664 / 4032
    method_shares: tuple[float, ...] = (1169 / 4032, 2534 / 4032, 329 / 4032)
    embryoscope_plus_share: float = 4483 / 8664
    icm_shares: tuple[float, ...] = (0.13, 0.40, 0.47)
    te_shares: tuple[float, ...] = (0.17, 0.40, 0.43)
    treatment_correlation: float = 0.25
    icm_te_correlation: float = 0.45
    annotator_noise: float = 0.55
    rater_bias: float = 0.25
    abstain_share: float = 0.04
    mean_age: float = 35.0
    age_spread: float = 4.6
    transfer_share: float = 287 / 851
    transfer_effect: float = 0.6
    heartbeat_share: float = 87 / 287
    heartbeat_effect: float = 1.0
    age_effect: float = 0.25

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, "data.options")

    @property
    def key(self) -> jax.Array:
        """The root of every random number of the simulation."""
        return jax.random.key(self.seed)


def cut_points(shares: tuple[float, ...]) -> tuple[float, ...]:
    """K - 1 cut points of a standard normal that give K grades their shares."""
    return tuple(NormalDist().inv_cdf(float(p)) for p in np.cumsum(shares)[:-1])


def population(simulation: Simulation) -> dict[str, np.ndarray]:
    """Everything known about each embryo but its pixels; every array has the N embryos first.

    id, treatment, clinic, method, instrument: int32. age: years. empty: bool, a well without an embryo. latent_icm,
    latent_te: standard normal quality. icm_true, te_true: their grades; icm, te: one annotator's, 0 = C to 2 = A. tA,
    tmeb_true: hours of annotation and of maximum expansion (hpi). fetal_heartbeat: 1, 0, or -1 where not transferred.
    rater_icm, rater_te: `[N, raters]`, -1 where a rater abstains. Grades and outcome of empty wells are -1.
    """
    ids = np.arange(simulation.embryos)
    embryo_key, treatment_key, rater_key = jax.random.split(jax.random.fold_in(simulation.key, 0), 3)
    own = _normals(embryo_key, ids)
    opens = ndtr(own[:, 0]) * simulation.embryos_per_treatment < 1.0
    opens[0] = True
    treatments = np.cumsum(opens) - 1
    shared = _normals(treatment_key, treatments)

    correlation, alike = simulation.icm_te_correlation, simulation.treatment_correlation
    weights = np.array([[1.0, 0.0], [correlation, math.sqrt(1.0 - correlation**2)]])
    icm, te = weights @ (math.sqrt(alike) * shared[:, :2] + math.sqrt(1.0 - alike) * own[:, 1:3]).T
    quality = (icm + te) / math.sqrt(2.0 * (1.0 + correlation))

    method, clinic, instrument = ndtr(shared[:, 3:6]).T
    transfer, heartbeat, hour, empty = ndtr(own[:, 3:7]).T
    empty = empty < simulation.empty_share
    aged = np.clip(shared[:, 2], -2.5, 2.5)
    transfer_intercept, heartbeat_intercept = _intercepts(simulation)
    transferred = transfer < expit(transfer_intercept + simulation.transfer_effect * quality)
    effects = simulation.heartbeat_effect * quality - simulation.age_effect * aged
    beats = heartbeat < expit(heartbeat_intercept + effects)

    known = {
        "id": ids,
        "treatment": treatments,
        "clinic": _category(clinic, np.arange(simulation.clinics, 0, -1)),
        "method": _category(method, simulation.method_shares),
        "instrument": instrument < simulation.embryoscope_plus_share,
    }
    measured = {
        "age": simulation.mean_age + simulation.age_spread * aged,
        "latent_icm": icm,
        "latent_te": te,
        "tA": 115.0 + 5.0 * hour,
        "tmeb_true": np.clip(117.0 - 1.5 * quality + 3.0 * own[:, 9], 106.0, 128.0),
    }
    judged = {
        "icm_true": _grade(icm, simulation.icm_shares),
        "te_true": _grade(te, simulation.te_shares),
        "icm": _grade(_seen(simulation, icm, own[:, 7]), simulation.icm_shares),
        "te": _grade(_seen(simulation, te, own[:, 8]), simulation.te_shares),
        "fetal_heartbeat": np.where(transferred, beats, -1),
        "rater_icm": _panel(simulation, jax.random.fold_in(rater_key, 0), ids, icm, simulation.icm_shares),
        "rater_te": _panel(simulation, jax.random.fold_in(rater_key, 1), ids, te, simulation.te_shares),
    }
    judged = {name: np.where(empty, -1, values.T).T for name, values in judged.items()}
    return (
        {name: values.astype(np.int32) for name, values in (known | judged).items()}
        | {name: values.astype(np.float32) for name, values in measured.items()}
        | {"empty": empty}
    )


@jax.jit
def _keyed_normals(key: jax.Array, ids: jax.Array) -> jax.Array:
    return jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i), (DRAWS,)))(ids)


def _normals(key: jax.Array, ids: np.ndarray) -> np.ndarray:
    """Standard normal draws float64 `[len(ids), DRAWS]`; a row depends on its id alone."""
    padded = np.resize(ids, -(-len(ids) // 1024) * 1024)  # few shapes, few compilations
    return np.asarray(_keyed_normals(key, padded), np.float64)[: len(ids)]


def _category(uniform: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    edges = np.cumsum(shares) / np.sum(shares)
    return np.searchsorted(edges[:-1], uniform)


def _grade(latent: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    return np.searchsorted(cut_points(shares), latent)


def _seen(simulation: Simulation, latent: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Quality as an annotator sees it, (z + σ ε) / sqrt(1 + σ²): the shares of the grades stay as they are."""
    sigma = simulation.annotator_noise
    return (latent + sigma * noise) / math.sqrt(1.0 + sigma**2)


def _panel(
    simulation: Simulation, key: jax.Array, ids: np.ndarray, latent: np.ndarray, shares: tuple[float, ...]
) -> np.ndarray:
    """Grades `[N, raters]`: each rater has a bias, part of the annotator noise, and abstains (-1) now and then."""
    grades = np.full((len(ids), simulation.raters), -1)
    for rater in range(simulation.raters):
        bias = _normals(key, np.array([rater]))[0, 0]
        noise, abstains = _normals(jax.random.fold_in(key, rater), ids)[:, :2].T
        error = simulation.rater_bias * bias + math.sqrt(1.0 - simulation.rater_bias**2) * noise
        keeps = ndtr(abstains) >= simulation.abstain_share
        grades[keeps, rater] = _grade(_seen(simulation, latent, error), shares)[keeps]
    return grades


@functools.cache
def _intercepts(simulation: Simulation) -> tuple[float, float]:
    """Log odds of transfer and of heartbeat for the mean embryo, so that their shares come out (Gauss-Hermite)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    quality, age = np.meshgrid(nodes, nodes, indexing="ij")
    density = np.outer(weights, weights)
    transfer_effects = simulation.transfer_effect * quality
    transfer = _intercept(simulation.transfer_share, transfer_effects, density)
    transferred = density * expit(transfer + transfer_effects)
    heartbeat_effects = simulation.heartbeat_effect * quality - simulation.age_effect * age
    return transfer, _intercept(simulation.heartbeat_share, heartbeat_effects, transferred)


def _intercept(share: float, effects: np.ndarray, density: np.ndarray) -> float:
    """The a for which the mean of sigmoid(a + effects) under the density is the share, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = np.average(expit(middle + effects), weights=density)
        low, high = (middle, high) if mean < share else (low, middle)
    return low
