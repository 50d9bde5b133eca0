"""Single operators in all their forms, values and gradients: which one wins on this device, and what is left."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.bench import machine, operations
from ordinal_blast.bench.network_works import in_torch
from ordinal_blast.bench.work import OURS, TORCH, Contender, Ready, Work, per
from ordinal_blast.models.convolution import DenseForm, conv
from ordinal_blast.models.depthwise import DepthwiseForm, depthwise_conv
from ordinal_blast.models.pooling import PoolingForm, max_pool

_COPIES = 4  # in one program, whose start counts for a part only


class Operands(NamedTuple):
    """What an operator works on: float32 `[B, H, W, C]`, cotangents of its result, and a kernel, None for none."""

    inputs: np.ndarray
    cotangents: np.ndarray
    kernel: np.ndarray | None


class _Operator(NamedTuple):
    """An operator of maps of side² positions of so many channels; kernel: its shape, None for none.

    features: channels of its result; short: the side of that, None for the same; products: multiplications of one of
    its positions.
    """

    name: str
    title: str
    forms: tuple[str, ...]
    compute: Callable[..., jax.Array]
    side: int
    channels: int
    features: int
    kernel: tuple[int, ...] | None = None
    short: int | None = None
    products: int = 0


def _operators() -> Iterator[_Operator]:
    for side, channels in ((109, 64), (14, 728)):
        kernel, forms = (3, 3, 1, channels), get_args(DepthwiseForm)
        title = "A 3×3 filter per channel"
        yield _Operator("depthwise", title, forms, depthwise_conv, side, channels, channels, kernel)
    for side, channels, features in ((64, 64, 32), (16, 128, 128)):  # the largest and the smallest of the U-Net's maps
        kernel, forms, products = (3, 3, channels, features), get_args(DenseForm), 9 * channels * features
        title = f"A 3×3 convolution to {features} channels"
        yield _Operator("dense", title, forms, conv, side, channels, features, kernel, products=products)
    title = "The maximum of 3×3 windows"
    yield _Operator("pooling", title, get_args(PoolingForm), _max_pool, 109, 128, 128, short=55)


def works(quick: bool) -> Iterator[Work]:
    """The rows; quick: small maps."""
    batch = 2 if quick else 8 if machine.on_cpu() else 128
    for operator in _operators():
        name = f"{operator.name}-{operator.side}"
        yield _row(name, operator._replace(side=13, short=operator.short and 7) if quick else operator, batch)


def _row(name: str, operator: _Operator, batch: int) -> Work:
    short = operator.short or operator.side
    operands = functools.cache(functools.partial(_operands, operator, batch, short))
    contenders: dict[str, Contender] = {OURS: functools.partial(_ours, operator.compute, operands)}
    for form in operator.forms:
        if form != "auto":
            contenders[f"form “{form}”"] = functools.partial(_ours, operator.compute, operands, form=form)
    contenders |= in_torch("operator", operands, _COPIES)
    del contenders[TORCH[2]]  # one operator is what it is
    # Reads x and writes y; reads x and the cotangent of y, and writes that of x. A maximum has kept what it needs of x.
    reads = 3 if operator.kernel else 2
    numbers = batch * (reads * operator.side**2 * operator.channels + 2 * short**2 * operator.features)
    return Work(
        name,
        f"{operator.title} and its gradients, {batch} × {operator.side} × {operator.side} × {operator.channels}",
        contenders,
        operations=2.0 * operations.TRAINING * batch * short**2 * operator.products,
        bytes=float(numbers * jnp.dtype(machine.dtype()).itemsize),
    )


def _max_pool(x: jax.Array, _: None, *, form: PoolingForm = "auto") -> jax.Array:
    return max_pool(x, form=form)


def _operands(operator: _Operator, batch: int, short: int) -> Operands:
    """Random, a few images over and over."""
    rng = np.random.default_rng(0)
    few, repeats = min(batch, 4), -(-batch // 4)
    x, g = (
        np.tile(rng.standard_normal((few, length, length, channels), np.float32), (repeats, 1, 1, 1))[:batch]
        for length, channels in ((operator.side, operator.channels), (short, operator.features))
    )
    return Operands(x, g, None if operator.kernel is None else rng.standard_normal(operator.kernel, np.float32))


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
