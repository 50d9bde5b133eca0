"""Threshold models: one latent score eta, K-1 ordered cut points theta; outputs are theta_k - eta, `[B, K-1]`."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from ordinal_blast.objectives import normal
from ordinal_blast.objectives.decomposition import all_asked, weigh
from ordinal_blast.objectives.families import Family
from ordinal_blast.objectives.loss import objective
from ordinal_blast.objectives.numerics import (
    gaps,
    log1mexp,
    log_logistic_intervals,
    negative_log_likelihood,
    rows_at,
)
from ordinal_blast.objectives.options import NotNegative, ThresholdWeights


def log_gumbel_intervals(cuts: jax.Array) -> jax.Array:
    """Log-probabilities `[B, K]` of the intervals of F(x) = 1 - exp(-exp(x)); x is capped at 80: exp."""
    cuts = jnp.minimum(cuts, 80)
    # exp(b) - exp(a) = exp(b) (1 - exp(a - b)), and F(b) - F(a) = exp(-exp(a)) (1 - exp(-(exp(b) - exp(a)))).
    inner = -jnp.exp(cuts[:, :-1]) + _log_one_minus_exp_exp(cuts[:, 1:] + log1mexp(-gaps(cuts)))
    return jnp.concatenate([_log_one_minus_exp_exp(cuts[:, :1]), inner, -jnp.exp(cuts[:, -1:])], axis=-1)


def _log_one_minus_exp_exp(x: jax.Array) -> jax.Array:
    """log(1 - exp(-exp(x))), which tends to x below."""
    small = x < -5
    power = jnp.exp(jnp.minimum(x, 0))  # 1 - exp(-e) = e - e^2 / 2 + e^3 / 6 - ...
    series = -power / 2 + power**2 / 6 - power**3 / 24 + power**4 / 120 - power**5 / 720
    return jnp.where(small, x + jnp.log1p(series), log1mexp(-jnp.exp(jnp.where(small, 0, x))))


Link = Literal["logit", "probit", "cloglog"]
Penalty = Literal["logistic", "hinge", "smooth_hinge", "squared_hinge"]
LINKS = {"logit": log_logistic_intervals, "probit": normal.log_intervals, "cloglog": log_gumbel_intervals}


@dataclasses.dataclass(frozen=True)
class CumulativeLink(Family):
    """P(y <= k) = F(theta_k - eta) with F by `link`: "logit", "probit" or "cloglog".

    Any distribution has its cut points, so that none of the links keeps it to one peak: a narrow interval between two
    wide ones is a valley.
    """

    link: Link = "logit"

    layer: ClassVar[str] = "ordered_thresholds"
    extra: ClassVar[int] = -1

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        return LINKS[self.link](outputs)


@dataclasses.dataclass(frozen=True)
class Thresholds(Family):
    """Logistic threshold model decided by the number of cut points below eta."""

    layer: ClassVar[str] = "ordered_thresholds"
    extra: ClassVar[int] = -1
    decides: ClassVar[str] = "median"

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`, as a proportional odds model would have them."""
        return log_logistic_intervals(outputs)

    def decide(self, outputs: jax.Array) -> jax.Array:
        """Number of cut points below the latent score, int `[B]`."""
        return jnp.sum(outputs < 0, axis=-1)


@objective(
    CumulativeLink,
    soft_labels=True,
    estimates="distribution",
    proper=True,
    cites=("mccullagh1980", "vargas2020"),
)
def cumulative_link(outputs: jax.Array, labels: jax.Array, *, link: Link = "logit") -> jax.Array:
    """Cumulative link model, -log(F(theta_y - eta) - F(theta_{y-1} - eta)). theta - eta `[B, K-1]` -> `[B]`.

    link: F, "logit", "probit" or "cloglog" (1 - exp(-exp(x))).
    """
    return negative_log_likelihood(CumulativeLink(outputs.shape[1] + 1, link).log_probs(outputs), labels)


