"""The second data set of Kragh et al. (2019): embryos of one instrument, each graded by 5 to 46 embryologists."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from ordinal_blast.embryo.simulator.population import (
    CLINICS,
    Simulation,
    cut_points,
    key_of,
    normals,
    seen,
    traits,
)
from ordinal_blast.evaluation.raters import vote

FIRST = 2**30  # number of the first embryo: none of the blocks has it
LEAST = 5  # embryologists of an embryo
TIES = "median"


def panel(simulation: Simulation) -> dict[str, np.ndarray]:
    """What `population` says of each embryo of the panel, in treatments of their own, and rater_icm, rater_te.

    Those are int32 `[N, raters]`, -1 where an embryologist did not grade it; icm and te are their vote. An embryologist
    has a bias, magnifies quality more or less, and abstains now and then, from some embryos more than from others.
    """
    count, raters = simulation.panel, simulation.raters
    ids = FIRST + np.arange(count)
    own, shared = (normals(key_of(simulation, purpose), ids) for purpose in (0, 1))
    clinic = np.searchsorted(np.cumsum(CLINICS), ndtr(shared[:, 3])).clip(0, len(CLINICS) - 1)
    rows = traits(simulation, own, shared, clinic, np.zeros(count, bool))
    draws = np.random.default_rng((simulation.seed, FIRST))
    graded = _who(draws, count, raters, simulation.abstain_share)
    habits = draws.standard_normal((2, raters, 2))
    errors = draws.standard_normal((2, count, raters))
    judged = {}
    for number, task in enumerate(("icm", "te")):
        latent, noise = rows[f"latent_{task}"], getattr(simulation, f"{task}_noise")
        looks = seen(simulation, noise, latent[:, None], habits[number], errors[number])
        cuts, true_cuts = cut_points(simulation, task)
        judged[f"rater_{task}"] = np.where(graded, np.searchsorted(cuts, looks, side="right"), -1)
        judged[f"{task}_true"] = np.searchsorted(true_cuts, latent, side="right")
        judged[task] = vote(judged[f"rater_{task}"], TIES)
    nobody = {name: np.full(count, value) for name, value in (("annotator", -1), ("set", -1), ("fetal_heartbeat", -1))}
    known = {"id": ids, "treatment": ids, "method": np.ones(count, int)} | nobody
    return rows | {name: values.astype(np.int32) for name, values in (known | judged).items()}


def _who(draws: np.random.Generator, count: int, raters: int, abstain: float) -> np.ndarray:
    """Which embryologists graded which embryo, bool `[N, raters]`: all of them the first, and five the second.

    From the third, which all were asked to grade, most abstain, as 37 of 46 did in the paper.
    """
    asked, often = draws.integers(LEAST, raters + 1, count), abstain * draws.gamma(1.0, size=count)
    asked[:3], often[:3] = (raters, LEAST, raters)[:count], (0.0, 0.0, 37 / 46)[:count]
    order = draws.permuted(np.broadcast_to(np.arange(raters), (count, raters)), axis=1)
    stays = draws.random((count, raters)) >= often[:, None]
    least = order < LEAST  # nobody of these abstains
    return (order < asked[:, None]) & (stays | least)
