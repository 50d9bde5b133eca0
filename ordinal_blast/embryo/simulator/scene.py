"""What an embryo is made of at one hour, in µm and three dimensions: zona, trophectoderm, inner cells, debris, well.

Latent quality decides number, size and cohesion of the cells; the hour decides expansion and cavitation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jax.typing import ArrayLike

TROPHECTODERM_CELLS = 64
INNER_CELLS = 16
SPECKS = 40
EMBRYO_DRAWS, CLINIC_DRAWS = (6, TROPHECTODERM_CELLS, 3), (4,)
ROW = ("empty", "instrument", "latent_icm", "latent_te", "tmeb_true")
FIRST_HOUR = 90.0


class Scene(NamedTuple):
    """One embryo at one hour. Lengths in µm, angles in radians; centres of cells relative to the embryo, z upwards.

    radius, zona: outer radius and thickness of the zona pellucida; cells: radius of the sphere that the cells fill.
    """

    empty: jax.Array
    instrument: jax.Array
    centre: jax.Array  # [2]
    angle: jax.Array
    stretch: jax.Array
    radius: jax.Array
    zona: jax.Array
    cells: jax.Array
    blastulation: jax.Array  # 0 morula to 1 blastocyst
    te_directions: jax.Array  # [TROPHECTODERM_CELLS, 3], zero where there is no cell
    te_count: jax.Array
    te_thickness: jax.Array
    te_roughness: jax.Array
    inner: jax.Array  # [INNER_CELLS, 4]: x, y, z, radius
    compaction: jax.Array
    hatch: jax.Array  # [4]
    specks: jax.Array  # [SPECKS, 4], relative to the well
    well: jax.Array  # [3]: x, y, radius
    light: jax.Array  # [2], direction of the shading
    brightness: jax.Array
    contrast: jax.Array
    grain: jax.Array
    texture_key: jax.Array


def _smoothstep(x: jax.Array) -> jax.Array:
    x = jnp.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _sphere(used: jax.Array | int, shake: jax.Array, turn: jax.Array) -> jax.Array:
    """Directions `[len(shake), 3]`: `used` of them spread over the sphere (Fibonacci lattice), then zeros."""
    i = jnp.arange(len(shake))
    z = 1.0 - 2.0 * (i + 0.5) / used
    around = jnp.sqrt(jnp.clip(1.0 - z * z, 0.0))
    phi = i * jnp.pi * (3.0 - jnp.sqrt(5.0))
    points = jnp.stack([around * jnp.cos(phi), around * jnp.sin(phi), z], axis=-1)
    points = (points + shake / jnp.sqrt(used)) @ _rotation(turn)
    points = points / jnp.linalg.norm(points, axis=-1, keepdims=True)
    return jnp.where((i < used)[:, None], points, 0.0)


def _rotation(q: jax.Array) -> jax.Array:
    """The rotation of a quaternion `[4]`; uniformly random for a standard normal one."""
    w, x, y, z = q / jnp.linalg.norm(q)
    return jnp.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def scene(
    draws: jax.Array, clinic: jax.Array, embryo: dict[str, jax.Array], hour: jax.Array, texture_key: jax.Array
) -> Scene:
    """The embryo of a population row at an hour (hpi), from its own and its clinic's standard normal draws."""
    normal, uniform = draws[0].ravel()[:96], ndtr(draws[0].ravel()[96:])
    icm = embryo["latent_icm"] + 0.1 * normal[0]
    te = embryo["latent_te"] + 0.3 * normal[1]
    quality = (icm + te) / 2

    # Development: blastulation, expansion to tMEB, sometimes a brief collapse, slow shrinkage afterwards.
    peak = embryo["tmeb_true"]
    start = peak - jnp.clip(21.0 + quality + 2.0 * normal[2], 12.0, 30.0)
    growth = _smoothstep((hour - start) / (peak - start))
    blastulation = _smoothstep((hour - start) / 9.0)
    collapse = jnp.where(uniform[0] < 0.25, 0.22, 0.0)
    collapse = collapse * jnp.exp(-(((hour - peak + 2.5 + 4.0 * uniform[1]) / 1.1) ** 2))
    small = 70.0 + 2.5 * normal[3]
    large = jnp.clip(small + 15.0 + 3.0 * quality + 2.0 * te + 4.0 * normal[4], small + 5.0, 108.0)
    radius = small + (large - small) * growth
    radius = radius * (1.0 - 0.004 * jnp.clip(hour - peak, 0.0, 15.0)) * (1.0 - 0.3 * collapse)
    zona = (14.0 + 1.2 * normal[5]) * (small / radius) ** 2.6
    cells = (radius - zona - 1.0 - 4.0 * (1.0 - growth) * uniform[2]) * (1.0 - collapse)

    # Trophectoderm: many small cohesive cells when good, few large flat ones when poor.
    te_count = jnp.clip(jnp.exp(3.6 + 0.55 * te), 7.0, TROPHECTODERM_CELLS)
    te_jitter = jnp.clip(0.5 - 0.12 * te, 0.25, 0.8)
    te_directions = _sphere(te_count, te_jitter * draws[1], normal[24:28])
    te_thickness = jnp.clip(12.0 + 2.5 * te, 5.0, 18.0) * (1.0 + 0.5 * (1.0 - growth) + 1.5 * collapse)
    te_roughness = jnp.clip(0.55 - 0.1 * te, 0.3, 0.85)

    # Inner cells: they fill the morula, then gather at one place of the wall as the cavity opens.
    active = jax.nn.sigmoid(2.0 * (jnp.clip(8.5 + 4.0 * icm, 2.5, INNER_CELLS) - jnp.arange(INNER_CELLS)))
    spread = draws[2, :INNER_CELLS]
    spread = spread / jnp.linalg.norm(spread, axis=-1, keepdims=True)
    shell = (7 * jnp.arange(INNER_CELLS) % INNER_CELLS + 0.5)[:, None] / INNER_CELLS
    morula = _sphere(INNER_CELLS, 0.6 * draws[3, :INNER_CELLS], normal[28:32])
    morula_radius = cells * (0.36 + 0.05 * draws[4, :INNER_CELLS, 0])
    loose = jnp.clip(0.95 - 0.25 * icm, 0.6, 1.6)
    icm_radius = (12.0 + 2.4 * icm) * (1.0 + 0.15 * spread[:, 0]) * active
    icm_size = 15.5 * jnp.cbrt(active.sum()) * loose
    azimuth, height = 2 * jnp.pi * uniform[3], jnp.clip(0.33 * normal[6], -0.8, 0.8)
    level = jnp.sqrt(1.0 - height**2)
    outwards = jnp.stack([level * jnp.cos(azimuth), level * jnp.sin(azimuth), height])
    icm_centre = outwards * (cells - 0.6 * icm_size - 6.0)
    icm_cells = icm_centre[None] + spread * shell * icm_size
    morula = morula + 0.08 * jnp.sin(0.5 * hour + 3.0 * draws[4, :INNER_CELLS])
    centres = (1 - blastulation) * morula * (cells - morula_radius)[:, None] + blastulation * icm_cells
    radii = (1 - blastulation) * morula_radius + blastulation * icm_radius
    reach = jnp.linalg.norm(centres, axis=-1, keepdims=True)
    centres = centres * jnp.minimum(1.0, (cells - 0.8 * radii)[:, None] / reach)
    inner = jnp.concatenate([centres, radii[:, None]], axis=-1)

    out = 2 * jnp.pi * uniform[4]
    hatched = (uniform[5] < 0.12) * 26.0 * _smoothstep((hour - peak + 5.0) / 12.0)
    hatch = jnp.stack([jnp.cos(out) * (radius + 0.2 * hatched), jnp.sin(out) * (radius + 0.2 * hatched), 0.0, hatched])

    # The well, what floats in it, and where the embryo lies: it drifts and rolls slowly.
    well = jnp.stack([4.0 * normal[7], 4.0 * normal[8] - 3.0, 121.0 + 2.0 * normal[9]])
    drift = (hour - FIRST_HOUR) / 30.0 * 6.0 * normal[10:12]
    offset = 22.0 * normal[12:14] + drift
    room = jnp.maximum(well[2] - radius - 1.0, 0.0)
    offset = offset * jnp.minimum(1.0, room / (jnp.linalg.norm(offset) + 1e-3))
    speck = ndtr(draws[5, :SPECKS])
    place = 2 * jnp.pi * ndtr(draws[4, :SPECKS, 1])
    far = well[2] * jnp.sqrt(speck[:, 2])
    dirty = jnp.clip(0.5 * jnp.exp(0.8 * normal[14]), 0.0, 1.0)
    specks = jnp.stack(
        [
            well[0] + far * jnp.cos(place),
            well[1] + far * jnp.sin(place),
            -45.0 + 30.0 * speck[:, 0],
            jnp.where(speck[:, 1] < dirty, 1.0 + 2.5 * speck[:, 0] ** 2, 0.0),
        ],
        axis=-1,
    )
    specks = specks[jnp.argsort(specks[:, 3] == 0, stable=True)]  # those that are there come first
    tilt = jnp.pi / 2 + 0.15 * clinic[0] + 0.05 * normal[15]
    return Scene(
        empty=embryo["empty"],
        instrument=embryo["instrument"],
        centre=well[:2] + offset,
        angle=2 * jnp.pi * uniform[6] + 0.01 * normal[16] * (hour - FIRST_HOUR),
        stretch=jnp.exp(0.025 * normal[17]),
        radius=radius,
        zona=zona,
        cells=cells,
        blastulation=blastulation,
        te_directions=te_directions,
        te_count=te_count,
        te_thickness=te_thickness,
        te_roughness=te_roughness,
        inner=inner,
        compaction=jnp.clip(0.5 + 0.3 * icm, 0.05, 0.95),
        hatch=hatch,
        specks=specks,
        well=well,
        light=jnp.stack([jnp.cos(tilt), jnp.sin(tilt)]),
        brightness=jnp.exp(0.12 * clinic[1] + 0.08 * normal[18]),
        contrast=jnp.exp(0.15 * clinic[2] + 0.12 * normal[19]),
        grain=0.5 * jnp.exp(0.15 * clinic[3] + 0.25 * normal[20]),
        texture_key=texture_key,
    )


@jax.jit
def _scenes(key: jax.Array, ids: jax.Array, clinics: jax.Array, rows: dict[str, jax.Array], hours: jax.Array) -> Scene:
    embryo_key, clinic_key = jax.random.split(jax.random.fold_in(key, 1))

    def one(i: jax.Array, clinic: jax.Array, row: dict[str, jax.Array], hour: jax.Array) -> Scene:
        own = jax.random.fold_in(embryo_key, i)
        clinics = jax.random.normal(jax.random.fold_in(clinic_key, clinic), CLINIC_DRAWS)
        return scene(jax.random.normal(own, EMBRYO_DRAWS), clinics, row, hour, jax.random.fold_in(own, 1))

    return jax.vmap(one)(ids, clinics, rows, hours)


def scenes(key: jax.Array, rows: Mapping[str, ArrayLike], hours: ArrayLike) -> Scene:
    """Scenes of n population rows, each at its hour (hpi); nothing of an embryo is drawn anew with the hour."""
    return _scenes(key, rows["id"], rows["clinic"], {name: rows[name] for name in ROW}, hours)
