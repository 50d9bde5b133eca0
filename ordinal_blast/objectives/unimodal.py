"""Distributions over grades with one peak: by construction of the family, or by a penalty on the softmax."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from ordinal_blast.objectives.families import Family
from ordinal_blast.objectives.loss import objective
from ordinal_blast.objectives.numerics import log_softmax, negative_log_likelihood, softmax
from ordinal_blast.objectives.options import NotNegative, Share


def _from_steps(steps: jax.Array) -> jax.Array:
    """Log-probabilities `[B, K]` of log p_{k+1} / p_k, `[B, K-1]`.

    Steps are summed outwards from the peak: sums from one end would round by the size of what they pass.
    """
    peak = jnp.argmax(jnp.pad(jnp.cumsum(steps, axis=-1), ((0, 0), (1, 0))), axis=-1, keepdims=True)
    above = jnp.arange(steps.shape[1])[None, :] >= peak
    upwards = jnp.cumsum(jnp.where(above, steps, 0), axis=-1)
    downwards = jnp.flip(jnp.cumsum(jnp.flip(jnp.where(above, 0, -steps), axis=1), axis=1), axis=1)
    return log_softmax(jnp.pad(upwards, ((0, 0), (1, 0))) + jnp.pad(downwards, ((0, 0), (0, 1))))


def _from_v(first: jax.Array, increments: jax.Array, shape: str) -> jax.Array:
    """Log-probabilities `[B, K]`, -g^2 or -|g| + constant, of g = first `[B, 1]` plus summed increments `[B, K-1]`."""
    g = jnp.cumsum(jnp.concatenate([first, increments], axis=-1), axis=-1)
    both = g[:, :-1] + g[:, 1:]
    if shape == "square":
        return _from_steps(-increments * both)
    crosses = (g[:, :-1] < 0) & (g[:, 1:] > 0)
    return _from_steps(-jnp.where(crosses, both, jnp.where(g[:, 1:] > 0, increments, -increments)))


@dataclasses.dataclass(frozen=True)
class AdjacentCategory(Family):
    """K-1 outputs t_k = log p_{k+1} / p_k; any distribution."""

    extra: ClassVar[int] = -1

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        return _from_steps(outputs)


@dataclasses.dataclass(frozen=True)
class SharedAdjacentCategory(AdjacentCategory):
    """Adjacent-category logits w x + b_k that differ by their bias only."""

    layer: ClassVar[str] = "shared_slope"


@dataclasses.dataclass(frozen=True)
class OrderedAdjacentCategory(Family):
    """K-1 outputs; log p_k / p_{k+1} = t_0 + sum_{0<j<=k} softplus(t_j), increasing: log-concave, so of one peak."""

    extra: ClassVar[int] = -1

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        return _from_steps(
            -jnp.cumsum(jnp.concatenate([outputs[:, :1], jax.nn.softplus(outputs[:, 1:])], axis=-1), axis=-1)
        )


@dataclasses.dataclass(frozen=True)
class VShaped(Family):
    """K outputs; log p_k = -g_k^2 or -|g_k| + constant, g_k = z_0 + sum_{0<j<=k} softplus(z_j): one peak."""

    shape: Literal["square", "absolute"] = "square"

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        return _from_v(outputs[:, :1], jax.nn.softplus(outputs[:, 1:]), self.shape)


@dataclasses.dataclass(frozen=True)
class Copoc(Family):
    """K outputs; log p_k = -|z_0 + sum_{0<j<=k} |z_j|| + constant: one peak."""

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        return _from_v(outputs[:, :1], jnp.abs(outputs[:, 1:]), "absolute")


@dataclasses.dataclass(frozen=True)
class TwoSlopes(Family):
    """K outputs; logits are the lower of two slopes, sums of softplus(z) from below and from above: one peak."""

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        steps = jax.nn.softplus(outputs)
        from_above = jnp.flip(jnp.cumsum(jnp.flip(steps, axis=1), axis=1), axis=1)
        return log_softmax(jnp.minimum(jnp.cumsum(steps, axis=-1), from_above))


@objective(
    AdjacentCategory,
    soft_labels=True,
    estimates="distribution",
    proper=True,
    cites=("agresti2010",),
    note="With free outputs a softmax in other coordinates; the ordinal model is `adjacent_category_shared`.",
)
def adjacent_category(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Adjacent-category logits (ACL), -log p_y, t_k = log p_{k+1} / p_k. outputs `[B, K-1]` -> `[B]`."""
    return negative_log_likelihood(AdjacentCategory(outputs.shape[1] + 1).log_probs(outputs), labels)


