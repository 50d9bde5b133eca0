"""Last layers: features `[B, D]` to the raw outputs `[B, num_outputs]` that an objective reads."""

from __future__ import annotations

import flax.linen as nn


def make_head(kind: str, num_outputs: int, name: str | None = None) -> nn.Module:
    """Layer of one kind (`Objective.head`), with float32 parameters; ValueError for an unknown kind."""
    if kind not in KINDS:
        raise ValueError(f"head must be one of {sorted(KINDS)}, got {kind!r}")
    return KINDS[kind](num_outputs, name=name)


KINDS = {"dense": nn.Dense}
