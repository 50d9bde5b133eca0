"""Dense convolution in three forms with the same values: compiled kernels, patches × matrix, or XLA's own operator.

On a CPU, XLA runs these below half of the machine's rate, and takes the gradient of a kernel by a convolution whose
window is the whole map. Where there are no kernels, the patches of one image stay in the cache, those of a batch do
not, and the gradient of a kernel is a product for each of its taps.
"""

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
from ordinal_blast.models.pointwise import pointwise_conv

DenseForm = Literal["auto", "native", "patches", "xla"]

_NUMBERS = ("NHWC", "HWIO", "NHWC")
# Offset e − 1 of a repeated row takes tap i of phase a where a − i = e − 1.
_TAPS = np.array([[sum(a - i == e - 1 for a in (0, 1)) for i in (0, 1)] for e in range(3)], np.float32)


class _How(NamedTuple):
    form: str
    stride: int
    pads: Pads
    relu: bool = False


def conv(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int = 1,
    padding: str = "SAME",
    relu: bool = False,
    form: DenseForm = "auto",
) -> jax.Array:
    """Convolve `[B, H, W, C]` with `[k, k, C, D]` and add the bias `[D]`; relu: of the result.

    form: "auto" is "native" (kernels, for float32) or else "patches" on a CPU, and "xla" elsewhere. But for "xla",
    k = 1 is a product of matrices.
    """
    form = _resolved(form, x.dtype)
    size = kernel.shape[:2]
    if size == (1, 1) and form != "xla":
        y = pointwise_conv(x[:, ::stride, ::stride], kernel[0, 0])
        y = _add(y, bias)
        return nn.relu(y) if relu else y
    (top, bottom), (left, right) = lax.padtype_to_pads(x.shape[1:3], size, (stride, stride), padding)
    how = _How(form, stride, ((top, bottom), (left, right)), relu)
    return (_values if form == "xla" else _conv)(how, x, kernel, bias)


def upsampled_conv(x: jax.Array, kernel: jax.Array, bias: jax.Array, *, form: DenseForm = "auto") -> jax.Array:
    """Convolve `[B, H, W, C]`, every position repeated 2×2, with `[2, 2, C, D]`, as "SAME": `[B, 2 H, 2 W, D]`.

    Nothing is repeated: it is the transpose of a 3×3 convolution of stride 2, of whose taps each is the sum of those
    that fall on one position.
    """
    form = _resolved(form, x.dtype)
    taps = jnp.asarray(_TAPS, kernel.dtype)
    kernel = jnp.einsum("ei,fj,ijcd->efdc", taps, taps, kernel)
    how, size = _How(form, 2, ((1, 0), (1, 0))), (2 * x.shape[1], 2 * x.shape[2])
    return _add((_map_gradient if form == "xla" else _transposed)(how, size, x, kernel), bias)


def _add(y: jax.Array, bias: jax.Array | None) -> jax.Array:
    return y if bias is None else y + bias.reshape(1, 1, 1, -1)


def _resolved(form: DenseForm, dtype: jnp.dtype) -> str:
    return resolved("dense", form, dtype, pure="patches", elsewhere="xla")


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _conv(how: _How, x: jax.Array, kernel: jax.Array, bias: jax.Array | None) -> jax.Array:
    return _values(how, x, kernel, bias)


def _conv_forward(how: _How, x: jax.Array, kernel: jax.Array, bias: jax.Array | None) -> tuple[jax.Array, tuple]:
    y = _values(how, x, kernel, bias)
    return y, (x, kernel, bias, y if how.relu else None)


