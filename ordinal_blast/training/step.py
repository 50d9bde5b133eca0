"""One step of training and one of evaluation, as pure functions without device code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from ordinal_blast import seeds
from ordinal_blast.training import plateau
from ordinal_blast.training.problem import Outputs, Problem
from ordinal_blast.types import Batch


@flax.struct.dataclass
class TrainState:
    """All that training changes. key: fixed for the run; step t draws from fold_in(key, t)."""

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    plateau: plateau.Plateau
    key: jax.Array


def create(problem: Problem, inputs: Any, seed: int) -> TrainState:
    """The state before the first step; `inputs` gives the shapes, `[B, ...]`. Raises UsageError for a bad seed."""
    init_key, key = jax.random.split(seeds.key(seed))
    variables = _initialiser(problem)(init_key, inputs)
    params = variables["params"]
    return TrainState(
        step=jnp.int32(0),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=problem.optimizer.init(params),
        plateau=plateau.start(),
        key=key,
    )


@functools.lru_cache(maxsize=32)
def _initialiser(problem: Problem) -> Callable[[jax.Array, Any], Any]:
    """The model's `init`, compiled without optimisation: it runs once, and optimising it took most of its time."""
    init = functools.partial(problem.model.init, train=False)
    return jax.jit(init, compiler_options={"xla_backend_optimization_level": 0})


def _identity(tree: Any) -> Any:
    return tree


def train_step(
    state: TrainState,
    batch: Batch,
    problem: Problem,
    gather: Callable[[Any], Any] = _identity,
    mean: Callable[[Any], Any] = _identity,
) -> tuple[TrainState, jax.Array]:
    """One optimiser step; returns the new state and the loss of the global batch before it.

    gather brings outputs, labels and weights of all devices together, so that losses that couple the batch are exact;
    mean averages gradients over devices. Both are the identity on one device.
    """
    step_key = jax.random.fold_in(state.key, state.step)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(step_key, batch.index)
    view_keys, model_keys = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
    inputs, labels = batch.inputs, batch.labels
    if problem.augment is not None:
        inputs, labels = problem.augment(view_keys, inputs, labels)

    def loss_of(params: Any) -> tuple[jax.Array, Any]:
        outputs, updates = problem.model.apply(
            {"params": params, "batch_stats": state.batch_stats},
            inputs,
            train=True,
            keys=model_keys,
            mask=batch.mask,
            mutable=["batch_stats"],
        )
        everything = gather((outputs, labels, batch.weights))
        return problem.loss(*everything), updates.get("batch_stats", {})

    (loss, batch_stats), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, opt_state = problem.optimizer.update(mean(gradients), state.opt_state, state.params)
    # Scaling the update scales the learning rate exactly: Adam divides the gradient's scale out before.
    updates = jax.tree.map(lambda update: update * state.plateau.scale, updates)
    new_state = state.replace(
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        batch_stats=batch_stats,
        opt_state=opt_state,
    )
    return new_state, loss


def eval_step(variables: Any, inputs: Any, problem: Problem) -> Outputs:
    """Raw outputs of the model in evaluation mode, `[B, ...]` per task; variables: `params` and `batch_stats`."""
    return problem.model.apply(variables, inputs, train=False)
