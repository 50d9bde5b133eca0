"""From population rows to frames: scenes of all embryos and hours, drawn in pieces of fixed size."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from ordinal_blast.embryo.simulator import optics
from ordinal_blast.embryo.simulator.population import Simulation, population
from ordinal_blast.embryo.simulator.scene import Scene, scenes

BYTES_AT_ONCE = 2**25  # of recordings held in memory: at least one, in configs/blastocyst.py 173 MB
PIXELS_AT_ONCE = 2**19  # times planes: bounds memory, and keeps the work of one piece in the processor's cache


def render(simulation: Simulation, rows: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames uint8 `[n, T, H, W, F]`, embryo masks bool `[n, T, H, W]` and hours float32 `[T]` of n population rows."""
    size, planes = simulation.size, simulation.planes
    hours = np.asarray(simulation.hours, np.float32)
    count = len(rows["id"]) * len(hours)
    piece = max(1, PIXELS_AT_ONCE // (size * size * len(planes)))
    embryo, hour = np.divmod(np.arange(-(-count // piece) * piece) % count, len(hours))
    frames = np.empty((count, size, size, len(planes)), np.uint8)
    masks = np.empty((count, size, size), bool)
    for start in range(0, count, piece):
        which = slice(start, start + piece)
        chosen = {name: np.asarray(values)[embryo[which]] for name, values in rows.items()}
        scene, noise_keys = scenes(simulation.key, chosen, hours[hour[which]])
        geometry, inside = _geometry(scene, size)
        pixels = _images(scene, geometry, _paths(scene, geometry, planes), planes, noise_keys)
        keep = min(piece, count - start)
        frames[which], masks[which] = np.asarray(pixels)[:keep], np.asarray(inside)[:keep]
    shape = (len(rows["id"]), len(hours), size, size)
    return frames.reshape(*shape, len(planes)), masks.reshape(shape), hours


# Three programs, not one: within one, XLA would compute again for every plane and every neighbour what they share.
@functools.partial(jax.jit, static_argnames="size")
def _geometry(scene: Scene, size: int) -> tuple[optics.Geometry, jax.Array]:
    return jax.vmap(lambda one: (optics.geometry(one, size), optics.mask(one, size)))(scene)


@functools.partial(jax.jit, static_argnames="planes")
def _paths(scene: Scene, geometry: optics.Geometry, planes: tuple[float, ...]) -> optics.Paths:
    return jax.vmap(lambda *one: optics.paths(*one, planes))(scene, geometry)


@functools.partial(jax.jit, static_argnames="planes")
def _images(
    scene: Scene, geometry: optics.Geometry, paths: optics.Paths, planes: tuple[float, ...], keys: jax.Array
) -> jax.Array:
    return jax.vmap(lambda *one: optics.image(*one[:3], planes, one[3]))(scene, geometry, paths, keys)


def records(simulation: Simulation) -> Iterator[dict[str, Any]]:
    """Each embryo in turn: its population row, `frames` `[T, H, W, F]`, `masks` `[T, H, W]` and `hpi` `[T]`."""
    people = population(simulation)
    recording = len(simulation.hours) * simulation.size**2 * len(simulation.planes)
    at_once = max(1, BYTES_AT_ONCE // recording)
    for start in range(0, simulation.embryos, at_once):
        rows = {name: values[start : start + at_once] for name, values in people.items()}
        frames, masks, hpi = render(simulation, rows)
        for i in range(len(frames)):
            yield {k: v[i] for k, v in rows.items()} | {"frames": frames[i], "masks": masks[i], "hpi": hpi}
