"""Regression on the grade's position on the scale 0 ... K-1, and the two ways to make grades of it."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

from ordinal_blast.objectives.families import CutRegression, Regression
from ordinal_blast.objectives.loss import objective
from ordinal_blast.objectives.options import Positive

Error = Literal["squared", "absolute", "huber"]


def _expected_errors(outputs: jax.Array, labels: jax.Array, error: str, delta: float) -> jax.Array:
    if labels.ndim == 2:
        grades = jnp.arange(labels.shape[1], dtype=outputs.dtype)
        return jnp.sum(labels.astype(outputs.dtype) * _errors(outputs - grades[None, :], error, delta), axis=-1)
    return _errors(outputs[:, 0] - labels.astype(outputs.dtype), error, delta)


def _errors(residuals: jax.Array, error: str, delta: float) -> jax.Array:
    size = jnp.abs(residuals)
    if error == "squared":
        return residuals**2
    if error == "absolute":
        return size
    return jnp.where(size <= delta, residuals**2 / 2, delta * (size - delta / 2))


def _estimates(error: str) -> str:
    return {"squared": "mean", "absolute": "median"}.get(error, "")


@objective(Regression, soft_labels=True, estimates=_estimates, cites=("kramer2001",))
def regression(outputs: jax.Array, labels: jax.Array, *, error: Error = "squared", delta: Positive = 1.0) -> jax.Array:
    """Regression, (eta - y)^2, |eta - y| (estimates the median) or Huber; decides by rounding. `[B, 1]` -> `[B]`.

    error: "squared", "absolute" or "huber". delta: where Huber turns linear, in grades.
    """
    return _expected_errors(outputs, labels, error, delta)


@objective(
    CutRegression,
    soft_labels=True,
    estimates=_estimates,
    cites=("kragh2019",),
    note="What its output estimates and what its cut points decide differ: `criterion` chooses the median "
    '("absolute"), the mean ("squared") or the mode ("zero_one"), and each rule has cut points of its own.',
)
def thresholded_regression(
    outputs: jax.Array, labels: jax.Array, *, error: Error = "squared", delta: Positive = 1.0
) -> jax.Array:
    """Regression decided by cut points fitted on training predictions, losses as in `regression`. `[B, 1]` -> `[B]`.

    error, delta: as in `regression`. criterion: the error that the native decision's cut points minimise,
    "absolute", "squared" or "zero_one".
    """
    return _expected_errors(outputs, labels, error, delta)
