"""Networks by name: those of the package, and modules of one's own, all called in one way.

    module(x, *, train, keys=None, mask=None) -> features [B, D]

A module of one's own is a Flax class (or a function that gives a module) of one of three kinds:

- Linen, `__call__(self, x, train)`; the flag may be keyword-only, named `training`, or be `deterministic`, its
  opposite, or be left out;
- NNX, `__init__(self, ..., *, rngs)` and `__call__(self, x)`, which `train()` and `eval()` put in either mode;
- Linen with all four arguments of the networks here, which then is one of them: it gets images as they are, uint8.

The first two get images as float32 in [−1, 1], a uint8 x as x / 127.5 − 1. Their random layers (`nn.Dropout`) draw
from one key a step and device: the same after a resume, others on another number of devices. `nn.BatchNorm` of Linen
takes the statistics of the global batch without its padding rows, whatever the devices; `nnx.BatchNorm` takes those of
all devices too, padding included.

A module says what it reads by a class attribute: `reads = "images"`, "clips", "sequences" or "numbers".
"""

from __future__ import annotations

import functools
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
from ordinal_blast.types import AXIS, INPUTS

NETWORKS: Mapping[str, str] = {
    "attention": "ordinal_blast.models.frame_pooling:AttentionPooling",
    "frames": "ordinal_blast.models.joint:frames_and_sequence",
    "lstm": "ordinal_blast.models.lstm:LSTM",
    "mean": "ordinal_blast.models.frame_pooling:MeanPooling",
    "mlp": "ordinal_blast.models.mlp:MLP",
    "unet": "ordinal_blast.models.unet:UNet",
    "xception": "ordinal_blast.models.xception:Xception",
}
_DTYPES = ("auto", "float32", "bfloat16")
_ON = ("train", "training", "is_training")  # how modules of one's own call the flag, and its opposite
_OFF = "deterministic"


def reads(network: NetworkSettings) -> str:
    """What the network says that it reads, a name of INPUTS; "" where it says nothing."""
    said = getattr(parts.find("network", network.name, NETWORKS), "reads", "")
    check(f"{network.name}.reads", said, one_of("", *INPUTS))
    return said


def make(network: NetworkSettings, where: str) -> nn.Module:
    """The network of the section `where`; raises UsageError for a name or options that cannot be."""
    part = parts.find(f"{where}.name", network.name, NETWORKS)
    of_nnx = inspect.isclass(part) and issubclass(part, nnx.Module)
    takes = parts.signature(part).parameters
    supplied = {name: value for name, value in {"axis_name": AXIS, "rngs": None}.items() if name in takes}
    if reserved := set(supplied) & set(network.options):
        raise UsageError(f"{where}.options has no {min(reserved)}: training gives it")
    options = dict(network.options)
    if "dtype" in takes and isinstance(options.get("dtype"), str):
        options["dtype"] = _dtype(f"{where}.options.dtype", options["dtype"])
    parts.check_options(part, supplied | options, f"{where}.options")
    options = {name: _hashable(value) for name, value in options.items()}
    options |= {name: value for name, value in supplied.items() if value}
    with parts.blamed(f"{where} is {network.name}"):
        if of_nnx:
            module = OfNNX(part, FrozenDict(options), AXIS)
        else:
            module = _constructed(part, options, where)
            if not isinstance(module, nn.Module):
                raise TypeError(f"it gives {type(module).__name__}, no Flax module")
            if not {"train", "keys", "mask"} <= set(inspect.signature(type(module).__call__).parameters):
                module = OfLinen(module, AXIS)
        hash(module)  # equal networks share one compiled step
    return module


