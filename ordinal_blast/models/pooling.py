"""Maximum of 3×3 windows at every second position: XLA's own operator, or shifted views that remember the largest."""

from __future__ import annotations

import functools
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

PoolingForm = Literal["shifted", "windowed"]

_NOWHERE = 100  # an index that no window holds


def max_pool(x: jax.Array, *, form: PoolingForm = "shifted") -> jax.Array:
    """Take the maximum of 3×3 windows, stride 2, padded as "SAME": `[B, H, W, C]` to `[B, ⌈H/2⌉, ⌈W/2⌉, C]`.

    Of equal maxima the first of the window, row by row, takes the gradient, in both forms.
    """
    return (
        _shifted(x.shape[1:3], x)
        if form == "shifted"
        else nn.max_pool(x, window_shape=(3, 3), strides=(2, 2), padding="SAME")
    )


def _views(x: jax.Array) -> list[jax.Array]:
    """The nine shifted views `[B, ⌈H/2⌉, ⌈W/2⌉, C]`, row by row of the window."""
    x = jnp.pad(x, ((0, 0), *_pads(x.shape[1:3]), (0, 0)), constant_values=-jnp.inf)
    height, width = ((length - 3) // 2 * 2 + 1 for length in x.shape[1:3])
    return [x[:, row : row + height : 2, column : column + width : 2] for row in range(3) for column in range(3)]


def _pads(size: tuple[int, int]) -> list[tuple[int, int]]:
    return lax.padtype_to_pads(size, (3, 3), (2, 2), "SAME")


def _largest(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The maximum of every window, and which of its nine it was first, int8; NaN where one is."""
    largest, *others = _views(x)
    index = jnp.zeros(largest.shape, jnp.int8)
    for place, view in enumerate(others, start=1):
        larger = ~((largest >= view) | (largest != largest))
        largest, index = jnp.where(larger, view, largest), jnp.where(larger, jnp.int8(place), index)
    return largest, index


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _shifted(size: tuple[int, int], x: jax.Array) -> jax.Array:
    return _largest(x)[0]


def _forward(size: tuple[int, int], x: jax.Array) -> tuple[jax.Array, jax.Array]:
    return _largest(x)


def _backward(size: tuple[int, int], index: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
    """Collect, for every position, from the at most four windows it is in, where it was the largest.

    The cotangents of the windows are repeated over the positions, so that all four are views of one size.
    """
    (height, width), ((above, _), (left, _)) = size, _pads(size)
    index = jnp.pad(index, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=_NOWHERE)
    cotangent = jnp.pad(cotangent, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows, columns = (np.arange(height) + above) % 2, (np.arange(width) + left) % 2

    def windows(values: jax.Array, up: int, back: int) -> jax.Array:
        values = values[:, 1 - up : values.shape[1] - up, 1 - back : values.shape[2] - back]
        return values.repeat(2, 1).repeat(2, 2)[:, above : above + height, left : left + width]

    total: jax.Array | float = 0.0
    for up in (0, 1):
        for back in (0, 1):
            row, column = rows[:, None] + 2 * up, columns + 2 * back
            place = np.where((row > 2) | (column > 2), -1, 3 * row + column).astype(np.int8)
            mine = windows(index, up, back) == place[None, :, :, None]
            total = total + jnp.where(mine, windows(cotangent, up, back), 0)
    return (total,)


_shifted.defvjp(_forward, _backward)
