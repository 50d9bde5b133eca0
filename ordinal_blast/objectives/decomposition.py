"""Ordinal binary decomposition: K-1 independent questions "is the grade above k?"."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ordinal_blast.objectives.heads import Cumulative
from ordinal_blast.objectives.numerics import one_hot
from ordinal_blast.objectives.objective import objective


def exceedance(labels: jax.Array, num_classes: int, dtype: jnp.dtype) -> jax.Array:
    """b_k = P(y > k) of labels, `[B, K-1]`."""
    targets = one_hot(labels, num_classes, dtype)
    return jnp.flip(jnp.cumsum(jnp.flip(targets, axis=1), axis=1), axis=1)[:, 1:]


def binary_cross_entropies(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """-b log s(t) - (1 - b) log s(-t), elementwise."""
    return targets * jax.nn.softplus(-logits) + (1 - targets) * jax.nn.softplus(logits)


@objective(
    Cumulative,
    soft_labels=True,
    estimates="distribution",
    proper=True,
    citation="Frank & Hall 2001; Cheng et al. 2008; Niu et al. 2016",
)
def binary_decomposition(
    logits: jax.Array, labels: jax.Array, *, threshold_weights: tuple[float, ...] | None = None
) -> jax.Array:
    """Ordinal binary decomposition, sum_k BCE(t_k, [y > k]). logits `[B, K-1]` -> `[B]`."""
    parts = binary_cross_entropies(logits, exceedance(labels, logits.shape[1] + 1, logits.dtype))
    return jnp.sum(weigh(parts, threshold_weights), axis=-1)


def weigh(parts: jax.Array, threshold_weights: tuple[float, ...] | None) -> jax.Array:
    """Losses of the K-1 thresholds `[B, K-1]`, weighted; ValueError unless there is one weight for each."""
    if threshold_weights is None:
        return parts
    if len(threshold_weights) != parts.shape[1]:
        raise ValueError(f"threshold_weights: {parts.shape[1]} are needed, got {len(threshold_weights)}")
    return parts * jnp.asarray(threshold_weights, dtype=parts.dtype)[None, :]
