"""Regression on the grade's position on the scale 0 ... K-1, and the cut points that make grades of it."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ordinal_blast.objectives.heads import CutRegression
from ordinal_blast.objectives.numerics import widen
from ordinal_blast.objectives.objective import objective


def _errors(residuals: jax.Array, error: str, delta: float) -> jax.Array:
    size = jnp.abs(residuals)
    if error == "squared":
        return residuals**2
    if error == "absolute":
        return size
    if error == "huber":
        return jnp.where(size <= delta, residuals**2 / 2, delta * (size - delta / 2))
    raise ValueError(f"error must be squared, absolute or huber, got {error!r}")


@objective(CutRegression, estimates="mean", citation="Kragh et al. 2019; Kramer et al. 2001")
def thresholded_regression(
    outputs: jax.Array, labels: jax.Array, *, error: str = "squared", delta: float = 1.0
) -> jax.Array:
    """Regression with fitted cut points, (eta - y)^2, |eta - y| or Huber. outputs `[B, 1]` -> `[B]`.

    Decides by cut points fitted on training predictions. delta: where Huber turns linear, in grades.
    """
    return _errors(outputs[:, 0] - widen(labels.astype(outputs.dtype)), error, delta)
