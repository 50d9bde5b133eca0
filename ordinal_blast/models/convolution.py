"""Convolution and pooling in two forms with the same values: XLA's own operators, or shifted slices.

On a CPU, XLA runs depthwise convolutions, their gradients and the gradient of pooling far below the machine's rate.
Written as shifted slices they become fused multiply-adds, maxima and matrix products.
"""

from __future__ import annotations

from functools import reduce
from typing import Literal

import flax.linen as nn
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


def _shifts(x: jax.Array, size: int, stride: int, padding: str, fill: float = 0) -> list[jax.Array]:
    """Return the size² shifted views `[B, H', W', C]` of `[B, H, W, C]`, row by row of the window."""
    pads = lax.padtype_to_pads(x.shape[1:3], (size, size), (stride, stride), padding)
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
    height, width = ((length - size) // stride * stride + 1 for length in x.shape[1:3])
    return [
        x[:, row : row + height : stride, column : column + width : stride]
        for row in range(size)
        for column in range(size)
    ]


def conv(x: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: str = "SAME", form: Form = "auto") -> jax.Array:
    """Convolve `[B, H, W, C]` with `[k, k, C, D]`; the shifted form is patches × matrix, image by image."""
    size = kernel.shape[0]
    if size == 1:
        return jnp.einsum("bhwc,cd->bhwd", x[:, ::stride, ::stride], kernel[0, 0])
    if resolve(form) == "grouped":
        return lax.conv_general_dilated(
            x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def image(x: jax.Array) -> jax.Array:
        patches = jnp.concatenate(_shifts(x[None], size, stride, padding), axis=-1)
        return jnp.einsum("bhwp,pd->bhwd", patches, kernel.reshape(-1, kernel.shape[-1]))[0]

    # The patches of one image stay in the cache, those of a batch do not.
    return lax.map(image, x)


def depthwise_conv(x: jax.Array, kernel: jax.Array, *, form: Form = "auto") -> jax.Array:
    """Convolve every channel of `[B, H, W, C]` with its own filter of `[k, k, 1, C]`, k odd, stride 1, same size."""
    if resolve(form) == "grouped":
        return lax.conv_general_dilated(
            x,
            kernel,
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=kernel.shape[-1],
        )
    return _shifted_depthwise(x, kernel)


@jax.custom_vjp
def _shifted_depthwise(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Sum the shifted views, each times its tap of every filter."""
    size = kernel.shape[0]
    taps = kernel.reshape(size * size, 1, 1, 1, -1)
    return sum(view * tap for view, tap in zip(_shifts(x, size, 1, "SAME"), taps, strict=True))


def _shifted_depthwise_forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _shifted_depthwise(x, kernel), (x, kernel)


def _shifted_depthwise_backward(
    saved: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved

    def taps(image: tuple[jax.Array, jax.Array]) -> jax.Array:
        x, cotangent = image
        views = _shifts(x[None], kernel.shape[0], 1, "SAME")
        return jnp.stack([jnp.sum(view[0] * cotangent, (0, 1), dtype=jnp.float32) for view in views])

    # Left to itself, autodiff reduces over the whole batch once per tap, which reads it nine times from memory.
    gradient = lax.map(taps, (x, cotangent)).sum(0).reshape(kernel.shape).astype(kernel.dtype)
    return _shifted_depthwise(cotangent, kernel[::-1, ::-1]), gradient


_shifted_depthwise.defvjp(_shifted_depthwise_forward, _shifted_depthwise_backward)


def max_pool(x: jax.Array, *, form: Form = "auto") -> jax.Array:
    """Take the maximum of 3×3 windows, stride 2, padded as "SAME": `[B, H, W, C]` to `[B, ⌈H/2⌉, ⌈W/2⌉, C]`."""
    if resolve(form) == "grouped":
        return nn.max_pool(x, (3, 3), (2, 2), "SAME")
    return reduce(jnp.maximum, _shifts(x, 3, 2, "SAME", -jnp.inf))