@objective(
    SharedAdjacentCategory,
    soft_labels=True,
    estimates="distribution",
    proper=True,
    cites=("agresti2010",),
    note="The loss of `adjacent_category`, for one slope.",
)
def adjacent_category_shared(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Adjacent-category logits with one slope, -log p_y, log p_{k+1} / p_k = w x + b_k. outputs `[B, K-1]` -> `[B]`."""
    return negative_log_likelihood(AdjacentCategory(outputs.shape[1] + 1).log_probs(outputs), labels)


@objective(
    OrderedAdjacentCategory,
    soft_labels=True,
    estimates="distribution",
    proper=True,
    truths="log-concave",
    unimodal=True,
    cites=("yamasaki2022",),
)
def ord_acl(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Ordered adjacent-category logits, -log p_y of a unimodal family. outputs `[B, K-1]` -> `[B]`.

    softplus in place of the author's exp, which overflows.
    """
    return negative_log_likelihood(OrderedAdjacentCategory(outputs.shape[1] + 1).log_probs(outputs), labels)


@objective(
    VShaped,
    soft_labels=True,
    estimates="distribution",
    proper=True,
    truths="unimodal",
    unimodal=True,
    cites=("yamasaki2022",),
)
def vs_sl(outputs: jax.Array, labels: jax.Array, *, shape: Literal["square", "absolute"] = "square") -> jax.Array:
    """V-shaped stereotype logits, -log p_y, log p_k = -g_k^2 (or -|g_k|), g ordered. outputs `[B, K]` -> `[B]`.

    shape: "square" for -g^2, "absolute" for -|g|.
    """
    return negative_log_likelihood(VShaped(outputs.shape[1], shape).log_probs(outputs), labels)


@objective(
    Copoc,
    soft_labels=True,
    estimates="distribution",
    proper=True,
    truths="unimodal",
    unimodal=True,
    cites=("dey2023",),
)
def copoc(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """Unimodal family of a conformal predictor (COPOC), -log p_y, log p_k = -|r_k|, r ordered. `[B, K]` -> `[B]`."""
    return negative_log_likelihood(Copoc(outputs.shape[1]).log_probs(outputs), labels)


@objective(
    TwoSlopes,
    soft_labels=True,
    estimates="distribution",
    proper=True,
    truths="unimodal",
    unimodal=True,
    cites=("cardoso2025",),
)
def unimodal_net(outputs: jax.Array, labels: jax.Array) -> jax.Array:
    """UnimodalNet, -log p_y, p = softmax(min(cumsum v, reverse cumsum v)), v = softplus(z). `[B, K]` -> `[B]`."""
    return negative_log_likelihood(TwoSlopes(outputs.shape[1]).log_probs(outputs), labels)


def _climbs_away(logits: jax.Array, labels: jax.Array, margin: float) -> jax.Array:
    """sum_k relu(margin + p_k - p_{k+1}) below the label and relu(margin + p_{k+1} - p_k) above it, `[B]`."""
    steps = jnp.diff(softmax(logits), axis=-1)
    away = jnp.where(jnp.arange(steps.shape[1])[None, :] >= labels[:, None], steps, -steps)
    return jnp.sum(jax.nn.relu(margin + away), axis=-1)


@objective(
    estimates=lambda strength: "" if strength else "distribution",
    proper=lambda strength: not strength,
    cites=("albuquerque2021",),
)
def co2(logits: jax.Array, labels: jax.Array, *, strength: NotNegative = 0.01, margin: Share = 0.05) -> jax.Array:
    """CO2, -log p_y + strength sum_k relu(margin +- (p_{k+1} - p_k)): probabilities should fall away from the label.

    logits `[B, K]` -> `[B]`.
    strength, margin: of the penalty.
    """
    return negative_log_likelihood(log_softmax(logits), labels) + strength * _climbs_away(logits, labels, margin)


@objective(cites=("albuquerque2021",))
def ho2(logits: jax.Array, labels: jax.Array, *, strength: NotNegative = 1.0, margin: Share = 0.05) -> jax.Array:
    """HO2, entropy of p + strength sum_k relu(margin +- (p_{k+1} - p_k)): as `co2`, entropy for cross-entropy.

    logits `[B, K]` -> `[B]`.
    strength, margin: of the penalty.
    """
    entropy = -jnp.sum(softmax(logits) * log_softmax(logits), axis=-1)
    return entropy + strength * _climbs_away(logits, labels, margin)
