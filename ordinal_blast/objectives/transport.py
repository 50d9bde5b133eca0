"""Losses of the distance a predicted distribution over grades must be moved to reach the label."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ordinal_blast.objectives.loss import objective
from ordinal_blast.objectives.numerics import one_hot, softmax


def _cumulative_differences(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """P(c <= k) - Q(c <= k) `[B, K-1]` of predictions P and labels Q.

    Each is summed over the side without the most probable grade, where small probabilities keep their digits.
    """
    probs, truth = softmax(logits), one_hot(labels, logits.shape[1], logits.dtype)
    below, below_truth = jnp.cumsum(probs, axis=-1)[:, :-1], jnp.cumsum(truth, axis=-1)[:, :-1]
    above = jnp.flip(jnp.cumsum(jnp.flip(probs, axis=1), axis=1), axis=1)[:, 1:]
    has_top = jnp.arange(logits.shape[1] - 1)[None, :] >= jnp.argmax(logits, axis=-1, keepdims=True)
    return jnp.where(has_top, (1 - below_truth) - above, below - below_truth)


@objective(soft_labels=True, estimates="distribution", proper=True, cites=("epstein1969", "hou2016"))
def squared_emd(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Squared earth mover's distance, the ranked probability score, sum_k (C_k - [k >= y])^2. `[B, K]` -> `[B]`.

    C = cumulative sum of p. Range 0 ... K-1: not divided by K-1 as in meteorology.
    """
    return jnp.sum(_cumulative_differences(logits, labels) ** 2, axis=-1)


@objective(soft_labels=True, estimates="median", cites=("hou2016",))
def emd(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Earth mover's distance, sum_k |C_k - [k >= y]| = sum_c p_c |c - y|. logits `[B, K]` -> `[B]`.

    The expected absolute error. Linear in p: at the optimum everything is on the conditional median.
    """
    return jnp.sum(jnp.abs(_cumulative_differences(logits, labels)), axis=-1)


@objective(soft_labels=True, native="mean", estimates="mean", cites=("beckham2016",))
def expected_squared_error(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Squared error of the expected grade, (sum_c c p_c - y)^2. logits `[B, K]` -> `[B]`. Only the mean is learnt."""
    grades = jnp.arange(logits.shape[1], dtype=logits.dtype)
    if labels.ndim == 1:
        return jnp.sum(softmax(logits) * (grades[None, :] - labels[:, None]), axis=-1) ** 2
    errors = softmax(logits) @ (grades[:, None] - grades[None, :])
    return jnp.sum(one_hot(labels, logits.shape[1], logits.dtype) * errors**2, axis=-1)
