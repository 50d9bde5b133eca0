"""What is learned: a model, a loss over the global batch, an optimiser, a random view of the inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ordinal_blast.objectives import Objective
from ordinal_blast.training.optimizer import Optimizer

Outputs = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Problem:
    """Everything a training step is made of; hashable, so that equal problems share one compiled step.

    loss(outputs, labels, weights) -> scalar sees the whole batch of all devices. augment(keys, inputs, labels) ->
    inputs, labels draws one random view per example, or is None. Without loss and optimiser it is evaluated only.
    """

    model: nn.Module
    loss: Callable[[Outputs, Outputs, Outputs], jax.Array] | None = None
    optimizer: Optimizer | None = None
    augment: Callable[..., tuple[Any, Any]] | None = None


@dataclasses.dataclass(frozen=True)
class OnInputs:
    """A random view of the inputs; labels stay."""

    view: Callable[[jax.Array, jax.Array], jax.Array]

    def __call__(self, keys: jax.Array, inputs: jax.Array, labels: Any) -> tuple[jax.Array, Any]:
        """Inputs `[B, ...]` and labels, one of the keys `[B]` for each."""
        return self.view(keys, inputs), labels


@dataclasses.dataclass(frozen=True)
class GradingCounts:
    """How often each grade is decided to be each, by the objective's own decision, before anything is fitted."""

    objectives: tuple[tuple[str, Objective], ...]

    def __call__(self, outputs: Outputs, labels: Outputs) -> dict[str, jax.Array]:
        """Counts int32 `[K, K]` of each task (row: the label); examples without a label count for nothing.

        Of labels that are distributions `[B, K]`, all zero where there is none, the most probable grade counts.
        """
        counts = {}
        for task, objective in self.objectives:
            truth = labels[task]
            if truth.ndim == 2:
                truth = jnp.where((truth > 0).any(axis=1), truth.argmax(axis=1), -1)
            label, grade = (
                jax.nn.one_hot(of, objective.num_classes, dtype=jnp.int32)
                for of in (truth, objective.predict(outputs[task]))
            )
            counts[task] = label.T @ grade
        return counts


@dataclasses.dataclass(frozen=True)
class GradingLoss:
    """The mean over tasks of each task's objective: ICM and TE weigh the same (Kragh et al. 2019, section 2.5).

    divide_by: "weights" for sum(w l) / sum(w) of a task, "examples" for sum(w l) over the number of w above 0.
    """

    objectives: tuple[tuple[str, Objective], ...]
    divide_by: str = "weights"

    def __call__(self, outputs: Outputs, labels: Outputs, weights: Outputs) -> jax.Array:
        """Outputs `[B, num_outputs]`, labels `[B]` and weights `[B]` per task to one scalar."""
        losses = [
            objective.loss(outputs[task], labels[task], weights[task]) * self._factor(weights[task])
            for task, objective in self.objectives
        ]
        return sum(losses[1:], losses[0]) / len(losses)

    def _factor(self, weights: jax.Array) -> jax.Array | float:
        return 1.0 if self.divide_by == "weights" else weights.sum() / jnp.maximum((weights > 0).sum(), 1)
