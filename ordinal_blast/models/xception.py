"""Xception without its classifier: images to one feature vector each (Chollet, 2017)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import ClassVar, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp

from ordinal_blast.models import native
from ordinal_blast.models.bounds import EPSILON, MOMENTUM, WIDTH
from ordinal_blast.models.convolution import DenseForm, conv
from ordinal_blast.models.depthwise import DepthwiseForm, depthwise_conv
from ordinal_blast.models.evaluated import Evaluated, Inference, Layers, resolve_inference
from ordinal_blast.models.feature_maps import FeatureMap
from ordinal_blast.models.normalization import BatchNorm, NormForm
from ordinal_blast.models.pixels import scale_pixels
from ordinal_blast.models.pointwise import pointwise_conv
from ordinal_blast.models.pooling import PoolingForm, max_pool
from ordinal_blast.ranges import check_fields, list_of, one_of, whole

_glorot = nn.initializers.glorot_uniform()


class Conv(nn.Module):
    """Convolution without bias, `[B, H, W, C]` to `[B, H', W', features]`."""

    features: int
    size: int
    stride: int = 1
    padding: str = "SAME"
    form: DenseForm = "auto"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolve."""
        kernel = self.param("kernel", _glorot, (self.size, self.size, x.shape[-1], self.features), jnp.float32)
        return conv(
            x.astype(self.dtype), kernel.astype(self.dtype), stride=self.stride, padding=self.padding, form=self.form
        )


