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
            # Initialisation runs outside pmap, where the axis has no meaning.
            mean, var = moments(x, mask, None if self.is_initializing() else self.axis_name)
            if not self.is_initializing():
                running_mean.value = self.momentum * running_mean.value + (1 - self.momentum) * mean
                running_var.value = self.momentum * running_var.value + (1 - self.momentum) * var
        else:
            mean, var = running_mean.value, running_var.value
        return normalise(x, mean, scale * lax.rsqrt(var + self.epsilon), bias).astype(self.dtype)


def normalise(x: jax.Array, mean: jax.Array, factor: jax.Array, bias: jax.Array) -> jax.Array:
    """(x − μ) f + β of `[B, ..., C]` by `[C]` each; centred first: x f − μ f loses the digits that a far mean takes."""
    row = (1,) * (x.ndim - 1) + x.shape[-1:]
    return (x - mean.reshape(row)) * factor.reshape(row) + bias.reshape(row)


def moments(x: jax.Array, mask: jax.Array | None, axis_name: str | None) -> tuple[jax.Array, jax.Array]:
    """The mean and variance `[C]` of `[B, ..., C]` over every valid row of every device, in float32.

    Two passes: E[x²] − E[x]² would lose all digits of a variance that is small beside the squared mean.
    """
    x = x.astype(jnp.float32)
    axes, positions = tuple(range(x.ndim - 1)), math.prod(x.shape[1:-1])
    if mask is None:
        valid, count = None, jnp.float32(x.shape[0] * positions)
    else:
        valid = mask.reshape(-1, *(1,) * (x.ndim - 1))
        count = positions * mask.sum(dtype=jnp.float32)

    def over_devices(values: jax.Array) -> jax.Array:
        return values if axis_name is None else lax.psum(values, axis_name)

    def total(values: jax.Array) -> jax.Array:
        return over_devices(values.sum(axes) if valid is None else jnp.where(valid, values, 0).sum(axes))

    count = jnp.maximum(over_devices(count), 1)
    mean = total(x) / count
    return mean, total(jnp.square(x - mean.reshape((1,) * len(axes) + mean.shape))) / count
