"""What every image model reads."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def scale_pixels(x: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Map uint8 pixels to [−1, 1] as x / 127.5 − 1, as Keras does for Xception; floats are taken as scaled already."""
    return (x.astype(jnp.float32) / 127.5 - 1).astype(dtype) if x.dtype == jnp.uint8 else x.astype(dtype)
