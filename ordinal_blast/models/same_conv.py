"""Convolution of stride 1 that keeps the size, of a map or of one repeated 2×2, with a fast gradient of the kernel.

XLA takes the gradient of a kernel by a convolution whose window is the whole map, on a CPU several times slower than
the forward pass. As a product of shifted copies it is as fast.
"""

from __future__ import annotations

import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ordinal_blast.models.forms import resolved

KernelGradient = Literal["auto", "native", "product"]

# Where phase a of a repeated row finds tap i: at offset (a + i) // 2 of the row before it was repeated.
_OFFSET = np.array([[[(a + i) // 2 == offset for offset in (0, 1)] for i in (0, 1)] for a in (0, 1)], np.float32)


def same_conv(x: jax.Array, kernel: jax.Array, *, form: KernelGradient = "auto") -> jax.Array:
    """Convolve `[B, H, W, C]` with `[k, k, C, D]`, padded as "SAME".

    form: how the gradient of the kernel is computed. On a CPU "auto" is "product" for 32×32 positions or more, of 16
    channels or more, and elsewhere "native": XLA's own.
    """
    # Ahead by 2 to 4 for 32×32 and 64×64, behind by a quarter for 16×16.
    large = math.prod(x.shape[1:3]) >= 1024 and x.shape[-1] >= 16
    by_product = resolved(form, on_cpu="product" if large else "native", elsewhere="native") == "product"
    return _by_product(x, kernel) if by_product else _native(x, kernel)


def upsampled_conv(x: jax.Array, kernel: jax.Array, *, form: KernelGradient = "auto") -> jax.Array:
    """Convolve `[B, H, W, C]`, every position repeated 2×2, with `[2, 2, C, D]`, as "SAME": `[B, 2 H, 2 W, D]`.

    Nothing is repeated: the four phases of the result are convolutions of the small map, with the taps that fall on one
    position added up.
    """
    batch, height, width, channels = x.shape
    phases = jnp.einsum("aip,bjq,ijcd->pqcabd", *2 * (jnp.asarray(_OFFSET, kernel.dtype),), kernel)
    y = same_conv(x, phases.reshape(2, 2, channels, -1), form=form).reshape(batch, height, width, 2, 2, -1)
    return y.transpose(0, 1, 3, 2, 4, 5).reshape(batch, 2 * height, 2 * width, -1)


def _native(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


@jax.custom_vjp
def _by_product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return _native(x, kernel)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _native(x, kernel), (x, kernel)


def _backward(saved: tuple[jax.Array, jax.Array], cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Shift x by columns and the cotangent by rows, so that one product of the two has every pair of shifts.

    A few images at a time, about 8,192 positions: their copies stay in the cache.
    """
    x, kernel = saved
    (by_x,) = jax.linear_transpose(lambda x: _native(x, kernel), x)(cotangent)
    size, _, channels, features = kernel.shape
    before, after = (size - 1) // 2, size // 2
    group = math.gcd(len(x), max(8192 // math.prod(x.shape[1:3]), 1))

    def add(total: jax.Array, images: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        x, cotangent = images
        width = x.shape[2]
        x = jnp.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
        columns = jnp.concatenate([x[:, :, shift : shift + width] for shift in range(size)], axis=-1)
        rows = [jnp.pad(cotangent, ((0, 0), (shift, size - 1 - shift), (0, 0), (0, 0))) for shift in range(size)]
        left = jnp.concatenate(rows, axis=-1).reshape(group, -1, size * features)
        product = jnp.einsum(
            "bpm,bpn->bmn", left, columns.reshape(group, -1, size * channels), preferred_element_type=jnp.float32
        )
        return total + product.sum(0), None

    groups = (x.reshape(-1, group, *x.shape[1:]), cotangent.reshape(-1, group, *cotangent.shape[1:]))
    total, _ = lax.scan(add, jnp.zeros((size * features, size * channels), jnp.float32), groups)
    by_kernel = total.reshape(size, features, size, channels).transpose(0, 2, 3, 1)
    return by_x, by_kernel.astype(kernel.dtype)


_by_product.defvjp(_forward, _backward)