def _conv_backward(how: _How, saved: tuple, cotangent: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    x, kernel, bias, y = saved
    cotangent = cotangent if y is None else jnp.where(y > 0, cotangent, 0)
    by_kernel, by_bias = _kernel_gradient(how, x, cotangent, kernel.shape[:2])
    return _map_gradient(how, x.shape[1:3], cotangent, kernel), by_kernel, None if bias is None else by_bias


_conv.defvjp(_conv_forward, _conv_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _transposed(how: _How, size: tuple[int, int], x: jax.Array, kernel: jax.Array) -> jax.Array:
    return _map_gradient(how, size, x, kernel)


def _transposed_forward(
    how: _How, size: tuple[int, int], x: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _map_gradient(how, size, x, kernel), (x, kernel)


def _transposed_backward(
    how: _How, size: tuple[int, int], saved: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    return _values(how, cotangent, kernel, None), _kernel_gradient(how, cotangent, x, kernel.shape[:2])[0]


_transposed.defvjp(_transposed_forward, _transposed_backward)


def _values(how: _How, x: jax.Array, kernel: jax.Array, bias: jax.Array | None) -> jax.Array:
    if how.form == "native":
        return native.dense(x, kernel, bias, stride=how.stride, pads=how.pads, relu=how.relu)
    if how.form == "patches":
        flat = kernel.reshape(-1, kernel.shape[-1])

        def image(x: jax.Array) -> jax.Array:
            patches = jnp.concatenate(_views(x[None], kernel.shape[:2], how.stride), axis=-1)
            return jnp.einsum("bhwp,pd->bhwd", patches, flat)[0]

        y = lax.map(image, _pad(x, how.pads))
    else:
        y = lax.conv_general_dilated(x, kernel, (how.stride, how.stride), how.pads, dimension_numbers=_NUMBERS)
    y = _add(y, bias)
    return nn.relu(y) if how.relu else y


def _map_gradient(how: _How, size: tuple[int, int], cotangent: jax.Array, kernel: jax.Array) -> jax.Array:
    """What a map `[B, *size, C]` receives: the cotangent, apart by the stride, convolved with the turned kernel."""
    if how.form == "native":
        return native.dense_map_gradient(cotangent, kernel, size, stride=how.stride, pads=how.pads)
    pads = []
    for length, taps, (before, _), result in zip(size, kernel.shape[:2], how.pads, cotangent.shape[1:3], strict=True):
        first = taps - 1 - before
        pads.append((first, length - (result - 1) * how.stride - 1 + taps - 1 - first))
    dilation, turned = (how.stride, how.stride), kernel[::-1, ::-1].swapaxes(2, 3)
    return lax.conv_general_dilated(cotangent, turned, (1, 1), pads, lhs_dilation=dilation, dimension_numbers=_NUMBERS)


def _kernel_gradient(
    how: _How, x: jax.Array, cotangent: jax.Array, size: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
    """What the kernel `[*size, C, D]` and the bias `[D]` receive, added up in float32."""
    if how.form == "native":
        return native.dense_kernel_gradient(x, cotangent, size, stride=how.stride, pads=how.pads)

    def image(total: jax.Array, pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        x, cotangent = pair
        taps = [
            jnp.einsum("hwc,hwd->cd", view[0], cotangent, preferred_element_type=jnp.float32)
            for view in _views(x[None], size, how.stride)
        ]
        return total + jnp.stack(taps), None

    start = jnp.zeros((size[0] * size[1], x.shape[-1], cotangent.shape[-1]), jnp.float32)
    by_kernel, _ = lax.scan(image, start, (_pad(x, how.pads), cotangent))
    by_bias = cotangent.sum((0, 1, 2), dtype=jnp.float32)
    return by_kernel.reshape(*size, *start.shape[1:]).astype(x.dtype), by_bias.astype(x.dtype)


def _pad(x: jax.Array, pads: Pads) -> jax.Array:
    return jnp.pad(x, ((0, 0), *pads, (0, 0)))


def _views(x: jax.Array, size: tuple[int, int], stride: int) -> list[jax.Array]:
    """The shifted views `[B, H', W', C]` of a padded map, row by row of the window."""
    height, width = ((length - taps) // stride * stride + 1 for length, taps in zip(x.shape[1:3], size, strict=True))
    return [
        x[:, row : row + height : stride, column : column + width : stride]
        for row in range(size[0])
        for column in range(size[1])
    ]
