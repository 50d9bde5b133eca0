"""From a seed to random numbers: no two seeds give the same, and a seed that cannot be is refused."""

from __future__ import annotations

import jax

from ordinal_blast.ranges import SEED, check


def checked(seed: int, name: str = "seed") -> int:
    """The seed; raises UsageError that names the range unless it is whole and 0 ≤ seed < 2³²."""
    check(name, seed, SEED)
    return int(seed)


def key(seed: int, name: str = "seed") -> jax.Array:
    """The typed key of a seed, another for every seed; raises UsageError as `checked` does."""
    return jax.random.key(checked(seed, name))
