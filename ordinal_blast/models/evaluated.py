"""Layers of a network that is evaluated: pure functions of its variables, one image at a time where that is faster."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from ordinal_blast.models import native, platforms
from ordinal_blast.models.convolution import DenseForm, conv
from ordinal_blast.models.depthwise import DepthwiseForm, depthwise_conv
from ordinal_blast.models.forms import resolved
from ordinal_blast.models.normalization import normalise
from ordinal_blast.models.pooling import PoolingForm, max_pool

Inference = Literal["auto", "native", "xla", "layers"]


class Layers(Protocol):
    """What an architecture of separable convolutions is built from; `name` is that of the layer's parameters."""

    def plain(self, x: jax.Array, features: int, stride: int, name: str) -> jax.Array:
        """3×3 convolution without padding, normalised, ReLU."""

    def shortcut(self, x: jax.Array, features: int, name: str) -> jax.Array:
        """1×1 convolution of every second row and column, normalised."""

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
        """3×3 filter per channel and 1×1 convolution, normalised, plus the residual; ReLU before and after."""

    def pool(self, x: jax.Array, residual: jax.Array) -> jax.Array:
        """Maximum of 3×3 windows, stride 2, plus the residual."""

    def block(self, function: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
        """`function(x)`, of which only x need be kept for its gradient."""

    def by_image(self, function: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
        """`function(x)`, in parts of the batch if need be."""


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """Layers normalised by their running statistics; variables: `params` and `batch_stats` of the network."""

    variables: Mapping[str, Any]
    epsilon: float
    dense: DenseForm
    depthwise: DepthwiseForm
    pooling: PoolingForm
    dtype: jnp.dtype
    inference: Inference

    def plain(self, x: jax.Array, features: int, stride: int, name: str) -> jax.Array:
        """As in `Layers`."""
        return self._product(x, None, self._kernel(name), name, stride=stride, padding="VALID", after=True)

    def shortcut(self, x: jax.Array, features: int, name: str) -> jax.Array:
        """As in `Layers`."""
        return self._product(x, None, self._kernel(name), name, stride=2)

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
        """As in `Layers`."""
        taps, kernel = self._kernel(name, "depthwise_kernel"), self._kernel(name, "pointwise_kernel")
        return self._product(x, taps, kernel, name, residual, before=before, after=after)

    def pool(self, x: jax.Array, residual: jax.Array) -> jax.Array:
        """As in `Layers`."""
        return self._compute(partial(pool, form=self.pooling), native.pool)(x, residual)

    def block(self, function: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
        """As in `Layers`; nothing is kept."""
        return function(x)

    def by_image(self, function: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
        """On a CPU one image after the other: the large maps of one stay in its cache, those of a batch do not."""
        if platforms.platform() != "cpu":
            return function(x)
        return lax.map(lambda image: function(image[None])[0], x)

    def _kernel(self, name: str, kernel: str = "kernel") -> jax.Array:
        return self.variables["params"][name][kernel].astype(self.dtype)

    def _product(
        self,
        x: jax.Array,
        taps: jax.Array | None,
        kernel: jax.Array,
        name: str,
        residual: jax.Array | None = None,
        **how: Any,
    ) -> jax.Array:
        layer, running = self.variables["params"][f"{name}_bn"], self.variables["batch_stats"][f"{name}_bn"]
        norm = running["mean"], layer["scale"] * lax.rsqrt(running["var"] + self.epsilon), layer["bias"]
        forms = {"dense": self.dense, "depthwise": self.depthwise}
        compute = self._compute(partial(product, **forms, **how), partial(native.product, **how))
        return compute(x, taps, kernel, norm, residual)

    def _compute(self, pure: Callable[..., jax.Array], kernels: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        """What computes values; derivatives are always those of the pure form."""
        if resolve_inference(self.inference, self.dtype) == "xla":
            return pure
        compute = jax.custom_vjp(kernels)
        compute.defvjp(partial(jax.vjp, pure), lambda pull, cotangent: pull(cotangent))
        return compute


def resolve_inference(inference: Inference, dtype: jnp.dtype) -> str:
    """Choose "native" on a CPU in float32 where the kernels were compiled, "xla" elsewhere, where it is "auto".

    ValueError for "native" where that cannot be.
    """
    return resolved("inference", inference, dtype, pure="xla", elsewhere="xla")


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
    dense: DenseForm = "auto",
    depthwise: DepthwiseForm = "auto",
) -> jax.Array:
    """Convolve with `[k, k, C, D]`, normalise by mean, factor and bias `[D]`, and add the residual.

    taps: of a 3×3 filter per channel that comes first, `[3, 3, 1, C]`; before, after: ReLU of the input and the result.
    """
    x = nn.relu(x) if before else x
    x = x if taps is None else depthwise_conv(x, taps, form=depthwise)
    x = conv(x, kernel, stride=stride, padding=padding, form=dense)
    x = normalise(x, *norm).astype(kernel.dtype)
    x = x if residual is None else x + residual
    return nn.relu(x) if after else x


def pool(x: jax.Array, residual: jax.Array, *, form: PoolingForm = "auto") -> jax.Array:
    """The maximum of 3×3 windows, stride 2, padded as "SAME", plus the residual."""
    return max_pool(x, form=form) + residual
