"""Ordinal binary decomposition: K-1 questions "is the grade above k?", each answered by a logit of its own."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from ordinal_blast.objectives.families import Cumulative
from ordinal_blast.objectives.loss import objective
from ordinal_blast.objectives.numerics import one_hot
from ordinal_blast.objectives.options import NotNegative, ThresholdWeights


@dataclasses.dataclass(frozen=True)
class SharedSlope(Cumulative):
    """Cumulative logits w x + b_k that differ by their bias only."""

    layer: ClassVar[str] = "shared_slope"


@dataclasses.dataclass(frozen=True)
class CodeWords(Cumulative):
    """Cumulative logits read as a code word: decides for the grade whose code word is nearest."""

    decode: Literal["count", "nearest"] = "nearest"


def exceedance(labels: jax.Array, num_classes: int, dtype: jnp.dtype) -> jax.Array:
    """b_k = P(y > k) of labels, `[B, K-1]`."""
    targets = one_hot(labels, num_classes, dtype)
    return jnp.flip(jnp.cumsum(jnp.flip(targets, axis=1), axis=1), axis=1)[:, 1:]


def binary_cross_entropies(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """-b log s(t) - (1 - b) log s(-t), elementwise."""
    return targets * jax.nn.softplus(-logits) + (1 - targets) * jax.nn.softplus(logits)


def weigh(parts: jax.Array, threshold_weights: tuple[float, ...] | None) -> jax.Array:
    """Losses of the K-1 thresholds `[B, K-1]`, weighted."""
    if threshold_weights is None:
        return parts
    return parts * jnp.asarray(threshold_weights, dtype=parts.dtype)[None, :]


def all_asked(threshold_weights: tuple[float, ...] | None = None) -> bool:
    """Whether every threshold counts: then a sum of proper losses of the thresholds is proper."""
    return threshold_weights is None or all(weight > 0 for weight in threshold_weights)


def distribution(threshold_weights: tuple[float, ...] | None = None) -> str:
    """What such a sum estimates."""
    return "distribution" if all_asked(threshold_weights) else ""


def _decomposed(logits: jax.Array, labels: jax.Array, threshold_weights: tuple[float, ...] | None) -> jax.Array:
    parts = binary_cross_entropies(logits, exceedance(labels, logits.shape[1] + 1, logits.dtype))
    return jnp.sum(weigh(parts, threshold_weights), axis=-1)


@objective(
    Cumulative,
    soft_labels=True,
    estimates=distribution,
    proper=all_asked,
    cites=("frank2001", "cheng2008", "niu2016"),
)
def binary_decomposition(
    logits: jax.Array, labels: jax.Array, *, threshold_weights: ThresholdWeights = None
) -> jax.Array:
    """Ordinal binary decomposition, sum_k BCE(t_k, [y > k]). logits `[B, K-1]` -> `[B]`.

    threshold_weights: `[K-1]`, what the loss at each threshold weighs (None: 1). decode: "count" of positive
    logits decides, or the "nearest" code word.
    """
    return _decomposed(logits, labels, threshold_weights)


@objective(
    SharedSlope,
    soft_labels=True,
    estimates=distribution,
    proper=all_asked,
    cites=("cao2020",),
    note="The loss of `binary_decomposition`, for one slope.",
)
def coral(logits: jax.Array, labels: jax.Array, *, threshold_weights: ThresholdWeights = None) -> jax.Array:
    """Consistent rank logits (CORAL), sum_k BCE(w x + b_k, [y > k]). logits `[B, K-1]` -> `[B]`.

    The binary decomposition of a layer whose thresholds share their slope; biases are in order at the optimum.
    threshold_weights: `[K-1]`, what the loss at each threshold weighs (None: 1). decode: "count" of positive
    logits decides, or the "nearest" code word.
    """
    return _decomposed(logits, labels, threshold_weights)


def _code_distances(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """(s(t_k) - b_k)^2, `[B, K-1]`."""
    targets = exceedance(labels, logits.shape[1] + 1, logits.dtype)
    # exp(log s) has the gradient s (1 - s) without rounding 1 - s to 0.
    above, below = jnp.exp(jax.nn.log_sigmoid(logits)), jnp.exp(jax.nn.log_sigmoid(-logits))
    return (above * (1 - targets) - below * targets) ** 2


@objective(
    CodeWords,
    soft_labels=True,
    estimates=distribution,
    proper=all_asked,
    cites=("barbero2023",),
    same_as="ordinal_encoding_mse",
    note="K - 1 times that loss; they decide alike unless logits cross.",
)
def ecoc_distance(logits: jax.Array, labels: jax.Array, *, threshold_weights: ThresholdWeights = None) -> jax.Array:
    """Squared distance to the label's code word, sum_k (s(t_k) - [y > k])^2. logits `[B, K-1]` -> `[B]`.

    threshold_weights: `[K-1]`, what the loss at each threshold weighs (None: 1). decode: "count" of positive
    logits decides, or the "nearest" code word.
    """
    return jnp.sum(weigh(_code_distances(logits, labels), threshold_weights), axis=-1)


@objective(Cumulative, soft_labels=True, estimates=distribution, proper=all_asked, cites=("cheng2008",))
def ordinal_encoding_mse(
    logits: jax.Array, labels: jax.Array, *, threshold_weights: ThresholdWeights = None
) -> jax.Array:
    """Mean squared error of the ordinal encoding, mean_k (s(t_k) - [y > k])^2. logits `[B, K-1]` -> `[B]`.

    threshold_weights: `[K-1]`, what the loss at each threshold weighs (None: 1). decode: "count" of positive
    logits decides, or the "nearest" code word.
    """
    return jnp.mean(weigh(_code_distances(logits, labels), threshold_weights), axis=-1)


def _focal(gamma: float, threshold_weights: tuple[float, ...] | None) -> str:
    """Each threshold's answer is right at the optimum, but less sure than the truth."""
    return distribution(threshold_weights) and ("median" if gamma else "distribution")


@objective(
    Cumulative,
    estimates=_focal,
    proper=lambda gamma, threshold_weights: not gamma and all_asked(threshold_weights),
    cites=("lin2017",),
    note="The focal loss of that paper, for each threshold.",
)
def ordinal_focal(
    logits: jax.Array,
    labels: jax.Array,
    *,
    gamma: NotNegative = 2.0,
    threshold_weights: ThresholdWeights = None,
) -> jax.Array:
    """Ordinal focal loss, sum_k (1 - q_k)^gamma BCE_k, q_k the probability of the right answer. `[B, K-1]` -> `[B]`.

    gamma: 0 for the binary decomposition itself. threshold_weights: `[K-1]`, what the error at each threshold
    weighs (None: 1). decode: "count" of positive logits decides, or the "nearest" code word.
    """
    targets = exceedance(labels, logits.shape[1] + 1, logits.dtype)
    right = (2 * targets - 1) * logits
    parts = jnp.exp(-gamma * jax.nn.softplus(right)) * jax.nn.softplus(-right)
    return jnp.sum(weigh(parts, threshold_weights), axis=-1)