class SeparableConv(nn.Module):
    """A 3×3 filter per channel, then a 1×1 convolution, no bias: `[B, H, W, C]` to `[B, H, W, features]`."""

    features: int
    form: DepthwiseForm = "auto"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Filter, then mix the channels."""
        channels = x.shape[-1]
        # Keras counts the fan of a depthwise kernel as 9C in and 9 out, whatever its layout.
        depthwise_init = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform", in_axis=-1, out_axis=-2)
        depthwise = self.param("depthwise_kernel", depthwise_init, (3, 3, 1, channels), jnp.float32)
        pointwise = self.param("pointwise_kernel", _glorot, (1, 1, channels, self.features), jnp.float32)
        x = depthwise_conv(x.astype(self.dtype), depthwise.astype(self.dtype), form=self.form)
        return pointwise_conv(x, pointwise[0, 0].astype(self.dtype))


_RANGES = {
    "stem": list_of(WIDTH, count=2),
    "entry": list_of(WIDTH),
    "middle": whole(0),
    "exit": list_of(WIDTH, count=4),
    "stem_stride": whole(1),
    "dense": one_of(*get_args(DenseForm)),
    "depthwise": one_of(*get_args(DepthwiseForm)),
    "pooling": one_of(*get_args(PoolingForm)),
    "normalization": one_of(*get_args(NormForm)),
    "inference": one_of(*get_args(Inference)),
    "momentum": MOMENTUM,
    "epsilon": EPSILON,
}


class Xception(nn.Module):
    """Xception: `[B, H, W, C]` images to `[B, exit[-1]]` globally averaged features.

    The defaults are the published network: 224×224×3 to 2048 features, 20,806,952 trainable parameters, 20,861,480 with
    the moving statistics of batch normalisation. uint8 images are scaled to [−1, 1] inside; floats are taken as scaled.

    stem: widths of the two plain convolutions; stem_stride: stride of the first of them.
    entry: width of each entry block; each halves the image, so more blocks mean more downsampling.
    middle: number of residual blocks of the last entry width.
    exit: widths of the last four separable convolutions; halves the image once.
    dense, depthwise, pooling: how these are computed, by compiled kernels ("native", for float32 on a CPU), in a pure
    form that a CPU runs faster than XLA's own ("patches", "shifted"), or by XLA's own operator ("xla", "grouped",
    "windowed"); "auto" is the first of these that there is on a CPU, the last elsewhere, but "shifted" for pooling. The
    values are the same to round-off and the parameters exactly. normalization: the same of `BatchNorm` in training.
    inference: what evaluates: "native" (compiled kernels, for float32 on a CPU), "xla", "auto", native where it can, or
    "layers", one after another as training does, which shows feature maps and has gradients.
    remat: keep only what enters each block and compute the rest again for the gradient: less memory, more time.

    The image shrinks by stem_stride · 2^(len(entry) + 1): for 28×28 or 48×48 images, stem=(16, 32), stem_stride=1,
    entry=(48, 96), middle=2, exit=(96, 128, 128, 128) has 165,264 parameters and ends on 3×3 or 6×6 positions.
    UsageError for an unknown form or a number that means nothing.
    """

    reads: ClassVar[str] = "images"
    stem: tuple[int, int] = (32, 64)
    entry: tuple[int, ...] = (128, 256, 728)
    middle: int = 8
    exit: tuple[int, int, int, int] = (728, 1024, 1536, 2048)
    stem_stride: int = 2
    dense: DenseForm = "auto"
    depthwise: DepthwiseForm = "auto"
    pooling: PoolingForm = "auto"
    normalization: NormForm = "auto"
    inference: Inference = "auto"
    remat: bool = False
    momentum: float = 0.99
    epsilon: float = 1e-3
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, "options")
        resolve_inference(self.inference, self.dtype)
        native.check_all(self, "dense", "depthwise", "pooling", "normalization")
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, keys: jax.Array | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        """Return features `[B, D]`; keys are unused (no dropout), mask `[B]` leaves padding out of the statistics."""
        if train or self.is_initializing() or self.inference == "layers":
            return self._features(x, _Live(self, train, mask))
        forms = self.dense, self.depthwise, self.pooling
        return self._features(x, Evaluated(self.variables, self.epsilon, *forms, self.dtype, self.inference))

    def _features(self, x: jax.Array, layers: Layers) -> jax.Array:
        """The architecture: images `[B, H, W, C]` to features `[B, D]`."""

        def stem(x: jax.Array) -> jax.Array:
            for index, (features, stride) in enumerate(zip(self.stem, (self.stem_stride, 1), strict=True), start=1):
                x = layers.plain(x, features, stride, f"block1_conv{index}")
            return x

        def halving(x: jax.Array, widths: tuple[int, int], block: int) -> jax.Array:
            residual = layers.shortcut(x, widths[1], f"block{block}_shortcut")
            x = layers.separable(x, widths[0], f"block{block}_sepconv1", before=True, after=True)
            x = layers.separable(x, widths[1], f"block{block}_sepconv2")
            return layers.pool(x, residual)

        def middle(x: jax.Array, width: int, block: int) -> jax.Array:
            residual = x
            x = layers.separable(x, width, f"block{block}_sepconv1", before=True, after=True)
            x = layers.separable(x, width, f"block{block}_sepconv2", after=True)
            return layers.separable(x, width, f"block{block}_sepconv3", residual=residual)

        def last(x: jax.Array, block: int) -> jax.Array:
            for index, features in enumerate(self.exit[2:], start=1):
                x = layers.separable(x, features, f"block{block}_sepconv{index}", after=True)
            return x

        def entry(x: jax.Array) -> jax.Array:
            x = layers.block(stem, scale_pixels(x, self.dtype))
            for block, features in enumerate(self.entry, start=2):
                # The stem has just applied ReLU: applying it again in the first block changes nothing.
                x = layers.block(partial(halving, widths=(features, features), block=block), x)
            return x

        x = layers.by_image(entry, x)
        block = len(self.entry) + 2
        for _ in range(self.middle):
            x = layers.block(partial(middle, width=self.entry[-1], block=block), x)
            block += 1
        x = layers.block(partial(halving, widths=self.exit[:2], block=block), x)
        x = layers.block(partial(last, block=block + 1), x)
        return x.mean((1, 2))


@dataclasses.dataclass(frozen=True)
class _Live:
    """Layers with parameters of their own, normalised by the batch (or, at initialisation, by running statistics)."""

    network: Xception
    train: bool
    mask: jax.Array | None

    def plain(self, x: jax.Array, features: int, stride: int, name: str) -> jax.Array:
        return nn.relu(self._norm(self._conv(x, features, 3, stride, "VALID", name), name))

    def shortcut(self, x: jax.Array, features: int, name: str) -> jax.Array:
        return self._norm(self._conv(x, features, 1, 2, "SAME", name), name)

    def separable(
        self,
        x: jax.Array,
        features: int,
        name: str,
        *,
        before: bool = False,
        after: bool = False,
        residual: jax.Array | None = None,
    ) -> jax.Array:
        network = self.network
        layer = SeparableConv(features, network.depthwise, network.dtype, name=name)
        x = self._norm(layer(nn.relu(x) if before else x), name)
        x = x if residual is None else x + residual
        return nn.relu(x) if after else x

    def pool(self, x: jax.Array, residual: jax.Array) -> jax.Array:
        return max_pool(x, form=self.network.pooling) + residual

    def block(self, function: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
        if not self.network.remat:
            return FeatureMap()(function(x))
        return FeatureMap()(nn.remat(lambda _, x: function(x))(self.network, x))

    def by_image(self, function: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
        return function(x)  # the statistics are those of the whole batch

    def _conv(self, x: jax.Array, features: int, size: int, stride: int, padding: str, name: str) -> jax.Array:
        return Conv(features, size, stride, padding, self.network.dense, self.network.dtype, name=name)(x)

    def _norm(self, x: jax.Array, name: str) -> jax.Array:
        network = self.network
        how = network.momentum, network.epsilon, network.axis_name, network.dtype, network.normalization
        return BatchNorm(*how, name=f"{name}_bn")(x, train=self.train, mask=self.mask)