def _penalty(margins: jax.Array, penalty: str) -> jax.Array:
    if penalty == "logistic":
        return jax.nn.softplus(-margins)
    short = jnp.maximum(1 - margins, 0)
    if penalty == "hinge":
        return short
    if penalty == "smooth_hinge":
        return jnp.where(margins < 0, 0.5 - margins, short**2 / 2)
    return short**2


def _threshold_loss(outputs: jax.Array, labels: jax.Array, power: float, penalty: str) -> jax.Array:
    """Penalties `[B, K-1]` of the thresholds, each weighed by what crossing it costs: ||k+1-y|^p - |k-y|^p|."""
    num_classes = outputs.shape[1] + 1
    grades = jnp.arange(num_classes, dtype=outputs.dtype)
    apart = jnp.abs(grades[:, None] - grades[None, :])
    steps = jnp.abs(jnp.diff(jnp.where(apart > 0, apart**power, 0), axis=1))
    above = grades[:, None] > grades[None, :-1]
    falls_above, falls_below = rows_at(labels, jnp.where(above, steps, 0)), rows_at(labels, jnp.where(above, 0, steps))
    return falls_above * _penalty(-outputs, penalty) + falls_below * _penalty(outputs, penalty)


def _likelihood(penalty: str, power: float, threshold_weights: tuple[float, ...] | None) -> bool:
    """Whether each threshold is a logistic regression of "grade > k"."""
    return penalty == "logistic" and power == 1 and all_asked(threshold_weights)


def _estimates(penalty: str, power: float, threshold_weights: tuple[float, ...] | None) -> str:
    if _likelihood(penalty, power, threshold_weights):
        return "distribution"
    return {1.0: "median", 2.0: "rounded mean"}.get(power, "") if all_asked(threshold_weights) else ""


@objective(
    Thresholds,
    soft_labels=True,
    estimates=_estimates,
    proper=_likelihood,
    cites=("rennie2005", "pedregosa2017"),
    note="By default the loss of `coral`, of cut points kept in order. Other penalties have no probabilities of their "
    "own and are read as if logistic.",
)
def all_threshold(
    outputs: jax.Array,
    labels: jax.Array,
    *,
    penalty: Penalty = "logistic",
    power: NotNegative = 1.0,
    threshold_weights: ThresholdWeights = None,
) -> jax.Array:
    """All-threshold loss, sum_k c_k f(s_k (theta_k - eta)), s_k = 1 where y <= k, else -1. `[B, K-1]` -> `[B]`.

    penalty: f, "logistic", "hinge", "smooth_hinge" or "squared_hinge". power: c_k = ||k+1-y|^power - |k-y|^power|, 1
    for the absolute error (power 1), growing with distance for the squared one (power 2). threshold_weights: `[K-1]`,
    further weights (None: 1).
    """
    return jnp.sum(weigh(_threshold_loss(outputs, labels, power, penalty), threshold_weights), axis=-1)


@objective(
    Thresholds,
    soft_labels=True,
    estimates=lambda threshold_weights: "mode" if all_asked(threshold_weights) else "",
    truths="unimodal",
    cites=("rennie2005", "pedregosa2017"),
    note="Its outputs estimate log p_k / p_{k+1}; read as cumulative logits, as they are, their median is that mode.",
)
def immediate_threshold(
    outputs: jax.Array,
    labels: jax.Array,
    *,
    penalty: Penalty = "logistic",
    threshold_weights: ThresholdWeights = None,
) -> jax.Array:
    """Immediate-threshold loss, f at the two cut points beside the label only (power 0). `[B, K-1]` -> `[B]`.

    penalty: f, as in `all_threshold`. threshold_weights: `[K-1]`, what the loss at each threshold weighs (None: 1).
    """
    return jnp.sum(weigh(_threshold_loss(outputs, labels, 0.0, penalty), threshold_weights), axis=-1)
