"""The standard normal distribution in log space, relatively accurate in both tails."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from ordinal_blast.objectives.numerics import gaps, log1mexp

_DEPTH = 40  # of the continued fraction: enough for 1e-14 where it is used


def _scaled_erfc(x: jax.Array) -> jax.Array:
    """exp(x^2) erfc(x) for x >= 0: directly for x < 2, by its continued fraction above (Abramowitz & Stegun 7.1.14)."""
    small, large = jnp.minimum(x, 2), jnp.maximum(x, 2)
    fraction = jax.lax.fori_loop(0, _DEPTH, lambda i, f: large + (_DEPTH - i) / 2 / f, large)
    return jnp.where(x < 2, jnp.exp(small**2) * jax.scipy.special.erfc(small), 1 / (math.sqrt(math.pi) * fraction))


def _tail(x: jax.Array) -> jax.Array:
    """Phi(-x) for x >= 0."""
    return jax.scipy.special.erfc(x / math.sqrt(2)) / 2


@jax.custom_jvp
def log_ratio(x: jax.Array) -> jax.Array:
    """log(Phi(x) exp(x^2 / 2)) for x <= 0: what is left of log Phi in the tail, a slowly varying number."""
    return jnp.log(_scaled_erfc(-x / math.sqrt(2)) / 2)


@log_ratio.defjvp
def _log_ratio_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (tangent,) = primals, tangents
    return log_ratio(x), tangent * (x + math.sqrt(2 / math.pi) / _scaled_erfc(-x / math.sqrt(2)))


@jax.custom_jvp
def log_cdf(x: jax.Array) -> jax.Array:
    """log Phi(x)."""
    low = jnp.minimum(x, 0)
    return jnp.where(x < 0, log_ratio(low) - low**2 / 2, jnp.log1p(-_tail(jnp.maximum(x, 0))))


@log_cdf.defjvp
def _log_cdf_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (tangent,) = primals, tangents
    lower = 1 / _scaled_erfc(-jnp.minimum(x, 0) / math.sqrt(2))
    high = jnp.maximum(x, 0)
    upper = jnp.exp(-(high**2) / 2) / (2 * (1 - _tail(high)))
    return log_cdf(x), tangent * math.sqrt(2 / math.pi) * jnp.where(x < 0, lower, upper)


def log_intervals(cuts: jax.Array) -> jax.Array:
    """Log-probabilities `[B, K]` of the intervals that increasing cuts `[B, K-1]` make of a standard normal."""
    gap = gaps(cuts)
    # In the upper tail both ends of an interval are close to 1: reflect it to the lower tail, where digits are kept.
    reflect = cuts[:, :-1] + cuts[:, 1:] > 0
    lower, upper = jnp.where(reflect, -cuts[:, 1:], cuts[:, :-1]), jnp.where(reflect, -cuts[:, :-1], cuts[:, 1:])
    inner = _log_interval(lower, upper, gap)
    return jnp.concatenate([log_cdf(cuts[:, :1]), inner, log_cdf(-cuts[:, -1:])], axis=-1)


def _log_interval(lower: jax.Array, upper: jax.Array, gap: jax.Array) -> jax.Array:
    """log(Phi(upper) - Phi(lower)) for intervals whose middle is not positive; gap = upper - lower > 0."""
    middle = (lower + upper) / 2
    narrow = gap * (1 - middle) < 0.1
    h, m = jnp.where(narrow, gap, 0.1) ** 2, jnp.where(narrow, middle, 0) ** 2
    # The density around the middle, integrated term by term.
    series = h / 24 * (m - 1) + h**2 / 1920 * ((m - 6) * m + 3) + h**3 / 322560 * (((m - 15) * m + 45) * m - 15)
    by_series = jnp.log(jnp.where(narrow, gap, 1)) - m / 2 - math.log(2 * math.pi) / 2 + jnp.log1p(series)
    # Both ends in the lower tail: factor Phi(upper) out.
    tail = ~narrow & (upper < 0)
    a, b = jnp.where(tail, lower, -2), jnp.where(tail, upper, -1)
    by_ratio = log_cdf(b) + log1mexp((b - a) * (a + b) / 2 + log_ratio(a) - log_ratio(b))
    # The middle of the distribution: what is left of both tails.
    centre = ~narrow & (upper >= 0)
    by_tails = jnp.log1p(-_tail(-jnp.where(centre, lower, -1)) - _tail(jnp.where(centre, upper, 1)))
    return jnp.where(narrow, by_series, jnp.where(tail, by_ratio, by_tails))
