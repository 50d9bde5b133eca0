"""Simulated time-lapse frames of human blastocysts, graded, seeded and free of anyone's data."""

from __future__ import annotations

from ordinal_blast.embryo.simulator.instruments import INSTRUMENTS
from ordinal_blast.embryo.simulator.panel import panel
from ordinal_blast.embryo.simulator.population import METHODS, SETS, Simulation, population
from ordinal_blast.embryo.simulator.render import draw, masks, recording
from ordinal_blast.embryo.simulator.wells import wells

__all__ = [
    "INSTRUMENTS",
    "METHODS",
    "SETS",
    "Simulation",
    "draw",
    "masks",
    "panel",
    "population",
    "recording",
    "wells",
]
