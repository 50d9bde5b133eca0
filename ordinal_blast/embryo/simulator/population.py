"""Who the embryos are: treatments, clinics, latent quality, grades, development and outcome.

Embryos come in blocks as large as the paper's first data set, and a block has its counts to the last embryo. So the
first n embryos are the same whatever the number simulated, and a part of a block is a sample of it. Counts follow Kragh
et al. (2019), section 3; effects, correlations, clinics and hours are this project's own.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import jax
import numpy as np
from scipy.special import ndtr

from ordinal_blast.embryo.simulator.instruments import INSTRUMENTS
from ordinal_blast.ranges import SEED, SHARES, check_fields, number, whole

METHODS, METHOD_COUNTS = ("IVF", "ICSI", "both"), (1169, 2534, 329)
EMBRYOS, TREATMENTS, EMBRYOSCOPE_PLUS = 8664, 4032, 4483
SETS, SET_COUNTS = ("train", "val", "test"), (6957, 856, 851)
TRANSFERRED, HEARTBEATS = 287 / 851, 87 / 287
CLINICS = (0.4, 0.3, 0.2, 0.1)  # shares of the treatments
CLINIC_PLUS = (1.5, -1.0, 0.5, -2.0)  # log odds of a treatment there to be in an EmbryoScope+, but for a constant
CLINIC_QUALITY = (0.1, -0.15, 0.1, -0.15)  # mean latent quality there
ANNOTATORS = 5  # of a clinic
MEAN_AGE, AGE_SPREAD = 35.0, 4.6
DRAWS = 16
_EFFECT = number(least=-100, most=100)
_RANGES = {
    "embryos": whole(1),
    "seed": SEED,
    "panel": whole(0),
    "raters": whole(5),
    "graders": whole(0, ANNOTATORS),
    "icm_shares": SHARES,
    "te_shares": SHARES,
    "treatment_correlation": number(least=0, most=1),
    "icm_te_correlation": number(least=-0.99, most=1),
    "icm_noise": number(least=0),
    "te_noise": number(least=0),
    "rater_bias": number(least=0),
    "rater_slope": number(least=0),
    "abstain_share": number(least=0, most=1),
    "transfer_effect": _EFFECT,
    "heartbeat_effect": _EFFECT,
    "age_effect": _EFFECT,
}


@dataclasses.dataclass(frozen=True)
class Simulation:
    """What is simulated: how many embryos, of which seed, and the shares and effects of the population.

    panel: embryos of the second data set, which up to `raters` embryologists grade. graders: embryologists of its
    clinic who grade each embryo, the annotator first; 0 keeps the annotator's grade alone. Shares of grades are worst
    to best (C, B, A). icm_noise, te_noise: s.d. of what an embryologist sees wrong in one embryo, rater_bias of what
    one sees wrong in all, in standard deviations of quality; rater_slope: s.d. of the log of by how much one magnifies
    quality. Effects are log odds per standard deviation. Raises UsageError for what is outside its range.
    """

    embryos: int = EMBRYOS
    seed: int = 0
    panel: int = 55
    raters: int = 46
    graders: int = 0
    icm_shares: tuple[float, ...] = (0.13, 0.40, 0.47)
    te_shares: tuple[float, ...] = (0.17, 0.40, 0.43)
    treatment_correlation: float = 0.25
    icm_te_correlation: float = 0.45
    icm_noise: float = 0.85
    te_noise: float = 0.47
    rater_bias: float = 0.2
    rater_slope: float = 0.15
    abstain_share: float = 0.04
    transfer_effect: float = 0.6
    heartbeat_effect: float = 0.9
    age_effect: float = 0.25

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, "data.options")

    @property
    def key(self) -> jax.Array:
        """The root of every random number of the simulation."""
        return jax.random.key(self.seed)


def population(simulation: Simulation) -> dict[str, np.ndarray]:
    """Everything known about each embryo but its pixels; every array has the N embryos first.

    id, treatment, clinic, method, instrument, annotator: int32. set: int32, of `SETS`, which no treatment is divided
    among. age: years. empty: bool. latent_icm, latent_te: quality, mean 0 and s.d. 1 within a clinic. icm_true,
    te_true: their grades; icm, te: those of its clinic's annotator, 0 = C to 2 = A. tA, tmeb_true: hours of annotation
    and of maximum expansion (hpi). first_hpi, minutes: of the frames that the instrument records. fetal_heartbeat: 1,
    0, or -1 where not transferred. rater_icm, rater_te: int32 `[N, R]`, where there are `graders`, what every one of
    the R annotators of all clinics says, -1 where nothing.
    """
    blocks = [_block(simulation, number) for number in range(-(-simulation.embryos // EMBRYOS))]
    names = [name for name in blocks[0] if not name.startswith("look_")]
    return {name: np.concatenate([block[name] for block in blocks])[: simulation.embryos] for name in names}


@functools.lru_cache(maxsize=2)
def _block(simulation: Simulation, block: int) -> dict[str, np.ndarray]:
    design = np.random.default_rng((simulation.seed, block))
    ids = block * EMBRYOS + np.arange(EMBRYOS)
    own = normals(key_of(simulation, 0), ids)
    # Where treatments begin: any choice is as likely, so that their sizes are geometric but for the sum.
    opens = np.zeros(EMBRYOS, bool)
    opens[0], opens[1 + design.permutation(EMBRYOS - 1)[: TREATMENTS - 1]] = True, True
    treatment = np.cumsum(opens) - 1
    sizes = np.bincount(treatment)
    shared = normals(key_of(simulation, 1), block * TREATMENTS + np.arange(TREATMENTS))

    clinic = design.permutation(
        np.repeat(range(4), np.diff(np.rint(np.cumsum((0, *CLINICS)) * TREATMENTS)).astype(int))
    )
    method = design.permutation(np.repeat(range(3), METHOD_COUNTS))
    plus = filled(sizes, np.asarray(CLINIC_PLUS)[clinic] + design.logistic(size=TREATMENTS), EMBRYOSCOPE_PLUS)
    last = filled(sizes, design.random(TREATMENTS), SET_COUNTS[2])
    middle = filled(np.where(last, EMBRYOS, sizes), design.random(TREATMENTS), SET_COUNTS[1])
    sets = np.where(last, 2, np.where(middle, 1, 0))[treatment]

    people = traits(simulation, own, shared[treatment], clinic[treatment], plus[treatment])
    annotator = ANNOTATORS * people["clinic"] + design.integers(ANNOTATORS, size=EMBRYOS)
    everyone = normals(key_of(simulation, 2), np.arange(ANNOTATORS * len(CLINICS)))
    habits = everyone[annotator]
    icm, te = people["latent_icm"], people["latent_te"]
    looks = {
        "icm": seen(simulation, simulation.icm_noise, icm, habits[:, :2], own[:, 7]),
        "te": seen(simulation, simulation.te_noise, te, habits[:, 2:4], own[:, 8]),
    }
    judged = {f"{task}_true": _by_quota(people[f"latent_{task}"], _shares(simulation, task)) for task in looks}
    judged |= {task: _by_quota(look, _shares(simulation, task)) for task, look in looks.items()}
    if simulation.graders:
        judged |= _others(simulation, people, annotator, everyone, normals(key_of(simulation, 3), ids), looks)
    quality = (icm + te) / math.sqrt(2.0 * (1.0 + simulation.icm_te_correlation))
    aged = (people["age"] - MEAN_AGE) / AGE_SPREAD
    beats = simulation.heartbeat_effect * quality - simulation.age_effect * aged + design.logistic(size=EMBRYOS)
    chosen = simulation.transfer_effect * quality + design.logistic(size=EMBRYOS)
    heartbeat = np.full(EMBRYOS, -1)
    for place in range(len(SETS)):
        rows = np.flatnonzero(sets == place)
        moved = rows[np.argsort(-chosen[rows])][: round(TRANSFERRED * len(rows))]
        heartbeat[moved] = 0
        heartbeat[moved[np.argsort(-beats[moved])][: round(HEARTBEATS * len(moved))]] = 1
    known = {
        "id": ids,
        "treatment": block * TREATMENTS + treatment,
        "method": method[treatment],
        "annotator": annotator,
        "set": sets,
        "fetal_heartbeat": heartbeat,
    }
    known = {name: values.astype(np.int32) for name, values in (known | judged).items()}
    return people | known | {f"look_{task}": look for task, look in looks.items()}


def traits(
    simulation: Simulation, own: np.ndarray, shared: np.ndarray, clinic: np.ndarray, plus: np.ndarray
) -> dict[str, np.ndarray]:
    """What draws a picture, and the age, of embryos with standard normal draws of their own and of their treatment.

    own, shared: `[N, DRAWS]`; clinic, plus: `[N]`.
    """
    correlation, alike = simulation.icm_te_correlation, simulation.treatment_correlation
    weights = np.array([[1.0, 0.0], [correlation, math.sqrt(1.0 - correlation**2)]])
    icm, te = weights @ (math.sqrt(alike) * shared[:, :2] + math.sqrt(1.0 - alike) * own[:, 1:3]).T
    quality = (icm + te) / math.sqrt(2.0 * (1.0 + correlation))
    hour, first, pace = ndtr(own[:, 3:6]).T
    least, most = np.asarray([instrument.minutes for instrument in INSTRUMENTS]).T[:, plus.astype(int)]
    minutes = np.floor(least + pace * (most - least + 1))
    measured = {
        "age": MEAN_AGE + AGE_SPREAD * np.clip(shared[:, 2], -2.5, 2.5),
        "latent_icm": icm + np.asarray(CLINIC_QUALITY)[clinic],
        "latent_te": te + np.asarray(CLINIC_QUALITY)[clinic],
        "tA": 115.0 + 5.0 * hour,
        "tmeb_true": np.clip(117.0 - 1.5 * quality + 3.0 * own[:, 9], 106.0, 128.0),
        "minutes": minutes,
        "first_hpi": first * minutes / 60.0,
    }
    places = {"clinic": clinic.astype(np.int32), "instrument": plus.astype(np.int32)}
    return {name: values.astype(np.float32) for name, values in measured.items()} | places | {"empty": clinic < 0}


def seen(simulation: Simulation, noise: float, latent: np.ndarray, habit: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Quality as embryologists see it, exp(s h₁) z + b h₀ + σ ε: habit `[..., 2]` of the rater, error of the embryo."""
    return (
        np.exp(simulation.rater_slope * habit[..., 1]) * latent + simulation.rater_bias * habit[..., 0] + noise * error
    )


