"""U-Net that finds the embryo in a frame (Ronneberger et al., 2015; Kragh et al., 2019, Table A.9)."""

from __future__ import annotations

from typing import ClassVar, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp

from ordinal_blast.models import native
from ordinal_blast.models.bounds import EPSILON, MOMENTUM, WIDTH
from ordinal_blast.models.convolution import DenseForm, conv, upsampled_conv
from ordinal_blast.models.normalization import BatchNorm, NormForm
from ordinal_blast.models.pixels import scale_pixels
from ordinal_blast.models.pooling import PoolingForm, max_pool
from ordinal_blast.ranges import check_fields, list_of, one_of

_RANGES = {
    "widths": list_of(WIDTH),
    "momentum": MOMENTUM,
    "epsilon": EPSILON,
    "dense": one_of(*get_args(DenseForm)),
    "pooling": one_of(*get_args(PoolingForm)),
    "normalization": one_of(*get_args(NormForm)),
}


class _Conv(nn.Module):
    """Convolution with bias, and ReLU where `relu`: `[B, H, W, C]` to `[B, H, W, features]`."""

    features: int
    size: int
    form: DenseForm
    dtype: jnp.dtype
    relu: bool = False
    repeat: bool = False  # of the map repeated 2×2

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape[-1:], jnp.float32)
        x, kernel, bias = (values.astype(self.dtype) for values in (x, kernel, bias))
        if self.repeat:
            return upsampled_conv(x, kernel, bias, form=self.form)
        return conv(x, kernel, bias, relu=self.relu, form=self.form)


class UNet(nn.Module):
    """U-Net: `[B, H, W, C]` images to `[B, H, W]` mask logits in float32.

    The defaults are the published cropper: 469,089 parameters with the moving statistics of batch normalisation, for
    64×64×3 images. One level per width, the last being the bottleneck; each convolution is followed by ReLU, then batch
    normalisation, in the paper's order. uint8 images are scaled to [−1, 1] inside; floats are taken as scaled.
    dense, pooling, normalization: how convolutions, maxima and batch normalisation in training are computed, see
    `convolution.conv`, `pooling.max_pool` and `BatchNorm`; the values are the same to round-off.
    ValueError where H or W is not a multiple of 2^(levels − 1), UsageError for a number that means nothing.
    """

    reads: ClassVar[str] = "images"
    widths: tuple[int, ...] = (32, 64, 128)
    momentum: float = 0.99
    epsilon: float = 1e-3
    dense: DenseForm = "auto"
    pooling: PoolingForm = "auto"
    normalization: NormForm = "auto"
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, "options")
        native.check_all(self, "dense", "pooling", "normalization")
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, keys: jax.Array | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        """Return mask logits `[B, H, W]`; keys are unused (no dropout), mask `[B]` leaves padding out of statistics."""
        multiple = 2 ** (len(self.widths) - 1)
        if x.shape[1] % multiple or x.shape[2] % multiple:
            raise ValueError(f"images of {x.shape[1]}×{x.shape[2]} pixels: height and width must divide by {multiple}")

        def layer(x: jax.Array, features: int, size: int, name: str, **how: bool) -> jax.Array:
            return _Conv(features, size, self.dense, self.dtype, **how, name=name)(x)

        def block(x: jax.Array, features: int, name: str) -> jax.Array:
            for index in (1, 2):
                x = layer(x, features, 3, f"{name}_conv{index}", relu=True)
                how = self.momentum, self.epsilon, self.axis_name, self.dtype, self.normalization
                x = BatchNorm(*how, name=f"{name}_bn{index}")(x, train=train, mask=mask)
            return x

        x = scale_pixels(x, self.dtype)
        *levels, bottleneck = self.widths
        skips = []
        for level, features in enumerate(levels, start=1):
            skips.append(block(x, features, f"contraction{level}"))
            x = max_pool(skips[-1], 2, form=self.pooling)
        x = block(x, bottleneck, "bottleneck")
        for level, (features, skip) in enumerate(zip(reversed(levels), reversed(skips), strict=True), start=1):
            upsampled = layer(x, features, 2, f"expansion{level}_up", repeat=True)
            x = jnp.concatenate([skip, upsampled], axis=-1)
            x = block(x, features, f"expansion{level}")
        return layer(x, 1, 1, "logits")[..., 0].astype(jnp.float32)
