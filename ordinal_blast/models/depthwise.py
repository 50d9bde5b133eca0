"""Depthwise convolution: XLA's own operator, shifted views times taps, or compiled kernels, with gradients of one kind.

On a CPU, XLA runs grouped convolutions and their gradients far below the machine's rate. Written as shifted views they
are fused multiply-adds, and by the kernels a map is read once for all nine.
"""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from ordinal_blast.models import native
from ordinal_blast.models.forms import resolved

DepthwiseForm = Literal["auto", "grouped", "shifted", "native"]

_WHOLE = 32  # rows up to which the filters' gradient takes all images at once; an image with more fills the cache alone
_GROUP = 14  # rows that are added up element by element before the one reduction


def depthwise_conv(x: jax.Array, kernel: jax.Array, *, form: DepthwiseForm = "auto") -> jax.Array:
    """Convolve every channel of `[B, H, W, C]` with its own filter of `[3, 3, 1, C]`, stride 1, same size."""
    form = resolved("depthwise", form, x.dtype, pure="shifted", elsewhere="grouped")
    if form != "grouped":
        return _conv(form, x, kernel)
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=numbers, feature_group_count=kernel.shape[-1]
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _conv(form: str, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return native.depthwise(x, kernel) if form == "native" else _shifted(x, kernel)


def _forward(form: str, x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _conv(form, x, kernel), (x, kernel)


def _backward(form: str, saved: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What x receives is the same convolution of the cotangent, the kernel turned by 180 degrees."""
    x, kernel = saved
    if form == "native":
        return native.depthwise(cotangent, kernel, turned=True), native.depthwise_gradient(x, cotangent)
    return _shifted(cotangent, kernel[::-1, ::-1]), _filter_gradient(x, cotangent, kernel)


_conv.defvjp(_forward, _backward)


def _shifted(x: jax.Array, kernel: jax.Array) -> jax.Array:
    size, height, width = kernel.shape[0], *x.shape[1:3]
    padded, taps = _pad(x, size), kernel.reshape(size, size, 1, 1, 1, -1)
    return sum(
        padded[:, row : row + height, column : column + width] * taps[row, column]
        for row in range(size)
        for column in range(size)
    )


def _pad(x: jax.Array, size: int, below: int = 0) -> jax.Array:
    return jnp.pad(x, ((0, 0), (size // 2, size // 2 + below), (size // 2, size // 2), (0, 0)))


def _filter_gradient(x: jax.Array, cotangent: jax.Array, kernel: jax.Array) -> jax.Array:
    """Sum over images and positions of every shifted view times the cotangent, `[k, k, 1, C]`, in float32."""
    size, height, width = kernel.shape[0], *x.shape[1:3]
    groups = -(-height // _GROUP)
    rows = -(-height // groups)  # of a group
    below = groups * rows - height
    x, cotangent = _pad(x, size, below), jnp.pad(cotangent, ((0, 0), (0, below), (0, 0), (0, 0)))
    last = rows * (groups - 1) + 1

    def of_images(x: jax.Array, cotangent: jax.Array) -> jax.Array:
        def tap(row: int, column: int) -> jax.Array:
            return sum(
                x[:, row + r : row + r + last : rows, column : column + width].astype(jnp.float32)
                * cotangent[:, r : r + last : rows].astype(jnp.float32)
                for r in range(rows)
            )

        return jnp.stack([tap(row, column) for row in range(size) for column in range(size)]).sum((1, 2, 3))

    if height <= _WHOLE:
        total = of_images(x, cotangent)
    else:
        start = jnp.zeros((size * size, x.shape[-1]), jnp.float32)
        total, _ = lax.scan(
            lambda sums, pair: (sums + of_images(*(a[None] for a in pair)), None), start, (x, cotangent)
        )
    return total.reshape(kernel.shape).astype(kernel.dtype)
