"""How the learning rate changes: pure functions of training progress, and halving on a plateau of the validation loss.

A schedule is a pure function `(progress, **options) -> factor`. progress, float32, is the share of all updates that is
behind: u / n for update u = 0 ... n − 1. The learning rate of that update is `optimizer.learning_rate` times factor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated

import flax.struct
import jax
import jax.numpy as jnp

from ordinal_blast.ranges import list_of, number, whole

_SHARE = number(least=0, most=1)
_BEFORE = number(least=0, below=1)
_FACTOR = number(above=0, most=1)


def constant(progress: jax.Array) -> jax.Array:
    """1."""
    return jnp.ones_like(progress)


def linear(progress: jax.Array, *, end: Annotated[float, _SHARE] = 0.0) -> jax.Array:
    """From 1 to `end` in equal steps."""
    return 1 + (end - 1) * progress


def cosine(progress: jax.Array, *, end: Annotated[float, _SHARE] = 0.0) -> jax.Array:
    """From 1 to `end` along half a cosine (Loshchilov and Hutter 2017)."""
    return end + (1 - end) * (1 + jnp.cos(jnp.pi * progress)) / 2


def warmup_cosine(
    progress: jax.Array,
    *,
    warmup: Annotated[float, _BEFORE] = 0.05,
    start: Annotated[float, _SHARE] = 0.0,
    end: Annotated[float, _SHARE] = 0.0,
) -> jax.Array:
    """From `start` to 1 in equal steps over the first `warmup` of training, then `cosine` over the rest."""
    rising = start + (1 - start) * progress / max(warmup, 1e-12)
    falling = cosine(jnp.maximum(progress - warmup, 0) / (1 - warmup), end=end)
    return jnp.where(progress < warmup, rising, falling)


def exponential(progress: jax.Array, *, end: Annotated[float, _FACTOR] = 0.01) -> jax.Array:
    """From 1 to `end` by the same factor in every update: end^progress."""
    return jnp.float32(end) ** progress


def step(
    progress: jax.Array,
    *,
    at: Annotated[tuple[float, ...], list_of(_SHARE)] = (0.5, 0.75),
    factor: Annotated[float, _FACTOR] = 0.1,
) -> jax.Array:
    """Times `factor` at each of the shares of training in `at`."""
    return jnp.float32(factor) ** sum((progress >= share).astype(jnp.float32) for share in at)


@flax.struct.dataclass
class Plateau:
    """scale: what the learning rate is multiplied by; best: the smallest loss yet; wait: epochs since it was seen."""

    scale: jax.Array
    best: jax.Array
    wait: jax.Array


def start() -> Plateau:
    """Scale 1 and no loss seen."""
    return Plateau(jnp.float32(1), jnp.float32(jnp.inf), jnp.int32(0))


@dataclasses.dataclass(frozen=True)
class OnPlateau:
    """Times `factor` once the validation loss has not dropped for `patience` epochs in a row (Kragh et al. 2019).

    Any strict drop counts, whatever the sign of the loss, and a NaN counts as none. `optax.contrib.reduce_on_plateau`
    is another rule: it takes no drop without a margin, and its relative margin turns round where the loss is negative,
    so that a loss that falls below zero counts as no drop.
    """

    factor: Annotated[float, _FACTOR] = 0.5
    patience: Annotated[int, whole(1)] = 5

    def __call__(self, progress: jax.Array) -> jax.Array:
        """1: the scale is in the state, because it depends on the losses so far."""
        return constant(progress)

    def update(self, plateau: Plateau, loss: jax.Array) -> Plateau:
        """The state after an epoch with this validation loss."""
        dropped = loss < plateau.best
        wait = jnp.where(dropped, 0, plateau.wait + 1)
        reduce = wait >= self.patience
        return Plateau(
            scale=jnp.where(reduce, plateau.scale * self.factor, plateau.scale),
            best=jnp.where(dropped, loss, plateau.best).astype(jnp.float32),
            wait=jnp.where(reduce, 0, wait),
        )


SCHEDULES: Mapping[str, Callable[..., jax.Array] | type[OnPlateau]] = {
    "constant": constant,
    "cosine": cosine,
    "exponential": exponential,
    "linear": linear,
    "plateau": OnPlateau,
    "step": step,
    "warmup_cosine": warmup_cosine,
}
