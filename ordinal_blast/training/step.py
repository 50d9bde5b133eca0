"""One step of training and one of evaluation, as pure functions without device code."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from ordinal_blast import seeds
from ordinal_blast.errors import UsageError
from ordinal_blast.training.optimizer import OptimizerState
from ordinal_blast.training.problem import Outputs, Problem
from ordinal_blast.types import Batch

_STOCK = zlib.crc32(b"stock")  # what Flax's own layers draw from, apart from the keys of examples
_STREAMS = ("dropout", "params")  # the second stands in for any other


@flax.struct.dataclass
class TrainState:
    """All that training changes. key: fixed for the run; step t draws from fold_in(key, t)."""

    step: jax.Array
    params: Any
    batch_stats: Any
    optimizer: OptimizerState
    key: jax.Array


class Metrics(NamedTuple):
    """Of one step: the loss of the global batch before it, and what multiplied the learning rate (NaN: no update)."""

    loss: jax.Array
    factor: jax.Array


def create(
    problem: Problem,
    inputs: Any,
    seed: int,
    updates: int,
    initial: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
) -> TrainState:
    """The state before the first of so many updates; `inputs` gives the shapes, `[B, ...]`.

    initial: gives the variables to start from, from random ones. Raises UsageError for a bad seed, and for a model that
    keeps anything but parameters and batch statistics.
    """
    init_key, key = jax.random.split(seeds.key(seed))
    variables = _initialiser(problem)(init_key, inputs)
    check_variables(variables)
    variables = initial(variables) if initial else variables
    params = variables["params"]
    return TrainState(
        step=jnp.int32(0),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        optimizer=_remembering(problem)(params, updates),
        key=key,
    )


def check_variables(variables: Mapping[str, Any]) -> None:
    """Raise UsageError for variables of a model that are neither parameters nor batch statistics."""
    if others := set(variables) - {"params", "batch_stats"}:
        raise UsageError(f"the network keeps {', '.join(sorted(others))}: only params and batch_stats are trained")


def streams(key: jax.Array) -> dict[str, jax.Array]:
    """What Flax's own random layers draw from in a step."""
    return dict.fromkeys(_STREAMS, key)


def variables(state: TrainState, problem: Problem) -> dict[str, Any]:
    """What is evaluated, selected and kept; batch statistics are those of training, averaged parameters or not."""
    return {"params": problem.optimizer.evaluated(state.optimizer, state.params), "batch_stats": state.batch_stats}


@functools.lru_cache(maxsize=32)
def _initialiser(problem: Problem) -> Callable[[jax.Array, Any], Any]:
    """The model's `init`, compiled without optimisation: it runs once, and optimising it took most of its time."""
    init = functools.partial(problem.model.init, train=False)
    return jax.jit(init, compiler_options={"xla_backend_optimization_level": 0})


@functools.lru_cache(maxsize=32)
def _remembering(problem: Problem) -> Callable[[Any, int], OptimizerState]:
    """The optimiser's `init`, as one program: leaf by leaf it takes longer than a small network's epochs."""
    return jax.jit(problem.optimizer.init, compiler_options={"xla_backend_optimization_level": 0})


def _identity(tree: Any) -> Any:
    return tree


def train_step(
    state: TrainState,
    batch: Batch,
    problem: Problem,
    gather: Callable[[Any], Any] = _identity,
    mean: Callable[[Any], Any] = _identity,
) -> tuple[TrainState, Metrics]:
    """The state after one batch.

    gather brings outputs, labels and weights of all devices together, so that losses that couple the batch are exact;
    mean averages gradients over devices. Both are the identity on one device. Flax's own random layers draw from one
    key a step and device, that of its first example.
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
            rngs=streams(jax.random.fold_in(keys[0], _STOCK)),
            mutable=["batch_stats"],
        )
        everything = gather((outputs, labels, batch.weights))
        return problem.loss(*everything), updates.get("batch_stats", {})

    (loss, batch_stats), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    params, optimizer, factor = problem.optimizer.update(mean(gradients), state.optimizer, state.params)
    new_state = state.replace(step=state.step + 1, params=params, batch_stats=batch_stats, optimizer=optimizer)
    return new_state, Metrics(loss, factor)


def eval_step(variables: Any, inputs: Any, problem: Problem) -> Outputs:
    """Raw outputs of the model in evaluation mode, `[B, ...]` per task; variables: `params` and `batch_stats`."""
    return problem.model.apply(variables, inputs, train=False)
