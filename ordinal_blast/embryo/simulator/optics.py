"""How a scene looks: geometry to grey levels through Hoffman modulation contrast at one focal plane.

Grey is background times shading; shading is the slope of the optical path along the light, as in Hoffman (1977).
Defocus widens every edge by its distance to the focal plane, in closed form: nothing is blurred afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ordinal_blast.embryo.simulator.scene import Scene

FIELD = (500 / 1.7, 800 / 2.9)  # µm seen by EmbryoScope and EmbryoScope+
RESOLUTION = (0.9, 0.7)  # µm, sharpest edge
OUTSIDE = (0.25, 0.55)  # brightness outside the well, of that inside
GLARE = (1.1, 0.6)  # brightness of the well's edge
DEPTH_OF_FIELD = 0.085  # µm of blur per µm of defocus


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
    return Geometry(pixel, x, y, bx, by, *_te_borders(scene, bx, by), *_textures(scene, bx, by, size))


def _te_borders(scene: Scene, bx: jax.Array, by: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Distance (µm) to the nearest border between trophectoderm cells: above, below and at the equator.

    Cells are the Voronoi cells of their directions on the sphere; to a border it is (largest - second largest cosine)
    times radius over spacing.
    """
    r2 = bx * bx + by * by
    ux, uy = bx / scene.cells, by / scene.cells
    uz = jnp.sqrt(jnp.maximum(1.0 - r2 / scene.cells**2, 0.0))
    outwards = scene.cells * jax.lax.rsqrt(r2 + 1.0)

    def closest(tops: list[tuple[jax.Array, jax.Array]], direction: jax.Array) -> tuple[Any, None]:
        across, along = direction[0] * ux + direction[1] * uy, direction[2] * uz
        missing = jnp.where((direction == 0).all(), -2.0, 0.0)
        cosines = (across + along + missing, across - along + missing, across * outwards + missing)
        return [
            (jnp.maximum(a, c), jnp.maximum(b, jnp.minimum(a, c))) for (a, b), c in zip(tops, cosines, strict=True)
        ], None

    lowest = jnp.full_like(bx, -2.0)
    tops, _ = jax.lax.scan(closest, [(lowest, lowest)] * 3, scene.te_directions, unroll=16)
    spacing = jnp.sqrt(4 * jnp.pi / scene.te_count)
    return tuple((a - b) * scene.cells / spacing for a, b in tops)


def _textures(scene: Scene, bx: jax.Array, by: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Fine and coarse granules that move with the embryo, about unit variance each."""
    spacing = max(2.0, 1.2 * FIELD[0] / size)
    count = int(240 / spacing)
    tile = jax.random.normal(scene.texture_key, (count, count))

    def sample(scale: float, offset: float) -> jax.Array:
        u, v = bx / scale + offset, by / scale + offset
        i, j = jnp.floor(u), jnp.floor(v)
        a, b = u - i, v - j
        i, j = i.astype(jnp.int32) % count, j.astype(jnp.int32) % count
        k, m = (i + 1) % count, (j + 1) % count
        a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
        return (1 - b) * ((1 - a) * tile[i, j] + a * tile[k, j]) + b * ((1 - a) * tile[i, m] + a * tile[k, m])

    return sample(spacing, 0.37 * count), sample(3.1 * spacing, 0.71 * count)


class Paths(NamedTuple):
    """Optical path (µm) and absorption, each `[F, size, size]`."""

    path: jax.Array
    density: jax.Array


def paths(scene: Scene, geometry: Geometry, planes: tuple[float, ...]) -> Paths:
    """What light meets on its way, as each focal plane (µm) sees it."""
    sharp = jnp.maximum(jnp.asarray(RESOLUTION)[scene.instrument], 0.6 * geometry.pixel)

    def plane(focus: jax.Array) -> Paths:
        def width(depth: jax.Array | float) -> jax.Array:
            return jnp.sqrt(sharp**2 + (DEPTH_OF_FIELD * (depth - focus)) ** 2)

        path, density = _embryo_path(scene, geometry, width, sharp)
        path, density = (jnp.where(scene.empty, 0.0, values) for values in (path, density))
        for speck in scene.specks:
            d = jnp.sqrt((geometry.x - speck[0]) ** 2 + (geometry.y - speck[1]) ** 2)
            path = path + speck[3] * _bump(d, 0.1 + speck[3] + width(speck[2])) ** 2 * sharp / width(speck[2])
        return Paths(path, density)

    return jax.vmap(plane)(jnp.asarray(planes, jnp.float32))


def image(scene: Scene, geometry: Geometry, paths: Paths, planes: tuple[float, ...], key: jax.Array) -> jax.Array:
    """Grey levels uint8 `[size, size, F]` at the focal planes (µm)."""
    down, right = jnp.gradient(paths.path, axis=(1, 2))
    slope = scene.contrast * (scene.light[1] * down + scene.light[0] * right) / geometry.pixel
    shading = 1.0 + 0.8 * slope * jax.lax.rsqrt(1.0 + slope * slope) - paths.density
    light = jax.vmap(lambda focus: _background(scene, geometry, focus))(jnp.asarray(planes, jnp.float32))
    ones = jax.lax.population_count(jax.random.bits(key, paths.path.shape)).astype(jnp.float32)
    noise = (ones - 16.0) / jnp.sqrt(8.0)  # 32 coin tosses: close to normal, and much cheaper
    grey = 0.45 * scene.brightness * light * shading + 0.012 * noise
    return jnp.round(jnp.clip(jnp.moveaxis(grey, 0, -1), 0.0, 1.0) * 255.0).astype(jnp.uint8)


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
        facet = 0.35 * jnp.minimum(jnp.sqrt(border * border + w * w), 0.4 * spacing)
        path = path + scene.blastulation * seen * sharp / w * (facet - 2.0 * _bump(border, w))

    # Inner cells: a compact mass rounds off their union, a loose one shows each of them.
    union, largest = jnp.zeros_like(r), jnp.zeros_like(r)
    for cell in scene.inner:
        w = width(cell[2])
        d = jnp.sqrt((bx - cell[0]) ** 2 + (by - cell[1]) ** 2 + 0.1)
        height = _ramp(cell[3] - d, w * jnp.minimum(cell[3] / 4.0, 1.0)) * (cell[3] + d)
        union, largest = union + height, jnp.maximum(largest, height)
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
    outside = jnp.asarray(OUTSIDE)[scene.instrument] * (0.06 + 2.0 * up**3) * (1.0 + 0.25 * rings)
    thick = 2.0 + 0.06 * (focus + 50.0)
    arc = jnp.asarray(GLARE)[scene.instrument] * up**2 * _bump(r - radius + thick, thick) ** 2
    return inside * (1.0 + 0.06 * (y - wy) / radius) + (1.0 - inside) * outside + 1.2 * arc
