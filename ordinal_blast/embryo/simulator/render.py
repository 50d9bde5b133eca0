"""From population rows to frames: what is looked at, when it is looked at, in one program without camera noise."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import ArrayLike

from ordinal_blast.embryo.simulator import noise, optics
from ordinal_blast.embryo.simulator.instruments import INSTRUMENTS
from ordinal_blast.embryo.simulator.population import Simulation
from ordinal_blast.embryo.simulator.scene import Scene, scenes


def draw(key: jax.Array, row: Mapping[str, ArrayLike], hours: np.ndarray, planes: np.ndarray, size: int) -> np.ndarray:
    """Frames uint8 `[T, size, size, P]` of one population row at these hours (hpi `[T]`) and focal planes (µm `[P]`).

    key: of the simulation. They are the scene as an ideal camera has it; `noise.noisy` adds what a camera does. A frame
    depends on the row, its hour and the plane alone.
    """
    pixels = _frames(_scenes_of(key, row, hours), jnp.asarray(planes, jnp.float32), size)
    return np.moveaxis(np.asarray(pixels), 1, -1)


def masks(key: jax.Array, row: Mapping[str, ArrayLike], hours: np.ndarray, size: int) -> np.ndarray:
    """Where the embryo of a population row is at these hours, bool `[T, size, size]`."""
    return np.asarray(_masks(_scenes_of(key, row, hours), size))


def recording(
    simulation: Simulation,
    row: Mapping[str, ArrayLike],
    hours: tuple[float, float],
    side: int | None = None,
    planes: Sequence[float] | None = None,
) -> dict[str, np.ndarray]:
    """The recording of a population row from one hour to another as its instrument makes it, for an `.npz` file.

    frames: uint8 `[T, H, W, F]`, with the camera's noise; hpi `[T]`, planes `[F]` µm, and tA. side and planes: other
    than those of the instrument.
    """
    instrument = INSTRUMENTS[int(row["instrument"])]
    side = side or instrument.side
    step = float(row["minutes"]) / 60.0
    times = np.arange(math.ceil((hours[0] - float(row["first_hpi"])) / step), 10**6, dtype=np.int64)
    hpi = np.float32(float(row["first_hpi"]) + times[: int((hours[1] - hours[0]) / step) + 1] * step)
    hpi = hpi[hpi <= hours[1]]
    focus = instrument.focused(np.asarray(instrument.planes if planes is None else planes))
    frames = draw(simulation.key, row, hpi, focus, side).copy()
    sd = noise.level(instrument, side)
    for t, hour in enumerate(hpi):
        for f, plane in enumerate(focus):
            key = noise.key(simulation.seed, int(row["id"]), hour, plane)
            frames[t, ..., f] = noise.noisy(frames[t, ..., f], sd, key)
    return {"frames": frames, "hpi": hpi, "planes": focus, "tA": np.asarray(row["tA"])}


def _scenes_of(key: jax.Array, row: Mapping[str, ArrayLike], hours: np.ndarray) -> Scene:
    return scenes(key, {name: np.broadcast_to(value, len(hours)) for name, value in row.items()}, hours)


# Loops, not vectors of frames: a frame fits the cache of a processor. Each turn of a loop is computed once, where XLA
# would compute again for every neighbour and plane what one large program shares.
@functools.partial(jax.jit, static_argnames="size")
def _frames(scene: Scene, planes: jax.Array, size: int) -> jax.Array:
    def frame(one: Scene) -> jax.Array:
        geometry = optics.geometry(one, size)
        return lax.map(lambda focus: optics.picture(one, geometry, focus), planes)

    return lax.map(frame, scene)


@functools.partial(jax.jit, static_argnames="size")
def _masks(scene: Scene, size: int) -> jax.Array:
    return lax.map(lambda one: optics.mask(one, size), scene)
