"""From an embryo mask to a crop: centre of mass, a square window around it, resized."""

from __future__ import annotations

import jax
import jax.numpy as jnp


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
    height, width, planes = images.shape[1:]
    corner = jnp.clip(centre, share / 2, 1 - share / 2) - share / 2

    def one(image: jax.Array, start: jax.Array) -> jax.Array:
        scale = jnp.asarray([size / (share * height), size / (share * width)])
        return jax.image.scale_and_translate(
            image.astype(jnp.float32), (size, size, planes), (0, 1), scale, -start * size / share, method="linear"
        )

    return jnp.round(jnp.clip(jax.vmap(one)(images, corner), 0, 255)).astype(jnp.uint8)


def resize(images: jax.Array, size: int) -> jax.Array:
    """Images `[B, H, W, F]` resized to `[B, size, size, F]` float32 with antialiasing."""
    shape = (images.shape[0], size, size, images.shape[-1])
    return jax.image.resize(images.astype(jnp.float32), shape, method="linear")
