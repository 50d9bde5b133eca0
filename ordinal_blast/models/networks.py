"""Networks by name: those of the package, and modules of one's own, all called in one way.

    module(x, *, train, keys=None, mask=None) -> features [B, D]

A module of one's own is a Flax class (or a function that gives a module) of one of three kinds:

- Linen, `__call__(self, x, train)`; the flag may be keyword-only, named `training`, or be `deterministic`, its
  opposite, or be left out;
- NNX, `__init__(self, ..., *, rngs)` and `__call__(self, x)`, which `train()` and `eval()` put in either mode;
- Linen with all four arguments of the networks here, which then is one of them: it gets images as they are, uint8.

The first two get images as float32 in [−1, 1]. Their random layers (`nn.Dropout`) draw from one key a step and device:
exact again after a resume, and another draw on another number of devices. `nn.BatchNorm` of Linen takes the statistics
of the global batch without its padding rows, whatever the devices; `nnx.BatchNorm` takes those of each device's rows,
padding included, and its running statistics are averaged over devices.

A module says what it reads by a class attribute: `reads = "images"`, "sequences" or "numbers".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx
from flax.core import FrozenDict

from ordinal_blast import parts
from ordinal_blast.errors import UsageError
from ordinal_blast.models.normalization import moments
from ordinal_blast.models.pixels import scale_pixels
from ordinal_blast.ranges import check, one_of
from ordinal_blast.settings import NetworkSettings
from ordinal_blast.types import AXIS

NETWORKS: Mapping[str, str] = {
    "lstm": "ordinal_blast.models.lstm:LSTM",
    "mlp": "ordinal_blast.models.mlp:MLP",
    "unet": "ordinal_blast.models.unet:UNet",
    "xception": "ordinal_blast.models.xception:Xception",
}
INPUTS = ("images", "sequences", "numbers")
_DTYPES = ("auto", "float32", "bfloat16")
_GIVEN = {"axis_name": AXIS}  # fields that are no options


def reads(network: NetworkSettings) -> str:
    """What the network says that it reads, "images", "sequences" or "numbers"; "" where it says nothing."""
    said = getattr(parts.find("network", network.name, NETWORKS), "reads", "")
    check(f"reads of {network.name}", said, one_of("", *INPUTS))
    return said


def make(network: NetworkSettings, where: str) -> nn.Module:
    """The network of a stage `where`; raises UsageError for a name or options that cannot be."""
    where = f"{where}.network"
    part = parts.find(f"{where}.name", network.name, NETWORKS)
    takes = _parameters(part)
    options = {name: _hashable(value) for name, value in network.options.items()}
    if "dtype" in takes and isinstance(options.get("dtype"), str):
        options["dtype"] = _dtype(f"{where}.options.dtype", options["dtype"])
    if reserved := [name for name in options if name in _GIVEN]:
        raise UsageError(f"{where}.options has no {reserved[0]}: training gives it")
    parts.check_options(part, options, f"{where}.options", **({"rngs": None} if _is_nnx(part) else {}))
    options |= {name: value for name, value in _GIVEN.items() if name in takes}
    with parts.blamed(f"{where} is {network.name}"):
        module = nnx.bridge.ToLinen(part, kwargs=FrozenDict(options)) if _is_nnx(part) else part(**options)
        hash(module)
    return module
