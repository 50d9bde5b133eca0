"""Cross-entropy, which knows no order."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ordinal_blast.objectives.loss import objective
from ordinal_blast.objectives.numerics import log_softmax, one_hot


@objective(soft_labels=True, estimates="distribution", proper=True, cites=("good1952",))
def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Cross-entropy, -log p_y. logits `[B, K]` -> `[B]`."""
    return -jnp.sum(one_hot(labels, logits.shape[1], logits.dtype) * log_softmax(logits), axis=-1)
