"""Layers of a network that is evaluated: pure functions of its variables, one image at a time where that is faster."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from ordinal_blast.models.convolution import DenseForm, conv
from ordinal_blast.models.depthwise import DepthwiseForm, depthwise_conv
from ordinal_blast.models.normalization import normalise
from ordinal_blast.models.pooling import PoolingForm, max_pool


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

    def plain(self, x: jax.Array, features: int, stride: int, name: str) -> jax.Array:
        """As in `Layers`."""
        return nn.relu(self._norm(conv(x, self._kernel(name), stride=stride, padding="VALID", form=self.dense), name))

    def shortcut(self, x: jax.Array, features: int, name: str) -> jax.Array:
        """As in `Layers`."""
        return self._norm(conv(x, self._kernel(name), stride=2), name)

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
        x = depthwise_conv(nn.relu(x) if before else x, self._kernel(name, "depthwise_kernel"), form=self.depthwise)
        x = self._norm(conv(x, self._kernel(name, "pointwise_kernel")), name)
        x = x if residual is None else x + residual
        return nn.relu(x) if after else x

    def pool(self, x: jax.Array, residual: jax.Array) -> jax.Array:
        """As in `Layers`."""
        return max_pool(x, form=self.pooling) + residual

    def block(self, function: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
        """As in `Layers`; nothing is kept."""
        return function(x)

    def by_image(self, function: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
        """On a CPU one image after the other: the large maps of one stay in its cache, those of a batch do not."""
        if jax.default_backend() != "cpu":
            return function(x)
        return lax.map(lambda image: function(image[None])[0], x)

    def _kernel(self, name: str, kernel: str = "kernel") -> jax.Array:
        return self.variables["params"][name][kernel].astype(self.dtype)

    def _norm(self, x: jax.Array, name: str) -> jax.Array:
        layer, running = self.variables["params"][f"{name}_bn"], self.variables["batch_stats"][f"{name}_bn"]
        factor = layer["scale"] * lax.rsqrt(running["var"] + self.epsilon)
        return normalise(x, running["mean"], factor, layer["bias"]).astype(self.dtype)
