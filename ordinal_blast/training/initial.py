"""Weights to start from: those of a finished run here, or of a file that was written here, by Keras or by timm."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.models import xception_names
from ordinal_blast.settings import NetworkSettings
from ordinal_blast.storage import file_digest
from ordinal_blast.training import checkpoints, weight_files
from ordinal_blast.training.checkpoints import Checkpoints
from ordinal_blast.training.weight_files import Name, Stored

_NAMED = 3  # misfits that an error lists


def variables(network: NetworkSettings, like: Mapping[str, Any]) -> dict[str, Any]:
    """The variables `like` with the weights that the network starts from.

    Its `init_from` is the folder of a finished cell or stage, a `.safetensors` file, whose names are paths such as
    "params/backbone/bn1/scale" or "backbone.bn1.scale", or those of the backbone alone, or those of timm's Xception, or
    a file of `keras.applications.Xception`. Heads that do not fit, because they are of other grades or another loss,
    stay as they are; all else has to fit, but for what `init_channels` says. Raises UserError that lists what does not.
    """
    wanted = flatten_dict(dict(like))
    with _opened(network, {path[-2] for path in wanted if len(path) > 1}) as held:
        taken: dict[Name, Any] = {}
        used, misfits = set(), []
        for path, leaf in wanted.items():
            name = next((name for name in _names(path) if name in held), None)
            value = None if name is None else _fitting(held[name], leaf.shape, network.init_channels)
            if value is not None:
                taken[path] = jnp.asarray(value, leaf.dtype)
            elif not _is_head(path):
                misfits.append(f"{'/'.join(path)} {_misfit(None if name is None else held[name].shape, leaf.shape)}")
            used.add(name)
        misfits += [f"{'/'.join(name)} is unexpected" for name in held if name not in used and not _is_head(name)]
        if misfits or not taken:
            listed = "; ".join(misfits[:_NAMED]) or "nothing of it"
            more = f"; and {len(misfits) - _NAMED} more" if len(misfits) > _NAMED else ""
            some = ", ".join(sorted(map("/".join, held))[:3])
            raise UserError(
                f"{network.init_from} does not fit the network: {listed}{more}; it holds {some}, ... "
                f"({len(held)} in all)"
            )
    return unflatten_dict({**wanted, **taken})


def stored(folder: Path) -> dict[Name, np.ndarray]:
    """The best variables of a finished cell or stage, by their paths; raises UserError where there are none."""
    saved = _checkpoints(folder)
    try:
        best = flatten_dict(saved.restore({"best": saved.shapes("best")})["best"])
        return {path: np.asarray(leaf) for path, leaf in best.items()}
    finally:
        saved.close()


def digest(init_from: str) -> str:
    """12 hex digits of the weights; raises UserError where there are none."""
    path = Path(init_from).expanduser()
    if not weight_files.is_one(path):
        return _checkpoints(path).digest("best")
    weight_files.check(path)
    return file_digest(path)


def _names(path: Name) -> list[Name]:
    """What a leaf may be called: its whole path, without the collection, without "backbone" too."""
    collection, *rest = path
    inner = [rest[1:], [collection, *rest[1:]]] if rest[0] == "backbone" else []
    return [path, *(tuple(name) for name in (rest, *inner) if name)]


def _is_head(path: Name) -> bool:
    return any(part.endswith("_head") for part in path[:2])


@contextlib.contextmanager
def _opened(network: NetworkSettings, layers: Collection[str]) -> Iterator[dict[Name, Stored]]:
    """What the weights hold, by names of the network here; layers: the names of its layers."""
    path = Path(network.init_from).expanduser()
    if not weight_files.is_one(path):
        arrays = stored(path)
        yield {name: Stored(array.shape, lambda array=array: array) for name, array in arrays.items()}
        return
    with weight_files.opened(path) as held:
        if path.suffix in weight_files.KERAS:
            yield _of_keras(held, layers)
        elif xception_names.is_timm({".".join(name) for name in held}):
            if "epsilon" not in network.options:
                raise UsageError(
                    f"{network.init_from} is of timm, whose batch normalisation has an epsilon of "
                    f"{xception_names.TIMM_EPSILON:g}, and Keras, where timm's ImageNet weights come from, "
                    f"{xception_names.KERAS_EPSILON:g}: state one in the network's options.epsilon"
                )
            yield _of_timm(held)
        else:
            yield held


def _of_timm(held: Mapping[Name, Stored]) -> dict[Name, Stored]:
    by_name = {".".join(name): one for name, one in held.items()}
    places = xception_names.of_timm(by_name)
    return {
        (place.layer, place.array) if place else tuple(name.split(".")): one.transposed(place.axes if place else ())
        for name, one in by_name.items()
        if (place := places.get(name)) or name not in places
    }


def _of_keras(held: Mapping[Name, Stored], layers: Collection[str]) -> dict[Name, Stored]:
    shapes: dict[str, list[tuple[int, ...]]] = collections.defaultdict(list)
    for (layer, _), one in held.items():
        shapes[layer].append(one.shape)
    places = xception_names.of_keras(shapes, layers)
    named = {}
    for (layer, number), one in held.items():
        place = places.get(key := (layer, int(number)))
        if place:
            named[place.layer, place.array] = one.transposed(place.axes)
        elif key not in places:
            named[layer, number] = one
    return named


def _fitting(one: Stored, shape: tuple[int, ...], channels: str) -> np.ndarray | None:
    """The array where it has this shape, or would but for the channels that it reads; or None.

    "spread": Σ_c W[..., c, :] / F for every one of F channels: F equal planes then give what a grey image gave.
    """
    if one.shape == shape:
        return one.read()
    others = [(*of[:2], *of[3:]) for of in (one.shape, shape)]
    if channels != "spread" or len(shape) != 4 or others[0] != others[1]:
        return None
    total = one.read().astype(np.float64).sum(axis=2, keepdims=True)
    return np.broadcast_to(total / shape[2], shape)


def _misfit(has: tuple[int, ...] | None, shape: tuple[int, ...]) -> str:
    if has is None:
        return "is missing"
    reads = len(has) == len(shape) == 4 and (*has[:2], has[3]) == (*shape[:2], shape[3])
    remedy = f" (for {shape[2]} channels instead of {has[2]}, set the network's init_channels)" if reads else ""
    return f"is {list(has)}, not {list(shape)}{remedy}"


def _checkpoints(folder: Path) -> Checkpoints:
    if not checkpoints.is_sealed(folder):
        raise UsageError(
            f"init_from is {folder}: it has to be a folder where a model was trained, such as "
            f"runs/demo/cells/NAME, or a file {', '.join(weight_files.SAFETENSORS + weight_files.KERAS)}"
        )
    return checkpoints.of_run(folder)
