"""Dropout drawn per example, so that it does not depend on how a batch is divided over devices."""

from __future__ import annotations

import math
import zlib

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from ordinal_blast.models.bounds import RATE
from ordinal_blast.models.threefry import fold_in_bits
from ordinal_blast.ranges import check


def dropout_mask(keys: jax.Array, name: str, rate: float, shape: tuple[int, ...]) -> jax.Array:
    """Draw `[B, *shape]` float32 masks m / (1 − rate), m ~ Bernoulli(1 − rate), one key per example.

    keys: typed PRNG keys `[B]`; name: where in the model the mask is used, so that no two places share their draws.
    """
    bits = fold_in_bits(keys, zlib.crc32(name.encode()), math.prod(shape))
    # A float in [1, 2) of the highest 23 bits, as `jax.random.bernoulli` draws.
    uniform = lax.bitcast_convert_type(bits >> jnp.uint32(9) | jnp.uint32(0x3F800000), jnp.float32) - 1
    return (uniform < 1 - rate).reshape(-1, *shape) / jnp.float32(1 - rate)


class Dropout(nn.Module):
    """Zero each value with probability `rate` and scale the rest by 1 / (1 − rate) (Srivastava et al., 2014)."""

    rate: float

    def __post_init__(self) -> None:
        check("options.dropout", self.rate, RATE)
        super().__post_init__()

    def __call__(self, x: jax.Array, *, train: bool, keys: jax.Array | None = None) -> jax.Array:
        """Drop values of `[B, ...]`; the identity unless `train` and `keys` `[B]` are given."""
        if not train or keys is None or self.rate == 0:
            return x
        return x * dropout_mask(keys, "/".join(self.path), self.rate, x.shape[1:]).astype(x.dtype)
