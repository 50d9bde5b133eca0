"""Losses that charge each wrong grade by its distance from the label."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ordinal_blast.objectives.loss import objective
from ordinal_blast.objectives.numerics import log_one_minus_softmax, rows_at
from ordinal_blast.objectives.options import Charges, LessThanOne, Matrix, NotNegative


def distances(num_classes: int, power: float, dtype: jnp.dtype) -> jax.Array:
    """|c - y|^power for every pair of grades, `[K, K]`; 0 on the diagonal for any power."""
    grades = jnp.arange(num_classes, dtype=dtype)
    apart = jnp.abs(grades[:, None] - grades[None, :])
    return jnp.where(apart > 0, apart**power, 0)


def _charged(logits: jax.Array, labels: jax.Array, power: float, margin: float, distance_matrix: Matrix) -> jax.Array:
    num_classes = logits.shape[1]
    charge = distances(num_classes, power, logits.dtype)
    if distance_matrix is not None:
        charge = jnp.asarray(distance_matrix, logits.dtype)
        charge = jnp.where(jnp.eye(num_classes, dtype=bool), 0, charge) ** power
    logs = log_one_minus_softmax(logits)
    if margin:
        logs = jnp.minimum(jnp.logaddexp(logs, jnp.log(jnp.asarray(margin, logs.dtype))), 0)
    return -jnp.sum(rows_at(labels, charge) * logs, axis=-1)


def _estimates(power: float, margin: float = 0.0, distance_matrix: Matrix = None) -> str:
    """What has the least expected charge: the native decision, as p_c of the optimum falls with the charge of c."""
    plain = not margin and distance_matrix is None
    known = {0.0: "distribution", 1.0: "median", 2.0: "rounded mean"}
    return known.get(power, "") if plain else ""


def _proper(power: float, margin: float = 0.0, distance_matrix: Matrix = None) -> bool:
    """Equal charges alone leave the truth as the optimum."""
    return _estimates(power, margin, distance_matrix) == "distribution"


@objective(
    soft_labels=True,
    estimates=_estimates,
    proper=_proper,
    cites=("kragh2019",),
    note="The loss of a later paper with the same name and abbreviation (OCE; Dvora, Haba & Singer 2026), "
    "cross-entropy with its terms weighted by a cost matrix, is another one.",
)
def ordinal_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    power: NotNegative = 1.0,
    margin: LessThanOne = 0.0,
    distance_matrix: Charges = None,
) -> jax.Array:
    """Ordinal cross-entropy, -sum_c |c - y|^power log(min(1 - p_c + margin, 1)). `[B, K]` -> `[B]`, range [0, inf).

    With K = 2 and no margin it is cross-entropy. For K >= 3 only power 0 is proper: else the most probable grade at the
    optimum is the conditional median (power 1) or the rounded mean (power 2), and probabilities are sparse, not
    calibrated.
    distance_matrix: `[K, K]` charges, label by grade, in place of |c - y|; its diagonal is not used.
    """
    return _charged(logits, labels, power, margin, distance_matrix)


@objective(
    soft_labels=True,
    estimates=_estimates,
    proper=_proper,
    cites=("castagnos2022",),
    note="`ordinal_cross_entropy` with another default.",
)
def oll(logits: jax.Array, labels: jax.Array, *, power: NotNegative = 1.5) -> jax.Array:
    """Ordinal log-loss (OLL), `ordinal_cross_entropy` with the power its authors prefer. logits `[B, K]` -> `[B]`.

    power: of the distance.
    """
    return _charged(logits, labels, power, 0.0, None)


@objective(
    soft_labels=True,
    estimates=_estimates,
    proper=_proper,
    cites=("polat2022", "polat2025"),
    note="`ordinal_cross_entropy` with another default; the margin came in 2025.",
)
def cdw_ce(logits: jax.Array, labels: jax.Array, *, power: NotNegative = 5.0, margin: LessThanOne = 0.0) -> jax.Array:
    """Class distance weighted cross-entropy, `ordinal_cross_entropy` with a high power. logits `[B, K]` -> `[B]`.

    power, margin: as in `ordinal_cross_entropy`.
    """
    return _charged(logits, labels, power, margin, None)
