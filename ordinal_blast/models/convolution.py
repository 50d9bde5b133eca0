"""Convolution and pooling in two forms with the same values: XLA's own operators, or shifted slices.

On a CPU, XLA runs depthwise convolutions and 3×3 convolutions of few channels far below the machine's rate. Written as
shifted slices they become fused multiply-adds and one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

Form = Literal["auto", "grouped", "shifted"]


def resolve(form: Form) -> Form:
    """Choose "shifted" on a CPU, "grouped" elsewhere, where the form is "auto"; ValueError for an unknown form."""
    if form not in ("auto", "grouped", "shifted"):
        raise ValueError(f'depthwise form {form!r} is unknown: use "auto", "grouped" or "shifted"')
    if form == "auto":
        # Measured on CPUs only. Elsewhere XLA's own convolution is the safe choice until `bench` says otherwise.
        return "shifted" if jax.default_backend() == "cpu" else "grouped"
    return form


def _shifts(x: jax.Array, size: int, stride: int, padding: str, fill: float) -> Iterator[jax.Array]:
    """Yield the size² shifted views `[B, H', W', C]` of `[B, H, W, C]`, row by row of the window."""
    pads = lax.padtype_to_pads(x.shape[1:3], (size, size), (stride, stride), padding)
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
    height, width = ((length - size) // stride * stride + 1 for length in x.shape[1:3])
    for row in range(size):
        for column in range(size):
            yield x[:, row : row + height : stride, column : column + width : stride]


def conv(x: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: str = "SAME", form: Form = "auto") -> jax.Array:
    """Convolve `[B, H, W, C]` with `[k, k, C, D]`; the shifted form is patches × matrix."""
    size = kernel.shape[0]
    if size == 1:
        return jnp.einsum("bhwc,cd->bhwd", x[:, ::stride, ::stride], kernel[0, 0])
    if resolve(form) == "grouped":
        return lax.conv_general_dilated(
            x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    patches = jnp.concatenate(list(_shifts(x, size, stride, padding, 0)), axis=-1)
    return jnp.einsum("bhwp,pd->bhwd", patches, kernel.reshape(-1, kernel.shape[-1]))


def depthwise_conv(x: jax.Array, kernel: jax.Array, *, form: Form = "auto") -> jax.Array:
    """Convolve every channel of `[B, H, W, C]` with its own k×k filter of `[k, k, 1, C]`, stride 1, same size out."""
    size, channels = kernel.shape[0], kernel.shape[-1]
    if resolve(form) == "grouped":
        return lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=channels
        )
    taps = kernel.reshape(size * size, 1, 1, 1, channels)
    return sum(view * tap for view, tap in zip(_shifts(x, size, 1, "SAME", 0), taps, strict=True))


def max_pool(x: jax.Array, *, form: Form = "auto") -> jax.Array:
    """Take the maximum of 3×3 windows, stride 2, padded as "SAME": `[B, H, W, C]` to `[B, ⌈H/2⌉, ⌈W/2⌉, C]`."""
    if resolve(form) == "grouped":
        return lax.reduce_window(x, jnp.array(-jnp.inf, x.dtype), lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    return reduce(jnp.maximum, _shifts(x, 3, 2, "SAME", -jnp.inf))
