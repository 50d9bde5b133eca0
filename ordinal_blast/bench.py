"""How long one example takes on the present device: networks, passes, precisions and forms of convolution in turn."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from ordinal_blast.models import LSTM, Xception
from ordinal_blast.models.convolution import resolve


@dataclasses.dataclass(frozen=True)
class Row:
    """One measurement.

    work: "forward" or "training step" (forward, backward and Adam). depthwise: form of convolution, "" where none.
    inputs: shape of one example. milliseconds: median time per example, without compilation or transfer.
    speedup: median over the rounds of (time of the baseline / this time), the baseline being the first row of the same
    network and work; above 1 is faster. compile_seconds: time to compile.
    """

    device: str
    network: str
    work: str
    dtype: str
    depthwise: str
    inputs: tuple[int, ...]
    batch: int
    milliseconds: float
    speedup: float
    compile_seconds: float


def bench(
    *,
    size: int | None = None,
    batch: int | None = None,
    rounds: int = 5,
    dtypes: Sequence[str] = ("float32", "bfloat16"),
    xception: Xception | None = None,
    lstm: LSTM | None = None,
) -> list[Row]:
    """Time Xception, grouped against shifted, and the LSTM over its features, in each dtype.

    All variants of one network and one kind of work run in turn within each round, so that their ratios hold on a busy
    machine too. size, batch: side and number of the images; by default those of the paper, 224 and 24, and on a CPU
    64 and 4. xception, lstm: the networks; by default the paper's. ValueError for fewer than one round.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    on_cpu = jax.default_backend() == "cpu"
    size = size or (64 if on_cpu else 224)
    batch = batch or (4 if on_cpu else 24)
    xception, lstm = xception or Xception(), lstm or LSTM()
    key = jax.random.key(0)
    images = jax.random.randint(key, (batch, size, size, 3), 0, 256).astype(jnp.uint8)
    sequences = jax.random.normal(key, (32, 30, xception.exit[-1]))
    convolutional = [xception.clone(dtype=dtype, depthwise=form) for dtype in dtypes for form in ("grouped", "shifted")]
    recurrent = [lstm.clone(dtype=dtype) for dtype in dtypes]
    return [
        row
        for variants, inputs in ((convolutional, images), (recurrent, sequences))
        for work in (forward, training_step)
        for row in race(variants, work, inputs, rounds)
    ]


def table(rows: Sequence[Row]) -> str:
    """Lay the rows out as text, the device first."""
    head = ("network", "work", "dtype", "depthwise", "inputs", "batch", "ms/example", "speed-up")
    cells = [
        (
            row.network,
            row.work,
            row.dtype,
            row.depthwise,
            "×".join(map(str, row.inputs)),
            str(row.batch),
            f"{row.milliseconds:.3f}",
            f"{row.speedup:.2f}",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in (head, *cells))
    return "\n".join([f"device: {', '.join(sorted({row.device for row in rows}))}", *lines])


Work = tuple[str, Callable[..., Any], tuple[Any, ...]]  # its name, what is timed, and what that takes before inputs


def forward(model: nn.Module, variables: Any, keys: jax.Array) -> Work:
    """Evaluate by the running statistics."""
    return "forward", lambda variables, x: model.apply(variables, x, train=False), (variables,)


def training_step(model: nn.Module, variables: Any, keys: jax.Array) -> Work:
    """One Adam step on the mean square of the features; the heads and the loss are negligible beside the network."""
    optimizer = optax.adam(1e-3)
    params, batch_stats = variables["params"], variables.get("batch_stats", {})

    def step(params: Any, batch_stats: Any, opt_state: Any, keys: jax.Array, x: jax.Array) -> tuple[Any, Any, Any]:
        def loss(params: Any) -> tuple[jax.Array, Any]:
            variables = {"params": params, "batch_stats": batch_stats}
            features, updates = model.apply(variables, x, train=True, keys=keys, mutable=["batch_stats"])
            return jnp.square(features.astype(jnp.float32)).mean(), updates

        gradients, updates = jax.grad(loss, has_aux=True)(params)
        changes, new_opt_state = optimizer.update(gradients, opt_state)
        return optax.apply_updates(params, changes), updates, new_opt_state

    return "training step", step, (params, batch_stats, optimizer.init(params), keys)


def race(variants: Sequence[nn.Module], work: Callable[..., Work], x: jax.Array, rounds: int) -> Iterator[Row]:
    """Compile every variant of one network, then time them in turn on inputs `[B, ...]`."""
    keys = jax.random.split(jax.random.key(1), len(x))
    # All variants have one parameter tree, so one initialisation serves them all.
    variables = jax.jit(lambda: variants[0].init(jax.random.key(0), x[:1], train=False))()
    compiled, compile_seconds = [], []
    for model in variants:
        name, function, arguments = work(model, variables, keys)
        start = time.perf_counter()
        program = jax.jit(function).lower(*arguments, x).compile()
        compile_seconds.append(time.perf_counter() - start)
        jax.block_until_ready(program(*arguments, x))
        compiled.append((program, arguments))
    seconds: list[list[float]] = [[] for _ in variants]
    for _ in range(rounds):
        for (program, arguments), times in zip(compiled, seconds, strict=True):
            start = time.perf_counter()
            jax.block_until_ready(program(*arguments, x))
            times.append(time.perf_counter() - start)
    for model, times, compiling in zip(variants, seconds, compile_seconds, strict=True):
        yield Row(
            device=jax.devices()[0].device_kind,
            network=type(model).__name__,
            work=name,
            dtype=jnp.dtype(model.dtype).name,
            depthwise=resolve(model.depthwise) if isinstance(model, Xception) else "",
            inputs=x.shape[1:],
            batch=len(x),
            milliseconds=1e3 * statistics.median(times) / len(x),
            speedup=statistics.median(base / own for base, own in zip(seconds[0], times, strict=True)),
            compile_seconds=compiling,
        )
