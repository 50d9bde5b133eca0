"""From population rows to frames: scenes of all embryos and hours, drawn in pieces of fixed size."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.data.simulator import optics
from ordinal_blast.data.simulator.population import Simulation, population
from ordinal_blast.data.simulator.scene import CLINIC_DRAWS, EMBRYO_DRAWS, Scene, scene

PIXELS_AT_ONCE = 2**19  # times planes: bounds memory, and keeps the work of one piece in the processor's cache


def render(simulation: Simulation, rows: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames uint8 `[n, T, H, W, F]`, embryo masks bool `[n, T, H, W]` and hours float32 `[T]` of n population rows."""
    size, planes = simulation.size, simulation.planes
    hours = np.asarray(simulation.hours, np.float32)
    count = len(rows["id"]) * len(hours)
    piece = min(max(1, PIXELS_AT_ONCE // (size * size * len(planes))), count)
    embryo, hour = np.divmod(np.arange(-(-count // piece) * piece) % count, len(hours))
    frames = np.empty((count, size, size, len(planes)), np.uint8)
    masks = np.empty((count, size, size), bool)
    used = {
        name: np.asarray(rows[name])
        for name in ("id", "clinic", "instrument", "empty", "latent_icm", "latent_te", "tmeb_true")
    }
    for start in range(0, count, piece):
        which = slice(start, start + piece)
        chosen = {name: values[embryo[which]] for name, values in used.items()}
        draws = _draws(simulation.key, chosen["id"], chosen["clinic"], hours[hour[which]])
        scenes = _scenes(draws, chosen, hours[hour[which]])
        geometry, inside = _geometry(scenes, size)
        pixels = _images(scenes, geometry, _paths(scenes, geometry, planes), planes, draws.noise)
        keep = min(piece, count - start)
        frames[which], masks[which] = np.asarray(pixels)[:keep], np.asarray(inside)[:keep]
    shape = (len(rows["id"]), len(hours), size, size)
    return frames.reshape(*shape, len(planes)), masks.reshape(shape), hours


class Draws(NamedTuple):
    """The random numbers of n scenes."""

    embryo: jax.Array  # [n, ...]
    clinic: jax.Array
    texture: jax.Array
    noise: jax.Array


@jax.jit
def _draws(key: jax.Array, ids: jax.Array, clinics: jax.Array, hours: jax.Array) -> Draws:
    """Random numbers of n embryos at n hours; only the noise changes from hour to hour."""
    embryo_key, clinic_key, noise_key = jax.random.split(jax.random.fold_in(key, 1), 3)

    def one(i: jax.Array, clinic: jax.Array, hour: jax.Array) -> Draws:
        own = jax.random.fold_in(embryo_key, i)
        return Draws(
            jax.random.normal(own, EMBRYO_DRAWS),
            jax.random.normal(jax.random.fold_in(clinic_key, clinic), CLINIC_DRAWS),
            jax.random.fold_in(own, 1),
            jax.random.fold_in(jax.random.fold_in(noise_key, i), (hour * 1000).astype(jnp.int32)),
        )

    return jax.vmap(one)(ids, clinics, hours)


@jax.jit
def _scenes(draws: Draws, rows: dict[str, jax.Array], hours: jax.Array) -> Scene:
    return jax.vmap(scene)(draws.embryo, draws.clinic, rows, hours, draws.texture)


# Three programs, not one: within one, XLA would compute again for every plane and every neighbour what they share.
@functools.partial(jax.jit, static_argnames="size")
def _geometry(scenes: Scene, size: int) -> tuple[optics.Geometry, jax.Array]:
    return jax.vmap(lambda each: (optics.geometry(each, size), optics.mask(each, size)))(scenes)


@functools.partial(jax.jit, static_argnames="planes")
def _paths(scenes: Scene, geometry: optics.Geometry, planes: tuple[float, ...]) -> optics.Paths:
    return jax.vmap(lambda *each: optics.paths(*each, planes))(scenes, geometry)


@functools.partial(jax.jit, static_argnames="planes")
def _images(
    scenes: Scene, geometry: optics.Geometry, paths: optics.Paths, planes: tuple[float, ...], keys: jax.Array
) -> jax.Array:
    return jax.vmap(lambda *each: optics.image(*each[:3], planes, each[3]))(scenes, geometry, paths, keys)


def records(simulation: Simulation, embryos_at_once: int = 32) -> Iterator[dict[str, Any]]:
    """Each embryo in turn: its population row, `frames` `[T, H, W, F]`, `masks` `[T, H, W]` and `hpi` `[T]`."""
    people = population(simulation)
    for start in range(0, simulation.embryos, embryos_at_once):
        rows = {name: values[start : start + embryos_at_once] for name, values in people.items()}
        frames, masks, hpi = render(simulation, rows)
        for i in range(len(frames)):
            yield {k: v[i] for k, v in rows.items()} | {"frames": frames[i], "masks": masks[i], "hpi": hpi}
