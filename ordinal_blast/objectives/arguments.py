"""What goes into a loss and what comes out: shapes, types, grades, distributions and weights.

Values are checked where they are known; where they are traced, `valid` makes the loss NaN instead.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.objectives import numerics
from ordinal_blast.objectives.families import Family


def arrays(
    name: str, family: type[Family], soft_labels: bool, outputs: Any, labels: Any, num_classes: int | None
) -> tuple[jax.Array, jax.Array, int | None]:
    """Arrays of a loss, and K as far as the shapes tell; ValueError for shapes or types that do not fit."""
    outputs, labels = numerics.widen(outputs), jnp.asarray(labels)
    width = family.width
    if width is None and num_classes is not None:
        width = num_classes + family.extra
    if outputs.ndim != 2 or (width is not None and outputs.shape[1] != width):
        raise ValueError(f"{name}: outputs must be [B, {width or 'width'}], got {list(outputs.shape)}")
    soft = labels.ndim == 2 and jnp.issubdtype(labels.dtype, jnp.floating)
    if soft and not soft_labels:
        raise ValueError(f"{name} takes grades [B], not distributions over grades [B, K]")
    if not soft and (labels.ndim != 1 or not jnp.issubdtype(labels.dtype, jnp.integer)):
        raise ValueError(f"{name}: labels must be int [B], got {labels.dtype} {list(labels.shape)}")
    if len(labels) != len(outputs):
        raise ValueError(f"{name}: {len(outputs)} outputs but {len(labels)} labels")
    if family.width is None:
        num_classes = outputs.shape[1] - family.extra
    if soft and num_classes is not None and labels.shape[1] != num_classes:
        raise ValueError(f"{name}: labels over {num_classes} grades expected, got {list(labels.shape)}")
    return outputs, labels, num_classes


def check_distributions(name: str, labels: jax.Array) -> None:
    """ValueError for soft labels whose values are known and are not distributions."""
    if labels.ndim == 2 and not isinstance(labels, jax.core.Tracer) and not np.all(valid(labels, None)):
        raise ValueError(f"{name}: soft labels must be distributions over grades, not negative and of sum 1")


def check_result(name: str, value: Any, shape: tuple[int, ...]) -> None:
    """ValueError unless a loss returned floating-point numbers of a shape: another one would be broadcast silently."""
    got = f"{value.dtype} {list(value.shape)}" if isinstance(value, (jax.Array, np.ndarray)) else repr(value)
    if getattr(value, "shape", None) != shape or not jnp.issubdtype(value.dtype, jnp.floating):
        wanted = f"the loss of each example, floating-point [B] = {list(shape)}" if shape else "a floating-point scalar"
        raise ValueError(f"{name} must return {wanted}, and returned {got}")


def valid(labels: jax.Array, num_classes: int | None) -> jax.Array:
    """Rows whose label is a grade, or a distribution over grades to 1e-3; bool `[B]`."""
    if labels.ndim == 2:
        return jnp.all(labels >= 0, axis=1) & (jnp.abs(jnp.sum(labels, axis=1) - 1) < 1e-3)
    return (labels >= 0) & (True if num_classes is None else labels < num_classes)


def weights_of(weights: Any, outputs: jax.Array) -> jax.Array:
    """Weights `[B]` in the type of the outputs, 1 where there are none; ValueError for another shape or bad values."""
    if weights is None:
        return jnp.ones(len(outputs), outputs.dtype)
    weights = jnp.asarray(weights)
    if weights.shape != outputs.shape[:1]:
        raise ValueError(f"weights must be [{len(outputs)}], got {list(weights.shape)}")
    if not isinstance(weights, jax.core.Tracer):
        check_weights(np.asarray(weights, np.float64))
    return weights.astype(outputs.dtype)


def check_weights(weights: np.ndarray) -> None:
    """ValueError for a weight that is negative or not finite."""
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        raise ValueError("weights must be finite and not negative: 0 is for what must not count")


def masked(outputs: jax.Array, labels: jax.Array, weights: jax.Array) -> tuple[jax.Array, ...]:
    """Outputs and labels with the rows of weight 0 replaced, so that neither value nor gradient sees them."""
    kept = weights > 0
    neutral = 1 / labels.shape[1] if labels.ndim == 2 else 0
    return tuple(
        jnp.where(kept[:, None] if x.ndim == 2 else kept, x, jnp.full_like(x, fill))
        for x, fill in ((outputs, 0), (labels, neutral))
    )
