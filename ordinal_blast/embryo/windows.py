"""From an embryo mask to a crop: centre of mass, a square window around it, resized."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ordinal_blast.models import platforms

_BLOCK = 16  # new pixels of a side whose sources are multiplied at once: most weights beyond them are 0


def area_and_centre(mask_logits: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Share of the image that is embryo, and the centre of mass of the embryo's pixels.

    mask_logits: `[B, H, W]`, embryo where > 0. Returns area `[B]` in [0, 1] and centre `[B, 2]` (row, column) in
    [0, 1]; the image's centre where the mask is empty (Kragh et al. 2019, appendix).
    """
    embryo = (mask_logits > 0).astype(jnp.float32)
    height, width = embryo.shape[1:]
    area = embryo.mean(axis=(1, 2))
    rows = (jnp.arange(height, dtype=jnp.float32) + 0.5) / height
    columns = (jnp.arange(width, dtype=jnp.float32) + 0.5) / width
    moments = jnp.stack([embryo.mean(axis=2) @ rows / height, embryo.mean(axis=1) @ columns / width], axis=1)
    seen = area > 0
    return area, jnp.where(seen[:, None], moments / jnp.where(seen, area, 1.0)[:, None], 0.5)


def corner(centre: jax.Array, share: float) -> jax.Array:
    """First row and column of a window of `share` around a centre `[B, 2]`, shifted inside; all in shares of a side."""
    return jnp.clip(centre, share / 2, 1 - share / 2) - share / 2


def crop(images: jax.Array, centre: jax.Array, share: float, size: int) -> jax.Array:
    """Square window of `share` of the image's side around `centre`, resized to `size` with antialiasing.

    images: `[B, H, W, F]` uint8; centre: `[B, 2]` in [0, 1]; the window is shifted so that it stays inside the image.
    Where it has `size` pixels as it is, it lies at whole pixels, and nothing is blurred. Returns uint8
    `[B, size, size, F]`.
    """
    height, width = images.shape[1:3]
    first = corner(centre, share)
    if round(share * height) == round(share * width) == size:
        sides = jnp.asarray([[height, width]], jnp.float32)
        start = jnp.clip(jnp.round(first * sides), 0, sides - size)
        whole = start.astype(jnp.int32)
        return _by_image(
            lambda image, at: lax.dynamic_slice(image, (at[0], at[1], 0), (size, size, image.shape[2])), images, whole
        )

    def one(image: jax.Array, start: jax.Array) -> jax.Array:
        rows, columns = (
            _bands(length, size, size / (share * length), -at * size / share)
            for length, at in ((height, start[0]), (width, start[1]))
        )
        return jnp.round(jnp.clip(_resample(image, rows, columns), 0, 255)).astype(jnp.uint8)

    return _by_image(one, images, first)


def resize(images: jax.Array, size: int) -> jax.Array:
    """Images `[B, H, W, F]` resized to `[B, size, size, F]` float32 with antialiasing."""
    rows, columns = (_bands(length, size, size / length, 0.0) for length in images.shape[1:3])
    return _by_image(lambda image: _resample(image, rows, columns), images)


def _by_image(one: Callable[..., jax.Array], *stacked: jax.Array) -> jax.Array:
    """`one` of every image: on a CPU one after another, as an image fits its cache and a batch does not."""
    return lax.map(lambda items: one(*items), stacked) if platforms.platform() == "cpu" else jax.vmap(one)(*stacked)


class _Band(NamedTuple):
    """The first pixel that some neighbouring new ones take from, and what each of them takes, `[new, pixels]`."""

    first: jax.Array
    weights: jax.Array


def _bands(length: int, size: int, scale: float, shift: Any) -> list[_Band]:
    """What `size` new pixels take from `length` pixels, a few new ones at a time: triangles, wide enough to blur.

    New position p lies at (p − shift) / scale, both from the edge, as in `jax.image.scale_and_translate`.
    """
    reach = max(1 / scale, 1.0)
    count = min(length, math.ceil((_BLOCK - 1) / scale + 2 * reach) + 2)
    bands = []
    for start in range(0, size, _BLOCK):
        centres = (jnp.arange(start, min(start + _BLOCK, size)) + 0.5) / scale - shift / scale - 0.5
        first = jnp.clip(jnp.floor(centres[0] - reach).astype(jnp.int32), 0, length - count)
        triangles = jnp.maximum(0.0, 1 - jnp.abs(centres[:, None] - (first + jnp.arange(count))[None]) / reach)
        inside = (centres >= -0.5) & (centres <= length - 0.5)
        bands.append(_Band(first, jnp.where(inside[:, None], triangles / triangles.sum(1, keepdims=True), 0.0)))
    return bands


def _resample(image: jax.Array, rows: Sequence[_Band], columns: Sequence[_Band]) -> jax.Array:
    """Σ rows[p, h] columns[q, w] image[h, w, f] as products of bands, float32 `[p, q, F]`; the image is `[H, W, F]`."""
    height, width, planes = image.shape
    lines = _product(rows, image.reshape(height, -1)).reshape(-1, width, planes)
    pixels = _product(columns, lines.transpose(1, 2, 0).reshape(width, -1))
    return pixels.reshape(-1, planes, lines.shape[0]).transpose(2, 0, 1)


def _product(bands: Sequence[_Band], values: jax.Array) -> jax.Array:
    """The weights of the bands times `[pixels, N]`, float32 `[new, N]`."""
    parts = [
        jnp.matmul(
            band.weights,
            lax.dynamic_slice_in_dim(values, band.first, band.weights.shape[1]).astype(jnp.float32),
            precision=lax.Precision.HIGHEST,
        )
        for band in bands
    ]
    return jnp.concatenate(parts)
