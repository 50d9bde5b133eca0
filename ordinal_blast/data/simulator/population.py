"""Who the embryos are: treatments, clinics, latent quality, grades, development and outcome.

Every random number of embryo i comes from `fold_in(key, i)`, and of its treatment from `fold_in(key, treatment)`: an embryo
is the same whatever the number simulated. Marginals follow Kragh et al. (2019), section 3.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr

METHODS = ("IVF", "ICSI", "both")
INSTRUMENTS = ("EmbryoScope", "EmbryoScope+")
EMBRYO_DRAWS, TREATMENT_DRAWS = 10, 6


@dataclasses.dataclass(frozen=True)
class Simulation:
    """What is simulated: the size of the set, the imaging grid, and the shares and effects of the population.

    size: H = W in pixels. hours: frame times in hours post insemination (hpi). planes: focal offsets in µm. Shares of
    grades are worst to best (C, B, A); effects are log odds per standard deviation.
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
        for name in ("embryos", "size", "clinics", "hours", "planes"):
            value = getattr(self, name)
            if not value or (isinstance(value, int) and value < 1):
                raise ValueError(f"Simulation.{name} is {value!r}: give at least one")

    @property
    def key(self) -> jax.Array:
        """The root of every random number of the simulation."""
        return jax.random.key(self.seed)


def cut_points(shares: tuple[float, ...]) -> tuple[float, ...]:
    """K - 1 cut points of a standard normal that give K grades their shares."""
    return tuple(NormalDist().inv_cdf(float(p)) for p in np.cumsum(shares)[:-1])


def population(simulation: Simulation) -> dict[str, np.ndarray]:
    """Everything known about each embryo but its pixels; every array has the N embryos first.

    id, treatment, clinic, method, instrument: int32. age: years. empty: a well without an embryo. latent_icm, latent_te:
    standard normal quality. icm_true, te_true: their grades; icm, te: one annotator's grades, 0 = C to 2 = A. tA, tmeb_true:
    hours of annotation and of maximum expansion (hpi). fetal_heartbeat: 1, 0, or -1 where not transferred. rater_icm,
    rater_te: `[N, raters]`, -1 where a rater abstains. Grades and outcome of empty wells are -1.
    """
    return {name: np.asarray(values) for name, values in _population(simulation).items()}


@functools.partial(jax.jit, static_argnums=0)
def _population(simulation: Simulation) -> dict[str, jax.Array]:
    ids = jnp.arange(simulation.embryos)
    embryo_key, treatment_key, rater_key = jax.random.split(simulation.key, 3)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(embryo_key, ids)
    draws = jax.vmap(lambda key: jax.random.normal(key, (EMBRYO_DRAWS,)))(keys)
    opens = ndtr(draws[:, 0]) * simulation.embryos_per_treatment < 1.0
    treatments = jnp.cumsum(opens.at[0].set(True)) - 1
    treatment_keys = jax.vmap(jax.random.fold_in, (None, 0))(treatment_key, treatments)
    treatment_draws = jax.vmap(lambda key: jax.random.normal(key, (TREATMENT_DRAWS,)))(treatment_keys)
    people = jax.vmap(functools.partial(_embryo, simulation))(treatment_draws, draws)
    latents = jnp.stack([people["latent_icm"], people["latent_te"]])
    panel = _panel(simulation, rater_key, keys, latents)
    return {"id": ids, "treatment": treatments} | people | panel


