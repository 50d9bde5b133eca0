"""Cross-entropy against a distribution around the label instead of the label alone.

Each loss has its matrix of targets T `[K, K]`, row y the distribution for label y, in float64 on the host; the label is
always its most probable grade. `blend` mixes: (1 - blend) e_y + blend T_y.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.objectives.loss import objective
from ordinal_blast.objectives.numerics import log_prefixes, log_softmax, rows_at
from ordinal_blast.objectives.options import Distributions, LessThanOne, Matrix, NotNegative, Positive, Share
from ordinal_blast.ranges import number

Distance = Literal["absolute", "squared", "log"]
Chances = Literal["centred", "liu"]
Offset = Annotated[float, number(above=0, most=1)]
Triangle = Annotated[float, number(above=0, most=2 / 9)]
LessThanHalf = Annotated[float, number(above=0, below=0.5)]


def _apart(num_classes: int) -> np.ndarray:
    grades = np.arange(num_classes, dtype=np.float64)
    return np.abs(grades[:, None] - grades[None, :])


def _normalised(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum(axis=1, keepdims=True)


def _softmax_rows(logs: np.ndarray) -> np.ndarray:
    return _normalised(np.exp(logs - logs.max(axis=1, keepdims=True)))


def exponential_targets(num_classes: int, power: float = 1.0, tau: float = 1.0) -> np.ndarray:
    """softmax_c(-|c - y|^power / tau), `[K, K]`."""
    return _softmax_rows(-(_apart(num_classes) ** power) / tau)


def sord_targets(num_classes: int, alpha: float = 1.0, distance: str = "absolute") -> np.ndarray:
    """softmax_c(-alpha phi(c, y)), `[K, K]`; phi: "absolute", "squared", or "log" of ranks 1 ... K, squared."""
    ranks = np.log(np.arange(1, num_classes + 1))
    phi = {
        "absolute": _apart(num_classes),
        "squared": _apart(num_classes) ** 2,
        "log": (ranks[:, None] - ranks[None, :]) ** 2,
    }
    return _softmax_rows(-alpha * phi[distance])


def binomial_targets(num_classes: int, chances: str = "centred") -> np.ndarray:
    """Binomial(K-1, q_y), `[K, K]`.

    chances: "centred", q_y = (y + 1/2) / K, whose mode is y for every K; or "liu", q_y = 0.1 + 0.8 y / (K-1), whose
    mode is not y for K >= 10.
    """
    grades = np.arange(num_classes)
    choices = {"centred": (grades + 0.5) / num_classes, "liu": 0.1 + 0.8 * grades / (num_classes - 1)}
    q, counts = choices[chances][:, None], grades[None, :]
    choose = np.array([math.log(math.comb(num_classes - 1, k)) for k in grades])[None, :]
    return _softmax_rows(choose + counts * np.log(q) + (num_classes - 1 - counts) * np.log1p(-q))


def poisson_targets(num_classes: int, offset: float = 0.5) -> np.ndarray:
    """Poisson(y + offset) on 0 ... K-1, `[K, K]`; the mode is y for 0 < offset < 1, tied with y + 1 for offset 1."""
    counts = np.arange(num_classes)
    factorials = np.array([math.lgamma(k + 1) for k in counts])
    return _softmax_rows(counts[None, :] * np.log(counts + offset)[:, None] - factorials[None, :])


def triangular_targets(num_classes: int, alpha: float = 0.05) -> np.ndarray:
    """Triangular densities on K equal bins that leave mass alpha in each neighbour, `[K, K]`; at the ends less.

    0 < alpha <= 2/9, where a triangle reaches no further than its neighbours.
    The end rows follow Vargas et al. 2023a, who give the last one less than the first.
    """
    shape = (1 - 2 * alpha) * math.sqrt(2 * alpha) * (1 - math.sqrt(2 * alpha))
    ends = [((1 - math.sqrt(1 + 4 * s * shape)) / 2) ** 2 for s in (1.0, (1 - 1 / num_classes) ** 2)]
    targets = np.where(_apart(num_classes) == 1, alpha, 0.0)
    targets[0], targets[-1] = targets[0] * ends[0] / alpha, targets[-1] * ends[1] / alpha
    return targets + np.diag(1 - targets.sum(axis=1))


def beta_targets(num_classes: int) -> np.ndarray:
    """Beta distributions on K equal bins, `[K, K]`: mean in the middle of the label's bin, deviation half a bin.

    The ends are Beta(1, 2K - 2) and its mirror image. A rule for every K in place of the table of Vargas et al. 2022
    (K = 3 ... 14), which it gives back up to their rounding of shapes.
    """
    mean = (np.arange(num_classes) + 0.5) / num_classes
    total = mean * (1 - mean) * (2 * num_classes) ** 2 - 1
    a, b = mean * total, (1 - mean) * total
    a[0], b[0] = 1, 2 * num_classes - 2
    a[-1], b[-1] = b[0], a[0]
    nodes, node_weights = np.polynomial.legendre.leggauss(64)
    x = (np.arange(num_classes)[:, None] + (nodes[None, :] + 1) / 2) / num_classes  # [bin, node]
    logs = (a - 1)[:, None, None] * np.log(x) + (b - 1)[:, None, None] * np.log1p(-x)  # [label, bin, node]
    return _normalised(np.exp(logs - logs.max(axis=(1, 2), keepdims=True)) @ node_weights)


def geometric_targets(num_classes: int, alpha: float = 0.1) -> np.ndarray:
    """1 - alpha on the label, the rest in proportion to alpha^|c - y|, `[K, K]`; 0 < alpha < 1/2."""
    others = np.where(_apart(num_classes) > 0, alpha ** _apart(num_classes), 0)
    return alpha * _normalised(others) + (1 - alpha) * np.eye(num_classes)


def _soft_cross_entropy(logits: jax.Array, labels: jax.Array, targets: np.ndarray, blend: float) -> jax.Array:
    num_classes = logits.shape[1]
    mixed = jnp.asarray((1 - blend) * np.eye(num_classes) + blend * targets, logits.dtype)
    return -jnp.sum(rows_at(labels, mixed) * log_softmax(logits), axis=-1)


def _only_label(blend: float) -> bool:
    """Whether nothing is left of the targets: then the loss is cross-entropy."""
    return blend == 0


def _estimates(blend: float) -> str:
    return "distribution" if _only_label(blend) else ""


def _identity(targets: Matrix, blend: float) -> bool:
    return blend == 0 or targets is None or np.array_equal(targets, np.eye(len(targets)))


@objective(
    soft_labels=True,
    estimates=lambda epsilon: "mode" if epsilon else "distribution",
    proper=lambda epsilon: not epsilon,
    cites=("szegedy2016",),
)
def label_smoothing(logits: jax.Array, labels: jax.Array, *, epsilon: LessThanOne = 0.1) -> jax.Array:
    """Label smoothing, -(1 - epsilon) log p_y - epsilon / K sum_c log p_c. logits `[B, K]` -> `[B]`.

    epsilon: the share that all grades have alike.
    """
    num_classes = logits.shape[1]
    return _soft_cross_entropy(logits, labels, np.full((num_classes, num_classes), 1 / num_classes), epsilon)


@objective(
    soft_labels=True,
    estimates=lambda targets, blend: "distribution" if _identity(targets, blend) else "",
    proper=_identity,
    cites=("geng2016",),
    same_as="cross_entropy",
)
def custom_soft_labels(
    logits: jax.Array,
    labels: jax.Array,
    *,
    targets: Distributions = None,
    blend: Share = 1.0,
) -> jax.Array:
    """Soft-label cross-entropy, -sum_c T_yc log p_c, T given by `targets` `[K, K]` (None: identity). -> `[B]`.

    targets: row y is T_y, a distribution over grades. blend: what the targets weigh, 0 (the label alone) ... 1.
    """
    rows = np.eye(logits.shape[1]) if targets is None else np.asarray(targets, np.float64)
    return _soft_cross_entropy(logits, labels, rows, blend)


@objective(soft_labels=True, estimates=_estimates, proper=_only_label, cites=("diaz2019",))
def sord(
    logits: jax.Array, labels: jax.Array, *, alpha: Positive = 1.0, distance: Distance = "absolute", blend: Share = 1.0
) -> jax.Array:
    """Soft ordinal vectors (SORD), T = softmax_c(-alpha phi(c, y)). logits `[B, K]` -> `[B]`; see `sord_targets`.

    alpha: how steeply targets fall. distance: phi, "absolute", "squared" or "log". blend: what the targets weigh, 0
    (the label alone) ... 1.
    """
    return _soft_cross_entropy(logits, labels, sord_targets(logits.shape[1], alpha, distance), blend)


@objective(
    soft_labels=True,
    estimates=_estimates,
    proper=_only_label,
    cites=("liu2020", "vargas2023b"),
    same_as="sord",
)
def exponential_soft_labels(
    logits: jax.Array, labels: jax.Array, *, power: Positive = 1.0, tau: Positive = 1.0, blend: Share = 1.0
) -> jax.Array:
    """Exponential soft labels, T = softmax_c(-|c - y|^power / tau). logits `[B, K]` -> `[B]`.

    power, tau: how targets fall with distance. blend: what the targets weigh, 0 (the label alone) ... 1.
    """
    return _soft_cross_entropy(logits, labels, exponential_targets(logits.shape[1], power, tau), blend)


@objective(
    soft_labels=True,
    estimates=_estimates,
    proper=_only_label,
    cites=("liu2020",),
    note='Liu\'s chances of success are `chances="liu"`; their most probable grade is not the label for K >= 10.',
)
def binomial_soft_labels(
    logits: jax.Array, labels: jax.Array, *, chances: Chances = "centred", blend: Share = 1.0
) -> jax.Array:
    """Binomial soft labels, T_y = Binomial(K-1, q_y). logits `[B, K]` -> `[B]`; see `binomial_targets`.

    chances: q_y, "centred" or "liu". blend: what the targets weigh, 0 (the label alone) ... 1.
    """
    return _soft_cross_entropy(logits, labels, binomial_targets(logits.shape[1], chances), blend)


@objective(
    soft_labels=True,
    estimates=_estimates,
    proper=_only_label,
    cites=("liu2020",),
    note="Liu's mean is y + 1 (`offset=1`), which ties the label with the next grade.",
)
def poisson_soft_labels(logits: jax.Array, labels: jax.Array, *, offset: Offset = 0.5, blend: Share = 1.0) -> jax.Array:
    """Poisson soft labels, T_y = Poisson(y + offset) on 0 ... K-1. logits `[B, K]` -> `[B]`; see `poisson_targets`.

    offset: the mean of T_y less y. blend: what the targets weigh, 0 (the label alone) ... 1.
    """
    return _soft_cross_entropy(logits, labels, poisson_targets(logits.shape[1], offset), blend)


@objective(soft_labels=True, estimates=_estimates, proper=_only_label, cites=("vargas2023a",))
def triangular_soft_labels(
    logits: jax.Array, labels: jax.Array, *, alpha: Triangle = 0.05, blend: Share = 1.0
) -> jax.Array:
    """Triangular soft labels, mass alpha in each neighbour. logits `[B, K]` -> `[B]`; see `triangular_targets`.

    blend: what the targets weigh, 0 (the label alone) ... 1.
    """
    return _soft_cross_entropy(logits, labels, triangular_targets(logits.shape[1], alpha), blend)


@objective(soft_labels=True, estimates=_estimates, proper=_only_label, cites=("vargas2022",))
def beta_soft_labels(logits: jax.Array, labels: jax.Array, *, blend: Share = 1.0) -> jax.Array:
    """Beta soft labels, a beta density around the label's bin. logits `[B, K]` -> `[B]`; see `beta_targets`.

    blend: what the targets weigh, 0 (the label alone) ... 1.
    """
    return _soft_cross_entropy(logits, labels, beta_targets(logits.shape[1]), blend)


@objective(soft_labels=True, estimates=_estimates, proper=_only_label, cites=("haas2023",))
def geometric_soft_labels(
    logits: jax.Array, labels: jax.Array, *, alpha: LessThanHalf = 0.1, blend: Share = 1.0
) -> jax.Array:
    """Geometric soft labels, 1 - alpha on the label, then falling as alpha^|c - y|. logits `[B, K]` -> `[B]`.

    alpha: the mass beside the label. blend: what the targets weigh, 0 (the label alone) ... 1.
    """
    return _soft_cross_entropy(logits, labels, geometric_targets(logits.shape[1], alpha), blend)


@objective(
    cites=("nachmani2025",),
    note="The variant of dlordinal, of distance |c - y|; the paper's own distance counts the training examples of the "
    "grades between.",
)
def slace(logits: jax.Array, labels: jax.Array, *, alpha: NotNegative = 1.0) -> jax.Array:
    """Soft labels accumulating cross-entropy (SLACE), -sum_k T_yk log P(|c - y| <= |k - y|). `[B, K]` -> `[B]`.

    T as in `sord`, by alpha: a grade is charged only for the probability that lies farther from the label than itself.
    """
    num_classes = logits.shape[1]
    apart, targets = _apart(num_classes), sord_targets(num_classes, alpha)
    nearest = np.argsort(apart, axis=1, kind="stable")  # of each label, `[K, K]`
    radii = np.take_along_axis(apart, nearest, axis=1)
    ends = np.stack([np.searchsorted(row, row, "right") - 1 for row in radii])  # the last grade as near
    logs = log_prefixes(jnp.take_along_axis(logits, jnp.asarray(nearest)[labels], axis=1))
    weights = jnp.asarray(np.take_along_axis(targets, nearest, axis=1), logits.dtype)[labels]
    return -jnp.sum(weights * jnp.take_along_axis(logs, jnp.asarray(ends)[labels], axis=1), axis=-1)
