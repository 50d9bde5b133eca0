"""Log-space primitives: every probability a loss needs, without a subtraction that loses digits.

All of them keep their relative accuracy, value and gradient, for logit gaps from 0 to 1e4 in float32.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


def widen(x: jax.typing.ArrayLike) -> jax.Array:
    """`x` as float32, or as it is where it is wider: half precision is for the network, not for the loss."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def one_hot(labels: jax.Array, num_classes: int, dtype: jnp.dtype) -> jax.Array:
    """Distribution over grades `[B, K]` of integer grades `[B]`; soft labels `[B, K]` as they are."""
    if labels.ndim == 2:
        return labels.astype(dtype)
    return (labels[:, None] == jnp.arange(num_classes)[None, :]).astype(dtype)


def rows_at(labels: jax.Array, matrix: jax.Array) -> jax.Array:
    """Rows `[B, M]` of a matrix `[K, M]` at integer grades `[B]`, 0 outside 0..K-1; their mixtures for soft labels."""
    if labels.ndim == 2:
        return labels.astype(matrix.dtype) @ matrix
    # A product with the one-hot labels would cost K times as much.
    return matrix.at[labels].get(mode="fill", fill_value=0, wrap_negative_indices=False)


@jax.custom_jvp
def log1mexp(x: jax.Array) -> jax.Array:
    """log(1 - exp(x)) for x <= 0 (Maechler, 2012)."""
    near = x > -0.6931472
    return jnp.where(near, jnp.log(-jnp.expm1(x)), jnp.log1p(-jnp.exp(x)))


@log1mexp.defjvp
def _log1mexp_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (tangent,) = primals, tangents
    return log1mexp(x), -tangent / jnp.expm1(-x)


def gaps(cuts: jax.Array) -> jax.Array:
    """Widths `[B, K-2]` of the intervals between cuts `[B, K-1]`, at least 1e-6: no interval is quite empty."""
    return jnp.maximum(cuts[:, 1:] - cuts[:, :-1], 1e-6)


def log_logistic_intervals(cuts: jax.Array) -> jax.Array:
    """Log-probabilities `[B, K]` of the intervals that increasing cuts `[B, K-1]` make of a standard logistic."""
    below, above = jax.nn.log_sigmoid(cuts), jax.nn.log_sigmoid(-cuts)
    # s(b) - s(a) = s(b) s(-a) (1 - exp(a - b))
    inner = below[:, 1:] + above[:, :-1] + log1mexp(-gaps(cuts))
    return jnp.concatenate([below[:, :1], inner, above[:, -1:]], axis=-1)


class _Odds(NamedTuple):
    """A softmax seen from its largest logit: odds = p / p_top, 1 at the top itself; rest = sum of the others."""

    top: jax.Array  # bool [B, K]
    largest: jax.Array  # [B, 1]
    shifted: jax.Array  # logits - largest logit, [B, K]
    odds: jax.Array  # [B, K]
    rest: jax.Array  # [B, 1]


def _odds(logits: jax.Array) -> _Odds:
    classes = jnp.arange(logits.shape[-1])[None, :]
    top = classes == jnp.argmax(logits, axis=-1, keepdims=True)
    largest = jnp.sum(jnp.where(top, logits, 0), axis=-1, keepdims=True)
    # At the top the difference is 0 whatever the logits: without a gradient there, +1 - 1 cannot drown what is small.
    shifted = jnp.where(top, 0, logits - largest)
    # The digits that the subtraction rounded away (Knuth's two-sum): exp would magnify them by the size of the gap.
    back = shifted - logits
    lost = (logits - (shifted - back)) - (largest + back)
    power = jnp.exp(shifted)
    odds = jnp.where(top, 1, power + power * lost)
    return _Odds(top, largest, shifted, odds, jnp.sum(jnp.where(top, 0, odds), axis=-1, keepdims=True))


def softmax(logits: jax.Array) -> jax.Array:
    """p `[B, K]` of logits `[B, K]`, relatively accurate in the tail."""
    top, _, _, odds, rest = _odds(logits)
    probs = odds / (1 + rest)
    others = jnp.sum(jnp.where(top, 0, probs), axis=-1, keepdims=True)
    # The top's gradient is minus that of the others, so that what all classes have in common cancels exactly.
    certain = jax.lax.stop_gradient(probs + others) - others
    return jnp.where(top, certain, probs)


def log_softmax(logits: jax.Array) -> jax.Array:
    """log p `[B, K]` of logits `[B, K]`; unlike the usual one it keeps log p of a near-certain class (-1e-9, not 0)."""
    _, _, shifted, _, rest = _odds(logits)
    return shifted - jnp.log1p(rest)


def log_one_minus_softmax(logits: jax.Array) -> jax.Array:
    """log(1 - p) `[B, K]` of logits `[B, K]`: only the top class can pass 1/2, and its rest is a logsumexp. O(K)."""
    top, largest, _, odds, rest = _odds(logits)
    gap = largest - jax.nn.logsumexp(jnp.where(top, -jnp.inf, logits), axis=-1, keepdims=True)
    return jnp.where(top, -jax.nn.softplus(gap), jnp.log1p(-jnp.where(top, 0, odds) / (1 + rest)))


def log_prefixes(logits: jax.Array) -> jax.Array:
    """Log-probabilities `[B, K]` that softmax gives to the first 1, 2, ... K classes together. O(K log K)."""
    top, largest, _, odds, rest = _odds(logits)
    inside = jnp.cumsum(odds, axis=1)
    outside = jnp.pad(jnp.flip(jnp.cumsum(jnp.flip(odds, axis=1), axis=1), axis=1)[:, 1:], ((0, 0), (0, 1)))
    has_top = jnp.arange(logits.shape[1])[None, :] >= jnp.argmax(top, axis=1, keepdims=True)
    without_top = jax.lax.cumlogsumexp(logits, axis=1) - largest
    return jnp.where(has_top, -jnp.log1p(outside / jnp.where(has_top, inside, 1)), without_top - jnp.log1p(rest))


def log_softplus(x: jax.Array) -> jax.Array:
    """log(softplus(x)), which tends to x below and to log x above."""
    small = x < -10
    power = jnp.exp(jnp.minimum(x, 0))  # softplus(x) = e^x - e^2x / 2 + e^3x / 3 - ...
    return jnp.where(small, x + jnp.log1p(-power / 2 + power**2 / 3), jnp.log(jax.nn.softplus(jnp.where(small, 0, x))))


def negative_log_likelihood(log_probs: jax.Array, labels: jax.Array) -> jax.Array:
    """-log p_y `[B]` of class log-probabilities `[B, K]`, or -sum_c q_c log p_c for soft labels q."""
    targets = one_hot(labels, log_probs.shape[1], log_probs.dtype)
    return -jnp.sum(targets * jnp.where(targets > 0, log_probs, 0), axis=-1)
