"""What is learned: a model, a loss over the global batch, an optimiser, a random view of the inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from ordinal_blast.objectives import Objective
from ordinal_blast.ranges import check, number

Outputs = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Problem:
    """Everything a training step is made of; hashable, so that equal problems share one compiled step.

    loss(outputs, labels, weights) -> scalar sees the whole batch of all devices. augment(keys, inputs, labels) ->
    inputs, labels draws one random view per example, or is None. Without loss and learning rate it is evaluated only.
    Raises UsageError for a rate or decay that means nothing.
    """

    model: nn.Module
    loss: Callable[[Outputs, Outputs, Outputs], jax.Array] | None = None
    learning_rate: float | None = None
    weight_decay: float = 0.0
    augment: Callable[..., tuple[Any, Any]] | None = None

    def __post_init__(self) -> None:
        if self.learning_rate is not None:
            check("training.learning_rate", self.learning_rate, number(above=0))
        check("training.weight_decay", self.weight_decay, number(least=0))

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Adam, or AdamW where weight decay is asked for."""
        if self.weight_decay:
            return optax.adamw(self.learning_rate, weight_decay=self.weight_decay)
        return optax.adam(self.learning_rate)


@dataclasses.dataclass(frozen=True)
class GradingLoss:
    """The mean over tasks of each task's objective: ICM and TE weigh the same (Kragh et al. 2019, section 2.5)."""

    objectives: tuple[tuple[str, Objective], ...]

    def __call__(self, outputs: Outputs, labels: Outputs, weights: Outputs) -> jax.Array:
        """Outputs `[B, num_outputs]`, labels `[B]` and weights `[B]` per task to one scalar."""
        losses = [objective.loss(outputs[task], labels[task], weights[task]) for task, objective in self.objectives]
        return sum(losses[1:], losses[0]) / len(losses)


@dataclasses.dataclass(frozen=True)
class DiceLoss:
    """1 − (2 Σ p m + 1) / (Σ p + Σ m + 1) per image, weighted mean over images (Milletari et al. 2016)."""

    def __call__(self, outputs: Outputs, labels: Outputs, weights: Outputs) -> jax.Array:
        """Mask logits `[B, H, W]`, masks `[B, H, W]` in {0, 1} and weights `[B]`, all under "mask", to one scalar."""
        probability = jax.nn.sigmoid(outputs["mask"].astype(jnp.float32))
        mask = labels["mask"].astype(jnp.float32)
        both = jnp.sum(probability * mask, axis=(1, 2))
        sizes = jnp.sum(probability, axis=(1, 2)) + jnp.sum(mask, axis=(1, 2))
        losses = 1 - (2 * both + 1) / (sizes + 1)
        weight = weights["mask"]
        return jnp.sum(weight * losses) / jnp.maximum(jnp.sum(weight), 1e-12)
