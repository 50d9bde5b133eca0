"""Edge filters that nobody trained, for comparison with those that a network learns; pure JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp

_SOBEL = ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0))
_LAPLACE = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))


def sobel(image: jax.Array) -> jax.Array:
    """Length of the gradient by Sobel's two filters, √(gx² + gy²); `[H, W]` to the same, the border repeated."""
    kernel = jnp.asarray(_SOBEL)
    return jnp.hypot(_filtered(image, kernel), _filtered(image, kernel.T))


def laplacian(image: jax.Array) -> jax.Array:
    """The sum of second differences, without its sign; `[H, W]` to the same, the border repeated."""
    return jnp.abs(_filtered(image, jnp.asarray(_LAPLACE)))


def band(image: jax.Array, sigma: float = 1.0) -> jax.Array:
    """Difference of two Gaussian blurs, of `sigma` and 1.6 `sigma` pixels (Marr & Hildreth, 1980), without its sign."""
    return jnp.abs(_blurred(image, sigma) - _blurred(image, 1.6 * sigma))


def _blurred(image: jax.Array, sigma: float) -> jax.Array:
    reach = int(3 * sigma + 1)
    line = jnp.exp(-0.5 * (jnp.arange(-reach, reach + 1) / sigma) ** 2)
    line = line / line.sum()
    return _filtered(_filtered(image, line[:, None]), line[None])


def _filtered(image: jax.Array, kernel: jax.Array) -> jax.Array:
    """Correlate `[H, W]` with an odd kernel."""
    pads = [(side // 2, side // 2) for side in kernel.shape]
    padded = jnp.pad(image.astype(jnp.float32), pads, mode="edge")
    out = jax.lax.conv(padded[None, None], kernel[None, None], (1, 1), "VALID", precision=jax.lax.Precision.HIGHEST)
    return out[0, 0]


FILTERS = {"Sobel": sobel, "Laplace": laplacian, "difference of blurs": band}
