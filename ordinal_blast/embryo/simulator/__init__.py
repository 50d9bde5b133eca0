"""Simulated time-lapse recordings of human blastocysts, graded, seeded and free of anyone's data."""

from __future__ import annotations

from ordinal_blast.embryo.simulator.population import INSTRUMENTS, METHODS, Simulation, population
from ordinal_blast.embryo.simulator.render import records, render

__all__ = ["INSTRUMENTS", "METHODS", "Simulation", "population", "records", "render"]