class OfLinen(nn.Module):
    """A Linen module of one's own, called as the networks here are.

    axis_name: of the devices, over which `nn.BatchNorm` takes its statistics.
    """

    network: nn.Module
    axis_name: str | None = None

    def __call__(
        self, x: jax.Array, *, train: bool, keys: jax.Array | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        """What the module returns; keys are unused, mask `[B]` leaves padding out of `nn.BatchNorm`."""
        flags = _flags(type(self.network), train)
        whole = functools.partial(_normalise, mask=mask, axis_name=self.axis_name)
        with parts.blamed(type(self.network).__name__), nn.intercept_methods(whole):
            return self.network(scale_pixels(x, jnp.float32), **flags)


class OfNNX(nn.Module):
    """An NNX module of one's own, called as the networks here are; axis_name: of the devices."""

    kind: type[nnx.Module]
    options: Mapping[str, Any]
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, keys: jax.Array | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        """What the module returns; keys and mask are unused."""
        key = self.make_rng("dropout") if self.has_rng("params") else jax.random.key(0)  # nothing is drawn to look
        rngs = {"rngs": nnx.Rngs(key)} if "rngs" in inspect.signature(self.kind.__init__).parameters else {}
        network = nnx.bridge.ToLinen(lambda: self.kind(**self.options, **rngs), skip_rng=True, name="network")

        shared = train and self.axis_name and not self.is_initializing()

        def call(module: nnx.Module, x: jax.Array) -> jax.Array:
            module.train() if train else module.eval()
            for _, inner in nnx.iter_graph(module):
                if shared and isinstance(inner, nnx.BatchNorm):
                    inner.axis_name = self.axis_name
            return module(x, **_flags(self.kind, train))

        with parts.blamed(self.kind.__name__):
            features = network(scale_pixels(x, jnp.float32), nnx_method=call)
        if shared:  # what else is running
            running = network.variables.get("batch_stats", {})
            for name, value in jax.lax.pmean(running, self.axis_name).items():
                network.put_variable("batch_stats", name, value)
        return features


def _constructed(part: Callable[..., Any], options: Mapping[str, Any], where: str) -> Any:
    try:
        return part(**options)
    except UsageError as error:  # of a network here, which begins with "options"
        raise UsageError(f"{where}.{error}") from error


def _flags(kind: type, train: bool) -> dict[str, bool]:
    """The argument that tells a module of this kind whether it trains, as it calls it; none where it takes none."""
    takes = inspect.signature(kind.__call__).parameters
    return {name: train for name in _ON if name in takes} | ({_OFF: not train} if _OFF in takes else {})


def _normalise(
    call: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: Mapping[str, Any],
    context: nn.module.InterceptorContext,
    *,
    mask: jax.Array | None,
    axis_name: str | None,
) -> Any:
    """Call a method of a module; batch normalisation in training by the moments of all valid rows of all devices.

    Linen's layer would average the means of devices, which is not the global mean where some hold padding.
    """
    norm = context.module
    if not isinstance(norm, nn.BatchNorm) or context.method_name != "__call__" or norm.is_initializing():
        return call(*arguments, **options)
    bound = inspect.signature(nn.BatchNorm.__call__).bind(norm, *arguments, **options).arguments
    by_running = nn.merge_param("use_running_average", norm.use_running_average, bound.get("use_running_average"))
    if by_running or bound.get("mask") is not None or not isinstance(norm.axis, int):
        return call(*arguments, **options)
    x = bound["x"]
    rows = None if mask is None or len(x) % len(mask) else jnp.repeat(mask, len(x) // len(mask))
    batch = dict(zip(("mean", "var"), moments(jnp.moveaxis(x, norm.axis, -1), rows, axis_name), strict=True))
    for name, value in batch.items():
        running = norm.momentum * norm.get_variable("batch_stats", name) + (1 - norm.momentum) * value
        norm.put_variable("batch_stats", name, running)
    by_batch = norm.clone(use_running_average=True, parent=None, name=None)
    return by_batch.apply({"params": norm.variables.get("params", {}), "batch_stats": batch}, x)


def _hashable(value: Any) -> Any:
    """Lists as tuples and sections as frozen ones, all the way down."""
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    if isinstance(value, Mapping):
        return FrozenDict({name: _hashable(item) for name, item in value.items()})
    return value


def _dtype(key: str, name: str) -> Any:
    check(key, name, one_of(*_DTYPES))
    if name == "auto":
        name = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    return getattr(jnp, name)
