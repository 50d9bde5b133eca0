"""Halving the learning rate when the validation loss stops falling, as a pure function."""

from __future__ import annotations

import flax.struct
import jax
import jax.numpy as jnp


@flax.struct.dataclass
class Plateau:
    """scale: what the learning rate is multiplied by; best: the smallest loss yet; wait: epochs since it was seen."""

    scale: jax.Array
    best: jax.Array
    wait: jax.Array


def start() -> Plateau:
    """Scale 1 and no loss seen."""
    return Plateau(jnp.float32(1), jnp.float32(jnp.inf), jnp.int32(0))


def update(plateau: Plateau, loss: jax.Array, *, factor: float, patience: int) -> Plateau:
    """Multiply the scale by `factor` once the loss has not dropped for `patience` epochs in a row (Kragh et al. 2019).

    Any strict drop counts, whatever the sign of the loss; a NaN counts as no drop.
    """
    dropped = loss < plateau.best
    wait = jnp.where(dropped, 0, plateau.wait + 1)
    halve = wait >= patience
    return Plateau(
        scale=jnp.where(halve, plateau.scale * factor, plateau.scale),
        best=jnp.where(dropped, loss, plateau.best).astype(jnp.float32),
        wait=jnp.where(halve, 0, wait),
    )
