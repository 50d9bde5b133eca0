"""Compiled kernels for float32 on a CPU: there if a compiler was when the package was installed."""

from __future__ import annotations

import ctypes
import functools
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ordinal_blast.models import platforms

_LIBRARY = Path(__file__).parent / "compiled" / "native_kernels.so"  # hatch_build.py compiles it from native/
_TARGETS = {
    "ordinal_blast_product": "OrdinalBlastProduct",
    "ordinal_blast_pool": "OrdinalBlastPool",
    "ordinal_blast_max_pool": "OrdinalBlastMaxPool",
    "ordinal_blast_max_pool_gradient": "OrdinalBlastMaxPoolGradient",
    "ordinal_blast_filter": "OrdinalBlastFilter",
    "ordinal_blast_filter_gradient": "OrdinalBlastFilterGradient",
    "ordinal_blast_moments": "OrdinalBlastMoments",
    "ordinal_blast_products": "OrdinalBlastProducts",
    "ordinal_blast_dense": "OrdinalBlastDense",
    "ordinal_blast_dense_map": "OrdinalBlastDenseMap",
    "ordinal_blast_dense_kernel": "OrdinalBlastDenseKernel",
}

Pads = tuple[tuple[int, int], tuple[int, int]]


@functools.cache
def vector_bits() -> int:
    """Width of the vectors that the kernels compute with here, 128, 256 or 512; 0 where there are no kernels."""
    if not _LIBRARY.exists():
        return 0
    try:
        library = ctypes.CDLL(str(_LIBRARY))
        for target, symbol in _TARGETS.items():
            jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(getattr(library, symbol)), platform="cpu")
        return int(library.ordinal_blast_vector_bits())
    except (OSError, AttributeError, RuntimeError) as error:  # of another platform, or for another JAX
        warnings.warn(f"{_LIBRARY} cannot be used, XLA does its work: {error}", RuntimeWarning, stacklevel=2)
        return 0


def available() -> bool:
    """Whether the kernels can compute on the present default device."""
    return platforms.here() and platforms.platform() == "cpu" and vector_bits() > 0


def able(dtype: jnp.dtype) -> bool:
    """Whether they can in this dtype."""
    return jnp.dtype(dtype) == jnp.float32 and available()


def check(option: str, dtype: jnp.dtype) -> None:
    """Raise ValueError where an option of a network asks for them in vain."""
    if not able(dtype):
        raise ValueError(
            f'{option} "native" is for float32 on a CPU, and for a package that was installed where there is a C++ '
            'compiler: use "auto"'
        )


def check_all(network: nn.Module, *options: str) -> None:
    """The same of every option of a network that is "native", in its dtype."""
    for option in options:
        if getattr(network, option) == "native":
            check(option, network.dtype)


