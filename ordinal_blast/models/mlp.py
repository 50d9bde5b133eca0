"""Multilayer perceptron for tabular data."""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from ordinal_blast.models.bounds import EPSILON, MOMENTUM, RATE, WIDTH
from ordinal_blast.models.dropout import Dropout
from ordinal_blast.models.normalization import BatchNorm
from ordinal_blast.ranges import check_fields, list_of, one_of

ACTIVATIONS = {"elu": nn.elu, "gelu": nn.gelu, "leaky_relu": nn.leaky_relu, "relu": nn.relu, "tanh": nn.tanh}
_RANGES = {
    "widths": list_of(WIDTH, empty=True),
    "activation": one_of(*ACTIVATIONS),
    "dropout": RATE,
    "momentum": MOMENTUM,
    "epsilon": EPSILON,
}


class MLP(nn.Module):
    """Hidden layers of [dense, activation, dropout, batch normalisation]: `[B, D]` to `[B, widths[-1]]` features.

    The defaults are the network of Shi et al. (2023, CORN) for tabular data: 300-300, LeakyReLU of slope 0.01, 20 %
    dropout. A dense layer has no bias where batch normalisation follows.
    UsageError for a number or an activation that means nothing.
    """

    reads: ClassVar[str] = "numbers"
    widths: tuple[int, ...] = (300, 300)
    activation: str = "leaky_relu"
    dropout: float = 0.2
    batch_norm: bool = True
    momentum: float = 0.99
    epsilon: float = 1e-3
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, "options")
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, keys: jax.Array | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        """Return features `[B, widths[-1]]`; keys `[B]` draw the dropout, mask `[B]` marks padding False."""
        for index, width in enumerate(self.widths, start=1):
            x = nn.Dense(width, use_bias=not self.batch_norm, dtype=self.dtype, name=f"dense{index}")(x)
            x = ACTIVATIONS[self.activation](x)
            x = Dropout(self.dropout, name=f"dropout{index}")(x, train=train, keys=keys)
            if self.batch_norm:
                norm = BatchNorm(self.momentum, self.epsilon, self.axis_name, self.dtype, name=f"bn{index}")
                x = norm(x, train=train, mask=mask)
        return x
