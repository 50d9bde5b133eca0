"""Convolution and pooling in two forms with the same values: XLA's own operators, or shifted slices.

On a CPU, XLA runs depthwise convolutions, their gradients and the gradient of pooling far below the machine's rate.
Written as shifted slices they become fused multiply-adds, maxima and matrix products.
"""

from __future__ import annotations

from collections.abc import Callable
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


def conv(x: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: str = "SAME", form: Form = "auto") -> jax.Array:
    """Convolve `[B, H, W, C]` with `[k, k, C, D]`; the shifted form is patches × matrix."""
    size = kernel.shape[0]
    if size == 1:
        return jnp.einsum("bhwc,cd->bhwd", x[:, ::stride, ::stride], kernel[0, 0])
    if resolve(form) == "grouped":
        return lax.conv_general_dilated(
            x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def patches_by_matrix(x: jax.Array, kernel: jax.Array) -> jax.Array:
        def image(x: jax.Array) -> jax.Array:
            patches = jnp.concatenate(_shifts(x[None], size, stride, padding), axis=-1)
            return jnp.einsum("bhwp,pd->bhwd", patches, kernel.reshape(-1, kernel.shape[-1]))[0]

        # The patches of one image stay in the cache, those of a batch do not.
        return lax.map(image, x)

    return _gradient_by_image(patches_by_matrix)(x, kernel)


def depthwise_conv(x: jax.Array, kernel: jax.Array, *, form: Form = "auto") -> jax.Array:
    """Convolve every channel of `[B, H, W, C]` with its own filter of `[k, k, 1, C]`, stride 1, same size."""
    if resolve(form) == "grouped":
        numbers = ("NHWC", "HWIO", "NHWC")
        groups = kernel.shape[-1]
        return lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=numbers, feature_group_count=groups
        )

    def multiply_adds(x: jax.Array, kernel: jax.Array) -> jax.Array:
        taps = kernel.reshape(-1, 1, 1, 1, kernel.shape[-1])
        return sum(view * tap for view, tap in zip(_shifts(x, kernel.shape[0], 1, "SAME"), taps, strict=True))

    return _gradient_by_image(multiply_adds)(x, kernel)


def max_pool(x: jax.Array, *, form: Form = "auto") -> jax.Array:
    """Take the maximum of 3×3 windows, stride 2, padded as "SAME": `[B, H, W, C]` to `[B, ⌈H/2⌉, ⌈W/2⌉, C]`.

    Of equal maxima the first of the window, row by row, takes the gradient, in both forms.
    """
    if resolve(form) == "grouped":
        return nn.max_pool(x, (3, 3), (2, 2), "SAME")
    return _gradient_by_image(lambda x: reduce(_first_maximum, _shifts(x, 3, 2, "SAME", -jnp.inf)))(x)


def _first_maximum(a: jax.Array, b: jax.Array) -> jax.Array:
    """The maximum, whose gradient is a's on a tie (`jnp.maximum` halves it); NaN where either is."""
    return jnp.where((a >= b) | (a != a), a, b)


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


def _gradient_by_image(operator: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Take the gradient of `operator(x, *weights)` one image at a time: an image fits the cache, a batch does not.

    It starts from the inputs again, so the patches or products of the forward pass are not kept.
    """

    @jax.custom_vjp
    def apply(x: jax.Array, *weights: jax.Array) -> jax.Array:
        return operator(x, *weights)

    def forward(x: jax.Array, *weights: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        return apply(x, *weights), (x, *weights)

    def backward(saved: tuple[jax.Array, ...], cotangent: jax.Array) -> tuple[jax.Array, ...]:
        x, *weights = saved

        def image(pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
            image, cotangent = pair
            gradient, *others = jax.vjp(operator, image[None], *weights)[1](cotangent[None])
            return gradient[0], *others

        gradient, *others = lax.map(image, (x, cotangent))
        return gradient, *(other.sum(0) for other in others)

    apply.defvjp(forward, backward)
    return apply
