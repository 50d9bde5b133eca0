"""Batch normalisation whose statistics are exact over padded batches and over devices."""

from __future__ import annotations

import math
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from ordinal_blast.models import native
from ordinal_blast.models.forms import resolved

NormForm = Literal["auto", "native", "xla"]


class BatchNorm(nn.Module):
    """Normalise the last axis by the batch's mean and variance: γ (x − μ) / √(σ² + ε) + β (Ioffe and Szegedy, 2015).

    Linen's own layer averages per-device means, which is not the global mean once devices hold different numbers of
    padding rows (and is NaN where one holds nothing else). Sums and counts are added over devices here instead.
    The running mean and (biased) variance move by `1 - momentum` per step; defaults are those of Keras.
    form: how sums over the positions of maps are computed in training, by kernels ("native", for float32 on a CPU), by
    "xla", or "auto", native where it can.
    """

    momentum: float = 0.99
    epsilon: float = 1e-3
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32
    form: NormForm = "xla"

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, mask: jax.Array | None = None) -> jax.Array:
        """Normalise `[B, ..., C]`; rows where mask `[B]` is False are left out of the statistics."""
        shape = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        if not train:
            factor = scale * lax.rsqrt(running_var.value + self.epsilon)
            return normalise(x, running_mean.value, factor, bias).astype(self.dtype)
        form = resolved("normalization", self.form, x.dtype, pure="xla", elsewhere="xla")
        # Initialisation runs outside pmap, where the axis has no meaning.
        mean, var = moments(x, mask, None if self.is_initializing() else self.axis_name, form=form)
        if not self.is_initializing():
            running_mean.value = self.momentum * running_mean.value + (1 - self.momentum) * mean
            running_var.value = self.momentum * running_var.value + (1 - self.momentum) * var
        compute = _normalise if form == "native" else normalise
        return compute(x, mean, scale * lax.rsqrt(var + self.epsilon), bias).astype(self.dtype)


def normalise(x: jax.Array, mean: jax.Array, factor: jax.Array, bias: jax.Array) -> jax.Array:
    """(x − μ) f + β of `[B, ..., C]` by `[C]` each; centred first: x f − μ f loses the digits that a far mean takes."""
    row = (1,) * (x.ndim - 1) + x.shape[-1:]
    return (x - mean.reshape(row)) * factor.reshape(row) + bias.reshape(row)


@jax.custom_vjp
def _normalise(x: jax.Array, mean: jax.Array, factor: jax.Array, bias: jax.Array) -> jax.Array:
    """The same, with both sums that its gradient needs in one pass."""
    return normalise(x, mean, factor, bias)


def _normalise_backward(
    saved: tuple[jax.Array, jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    x, mean, factor = saved
    by_bias, by_factor = native.products(x, cotangent, mean)
    return cotangent * factor.reshape(1, 1, 1, -1), -factor * by_bias, by_factor, by_bias


_normalise.defvjp(
    lambda x, mean, factor, bias: (normalise(x, mean, factor, bias), (x, mean, factor)), _normalise_backward
)


def moments(
    x: jax.Array, mask: jax.Array | None, axis_name: str | None, *, form: str = "xla"
) -> tuple[jax.Array, jax.Array]:
    """The mean and variance `[C]` of `[B, ..., C]` over every valid row of every device, in float32.

    Two passes: E[x²] − E[x]² would lose all digits of a variance that is small beside the squared mean.
    """
    x = x.astype(jnp.float32)
    axes, positions = tuple(range(x.ndim - 1)), math.prod(x.shape[1:-1])
    valid = None if mask is None else mask.reshape(-1, *(1,) * (x.ndim - 1))
    own = jnp.float32(x.shape[0] * positions) if mask is None else positions * mask.sum(dtype=jnp.float32)

    def over_devices(values: jax.Array) -> jax.Array:
        return values if axis_name is None else lax.psum(values, axis_name)

    def total(values: jax.Array) -> jax.Array:
        return over_devices(values.sum(axes) if valid is None else jnp.where(valid, values, 0).sum(axes))

    count = jnp.maximum(over_devices(own), 1)
    if form == "native":
        here, squares = _moments(x, valid)
        mean = over_devices(own * here) / count
        return mean, over_devices(squares + own * jnp.square(here - mean)) / count
    mean = total(x) / count
    return mean, total(jnp.square(x - mean.reshape((1,) * len(axes) + mean.shape))) / count


@jax.custom_vjp
def _moments(x: jax.Array, valid: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """The mean of a map on this device, and the sum of squares about it, in one pass over memory."""
    mean, squares = native.moments(x, None if valid is None else valid.astype(jnp.float32).reshape(-1))
    return mean, squares


def _moments_forward(
    x: jax.Array, valid: jax.Array | None
) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array, jax.Array | None]]:
    mean, squares = _moments(x, valid)
    return (mean, squares), (x, mean, valid)


def _moments_backward(
    saved: tuple[jax.Array, jax.Array, jax.Array | None], cotangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, None]:
    x, mean, valid = saved
    by_mean, by_squares, mean = (values.reshape(1, 1, 1, -1) for values in (*cotangents, mean))
    images = len(x) if valid is None else valid.sum(dtype=jnp.float32)
    by_x = by_mean / jnp.maximum(images * math.prod(x.shape[1:3]), 1) + 2 * by_squares * (x - mean)
    return by_x if valid is None else jnp.where(valid, by_x, 0), None


_moments.defvjp(_moments_forward, _moments_backward)
