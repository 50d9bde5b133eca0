"""Maximum of windows at every second position: compiled kernels, shifted views that remember the largest, or XLA's."""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ordinal_blast.models import native
from ordinal_blast.models.forms import resolved
from ordinal_blast.models.native import Pads

PoolingForm = Literal["auto", "native", "shifted", "windowed"]

_NOWHERE = 100  # an index that no window holds


class _How(NamedTuple):
    form: str
    window: int
    size: tuple[int, int]

    @property
    def pads(self) -> Pads:
        rows, columns = lax.padtype_to_pads(self.size, (self.window, self.window), (2, 2), "SAME")
        return rows, columns


def max_pool(x: jax.Array, window: int = 3, *, form: PoolingForm = "auto") -> jax.Array:
    """Take the maximum of windows of 2×2 or 3×3, stride 2, as "SAME": `[B, H, W, C]` to `[B, ⌈H/2⌉, ⌈W/2⌉, C]`.

    Of equal maxima the first of the window, row by row, takes the gradient, in all forms. form: "auto" is "native"
    (kernels, for float32 on a CPU) or else "shifted".
    """
    form = resolved("pooling", form, x.dtype, pure="shifted", elsewhere="shifted")
    if form == "windowed":
        return nn.max_pool(x, window_shape=(window, window), strides=(2, 2), padding="SAME")
    return _max_pool(_How(form, window, x.shape[1:3]), x)


def _views(how: _How, x: jax.Array) -> list[jax.Array]:
    """The shifted views `[B, ⌈H/2⌉, ⌈W/2⌉, C]`, row by row of the window."""
    x = jnp.pad(x, ((0, 0), *how.pads, (0, 0)), constant_values=-jnp.inf)
    height, width = ((length - how.window) // 2 * 2 + 1 for length in x.shape[1:3])
    places = range(how.window)
    return [x[:, row : row + height : 2, column : column + width : 2] for row in places for column in places]


def _largest(how: _How, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The maximum of every window, and which of its positions it was first, uint8; NaN where one is."""
    if how.form == "native":
        return native.max_pool(x, how.window, how.pads)
    largest, *others = _views(how, x)
    index = jnp.zeros(largest.shape, jnp.uint8)
    for place, view in enumerate(others, start=1):
        larger = ~((largest >= view) | (largest != largest))
        largest, index = jnp.where(larger, view, largest), jnp.where(larger, jnp.uint8(place), index)
    return largest, index


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _max_pool(how: _How, x: jax.Array) -> jax.Array:
    return _largest(how, x)[0]


def _backward(how: _How, index: jax.Array, cotangent: jax.Array) -> tuple[jax.Array]:
    """Collect, for every position, from the at most four windows it is in, where it was the largest.

    The cotangents of the windows are repeated over the positions, so that all four are views of one size.
    """
    if how.form == "native":
        return (native.max_pool_gradient(cotangent, index, how.size, how.window, how.pads),)
    (height, width), ((above, _), (left, _)) = how.size, how.pads
    index = jnp.pad(index, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=_NOWHERE)
    cotangent = jnp.pad(cotangent, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows, columns = (np.arange(height) + above) % 2, (np.arange(width) + left) % 2

    def windows(values: jax.Array, up: int, back: int) -> jax.Array:
        values = values[:, 1 - up : values.shape[1] - up, 1 - back : values.shape[2] - back]
        return values.repeat(2, 1).repeat(2, 2)[:, above : above + height, left : left + width]

    total: jax.Array | float = 0.0
    several = range(-(-how.window // 2))  # windows that see a row or a column
    for up in several:
        for back in several:
            row, column = rows[:, None] + 2 * up, columns + 2 * back
            outside = (row >= how.window) | (column >= how.window)
            place = np.where(outside, _NOWHERE + 1, how.window * row + column).astype(np.uint8)
            mine = windows(index, up, back) == place[None, :, :, None]
            total = total + jnp.where(mine, windows(cotangent, up, back), 0)
    return (total,)


_max_pool.defvjp(_largest, _backward)