def _others(
    simulation: Simulation,
    people: dict[str, np.ndarray],
    annotator: np.ndarray,
    everyone: np.ndarray,
    errors: np.ndarray,
    looks: dict[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """What the annotator `[N]` and the next ones of the same clinic say of each embryo, rater_icm and rater_te.

    everyone: habits of all annotators `[R, DRAWS]`; errors: draws `[N, DRAWS]`; looks: what the annotator sees.
    """
    rows, said = np.arange(len(annotator)), {}
    for place, (task, look) in enumerate(looks.items()):
        cuts, noise = _cuts(look, _shares(simulation, task)), getattr(simulation, f"{task}_noise")
        votes = np.full((len(rows), len(everyone)), -1)
        votes[rows, annotator] = np.searchsorted(cuts, look, side="right")
        for further in range(1, simulation.graders):
            who = annotator - annotator % ANNOTATORS + (annotator + further) % ANNOTATORS
            habit, error = everyone[who, 2 * place : 2 * place + 2], errors[:, 2 * further + place]
            also = seen(simulation, noise, people[f"latent_{task}"], habit, error)
            votes[rows, who] = np.searchsorted(cuts, also, side="right")
        said[f"rater_{task}"] = votes
    return said


def key_of(simulation: Simulation, purpose: int) -> jax.Array:
    """The key of normal draws by number: 0 embryos, 1 treatments, 2 annotators, 3 what other graders see wrong."""
    return jax.random.fold_in(jax.random.fold_in(simulation.key, 0), purpose)


@jax.jit
def _keyed_normals(key: jax.Array, ids: jax.Array) -> jax.Array:
    return jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i), (DRAWS,)))(ids)


