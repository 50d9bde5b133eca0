"""Batch normalisation whose statistics are exact over padded batches and over devices."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax


class BatchNorm(nn.Module):
    """Normalise the last axis by the batch's mean and variance: γ (x − μ) / √(σ² + ε) + β (Ioffe and Szegedy, 2015).

    Linen's own layer averages per-device means, which is not the global mean once devices hold different numbers of
    padding rows (and is NaN where one holds nothing else). Sums and counts are added over devices here instead.
    The running mean and (biased) variance move by `1 - momentum` per step; defaults are those of Keras.
    """

    momentum: float = 0.99
    epsilon: float = 1e-3
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, mask: jax.Array | None = None) -> jax.Array:
        """Normalise `[B, ..., C]`; rows where mask `[B]` is False are left out of the statistics."""
        shape = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        if train:
            mean, var = self._moments(x, mask)
            if not self.is_initializing():
                running_mean.value = self.momentum * running_mean.value + (1 - self.momentum) * mean
                running_var.value = self.momentum * running_var.value + (1 - self.momentum) * var
        else:
            mean, var = running_mean.value, running_var.value
        factor = scale * lax.rsqrt(var + self.epsilon)
        row = (1,) * (x.ndim - 1) + shape
        return (x * factor.reshape(row) + (bias - mean * factor).reshape(row)).astype(self.dtype)

    def _moments(self, x: jax.Array, mask: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """Return the mean and variance `[C]` over every valid row of every device, in float32."""
        x = x.astype(jnp.float32)
        positions = math.prod(x.shape[1:-1])
        if mask is None:
            count = jnp.float32(x.shape[0] * positions)
        else:
            x = jnp.where(mask.reshape(-1, *(1,) * (x.ndim - 1)), x, 0)
            count = positions * mask.sum(dtype=jnp.float32)
        axes = tuple(range(x.ndim - 1))
        sums = x.sum(axes), jnp.square(x).sum(axes), count
        # Initialisation runs outside pmap, where the axis has no meaning.
        if self.axis_name is not None and not self.is_initializing():
            sums = lax.psum(sums, self.axis_name)
        total, squares, count = sums
        count = jnp.maximum(count, 1)
        mean = total / count
        # Rounding can push E[x²] − E[x]² below zero.
        return mean, jnp.maximum(squares / count - jnp.square(mean), 0)
