"""The cropper's own images: wells of both instruments at any hour of development, some of them empty."""

from __future__ import annotations

import numpy as np

from ordinal_blast.embryo.simulator.population import CLINICS, Simulation, key_of, normals, traits

FIRST = 2**29  # number of the first well: none of the blocks has it
HOURS = (90.0, 128.0)


def wells(simulation: Simulation, images: int, embryos: float, plus: float) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rows as of `population` of so many wells, and the hour of each, float32 `[N]`.

    embryos: share of the wells that have one, plus: share in an EmbryoScope+, both to the nearest well.
    """
    draws = np.random.default_rng((simulation.seed, FIRST))
    ids = FIRST + np.arange(images)
    own, shared = (normals(key_of(simulation, purpose), ids) for purpose in (0, 1))
    clinic = draws.choice(len(CLINICS), images, p=CLINICS)
    scope = draws.permutation(np.arange(images) < round(plus * images))
    rows = traits(simulation, own, shared, clinic, scope)
    empty = draws.permutation(np.arange(images) >= round(embryos * images))
    return rows | {"id": ids.astype(np.int32), "empty": empty}, np.float32(draws.uniform(*HOURS, images))
