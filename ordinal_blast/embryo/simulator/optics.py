"""How a scene looks: geometry to grey levels through Hoffman modulation contrast at one focal plane.

Grey is background times shading; shading is the slope of the optical path along the light, as in Hoffman (1977).
Defocus widens every edge by its distance to the focal plane, in closed form: nothing is blurred afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ordinal_blast.embryo.simulator.instruments import INSTRUMENTS
from ordinal_blast.embryo.simulator.scene import Scene

FIELD = tuple(instrument.field for instrument in INSTRUMENTS)
RESOLUTION = (0.9, 0.7)  # µm, sharpest edge
OUTSIDE = (0.5, 0.6)  # brightness outside the well, of that inside
GLARE = (2.4, 1.3)  # brightness of the well's edge
DEPTH_OF_FIELD = 0.085  # µm of blur per µm of defocus
FINE = 2.0  # µm from granule to granule
SPECK_REACH = 24.0  # µm from the middle of a speck to where it is no more
NO_CELL = 0.2  # µm, radius of an inner cell that cannot be seen
BLOCK = 4  # trophectoderm cells of one turn of a loop


def _ramp(x: jax.Array, width: jax.Array) -> jax.Array:
    """max(x, 0) with a corner rounded over the width."""
    return 0.5 * (x + jnp.sqrt(x * x + width * width))


def _step(x: jax.Array, width: jax.Array) -> jax.Array:
    """0 to 1 over the width."""
    return 0.5 + 0.5 * x * jax.lax.rsqrt(x * x + width * width)


def _bump(x: jax.Array, width: jax.Array) -> jax.Array:
    """1 at 0, falling over the width."""
    return 1.0 / (1.0 + (x / width) ** 2)


def _half_chord(r: jax.Array, radius: jax.Array, width: jax.Array) -> jax.Array:
    """Half the path through a sphere, sqrt(R² - r²), with a soft edge."""
    return jnp.sqrt(_ramp(radius - r, width) * (radius + r))


def grid(scene: Scene, size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Image coordinates x, y `[size, size]` from the centre of the field, and the pixel, all in µm."""
    pixel = jnp.asarray(FIELD)[scene.instrument] / size
    line = (jnp.arange(size) - (size - 1) / 2) * pixel
    x, y = jnp.meshgrid(line, line)
    return x, y, pixel


