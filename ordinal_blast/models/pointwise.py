"""1×1 convolution as a matrix product whose weight gradient reads what is in memory."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax


@jax.custom_vjp
def pointwise_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Mix the channels: `[..., C]` and `[C, D]` to `[..., D]`.

    XLA's own gradient has the cotangent on the left of the kernel's product, transposed, and computes all that leads to
    it again in that order. Here the saved x is there.
    """
    rows = lax.dot_general(x.reshape(-1, x.shape[-1]), kernel, (((1,), (0,)), ((), ())))
    return rows.reshape(*x.shape[:-1], kernel.shape[1])


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return pointwise_conv(x, kernel), (x, kernel)


def _backward(saved: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    rows, cotangents = (a.reshape(-1, a.shape[-1]) for a in (x, cotangent))
    by_kernel = lax.dot_general(rows, cotangents, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32)
    by_x = lax.dot_general(cotangents, kernel, (((1,), (1,)), ((), ())))
    return by_x.reshape(x.shape), by_kernel.astype(kernel.dtype)


pointwise_conv.defvjp(_forward, _backward)
