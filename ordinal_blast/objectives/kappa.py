"""Weighted kappa as a loss: agreement of a whole batch, corrected for chance."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

from ordinal_blast.objectives.distance import distances
from ordinal_blast.objectives.loss import objective
from ordinal_blast.objectives.numerics import log_one_minus_softmax, one_hot, rows_at, softmax
from ordinal_blast.objectives.options import ClassWeights, Positive, Share

POWERS = {"linear": 1, "quadratic": 2}


def _disagreement(logits: jax.Array, labels: jax.Array, weights: jax.Array, penalty: str) -> jax.Array:
    """1 - weighted kappa of a batch, 0 where chance itself cannot disagree."""
    num_classes = logits.shape[1]
    charge = distances(num_classes, POWERS[penalty], logits.dtype)
    total = jnp.sum(weights)
    shares = weights / jnp.where(total > 0, total, 1)
    truth, probs = one_hot(labels, num_classes, logits.dtype), softmax(logits)
    observed = shares @ jnp.sum(rows_at(labels, charge) * probs, axis=-1)
    expected = (shares @ truth) @ charge @ (shares @ probs)
    return observed / jnp.where(expected > 0, expected, 1)


@objective(
    batch_coupled=True,
    soft_labels=True,
    cites=("delatorre2018", "vargas2020"),
    note="Of the batch: it needs large ones, and one example teaches nothing.",
)
def soft_qwk(
    logits: jax.Array,
    labels: jax.Array,
    weights: jax.Array,
    *,
    penalty: Literal["linear", "quadratic"] = "quadratic",
    logarithm: bool = False,
    epsilon: Positive = 1e-6,
) -> jax.Array:
    """Soft weighted kappa, 1 - kappa = sum_ij d_ij O_ij / sum_ij d_ij E_ij, of the batch. logits `[B, K]` -> scalar.

    O is the confusion matrix with probabilities for decisions, E what its margins give by chance. penalty: d_ij =
    (i - j)^2 ("quadratic") or |i - j| ("linear"). Range [0, 2]; log(epsilon + the ratio) with `logarithm`. A batch of
    one grade has no chance-corrected agreement: the ratio is then 1 whatever the prediction, and 0 for an empty batch.
    """
    ratio = _disagreement(logits, labels, weights, penalty)
    return jnp.where(jnp.any(weights > 0), jnp.log(ratio + epsilon), 0) if logarithm else ratio


def _squared_errors(logits: jax.Array, labels: jax.Array, class_weights: tuple[float, ...] | None) -> jax.Array:
    num_classes = logits.shape[1]
    truth = one_hot(labels, num_classes, logits.dtype)
    squares = (truth * jnp.exp(log_one_minus_softmax(logits)) - (1 - truth) * softmax(logits)) ** 2
    if class_weights is None:
        return jnp.mean(squares, axis=-1)
    return jnp.mean(squares * jnp.asarray(class_weights, dtype=squares.dtype)[None, :], axis=-1)


def _counted(class_weights: tuple[float, ...] | None) -> bool:
    """Whether the error of every class counts: then the least expected one is that of the truth alone."""
    return class_weights is None or all(weight > 0 for weight in class_weights)


@objective(
    soft_labels=True,
    estimates=lambda class_weights: "distribution" if _counted(class_weights) else "",
    proper=_counted,
    cites=("brier1950",),
    note="The name and the weights of the classes' errors are those of dlordinal (Bérchez-Moreno et al. 2025), which "
    "cites no paper for them.",
)
def mce(logits: jax.Array, labels: jax.Array, *, class_weights: ClassWeights = None) -> jax.Array:
    """Mean class error, the Brier score over K, mean_c w_c (p_c - [c = y])^2. logits `[B, K]` -> `[B]`.

    class_weights: w_c weighs the error of p_c (None: 1), whatever the label: the loss stays proper, unlike under
    weights of examples by grade.
    """
    return _squared_errors(logits, labels, class_weights)


@objective(
    batch_coupled=True,
    soft_labels=True,
    estimates=lambda balance, class_weights: "distribution" if balance == 0 and _counted(class_weights) else "",
    proper=lambda balance, class_weights: balance == 0 and _counted(class_weights),
    cites=("brier1950", "delatorre2018"),
    note="The mixture is that of dlordinal (Bérchez-Moreno et al. 2025), which cites no paper for it.",
)
def mce_qwk(
    logits: jax.Array,
    labels: jax.Array,
    weights: jax.Array,
    *,
    balance: Share = 0.5,
    penalty: Literal["linear", "quadratic"] = "quadratic",
    class_weights: ClassWeights = None,
) -> jax.Array:
    """Kappa and mean class error mixed, balance (1 - kappa) + (1 - balance) MCE, of the batch. `[B, K]` -> scalar.

    balance: the share of kappa. penalty: as in `soft_qwk`. class_weights: as in `mce`.
    """
    total = jnp.sum(weights)
    errors = jnp.sum(weights * _squared_errors(logits, labels, class_weights)) / jnp.where(total > 0, total, 1)
    return balance * _disagreement(logits, labels, weights, penalty) + (1 - balance) * errors
