"""Dense convolution in two forms with the same values: XLA's own operator, or patches × matrix, image by image.

With few channels, as in the first layers of a network, a CPU is faster by patches: those of one image stay in the
cache, those of a batch do not.
"""

from __future__ import annotations

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from ordinal_blast.models.forms import resolved
from ordinal_blast.models.pointwise import pointwise_conv

DenseForm = Literal["auto", "native", "patches"]

_NUMBERS = ("NHWC", "HWIO", "NHWC")


def conv(
    x: jax.Array, kernel: jax.Array, *, stride: int = 1, padding: str = "SAME", form: DenseForm = "auto"
) -> jax.Array:
    """Convolve `[B, H, W, C]` with `[k, k, C, D]`; patches of k = 1 are rows of the map, and nothing is copied."""
    if resolved(form, on_cpu="patches", elsewhere="native") == "native":
        return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=_NUMBERS)
    size = kernel.shape[0]
    if size == 1:
        return pointwise_conv(x[:, ::stride, ::stride], kernel[0, 0])
    pads = lax.padtype_to_pads(x.shape[1:3], (size, size), (stride, stride), padding)
    return _by_patches(stride, jnp.pad(x, ((0, 0), *pads, (0, 0))), kernel)


def _views(x: jax.Array, size: int, stride: int) -> list[jax.Array]:
    """The size² shifted views `[B, H', W', C]` of `[B, H, W, C]`, row by row of the window."""
    height, width = ((length - size) // stride * stride + 1 for length in x.shape[1:3])
    return [
        x[:, row : row + height : stride, column : column + width : stride]
        for row in range(size)
        for column in range(size)
    ]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _by_patches(stride: int, x: jax.Array, kernel: jax.Array) -> jax.Array:
    def image(x: jax.Array) -> jax.Array:
        patches = jnp.concatenate(_views(x[None], kernel.shape[0], stride), axis=-1)
        return jnp.einsum("bhwp,pd->bhwd", patches, kernel.reshape(-1, kernel.shape[-1]))[0]

    return lax.map(image, x)


def _forward(stride: int, x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _by_patches(stride, x, kernel), (x, kernel)


def _backward(stride: int, saved: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    size = kernel.shape[0]

    def image(total: jax.Array, pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        x, cotangent = pair
        taps = [
            jnp.einsum("hwc,hwd->cd", view[0], cotangent, preferred_element_type=jnp.float32)
            for view in _views(x[None], size, stride)
        ]
        return total + jnp.stack(taps), None

    start = jnp.zeros((size * size, *kernel.shape[2:]), jnp.float32)
    by_kernel, _ = lax.scan(image, start, (x, cotangent))
    # What x receives: the convolution of the cotangent, its rows apart by the stride, with the kernel turned around.
    short = [(size - 1, size - 1 + (length - size) % stride) for length in x.shape[1:3]]
    turned = kernel[::-1, ::-1].swapaxes(2, 3)
    by_x = lax.conv_general_dilated(
        cotangent, turned, (1, 1), short, lhs_dilation=(stride, stride), dimension_numbers=_NUMBERS
    )
    return by_x, by_kernel.reshape(kernel.shape).astype(kernel.dtype)


_by_patches.defvjp(_forward, _backward)
