"""Losses that charge each wrong grade by its distance from the label."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ordinal_blast.objectives.numerics import log_one_minus_softmax, one_hot
from ordinal_blast.objectives.objective import objective


def distances(num_classes: int, power: float, dtype: jnp.dtype) -> jax.Array:
    """|c - y|^power for every pair of grades, `[K, K]`; 0 on the diagonal for any power."""
    grades = jnp.arange(num_classes, dtype=dtype)
    apart = jnp.abs(grades[:, None] - grades[None, :])
    return jnp.where(apart > 0, apart**power, 0)


@objective(
    soft_labels=True, estimates="median", proper=False, citation="Kragh et al. 2019; Castagnos et al. 2022 (power)"
)
def ordinal_cross_entropy(logits: jax.Array, labels: jax.Array, *, power: float = 1.0) -> jax.Array:
    """Ordinal cross-entropy, -sum_c |c - y|^power log(1 - p_c). logits `[B, K]` -> `[B]`, range [0, inf).

    With K = 2 it is cross-entropy. Not proper for K >= 3: at the optimum the most probable grade is the conditional
    median (power 1) or the rounded mean (power 2), and probabilities are sparse, not calibrated.
    """
    num_classes = logits.shape[1]
    charge = one_hot(labels, num_classes, logits.dtype) @ distances(num_classes, power, logits.dtype)
    return -jnp.sum(charge * log_one_minus_softmax(logits), axis=-1)
