"""From an embryo mask to a crop: centre of mass, a square window around it, resized."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


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


def crop(images: jax.Array, centre: jax.Array, share: float, size: int) -> jax.Array:
    """Square window of `share` of the image's side around `centre`, resized to `size` with antialiasing.

    images: `[B, H, W, F]` uint8; centre: `[B, 2]` in [0, 1]; the window is shifted so that it stays inside the image.
    Returns uint8 `[B, size, size, F]`.
    """
    height, width = images.shape[1:3]
    corner = jnp.clip(centre, share / 2, 1 - share / 2) - share / 2

    def one(image: jax.Array, start: jax.Array) -> jax.Array:
        (top, rows), (left, columns) = (
            _band(_weights(length, size, size / (share * length), -at * size / share), at, share)
            for length, at in ((height, start[0]), (width, start[1]))
        )
        window = lax.dynamic_slice(image, (top, left, 0), (rows.shape[1], columns.shape[1], image.shape[2]))
        return jnp.round(jnp.clip(_resample(window, rows, columns), 0, 255)).astype(jnp.uint8)

    return _by_image(one, images, corner)


def resize(images: jax.Array, size: int) -> jax.Array:
    """Images `[B, H, W, F]` resized to `[B, size, size, F]` float32 with antialiasing."""
    rows, columns = (_weights(length, size, size / length, 0.0) for length in images.shape[1:3])
    return _by_image(lambda image: _resample(image, rows, columns), images)


def _by_image(one: Callable[..., jax.Array], *stacked: jax.Array) -> jax.Array:
    """`one` of every image: on a CPU one after another, as an image fits its cache and a batch does not."""
    together = None if jax.default_backend() == "cpu" else len(stacked[0])
    return lax.map(lambda items: one(*items), stacked, batch_size=together)


def _weights(length: int, size: int, scale: float, shift: Any) -> jax.Array:
    """What each of `length` pixels gives to each of `size` new ones, `[size, length]`: triangles, wide enough to blur.

    New position p lies at (p − shift) / scale, both from the edge, as in `jax.image.scale_and_translate`.
    """
    wide = max(1 / scale, 1.0)
    centres = (jnp.arange(size) + 0.5) / scale - shift / scale - 0.5
    distances = jnp.abs(centres[:, None] - jnp.arange(length)[None]) / wide
    triangles = jnp.maximum(0.0, 1 - distances)
    inside = (centres >= -0.5) & (centres <= length - 0.5)
    return jnp.where(inside[:, None], triangles / triangles.sum(1, keepdims=True), 0.0)


def _band(weights: jax.Array, start: jax.Array, share: float) -> tuple[jax.Array, jax.Array]:
    """The first pixel, and the weights `[size, share · length and a margin]`, beyond which all weights are 0."""
    size, length = weights.shape
    margin = 2 + math.ceil(share * length / size)
    count = min(length, math.ceil(share * length) + 2 * margin)
    first = jnp.clip(jnp.floor(start * length).astype(jnp.int32) - margin, 0, length - count)
    return first, lax.dynamic_slice(weights, (0, first), (size, count))


def _resample(image: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Σ rows[p, h] columns[q, w] image[h, w, f] as two products, float32 `[p, q, F]`; the image is `[H, W, F]`."""
    height, width, planes = image.shape
    product = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST)
    lines = product(rows, image.reshape(height, -1).astype(jnp.float32)).reshape(-1, width, planes)
    pixels = product(lines.transpose(2, 0, 1).reshape(-1, width), columns.T)
    return pixels.reshape(planes, len(rows), len(columns)).transpose(1, 2, 0)
