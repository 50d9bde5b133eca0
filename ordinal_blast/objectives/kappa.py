"""Weighted kappa as a loss: agreement of a whole batch, corrected for chance."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ordinal_blast.objectives.distance import distances
from ordinal_blast.objectives.numerics import one_hot, softmax
from ordinal_blast.objectives.objective import objective

POWERS = {"linear": 1, "quadratic": 2}


@objective(batch_coupled=True, soft_labels=True, proper=False, citation="de la Torre et al. 2018; Vargas et al. 2020")
def soft_qwk(
    logits: jax.Array,
    labels: jax.Array,
    weights: jax.Array,
    *,
    penalty: str = "quadratic",
    logarithm: bool = False,
    epsilon: float = 1e-6,
) -> jax.Array:
    """Soft weighted kappa, 1 - kappa = sum_ij d_ij O_ij / sum_ij d_ij E_ij, of the batch. logits `[B, K]` -> scalar.

    O is the confusion matrix with probabilities for decisions, E what its margins give by chance, d_ij = (i - j)^2 or
    |i - j|. Range [0, 2]; log(epsilon + the ratio) with `logarithm`. A batch of one grade has no chance-corrected
    agreement: the ratio is then 1 whatever the prediction, and 0 for an empty batch.
    """
    if penalty not in POWERS:
        raise ValueError(f"penalty must be one of {sorted(POWERS)}, got {penalty!r}")
    num_classes = logits.shape[1]
    charge = distances(num_classes, POWERS[penalty], logits.dtype)
    shares = weights / jnp.maximum(jnp.sum(weights), jnp.finfo(logits.dtype).tiny)
    truth, probs = one_hot(labels, num_classes, logits.dtype), softmax(logits)
    observed = shares @ jnp.sum((truth @ charge) * probs, axis=-1)
    expected = (shares @ truth) @ charge @ (shares @ probs)
    ratio = observed / jnp.where(expected > 0, expected, 1)
    return jnp.log(ratio + epsilon) * jnp.any(weights > 0) if logarithm else ratio
