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


@jax.custom_jvp
def log1mexp(x: jax.Array) -> jax.Array:
    """log(1 - exp(x)) for x <= 0 (Maechler, 2012)."""
    near = x > -0.6931472
    return jnp.where(near, jnp.log(-jnp.expm1(x)), jnp.log1p(-jnp.exp(x)))


@log1mexp.defjvp
def _log1mexp_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    (x,), (tangent,) = primals, tangents
    return log1mexp(x), -tangent / jnp.expm1(-x)


def log_sigmoid_difference(upper: jax.Array, gap: jax.Array) -> jax.Array:
    """log(s(upper) - s(upper - gap)) for gap > 0, where s is the logistic function."""
    return jax.nn.log_sigmoid(upper) + jax.nn.log_sigmoid(gap - upper) + log1mexp(-gap)


class _Odds(NamedTuple):
    """A softmax seen from its largest entry: odds = p / p_top, exactly 0 at the top itself; rest = their sum."""

    top: jax.Array  # bool [B, K]
    shifted: jax.Array  # logits - largest logit, [B, K]
    odds: jax.Array  # [B, K]
    rest: jax.Array  # [B, 1]


def _odds(logits: jax.Array) -> _Odds:
    classes = jnp.arange(logits.shape[-1])[None, :]
    top = classes == jnp.argmax(logits, axis=-1, keepdims=True)
    largest = jnp.sum(jnp.where(top, logits, 0), axis=-1, keepdims=True)
    shifted = logits - largest
    # The digits that the subtraction rounded away (Knuth's two-sum): exp would magnify them by the size of the gap.
    back = shifted - logits
    lost = (logits - (shifted - back)) - (largest + back)
    power = jnp.exp(shifted)
    odds = jnp.where(top, 0, power + power * lost)
    return _Odds(top, shifted, odds, jnp.sum(odds, axis=-1, keepdims=True))


def log_softmax(logits: jax.Array) -> jax.Array:
    """log p `[B, K]` of logits `[B, K]`; unlike the usual one it keeps log p of a near-certain class (-1e-9, not 0)."""
    _, shifted, _, rest = _odds(logits)
    return shifted - jnp.log1p(rest)


def log_one_minus_softmax(logits: jax.Array) -> jax.Array:
    """log(1 - p) `[B, K]` of logits `[B, K]`: only the top class can pass 1/2, and its rest is a logsumexp. O(K)."""
    top, shifted, odds, rest = _odds(logits)
    others = jnp.where(top, -jnp.inf, shifted)
    second = jax.lax.stop_gradient(jnp.max(others, axis=-1, keepdims=True))
    log_rest = second + jnp.log(jnp.sum(jnp.exp(others - second), axis=-1, keepdims=True))
    return jnp.where(top, -jax.nn.softplus(-log_rest), jnp.log1p(-odds / (1 + rest)))


def softmax(logits: jax.Array) -> jax.Array:
    """p `[B, K]` of logits `[B, K]`, relatively accurate in the tail."""
    top, _, odds, rest = _odds(logits)
    return jnp.where(top, 1, odds) / (1 + rest)


def log_normal_intervals(cuts: jax.Array) -> jax.Array:
    """Log-probabilities `[B, K]` of the K intervals that increasing cuts `[B, K-1]` make of a standard normal."""
    lower, upper = cuts[:, :-1], cuts[:, 1:]
    # In the upper tail both ends are close to 1: reflect to the lower tail, where differences keep their digits.
    reflect = lower + upper > 0
    lower, upper = jnp.where(reflect, -upper, lower), jnp.where(reflect, -lower, upper)
    log_upper = jax.scipy.special.log_ndtr(upper)
    inner = log_upper + log1mexp(jax.scipy.special.log_ndtr(lower) - log_upper)
    first, last = jax.scipy.special.log_ndtr(cuts[:, :1]), jax.scipy.special.log_ndtr(-cuts[:, -1:])
    return jnp.concatenate([first, inner, last], axis=-1)
