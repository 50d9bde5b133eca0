"""A backbone with one head per task."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ordinal_blast.objectives.layers import LAYERS


class Grader(nn.Module):
    """Any backbone `[B, ...] -> [B, D]`, then per task a head `[B, D] -> [B, num_outputs]`.

    heads: (task, kind of head, number of raw outputs), one per task.
    """

    backbone: nn.Module
    heads: tuple[tuple[str, str, int], ...]

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, keys: jax.Array | None = None, mask: jax.Array | None = None
    ) -> dict[str, jax.Array]:
        """Return the raw outputs of each task, float32 `[B, num_outputs]`; keys and mask as the backbone has them."""
        features = self.backbone(x, train=train, keys=keys, mask=mask).astype(jnp.float32)
        return {task: LAYERS[kind](outputs, name=f"{task}_head")(features) for task, kind, outputs in self.heads}

    def features(self, x: jax.Array) -> jax.Array:
        """Return what the heads read, `[B, D]`, without dropout and by the running statistics."""
        return self.backbone(x, train=False)


def count_parameters(variables: Mapping[str, Any]) -> tuple[int, int]:
    """Return (trainable, total): the sizes of `params`, and of `params` and `batch_stats`; arrays or their shapes."""
    trainable, moving = (
        sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables.get(collection, {})))
        for collection in ("params", "batch_stats")
    )
    return trainable, trainable + moving
