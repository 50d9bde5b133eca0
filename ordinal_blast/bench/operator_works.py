"""Single operators in all their forms, values and gradients: which one wins on this device, and what is left."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.bench import machine
from ordinal_blast.bench.network_works import in_torch
from ordinal_blast.bench.work import OURS, TORCH, Contender, Ready, Work, per
from ordinal_blast.models.depthwise import DepthwiseForm, depthwise_conv
from ordinal_blast.models.pooling import PoolingForm, max_pool

_COPIES = 4  # in one program, whose start counts for a part only


class Operands(NamedTuple):
    """What an operator works on: float32 `[B, H, W, C]`, cotangents of its result, and a kernel, None for none."""

    inputs: np.ndarray
    cotangents: np.ndarray
    kernel: np.ndarray | None


def works(quick: bool) -> Iterator[Work]:
    """The rows; quick: small maps."""
    batch = 2 if quick else 8 if machine.on_cpu() else 128
    size = jnp.dtype(machine.dtype()).itemsize

    def row(name: str, title: str, side: int, channels: int, passes: float, filtered: bool) -> Work:
        name = f"{name}-{side}"
        side = min(side, 13) if quick else side
        shape = f"{batch} × {side} × {side} × {channels}"
        operands = functools.cache(functools.partial(_operands, batch, side, channels, filtered))
        forms, compute = (get_args(DepthwiseForm), depthwise_conv) if filtered else (get_args(PoolingForm), _max_pool)
        contenders: dict[str, Contender] = {OURS: functools.partial(_ours, compute, operands)}
        for form in forms:
            if form != "auto":
                contenders[f"form “{form}”"] = functools.partial(_ours, compute, operands, form=form)
        contenders |= in_torch("operator", operands, _COPIES)
        del contenders[TORCH[2]]  # one operator is what it is
        bytes = passes * size * batch * side**2 * channels
        return Work(name, f"{title} and its gradients, {shape}", contenders, bytes=bytes)

    for side, channels in ((109, 64), (14, 728)):
        # Reads x and writes y; reads x and the cotangent of y, and writes that of x.
        yield row("depthwise", "A 3×3 filter per channel", side, channels, 5, True)
    # The same, but y has a quarter of the positions.
    yield row("pooling", "The maximum of 3×3 windows", 109, 128, 3.5, False)


def _max_pool(x: jax.Array, _: None, **how: PoolingForm) -> jax.Array:
    return max_pool(x, **how)


def _operands(batch: int, side: int, channels: int, filtered: bool) -> Operands:
    """Random, a few images over and over."""
    rng, short = np.random.default_rng(0), side if filtered else -(-side // 2)
    few, repeats = min(batch, 4), -(-batch // 4)
    x, g = (
        np.tile(rng.standard_normal((few, length, length, channels), np.float32), (repeats, 1, 1, 1))[:batch]
        for length in (side, short)
    )
    return Operands(x, g, rng.standard_normal((3, 3, 1, channels), np.float32) if filtered else None)


def _ours(compute: Callable[..., jax.Array], operands: Callable[[], Operands], **how: str) -> Ready:
    """Values and gradients of a few copies, in one program."""
    compute = functools.partial(compute, **how)
    x, g = (jnp.asarray(value, machine.dtype()) for value in operands()[:2])
    kernel = None if operands().kernel is None else jnp.asarray(operands().kernel, machine.dtype())
    copies = [(x * (1 + 1 / 128 * copy), g, kernel) for copy in range(_COPIES)]  # else one would be computed once

    def both(copies: Sequence[tuple[jax.Array, jax.Array, jax.Array | None]]) -> list[object]:
        results: list[object] = []
        for x, g, kernel in copies:
            y, pull = jax.vjp(compute, x, kernel)
            results.append((y, pull(g)))
        return results

    program = jax.jit(both)
    value = np.asarray(jax.jit(compute)(x, kernel)[:1], np.float32)
    return Ready(per(lambda: jax.block_until_ready(program(copies)), _COPIES), value)
