"""Last layers: features `[B, D]` to the raw outputs `[B, num_outputs]` that an objective reads."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp


class SharedSlope(nn.Module):
    """Outputs w x + b_k: one slope, and biases that start at (K-1 ... 1) / (K-1) (Cao, Mirjalili & Raschka 2020)."""

    num_outputs: int

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        """`[B, D]` -> `[B, K-1]`."""
        score = nn.Dense(1, use_bias=False, name="slope")(features)
        return score + self.param("bias", _falling, (self.num_outputs,))[None, :]


def _falling(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    del key
    return jnp.arange(shape[0], 0, -1, dtype=jnp.float32) / shape[0]


class OrderedThresholds(nn.Module):
    """theta_k - eta with eta = w x and theta_k = theta_0 + sum of softplus: cut points in order for any parameters.

    They start one apart around 0. min_gap: the least distance between neighbours.
    """

    num_outputs: int
    min_gap: float = 1e-3

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        """`[B, D]` -> `[B, K-1]`."""
        score = nn.Dense(1, use_bias=False, name="score")(features)
        first = self.param("first", nn.initializers.constant(-(self.num_outputs - 1) / 2), (1,))
        one = jnp.log(jnp.expm1(1.0 - self.min_gap))  # softplus(one) + min_gap = 1
        steps = self.param("steps", nn.initializers.constant(one), (self.num_outputs - 1,))
        cuts = jnp.concatenate([first, first + jnp.cumsum(jax.nn.softplus(steps) + self.min_gap)])
        return cuts[None, :] - score


LAYERS = {"dense": nn.Dense, "shared_slope": SharedSlope, "ordered_thresholds": OrderedThresholds}
