"""What the machine can do: its rate of matrix products and its memory bandwidth, measured now."""

from __future__ import annotations

import dataclasses
import importlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.bench import machine

SIDE = 2048  # of the matrices; on an accelerator four times that
_MEGABYTES = 256  # of the array that is copied; on an accelerator eight times that, for its start to count little


@dataclasses.dataclass(frozen=True)
class Limits:
    """matrix: operations a second of a large product (an addition and a multiplication are two), by library.

    bandwidth: bytes a second that a copy reads and writes.
    """

    matrix: Mapping[str, float]
    bandwidth: float

    def seconds(self, operations: float, bytes: float) -> float:
        """The least time that a work takes: operations at the highest rate, or bytes, whichever is more."""
        return max(operations / max(self.matrix.values()), bytes / self.bandwidth)

    def best(self, other: Limits) -> Limits:
        """The higher of both rates, each for itself: what slowed one measurement was not the machine."""
        matrix = {name: max(rate, other.matrix[name]) for name, rate in self.matrix.items()}
        return Limits(matrix, max(self.bandwidth, other.bandwidth))


def measure(repeats: int = 8, side: int | None = None) -> Limits:
    """The rates now: the best of so many repeats, of XLA (in the networks' precision), and on a CPU of others too."""
    on_cpu = machine.on_cpu()
    side = side or (SIDE if on_cpu else 4 * SIDE)
    products: dict[str, Callable[[], object]] = {"XLA": _xla(side)}
    if on_cpu:
        a = np.random.default_rng(0).random((side, side), np.float32)
        products["NumPy"] = lambda: a @ a
        try:
            torch = importlib.import_module("torch")
        except ModuleNotFoundError:
            pass
        else:
            tensor = torch.from_numpy(a)
            products["PyTorch"] = lambda: tensor @ tensor
    matrix = {name: 2 * side**3 / _fastest(call, repeats) for name, call in products.items()}
    return Limits(matrix, _bandwidth(repeats, on_cpu))


def _xla(side: int) -> Callable[[], object]:
    a, product = jax.random.uniform(jax.random.key(0), (side, side), machine.dtype()), jax.jit(lambda a: a @ a)
    return lambda: jax.block_until_ready(product(a))


def _bandwidth(repeats: int, on_cpu: bool) -> float:
    size = _MEGABYTES << (20 if on_cpu else 23)
    if not on_cpu:
        x, copy = jnp.zeros(size // 4), jax.jit(lambda x: x + 1)
        return 2 * size / _fastest(lambda: jax.block_until_ready(copy(x)), repeats)
    with ThreadPoolExecutor() as pool:
        halves = [(np.zeros(size // 8, np.float32), np.ones(size // 8, np.float32)) for _ in range(2)]
        return 2 * size / _fastest(lambda: list(pool.map(lambda pair: np.copyto(*pair), halves)), repeats)


def _fastest(call: Callable[[], object], repeats: int) -> float:
    """The shortest of so many calls, in seconds, after one that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return min(times)


def text(limits: Limits) -> str:
    """The rates in a line."""
    products = ", ".join(f"{name} {rate / 1e9:,.0f}" for name, rate in limits.matrix.items())
    return f"matrix products at {products} GFLOP/s; memory at {limits.bandwidth / 1e9:.1f} GB/s"
