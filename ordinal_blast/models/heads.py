"""A backbone with one head per task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ordinal_blast.errors import UsageError
from ordinal_blast.objectives import Objective


class GradingNetwork(nn.Module):
    """Any backbone `[B, ...] -> [B, D]`, then per task the layer of its objective, `[B, D] -> [B, num_outputs]`."""

    backbone: nn.Module
    heads: tuple[tuple[str, Objective], ...]

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, keys: jax.Array | None = None, mask: jax.Array | None = None
    ) -> dict[str, jax.Array]:
        """Return the raw outputs of each task, float32 `[B, num_outputs]`; keys and mask as the backbone has them.

        Raises UsageError for a backbone whose features are not floats `[B, D]`.
        """
        features = self.backbone(x, train=train, keys=keys, mask=mask)
        fits = getattr(features, "ndim", None) == 2 and features.shape[0] == x.shape[0] and features.size > 0
        if not fits or not jnp.issubdtype(features.dtype, jnp.floating):
            raise UsageError(
                f"the network gives {_said(features)} for {x.shape[0]} examples: it has to give features [B, D] of "
                "floats, such as the mean over all positions"
            )
        features = features.astype(jnp.float32)
        return {task: objective.layer(name=f"{task}_head")(features) for task, objective in self.heads}

    def features(self, x: jax.Array) -> jax.Array:
        """Return what the heads read, `[B, D]`, without dropout and by the running statistics."""
        return self.backbone(x, train=False)


def _said(features: Any) -> str:
    return f"{features.dtype} {list(features.shape)}" if hasattr(features, "shape") else f"a {type(features).__name__}"


def count_parameters(variables: Mapping[str, Any]) -> tuple[int, int]:
    """Return (trainable, total): the sizes of `params`, and of `params` and `batch_stats`; arrays or their shapes."""
    trainable, moving = (
        sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables.get(collection, {})))
        for collection in ("params", "batch_stats")
    )
    return trainable, trainable + moving
