"""Continuation models: the grade is reached step by step, each step a conditional question."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from ordinal_blast.objectives.decomposition import all_asked, binary_cross_entropies, distribution, exceedance, weigh
from ordinal_blast.objectives.families import Family
from ordinal_blast.objectives.loss import objective
from ordinal_blast.objectives.numerics import negative_log_likelihood, one_hot
from ordinal_blast.objectives.options import ThresholdWeights


@dataclasses.dataclass(frozen=True)
class Conditional(Family):
    """K-1 logits t_k of "above k, given at least k". Decides by the number of k with P(y > k) > 1/2."""

    extra: ClassVar[int] = -1
    decides: ClassVar[str] = "median"

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`: log p_k = sum_{j<k} log s(t_j) + log s(-t_k), no subtraction."""
        reached = jnp.cumsum(jax.nn.log_sigmoid(outputs), axis=-1)
        stops = jax.nn.log_sigmoid(-outputs)
        return jnp.concatenate([stops[:, :1], reached[:, :-1] + stops[:, 1:], reached[:, -1:]], axis=-1)

    def exceedance_logits(self, outputs: jax.Array) -> jax.Array:
        """Logits of P(y > k), `[B, K-1]`."""
        stopped = jax.lax.cumlogsumexp(self.log_probs(outputs)[:, :-1], axis=1)
        return jnp.cumsum(jax.nn.log_sigmoid(outputs), axis=-1) - stopped

    def decide(self, outputs: jax.Array) -> jax.Array:
        """Number of grades that are exceeded with more than even odds, int `[B]`."""
        return jnp.sum(self.exceedance_logits(outputs) > 0, axis=-1)


@dataclasses.dataclass(frozen=True)
class StickBreaking(Family):
    """K-1 logits t_k of "stops at k, given at least k"; class probabilities are the pieces of a broken stick."""

    extra: ClassVar[int] = -1

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        return Conditional(self.num_classes).log_probs(-outputs)


def _steps(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Binary cross-entropies `[B, K-1]` of the steps a label has seen, 0 for the others."""
    above = exceedance(labels, logits.shape[1] + 1, logits.dtype)
    stops = one_hot(labels, logits.shape[1] + 1, logits.dtype)[:, :-1]
    return above * jax.nn.softplus(-logits) + stops * jax.nn.softplus(logits)


@objective(Conditional, soft_labels=True, estimates=distribution, proper=all_asked, cites=("shi2023",))
def corn(logits: jax.Array, labels: jax.Array, *, threshold_weights: ThresholdWeights = None) -> jax.Array:
    """Conditional ordinal regression (CORN), sum_{k <= y} BCE(t_k, [y > k]). logits `[B, K-1]` -> `[B]`.

    Without weights it is -log p_y: the continuation ratio model, and the likelihood form of CONDOR.
    threshold_weights: `[K-1]`, what the loss at each threshold weighs (None: 1).
    """
    return jnp.sum(weigh(_steps(logits, labels), threshold_weights), axis=-1)


@objective(
    Conditional,
    soft_labels=True,
    batch_coupled=True,
    estimates="distribution",
    proper=True,
    cites=("shi2023",),
    note="Divided as in the authors' code. Proper as batches grow: in a small one the number of questions depends on "
    "its labels.",
)
def corn_per_question(logits: jax.Array, labels: jax.Array, weights: jax.Array) -> jax.Array:
    """CORN over the number of binary questions asked in the batch, not of examples. logits `[B, K-1]` -> scalar.

    An example of grade y was asked min(y + 1, K - 1) questions.
    """
    at_least = jnp.concatenate(
        [jnp.ones_like(logits[:, :1]), exceedance(labels, logits.shape[1] + 1, logits.dtype)[:, :-1]], axis=-1
    )
    asked = jnp.sum(weights * jnp.sum(at_least, axis=-1))
    return jnp.sum(weights * jnp.sum(_steps(logits, labels), axis=-1)) / jnp.where(asked > 0, asked, 1)


@objective(Conditional, soft_labels=True, estimates=distribution, proper=all_asked, cites=("jenkinson2021",))
def condor(logits: jax.Array, labels: jax.Array, *, threshold_weights: ThresholdWeights = None) -> jax.Array:
    """CONDOR cross-entropy, sum_k BCE(P(y > k), [y > k]), P(y > k) = prod_{j <= k} s(t_j). `[B, K-1]` -> `[B]`.

    threshold_weights: `[K-1]`, what the loss at each threshold weighs (None: 1).
    """
    num_classes = logits.shape[1] + 1
    cumulative = Conditional(num_classes).exceedance_logits(logits)
    parts = binary_cross_entropies(cumulative, exceedance(labels, num_classes, logits.dtype))
    return jnp.sum(weigh(parts, threshold_weights), axis=-1)


@objective(
    StickBreaking,
    soft_labels=True,
    estimates="distribution",
    proper=True,
    cites=("liu2020",),
    note="The likelihood of `corn` with signs changed, decided by the mode.",
)
def stick_breaking(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Stick breaking, -log p_y, p_k = s(t_k) prod_{j < k} (1 - s(t_j)). logits `[B, K-1]` -> `[B]`."""
    return negative_log_likelihood(StickBreaking(logits.shape[1] + 1).log_probs(logits), labels)
