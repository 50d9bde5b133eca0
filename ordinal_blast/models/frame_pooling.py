"""Networks over sequences that know no order: the mean of the frames, and a mean that attends to some of them."""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from ordinal_blast.models.bounds import RATE, WIDTH
from ordinal_blast.models.dropout import dropout_mask
from ordinal_blast.ranges import check_fields

_RANGES = {"units": WIDTH, "dropout": RATE}


class _Pooling(nn.Module):
    """h_t = relu(W x_t + b), then Σ_t a_t h_t with the weights of a subclass; frames that are all zero are padding.

    Dropout of x is drawn once per sequence, as in `LSTM`. UsageError for a number that means nothing.
    """

    reads: ClassVar[str] = "sequences"
    units: int = 64
    dropout: float = 0.5
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, "options")
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, keys: jax.Array | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        """Sequences `[B, T, D]` to features `[B, units]`; keys `[B]` draw the dropout, mask is unused."""
        present = (x != 0).any(-1)
        x = x.astype(self.dtype)
        if train and keys is not None and self.dropout:
            drop = dropout_mask(keys, "/".join((*self.path, "input")), self.dropout, (1, x.shape[-1]))
            x = x * drop.astype(self.dtype)
        frames = nn.relu(nn.Dense(self.units, dtype=self.dtype, name="frame")(x))
        scores = jnp.where(present, self.scores(x), -jnp.inf)
        highest = jnp.max(scores, axis=1, keepdims=True, initial=-jnp.inf, where=present)
        weights = jnp.where(present, jnp.exp(scores - jnp.where(jnp.isfinite(highest), highest, 0.0)), 0.0)
        total = jnp.sum(weights, axis=1)
        pooled = jnp.einsum("bt,btu->bu", weights, frames.astype(jnp.float32))
        return pooled / jnp.where(total > 0, total, 1.0)[:, None]

    def scores(self, x: jax.Array) -> jax.Array:
        """The logarithms float32 `[B, T]` of the weights of the frames, before they are divided by their sum."""
        raise NotImplementedError


class MeanPooling(_Pooling):
    """The mean over frames of relu(W x_t + b): `[B, T, D]` sequences to `[B, units]`, whatever their order."""

    def scores(self, x: jax.Array) -> jax.Array:
        """All alike."""
        return jnp.zeros(x.shape[:2], jnp.float32)


class AttentionPooling(_Pooling):
    """Σ_t a_t relu(W x_t + b), a = softmax_t(v · tanh(V x_t)): `[B, T, D]` to `[B, units]` (Ilse et al., 2018).

    hidden: rows of V.
    """

    hidden: int = 64

    def __post_init__(self) -> None:
        check_fields(self, {"hidden": WIDTH}, "options")
        super().__post_init__()

    @nn.compact
    def scores(self, x: jax.Array) -> jax.Array:
        """v · tanh(V x_t), which starts at 0 for a v of 0: attention begins as the mean."""
        inner = nn.tanh(nn.Dense(self.hidden, use_bias=False, dtype=self.dtype, name="look")(x))
        vector = nn.Dense(1, use_bias=False, kernel_init=nn.initializers.zeros_init(), dtype=self.dtype, name="weigh")
        return vector(inner)[..., 0].astype(jnp.float32)
