"""The only file that knows devices: pads and splits batches, wraps steps with pmap, brings results together.

`jax.pmap` is in maintenance mode in JAX and is a wrapper over jit and shard_map; keeping it here makes a move one file.
"""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast import resident
from ordinal_blast.models import native
from ordinal_blast.training.problem import Problem
from ordinal_blast.training.step import Metrics, TrainState, eval_step, train_step, variables
from ordinal_blast.types import AXIS, Batch

_UNROLLED = 8  # steps that may stand in a program one after another: each is compiled
_LANES = "lanes"  # the axis of devices where each has trainings of its own


def hardware(devices: tuple[jax.Device, ...]) -> str:
    """The devices that work, for people and for provenance: "1 x cpu (x86_64), 2 threads", "2 x NVIDIA H100"."""
    kind = devices[0].device_kind
    if devices[0].platform != "cpu":
        return f"{len(devices)} x {kind}"
    threads = _cpu_threads(jax.local_device_count("cpu"))
    return f"{len(devices)} x {kind} ({platform.machine()}), {threads} thread{'s' * (threads != 1)}"


def peak_memory(devices: tuple[jax.Device, ...]) -> float:
    """The most that one of the devices has held so far, in 10⁶ bytes: of CPUs the process, of others their own."""
    stats = [device.memory_stats() or {} for device in devices]
    held = [one["peak_bytes_in_use"] / 1e6 for one in stats if "peak_bytes_in_use" in one]
    return max(held) if held else resident.peak()


def _cpu_threads(devices: int) -> int:
    """How many threads XLA's CPU client divides its work among, which decides the order of its sums.

    The cores that this process may use (a container or `taskset` may leave it fewer than the machine has), or what
    PJRT_NPROC or NPROC say, but one for each of the client's devices; 1 where XLA_FLAGS switch the division off.
    """
    flags = os.environ.get("XLA_FLAGS", "").split()
    if any(flag in flags for flag in ("--xla_cpu_multi_thread_eigen=false", "--xla_cpu_multi_thread_eigen=0")):
        return 1
    threads = os.environ.get("PJRT_NPROC") or os.environ.get("NPROC")
    if threads and threads.isdigit() and int(threads):
        return max(int(threads), devices)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(allowed, devices)


def _gather(tree: Any) -> Any:
    return jax.tree.map(lambda x: jax.lax.all_gather(x, AXIS, tiled=True), tree)


def _mean(tree: Any) -> Any:
    return jax.tree.map(lambda x: jax.lax.pmean(x, AXIS), tree)


def replicate(tree: Any, devices: tuple[jax.Device, ...]) -> Any:
    """The tree placed as `train_steps` returns it; a state placed otherwise would compile its first step twice."""
    mesh = jax.sharding.Mesh(np.asarray(devices), (AXIS,))
    return jax.device_put(tree, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))


def _steps(problem: Problem) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """What one device does of `train_steps`."""

    def run(state: TrainState, batches: Batch) -> tuple[TrainState, Metrics]:
        def one(carry: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
            return train_step(carry, batch, problem, _gather, _mean)

        # In a loop, XLA's convolutions are slow on a CPU: without kernels of our own, no loop where it would be short.
        steps = batches.index.shape[0]
        if steps == 1:
            state, metrics = one(state, jax.tree.map(lambda x: x[0], batches))
            return state, jax.tree.map(lambda x: x[None], metrics)
        looped = steps > _UNROLLED or native.available() or jax.default_backend() != "cpu"
        return jax.lax.scan(one, state, batches, unroll=1 if looped else steps)

    return run


@functools.lru_cache(maxsize=32)
def stacked_steps(problem: Problem, devices: tuple[jax.Device, ...]) -> Callable[[TrainState, Batch], Any]:
    """The same for trainings side by side, each on one device as if that were the only one.

    Leaves of the state are `[devices, L, ...]`, L trainings a device, of batches `[devices, L, S, B, ...]`; metrics
    `[devices, L, S]`.
    """

    @functools.partial(jax.vmap, axis_name=AXIS, in_axes=(None, 0), out_axes=(None, None))
    def alone(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        return train_step(state, batch, problem, _gather, _mean)

    def run(states: TrainState, batches: Batch) -> tuple[TrainState, Metrics]:
        steps = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1)[:, :, None], batches)  # each is the batch of one device
        states, metrics = jax.lax.scan(jax.vmap(alone), states, steps)
        return states, jax.tree.map(jnp.transpose, metrics)

    return jax.pmap(run, axis_name=_LANES, devices=devices)