def body(scene: Scene, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Coordinates in the embryo's own frame, where its outline is a circle; areas are kept."""
    x, y = x - scene.centre[0], y - scene.centre[1]
    c, s = jnp.cos(scene.angle), jnp.sin(scene.angle)
    return (c * x + s * y) * scene.stretch, (c * y - s * x) / scene.stretch


def mask(scene: Scene, size: int) -> jax.Array:
    """True inside the outer zona, bool `[size, size]`."""
    x, y, _ = grid(scene, size)
    x, y = body(scene, x, y)
    return (x * x + y * y < scene.radius**2) & ~scene.empty


class Geometry(NamedTuple):
    """What all focal planes of a frame share, each `[size, size]`; lengths in µm.

    x, y: from the centre of the field. bx, by: in the embryo's frame. above, below, around: distance to the nearest
    border between trophectoderm cells on the upper cap, the lower cap and the equator. fine, coarse: granules.
    """

    pixel: jax.Array
    x: jax.Array
    y: jax.Array
    bx: jax.Array
    by: jax.Array
    above: jax.Array
    below: jax.Array
    around: jax.Array
    fine: jax.Array
    coarse: jax.Array


def geometry(scene: Scene, size: int) -> Geometry:
    """The part of a frame that does not depend on focus."""
    x, y, pixel = grid(scene, size)
    bx, by = body(scene, x, y)
    return Geometry(pixel, x, y, bx, by, *_te_borders(scene, bx, by), *_textures(scene, bx, by))


def _te_borders(scene: Scene, bx: jax.Array, by: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Distance (µm) to the nearest border between trophectoderm cells: above, below and at the equator.

    Cells are the Voronoi cells of their directions on the sphere; to a border it is (largest - second largest cosine)
    times radius over spacing.
    """
    r2 = bx * bx + by * by
    ux, uy = bx / scene.cells, by / scene.cells
    uz = jnp.sqrt(jnp.maximum(1.0 - r2 / scene.cells**2, 0.0))
    outwards = scene.cells * jax.lax.rsqrt(r2 + 1.0)

    def closest(block: jax.Array, tops: Any) -> Any:
        for direction in jax.lax.dynamic_slice(scene.te_directions, (BLOCK * block, 0), (BLOCK, 3)):
            across, along = direction[0] * ux + direction[1] * uy, direction[2] * uz
            missing = jnp.where((direction == 0).all(), -2.0, 0.0)
            cosines = (across + along + missing, across - along + missing, across * outwards + missing)
            tops = [
                (jnp.maximum(a, c), jnp.maximum(b, jnp.minimum(a, c))) for (a, b), c in zip(tops, cosines, strict=True)
            ]
        return tops

    lowest = jnp.full_like(bx, -2.0)
    blocks = jnp.ceil(scene.te_count / BLOCK).astype(jnp.int32)  # later cells are none
    tops = jax.lax.fori_loop(0, blocks, closest, [(lowest, lowest)] * 3)
    spacing = jnp.sqrt(4 * jnp.pi / scene.te_count)
    return tuple((a - b) * scene.cells / spacing for a, b in tops)


def _textures(scene: Scene, bx: jax.Array, by: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Fine and coarse granules that move with the embryo, about unit variance at the points of their lattices."""
    seed = jax.random.key_data(scene.texture_key)[-1]

    def sample(spacing: float, salt: int) -> jax.Array:
        u, v = bx / spacing, by / spacing
        i, j = jnp.floor(u), jnp.floor(v)
        a, b = u - i, v - j
        i, j = i.astype(jnp.int32), j.astype(jnp.int32)
        a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
        corners = [_hashed(i + di, j + dj, seed + jnp.uint32(salt)) for dj in (0, 1) for di in (0, 1)]
        return (1 - b) * ((1 - a) * corners[0] + a * corners[1]) + b * ((1 - a) * corners[2] + a * corners[3])

    return sample(FINE, 1), sample(3.1 * FINE, 2)


def _hashed(i: jax.Array, j: jax.Array, seed: jax.Array) -> jax.Array:
    """Uniform numbers of unit variance for whole numbers i, j: the bits of both, mixed (Steele et al. 2014)."""
    bits = i.astype(jnp.uint32) * jnp.uint32(0x9E3779B1) + j.astype(jnp.uint32) * jnp.uint32(0x85EBCA77) + seed
    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x846CA68B)
    return (bits >> 8).astype(jnp.float32) * (12**0.5 / 2**24) - 3**0.5


def picture(scene: Scene, geometry: Geometry, focus: jax.Array) -> jax.Array:
    """Grey levels 0 ... 255 without camera noise, uint8 `[size, size]`, at a focal plane (µm)."""
    sharp = jnp.asarray(RESOLUTION)[scene.instrument]
    least = jnp.maximum(sharp, 0.4 * geometry.pixel)

    def width(depth: jax.Array | float) -> jax.Array:
        return jnp.sqrt(least**2 + (DEPTH_OF_FIELD * (depth - focus)) ** 2)

    path, density = _embryo_path(scene, geometry, width, sharp)
    path, density = (jnp.where(scene.empty, 0.0, values) for values in (path, density))
    path = _with_specks(scene, geometry, width, sharp, path)
    down, right = jnp.gradient(path)
    slope = 1.15 * scene.contrast * (scene.light[1] * down + scene.light[0] * right) / geometry.pixel
    shading = 1.0 + 0.8 * slope * jax.lax.rsqrt(1.0 + slope * slope) - density
    grey = 0.52 * scene.brightness * _background(scene, geometry, focus) * shading
    return jnp.round(jnp.clip(grey, 0.0, 1.0) * 255.0).astype(jnp.uint8)


def _with_specks(
    scene: Scene, geometry: Geometry, width: Callable[[jax.Array | float], jax.Array], sharp: jax.Array, path: jax.Array
) -> jax.Array:
    """The path with what floats in the well: a bump in a small window around each speck."""
    size = path.shape[0]
    window = min(size, round(2 * SPECK_REACH * size / FIELD[0]))

    def add(number: jax.Array, path: jax.Array) -> jax.Array:
        x, y, depth, radius = scene.specks[number]
        middle = (jnp.stack([y, x]) / geometry.pixel + size / 2).astype(jnp.int32)
        start = jnp.clip(middle - window // 2, 0, size - window)
        xs, ys, part = (
            jax.lax.dynamic_slice(values, start, (window, window)) for values in (geometry.x, geometry.y, path)
        )
        wide = width(depth)
        distance = jnp.sqrt((xs - x) ** 2 + (ys - y) ** 2)
        bump = radius * sharp / wide * _bump(distance, 0.1 + radius + wide) ** 2
        return jax.lax.dynamic_update_slice(path, part + bump, start)

    return jax.lax.fori_loop(0, jnp.sum(scene.specks[:, 3] > 0), add, path)


def _embryo_path(
    scene: Scene, geometry: Geometry, width: Callable[[jax.Array | float], jax.Array], sharp: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Optical path (µm) and absorption of the embryo, its edges softened by `width(depth)`."""
    bx, by, around = geometry.bx, geometry.by, geometry.around
    r2 = bx * bx + by * by
    r = jnp.sqrt(r2 + 1.0)
    flat = width(0.0)
    fine, coarse = geometry.fine, geometry.coarse

    shell = _half_chord(r, scene.radius, flat) - _half_chord(r, scene.radius - scene.zona, flat)
    path = 0.16 * shell

    # Trophectoderm: domed cells, seen in section at the rim and as a honeycomb on the two caps.
    spacing = scene.cells * jnp.sqrt(4 * jnp.pi / scene.te_count)
    inside = _step(scene.cells - r, flat)
    half = jnp.clip(2.0 * around / spacing, 0.0, 1.0)
    dome = jnp.sqrt(half * (2.0 - half) + 1e-3)
    inner_wall = scene.cells - scene.te_thickness * (1.0 + scene.te_roughness * 1.8 * (dome - 0.75))
    section = jnp.sqrt(_ramp(r - inner_wall, flat) * _ramp(scene.cells - r, flat))
    band = _step(r - inner_wall, flat) * inside
    groove = sharp / flat * _bump(around, 1.2 * flat)
    path = path + scene.blastulation * band * (1.8 * section - 1.6 * groove)
    path = path + 0.06 * _half_chord(r, scene.cells, flat)
    z = jnp.sqrt(jnp.maximum(scene.cells**2 - r2, 0.0))
    seen = z * z / (z * z + 150.0)
    for border, depth in ((geometry.above, 0.75 * z), (geometry.below, -0.75 * z)):
        w = width(depth)
        # Of blurred cells the domes stay, and the lines between them fade.
        rise, high = jnp.sqrt(border * border + w * w), jnp.minimum(0.3 * spacing, 7.0)
        facet = 1.2 * rise * high / (rise + high)
        path = path + scene.blastulation * seen * (facet - 2.0 * sharp / w * _bump(border, w))

    # Inner cells: a compact mass rounds off their union, a loose one shows each of them.
    def add(number: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        x, y, z, radius = scene.inner[number]
        d = jnp.sqrt((bx - x) ** 2 + (by - y) ** 2 + 0.1)
        height = _ramp(radius - d, width(z) * jnp.minimum(radius / 4.0, 1.0)) * (radius + d)
        return sums[0] + height, jnp.maximum(sums[1], height)

    there = jnp.max(jnp.where(scene.inner[:, 3] > NO_CELL, jnp.arange(1, len(scene.inner) + 1), 0))
    union, largest = jax.lax.fori_loop(0, there, add, (jnp.zeros_like(r), jnp.zeros_like(r)))
    depth = (scene.inner[:, 2] * scene.inner[:, 3]).sum() / scene.inner[:, 3].sum()
    fill = inside * jnp.sqrt(union / (union + 150.0))
    compaction = scene.compaction * scene.blastulation
    mass = compaction * 14.0 * fill + (1.0 - compaction) * inside * jnp.sqrt(largest)
    path = path + 0.75 * mass

    hatch = _half_chord(jnp.hypot(bx - scene.hatch[0], by - scene.hatch[1]), scene.hatch[3], flat)
    path = path + 0.3 * hatch * jnp.where(scene.hatch[3] > 1.0, 1.0, 0.0)

    granules = fine * sharp / width(depth) + 0.8 * coarse
    band = scene.blastulation * band + 0.07 * inside
    path = path + scene.grain * (
        (0.5 + 0.7 * scene.blastulation) * fill * granules + 0.5 * band * (fine * sharp / flat + 0.6 * coarse)
    )
    path = path + 0.12 * _step(scene.radius - r, flat) * _step(r - scene.cells, flat) * fine * sharp / flat
    return path, 0.45 * fill + 0.1 * band


def _background(scene: Scene, geometry: Geometry, focus: jax.Array) -> jax.Array:
    """The well: even inside, a bright arc at its upper edge that widens with the focal plane, rings outside."""
    x, y, pixel = geometry.x, geometry.y, geometry.pixel
    wx, wy, radius = scene.well
    r = jnp.sqrt((x - wx) ** 2 + (y - wy) ** 2 + 1e-3)
    up = 0.5 - 0.5 * (y - wy) / r
    blur = 1.5 + pixel * 0.5 + 0.05 * (focus + 50.0)
    inside = _step(radius - r, blur)
    rings = jnp.sin((r - radius) * 1.1) * jnp.exp(-((0.55 * pixel) ** 2)) * jnp.exp(-(r - radius) / 40.0)
    outside = jnp.asarray(OUTSIDE)[scene.instrument] * (0.06 + 2.0 * up**3) * (1.0 + 0.3 * rings)
    thick = 4.0 + 0.06 * (focus + 50.0)
    arc = jnp.asarray(GLARE)[scene.instrument] * up**2 * _bump(r - radius + thick, thick) ** 2
    return inside * (1.0 + 0.06 * (y - wy) / radius) + (1.0 - inside) * outside + 1.2 * arc
