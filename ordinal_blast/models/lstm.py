"""Long short-term memory over the frames of one embryo (Hochreiter and Schmidhuber, 1997)."""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from ordinal_blast.models.bounds import RATE, WIDTH
from ordinal_blast.models.dropout import dropout_mask
from ordinal_blast.ranges import check_fields


def hard_sigmoid(x: jax.Array) -> jax.Array:
    """clip(0.2 x + 0.5, 0, 1): the gate of Keras 2 (newer versions have x / 6 + 0.5)."""
    return jnp.clip(0.2 * x + 0.5, 0, 1)


def project(x: jax.Array, kernel: jax.Array, mask: jax.Array | None) -> jax.Array:
    """x W of every gate: `[B, T, D]` and `[D, 4, U]` to `[4, B, T, U]`; mask `[B, 4, D]` multiplies x before."""
    if mask is None:
        return jnp.einsum("btd,dgu->gbtu", x, kernel)

    def gate(mask_and_kernel: tuple[jax.Array, jax.Array]) -> jax.Array:
        mask, kernel = mask_and_kernel
        return (x * mask[:, None]) @ kernel

    # x · mask of one gate is gone before the next, and made again for the gradient: four of them fit no cache, and
    # one product of all four would first copy them to have the gate outermost.
    gate = jax.checkpoint(gate, prevent_cse=False)
    return lax.map(gate, (mask.swapaxes(0, 1), kernel.swapaxes(0, 1)))


_RANGES = {"units": WIDTH, "dropout": RATE, "recurrent_dropout": RATE}


class LSTM(nn.Module):
    """LSTM: `[B, T, D]` sequences to the last hidden state `[B, units]`, as in Keras 2.

    i, f, o = hard_sigmoid(x W + h U + b), g = tanh(x W + h U + b), c' = f c + i g, h' = o tanh(c'), gates in the order
    i, f, g, o. Dropout masks of the input and of h are drawn once per sequence and separately for each gate
    (implementation 1 of Keras 2). The defaults on D = 2048 are the published network, 540,928 parameters.
    masking: stop at the last frame that is not all zero; False processes trailing zero padding like any frame.
    UsageError for a number that means nothing.
    """

    reads: ClassVar[str] = "sequences"
    units: int = 64
    dropout: float = 0.5
    recurrent_dropout: float = 0.5
    masking: bool = False
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, "options")
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, keys: jax.Array | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        """Return `[B, units]`; keys `[B]` draw the dropout, mask is unused (no batch normalisation)."""
        batch, frames, features = x.shape

        def forget_bias(_, shape: tuple[int, int], dtype: jnp.dtype) -> jax.Array:
            return jnp.zeros(shape, dtype).at[1].set(1)

        def per_gate(init: nn.initializers.Initializer) -> nn.initializers.Initializer:
            # Keras initialises the four gates as one matrix [D, 4 units].
            return lambda key, shape, dtype: init(key, (shape[0], shape[1] * shape[2]), dtype).reshape(shape)

        glorot, orthogonal = nn.initializers.glorot_uniform(), nn.initializers.orthogonal()
        kernel = self.param("kernel", per_gate(glorot), (features, 4, self.units), jnp.float32)
        recurrent = self.param("recurrent_kernel", per_gate(orthogonal), (self.units, 4, self.units), jnp.float32)
        bias = self.param("bias", forget_bias, (4, self.units), jnp.float32)
        kernel, recurrent = kernel.astype(self.dtype), recurrent.astype(self.dtype)

        def drop(values: jax.Array, name: str, rate: float) -> jax.Array | None:
            if not train or keys is None or rate == 0:
                return None
            return dropout_mask(keys, "/".join((*self.path, name)), rate, (4, values)).astype(self.dtype)

        x = x.astype(self.dtype)
        drop_input = drop(features, "input", self.dropout)
        drop_state = drop(self.units, "state", self.recurrent_dropout)

        # The projection of every frame at once is a large matrix product; only h U has to wait for the frame before.
        projected = project(x, kernel, drop_input) + bias.astype(self.dtype).reshape(4, 1, 1, -1)
        projected = projected.transpose(2, 1, 0, 3)

        def project_state(h: jax.Array) -> jax.Array:
            if drop_state is None:
                return jnp.einsum("bu,ugv->bgv", h, recurrent)
            return jnp.einsum("bgu,ugv->bgv", h[:, None] * drop_state, recurrent)

        position = jnp.arange(1, frames + 1)
        lengths = jnp.max(position.reshape(1, -1) * (x != 0).any(-1), axis=1) if self.masking else None

        def step(state: tuple[jax.Array, jax.Array], inputs: tuple[jax.Array, jax.Array]) -> tuple[tuple, None]:
            h, c = state
            frame, number = inputs
            i, f, g, o = jnp.moveaxis((frame + project_state(h)).astype(jnp.float32), 1, 0)
            cell = hard_sigmoid(f) * c + hard_sigmoid(i) * jnp.tanh(g)
            new = (hard_sigmoid(o) * jnp.tanh(cell)).astype(self.dtype), cell
            if lengths is not None:
                new = jax.tree.map(
                    lambda after, before: jnp.where((number <= lengths)[:, None], after, before), new, state
                )
            return new, None

        # The cell adds up over the frames, so it stays in float32 whatever the compute dtype.
        start = jnp.zeros((batch, self.units), self.dtype), jnp.zeros((batch, self.units), jnp.float32)
        (h, _), _ = lax.scan(step, start, (projected, position))
        return h