@functools.lru_cache(maxsize=32)
def stacked_evaluation(
    problem: Problem, sees: Callable[[Any, Any], Any], devices: tuple[jax.Device, ...]
) -> Callable[..., Any]:
    """The compiled function (states, inputs, labels, weights) -> (states, variables, seen, losses) after an epoch.

    Leaves are `[devices, L, ...]`, as `stacked_steps` has them; the schedules are told of the losses `[devices, L]`.
    sees: see `selection.Monitor`.
    """

    def evaluate(state: TrainState, inputs: Any, labels: Any, weights: Any) -> Any:
        evaluated = variables(state, problem)
        outputs = eval_step(evaluated, inputs, problem)
        loss = problem.loss(outputs, labels, weights)
        state = state.replace(optimizer=problem.optimizer.after_epoch(state.optimizer, loss))
        return state, evaluated, sees(outputs, labels), loss

    return jax.pmap(jax.vmap(evaluate), axis_name=_LANES, devices=devices)


def spread(lanes: Sequence[Any], devices: tuple[jax.Device, ...]) -> Any:
    """Trees of as many trainings side by side, `[devices, L, ...]`, placed as `stacked_steps` takes them."""
    mesh = jax.sharding.Mesh(np.asarray(devices), (_LANES,))
    place = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(_LANES))

    def side_by_side(*leaves: Any) -> Any:
        keys = jax.dtypes.issubdtype(leaves[0].dtype, jax.dtypes.prng_key)
        stacked = jnp.stack(leaves) if keys else np.stack([np.asarray(leaf) for leaf in leaves])
        return stacked.reshape(len(devices), -1, *stacked.shape[1:])

    return jax.device_put(jax.tree.map(side_by_side, *lanes), place)


def gathered(tree: Any) -> Any:
    """`[devices, L, ...]` as `[devices · L, ...]` on the host."""
    return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), tree)


@functools.lru_cache(maxsize=32)
def train_steps(problem: Problem, devices: tuple[jax.Device, ...]) -> Callable[[TrainState, Batch], Any]:
    """The compiled function (state, batches) -> (state, metrics, each `[S]`) that takes S steps in one dispatch.

    The state is replicated and stays unstacked; each leaf of `batches` is `[devices, S, B / devices, ...]`.
    """

    run = _steps(problem)
    return jax.pmap(run, axis_name=AXIS, in_axes=(None, 0), out_axes=(None, None), devices=devices)


@functools.lru_cache(maxsize=32)
def _eval_step(problem: Problem, devices: tuple[jax.Device, ...]) -> Callable[..., Any]:
    step = functools.partial(eval_step, problem=problem)
    return jax.pmap(step, axis_name=AXIS, in_axes=(None, 0), devices=devices)


def stack(batches: Sequence[Batch], devices: int) -> Batch:
    """Batches of one global size as `[devices, S, B / devices, ...]`, padded with rows of weight 0 where needed."""
    padded = [_pad(batch, -len(batch.index) % devices) for batch in batches]

    def split(*leaves: np.ndarray) -> np.ndarray:
        stacked = np.stack(leaves)
        parts = stacked.reshape(len(leaves), devices, -1, *stacked.shape[2:])
        return np.swapaxes(parts, 0, 1)

    return jax.tree.map(split, *padded)


def _pad(batch: Batch, rows: int) -> Batch:
    """`rows` more rows that count for nothing: copies of the first row with weight 0 and mask False."""
    if not rows:
        return batch
    size = len(batch.index)
    wide = jax.tree.map(lambda x: np.concatenate([x, np.repeat(x[:1], rows, axis=0)]), batch)
    weights = jax.tree.map(lambda x: np.concatenate([x[:size], np.zeros(rows, x.dtype)]), wide.weights)
    return wide._replace(
        weights=weights, index=np.arange(size + rows, dtype=np.int32), mask=np.arange(size + rows) < size
    )


def predict(
    problem: Problem,
    variables: Any,
    inputs: Callable[[np.ndarray], Any],
    count: int,
    batch_size: int,
    devices: tuple[jax.Device, ...],
) -> dict[str, np.ndarray]:
    """Outputs of examples 0 ... count − 1 in evaluation mode, `[count, ...]` per task, gathered to the host.

    inputs(indices) gives the examples' inputs. Every batch has the same padded size, so one program is compiled.
    """
    step = _eval_step(problem, devices)
    size = -(-min(batch_size, count) // len(devices)) * len(devices)
    parts = []
    for start in range(0, count, size):
        indices = np.arange(start, start + size).clip(max=count - 1)
        shards = jax.tree.map(lambda x: x.reshape(len(devices), -1, *x.shape[1:]), inputs(indices))
        parts.append(step(variables, shards))
    parts = [jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), part) for part in parts]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)