def product(
    x: jax.Array,
    taps: jax.Array | None,
    kernel: jax.Array,
    norm: tuple[jax.Array, jax.Array, jax.Array],
    residual: jax.Array | None = None,
    *,
    stride: int = 1,
    padding: str = "SAME",
    before: bool = False,
    after: bool = False,
    bits: int = 0,
) -> jax.Array:
    """As `evaluated.product`, float32 alone, in one pass; bits: width of the vectors, 0 for the widest there are."""
    batch, height, width, channels = x.shape
    size, features = kernel.shape[0], kernel.shape[-1]
    pads = lax.padtype_to_pads((height, width), (size, size), (stride, stride), padding)
    sides = [(length + sum(pad) - size) // stride + 1 for length, pad in zip((height, width), pads, strict=True)]
    nothing = jnp.zeros(1, jnp.float32)
    return _call("ordinal_blast_product", (batch, *sides, features))(
        x,
        nothing if taps is None else taps.reshape(9, channels),
        kernel.reshape(-1, features),
        *norm,
        nothing if residual is None else residual,
        **_whole(size=size, stride=stride, pad_height=pads[0][0], pad_width=pads[1][0], bits=bits),
        filtered=taps is not None,
        added=residual is not None,
        before=before,
        after=after,
    )


def pool(x: jax.Array, residual: jax.Array, *, bits: int = 0) -> jax.Array:
    """As `evaluated.pool`, float32 alone."""
    return _call("ordinal_blast_pool", residual.shape)(x, residual, **_whole(bits=bits))


def max_pool(x: jax.Array, size: int, pads: Pads, *, bits: int = 0) -> tuple[jax.Array, jax.Array]:
    """As `pooling.max_pool` of windows of 2×2 or 3×3, and, uint8, which of its window the maximum is first."""
    batch, height, width, channels = x.shape
    shape = (batch, -(-height // 2), -(-width // 2), channels)
    results = tuple(jax.ShapeDtypeStruct(shape, dtype) for dtype in (jnp.float32, jnp.uint8))
    call = _called("ordinal_blast_max_pool", results)
    return call(x, **_whole(size=size, top=pads[0][0], left=pads[1][0], bits=bits))


def max_pool_gradient(
    cotangent: jax.Array, index: jax.Array, shape: tuple[int, int], size: int, pads: Pads, *, bits: int = 0
) -> jax.Array:
    """The gradient of its map, of so many rows and columns."""
    call = _call("ordinal_blast_max_pool_gradient", (len(cotangent), *shape, cotangent.shape[-1]))
    return call(cotangent, index, **_whole(size=size, top=pads[0][0], left=pads[1][0], bits=bits))


def depthwise(x: jax.Array, kernel: jax.Array, *, turned: bool = False, bits: int = 0) -> jax.Array:
    """As `depthwise.depthwise_conv`, float32 and 3×3 alone; turned: with the kernel turned by 180 degrees."""
    taps = kernel.reshape(9, x.shape[-1])
    return _call("ordinal_blast_filter", x.shape)(x, taps, turned=turned, **_whole(bits=bits))


def depthwise_gradient(x: jax.Array, cotangent: jax.Array, *, bits: int = 0) -> jax.Array:
    """The gradient of its kernel, `[3, 3, 1, C]`, for the cotangent of its result."""
    sums = _call("ordinal_blast_filter_gradient", (9, x.shape[-1]))(x, cotangent, **_whole(bits=bits))
    return sums.reshape(3, 3, 1, -1)


def dense(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int = 1,
    pads: Pads = ((0, 0), (0, 0)),
    relu: bool = False,
    bits: int = 0,
) -> jax.Array:
    """Convolve `[B, H, W, C]` with `[k, l, C, D]`, add the bias `[D]`; pads: rows above, below, columns beside."""
    sides = [
        (length + sum(pad) - size) // stride + 1
        for length, pad, size in zip(x.shape[1:3], pads, kernel.shape, strict=False)
    ]
    bias, biased = (jnp.zeros(1, jnp.float32), False) if bias is None else (bias, True)
    call = _call("ordinal_blast_dense", (len(x), *sides, kernel.shape[-1]))
    return call(x, kernel, bias, biased=biased, relu=relu, **_place(stride, pads, bits))


def dense_map_gradient(
    cotangent: jax.Array, kernel: jax.Array, size: tuple[int, int], *, stride: int, pads: Pads, bits: int = 0
) -> jax.Array:
    """The gradient of its map, of so many rows and columns, for the cotangent of its result."""
    call = _call("ordinal_blast_dense_map", (len(cotangent), *size, kernel.shape[2]))
    return call(cotangent, kernel, **_place(stride, pads, bits))


def dense_kernel_gradient(
    x: jax.Array, cotangent: jax.Array, size: tuple[int, int], *, stride: int, pads: Pads, bits: int = 0
) -> tuple[jax.Array, jax.Array]:
    """The gradients of its kernel, of so many rows and columns, and of its bias."""
    rows, columns = size
    call = _call("ordinal_blast_dense_kernel", (rows * columns * x.shape[-1] + 1, cotangent.shape[-1]))
    sums = call(x, cotangent, **_whole(rows=rows, columns=columns), **_place(stride, pads, bits))
    return sums[:-1].reshape(rows, columns, x.shape[-1], -1), sums[-1]


def moments(x: jax.Array, valid: jax.Array | None, *, bits: int = 0) -> jax.Array:
    """Mean and sum of squares about it, `[2, C]`, of a map, of images that are valid, `[B]`, 1 or 0."""
    rows, masked = (jnp.zeros(1, jnp.float32), False) if valid is None else (valid, True)
    return _call("ordinal_blast_moments", (2, x.shape[-1]))(x, rows, masked=masked, **_whole(bits=bits))


def products(x: jax.Array, cotangent: jax.Array, mean: jax.Array, *, bits: int = 0) -> jax.Array:
    """The sums of a cotangent and of it times x − mean, `[2, C]`."""
    return _call("ordinal_blast_products", (2, x.shape[-1]))(x, cotangent, mean, **_whole(bits=bits))


def _place(stride: int, pads: Pads, bits: int) -> dict[str, np.int64]:
    return _whole(stride=stride, top=pads[0][0], left=pads[1][0], bits=bits)


def _call(target: str, shape: Sequence[int]) -> Callable[..., jax.Array]:
    return _called(target, jax.ShapeDtypeStruct(tuple(shape), jnp.float32))


def _called(target: str, results: Any) -> Callable[..., Any]:
    """The kernel as a function; NotImplementedError where it is differentiated, which layers do for it, once."""
    call = jax.ffi.ffi_call(target, results, vmap_method="sequential")

    def function(*arrays: jax.Array, **attributes: np.int64 | bool) -> Any:
        kernel = jax.custom_jvp(functools.partial(call, **attributes))
        kernel.defjvp(_no_derivative)
        return kernel(*arrays)

    return function


def _no_derivative(*_: Any) -> Any:
    raise NotImplementedError(
        'compiled kernels have a first derivative alone: for a second one, ask for another form than "native", which '
        '"auto" is here (options dense, depthwise, pooling, normalization and inference of a network, or form)'
    )


def _whole(**numbers: int) -> dict[str, np.int64]:
    return {name: np.int64(number) for name, number in numbers.items()}