def _embryo(simulation: Simulation, treatment: jax.Array, own: jax.Array) -> dict[str, jax.Array]:
    """One embryo from the standard normal draws of its treatment and its own."""
    correlation, shared = simulation.icm_te_correlation, simulation.treatment_correlation
    weights = jnp.array([[1.0, 0.0], [correlation, math.sqrt(1.0 - correlation**2)]])
    icm, te = math.sqrt(shared) * weights @ treatment[:2] + math.sqrt(1.0 - shared) * weights @ own[1:3]
    quality = (icm + te) / math.sqrt(2.0 * (1.0 + correlation))

    aged = jnp.clip(treatment[2], -2.5, 2.5)
    method, clinic, instrument = ndtr(treatment[3:6])
    clinics = np.arange(simulation.clinics, 0, -1) / sum(range(simulation.clinics + 1))

    transfer, heartbeat, hour, empty = ndtr(own[3:7])
    empty = empty < simulation.empty_share
    transfer_intercept, heartbeat_intercept = _intercepts(simulation)
    transferred = transfer < jax.nn.sigmoid(transfer_intercept + simulation.transfer_effect * quality)
    effects = simulation.heartbeat_effect * quality - simulation.age_effect * aged
    beats = heartbeat < jax.nn.sigmoid(heartbeat_intercept + effects)
    grades = {
        "icm_true": _grade(icm, simulation.icm_shares),
        "te_true": _grade(te, simulation.te_shares),
        "icm": _grade(_seen(simulation, icm, own[7]), simulation.icm_shares),
        "te": _grade(_seen(simulation, te, own[8]), simulation.te_shares),
        "fetal_heartbeat": jnp.where(transferred, beats.astype(jnp.int32), -1),
    }
    return {
        "clinic": _category(clinic, clinics),
        "method": _category(method, simulation.method_shares),
        "instrument": (instrument < simulation.embryoscope_plus_share).astype(jnp.int32),
        "age": simulation.mean_age + simulation.age_spread * aged,
        "empty": empty,
        "latent_icm": icm,
        "latent_te": te,
        "tA": 115.0 + 5.0 * hour,
        "tmeb_true": jnp.clip(117.0 - 1.5 * quality + 3.0 * own[9], 106.0, 128.0),
    } | {name: jnp.where(empty, -1, values) for name, values in grades.items()}


def _category(uniform: jax.Array, shares: Sequence[float]) -> jax.Array:
    return (uniform > np.cumsum(shares)[:-1].astype(np.float32)).sum(dtype=jnp.int32)


def _grade(latent: jax.Array, shares: tuple[float, ...]) -> jax.Array:
    return sum((latent > cut).astype(jnp.int32) for cut in cut_points(shares))


def _seen(simulation: Simulation, latent: jax.Array, noise: jax.Array) -> jax.Array:
    """Quality as an annotator sees it, (z + σ ε) / sqrt(1 + σ²): the shares of the grades stay as they are."""
    sigma = simulation.annotator_noise
    return (latent + sigma * noise) / math.sqrt(1.0 + sigma**2)


def _panel(simulation: Simulation, key: jax.Array, keys: jax.Array, latents: jax.Array) -> dict[str, jax.Array]:
    """Grades `[N, raters]` of a panel: each rater has a bias, part of the annotator noise, and sometimes abstains."""
    of_rater = jax.vmap(lambda rater: jax.random.normal(jax.random.fold_in(key, rater), (2,)))
    of_grade = jax.vmap(
        jax.vmap(lambda own, rater: jax.random.normal(jax.random.fold_in(own, rater + 1), (3,)), (None, 0)), (0, None)
    )
    panel = jnp.arange(simulation.raters)
    bias, noise = of_rater(panel), of_grade(keys, panel)
    share = simulation.rater_bias
    grades = {}
    for task, (name, shares) in enumerate(
        {"rater_icm": simulation.icm_shares, "rater_te": simulation.te_shares}.items()
    ):
        error = share * bias[None, :, task] + math.sqrt(1.0 - share**2) * noise[..., task]
        abstains = ndtr(noise[..., 2]) < simulation.abstain_share
        grades[name] = jnp.where(abstains, -1, _grade(_seen(simulation, latents[task][:, None], error), shares))
    return grades


@functools.cache
def _intercepts(simulation: Simulation) -> tuple[float, float]:
    """Log odds of transfer and of heartbeat for the mean embryo, so that their shares come out (Gauss-Hermite)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    quality, age = np.meshgrid(nodes, nodes, indexing="ij")
    density = np.outer(weights, weights)
    transfer_effects = simulation.transfer_effect * quality
    transfer = _intercept(simulation.transfer_share, transfer_effects, density)
    transferred = density / (1.0 + np.exp(-(transfer + transfer_effects)))
    heartbeat_effects = simulation.heartbeat_effect * quality - simulation.age_effect * age
    return transfer, _intercept(simulation.heartbeat_share, heartbeat_effects, transferred)


def _intercept(share: float, effects: np.ndarray, density: np.ndarray) -> float:
    """The a for which the mean of sigmoid(a + effects) under the density is the share, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = np.average(1.0 / (1.0 + np.exp(-(middle + effects))), weights=density)
        low, high = (middle, high) if mean < share else (low, middle)
    return low