def normals(key: jax.Array, ids: np.ndarray) -> np.ndarray:
    """Standard normal draws float64 `[len(ids), DRAWS]`; a row depends on its id alone."""
    padded = np.resize(ids, -(-len(ids) // 1024) * 1024)  # few shapes, few compilations
    return np.asarray(_keyed_normals(key, padded), np.float64)[: len(ids)]


def filled(sizes: np.ndarray, score: np.ndarray, total: int) -> np.ndarray:
    """Which groups, in order of their scores from the highest on, are taken so that their sizes sum to the total.

    A group that would be too much is passed over, as far as groups of one are left to fill up with: bool `[G]`.
    """
    taken, room = np.zeros(len(sizes), bool), total
    for group in np.argsort(-score):
        if sizes[group] <= room:
            taken[group], room = True, room - sizes[group]
    return taken


def cut_points(simulation: Simulation, task: str) -> tuple[np.ndarray, np.ndarray]:
    """Where the grades of a task begin, from the second on: in what embryologists see, and in true quality."""
    first = _block(simulation, 0)
    return tuple(_cuts(first[name], _shares(simulation, task)) for name in (f"look_{task}", f"latent_{task}"))


def _shares(simulation: Simulation, task: str) -> tuple[float, ...]:
    return simulation.icm_shares if task == "icm" else simulation.te_shares


def _by_quota(quality: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Grades `[N]` by rank, of which each has its share to the nearest embryo."""
    return np.searchsorted(_cuts(quality, shares), quality, side="right")


def _cuts(quality: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    return np.sort(quality)[np.rint(np.cumsum(shares)[:-1] * len(quality)).astype(int)]
