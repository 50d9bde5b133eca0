"""Grades as draws of a distribution with one or two parameters, which are the outputs."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.objectives.families import Family
from ordinal_blast.objectives.loss import objective
from ordinal_blast.objectives.numerics import log_softmax, log_softplus, negative_log_likelihood
from ordinal_blast.objectives.options import NotNegative, PerGrade, Positive, Rising, Share


def _grades(num_classes: int, dtype: jnp.dtype) -> jax.Array:
    return jnp.arange(num_classes, dtype=dtype)[None, :]


def _constants(values: list[float], dtype: jnp.dtype) -> jax.Array:
    return jnp.asarray(np.array(values), dtype)[None, :]


@dataclasses.dataclass(frozen=True)
class Binomial(Family):
    """One output, the logit of success in K-1 trials; p_k is sharpened by 1 / tau and normalised."""

    tau: Positive = 1.0

    width: ClassVar[int] = 1

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        k, trials = _grades(self.num_classes, outputs.dtype), self.num_classes - 1
        choose = _constants([math.log(math.comb(trials, j)) for j in range(trials + 1)], outputs.dtype)
        return log_softmax((choose + k * outputs) / self.tau)  # log s(t) - log s(-t) = t


@dataclasses.dataclass(frozen=True)
class Poisson(Family):
    """One output, rate = softplus(output), counts 0 ... K-1; p_k is sharpened by 1 / tau and normalised."""

    tau: Positive = 1.0

    width: ClassVar[int] = 1

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        factorials = _constants([math.lgamma(k + 1) for k in range(self.num_classes)], outputs.dtype)
        return log_softmax((_grades(self.num_classes, outputs.dtype) * log_softplus(outputs) - factorials) / self.tau)


@dataclasses.dataclass(frozen=True)
class Gaussian(Family):
    """Two outputs, mean and (through softplus, plus `floor`) deviation; p_k in proportion to the density at k."""

    floor: NotNegative = 0.01

    width: ClassVar[int] = 2

    def deviation(self, outputs: jax.Array) -> jax.Array:
        """Standard deviation in grades, `[B, 1]`."""
        return jax.nn.softplus(outputs[:, 1:]) + self.floor

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        # (k - mean)^2 without mean^2, which is the same for all k.
        k, mean = _grades(self.num_classes, outputs.dtype), outputs[:, :1]
        return log_softmax(k * (mean - k / 2) / self.deviation(outputs) ** 2)


@dataclasses.dataclass(frozen=True)
class Ordistic(Family):
    """One output eta; unit Gaussians at `means` with log priors: p = softmax(mu_k eta + pi_k - mu_k^2 / 2).

    means: K increasing numbers, by default one apart around 0. log_priors: K numbers, by default 0: others can make two
    peaks.
    """

    means: Rising = None
    log_priors: PerGrade = None

    width: ClassVar[int] = 1

    def log_probs(self, outputs: jax.Array) -> jax.Array:
        """Class log-probabilities `[B, K]`."""
        centred = [k - (self.num_classes - 1) / 2 for k in range(self.num_classes)]
        means = _constants(list(self.means or centred), outputs.dtype)
        priors = _constants(list(self.log_priors or [0.0] * self.num_classes), outputs.dtype)
        return log_softmax(means * (outputs - means / 2) + priors)


_ONE_PARAMETER = 'One parameter can match the mean of the truth and nothing else: read it by `rule="mean"`.'


@objective(
    Binomial,
    soft_labels=True,
    estimates="mean",
    unimodal=True,
    cites=("dacosta2008", "beckham2017"),
    note=_ONE_PARAMETER,
)
def binomial_unimodal(outputs: jax.Array, labels: jax.Array, *, num_classes: int, tau: Positive = 1.0) -> jax.Array:
    """Binomial grade, -log Binomial(y; K-1, s(eta)), sharpened by 1 / tau. outputs `[B, 1]` -> `[B]`.

    num_classes: K, which the outputs do not tell. tau: below 1 sharper, above 1 flatter.
    """
    return negative_log_likelihood(Binomial(num_classes, tau).log_probs(outputs), labels)


@objective(Poisson, soft_labels=True, estimates="mean", unimodal=True, cites=("beckham2017",), note=_ONE_PARAMETER)
def poisson_unimodal(outputs: jax.Array, labels: jax.Array, *, num_classes: int, tau: Positive = 1.0) -> jax.Array:
    """Poisson grade, -log p_y, p_k ~ (lambda^k / k!)^(1/tau), lambda = softplus(eta), k < K. `[B, 1]` -> `[B]`.

    num_classes: K, which the outputs do not tell. tau: below 1 sharper, above 1 flatter.
    """
    return negative_log_likelihood(Poisson(num_classes, tau).log_probs(outputs), labels)


@objective(Gaussian, soft_labels=True, estimates="mean", unimodal=True, cites=("araujo2020",))
def gaussian_uncertainty(
    outputs: jax.Array, labels: jax.Array, *, num_classes: int, alpha: Share = 0.95, floor: NotNegative = 0.01
) -> jax.Array:
    """Gaussian grade with its uncertainty, -log p_y + (1 - alpha) sigma^2. mean and deviation `[B, 2]` -> `[B]`.

    alpha: 1 does not charge for uncertainty. floor: the least deviation, in grades.
    num_classes: K, which the outputs do not tell.
    """
    family = Gaussian(num_classes, floor)
    spread = family.deviation(outputs)[:, 0]
    return negative_log_likelihood(family.log_probs(outputs), labels) + (1 - alpha) * spread**2


@objective(
    Ordistic,
    soft_labels=True,
    estimates=lambda means: "mean" if means is None else "",
    unimodal=lambda log_priors: log_priors is None,
    cites=("rennie2005",),
    note=_ONE_PARAMETER + " Of one peak without priors only.",
)
def ordistic(
    outputs: jax.Array,
    labels: jax.Array,
    *,
    num_classes: int,
    means: Rising = None,
    log_priors: PerGrade = None,
) -> jax.Array:
    """Ordistic, -log p_y, p = softmax_k(mu_k eta + pi_k - mu_k^2 / 2). outputs `[B, 1]` -> `[B]`.

    num_classes: K, which the outputs do not tell. means: mu, K increasing numbers (None: one apart around 0).
    log_priors: pi, K numbers (None: 0).
    """
    return negative_log_likelihood(Ordistic(num_classes, means, log_priors).log_probs(outputs), labels)
