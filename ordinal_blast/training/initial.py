"""Weights to start from: those of a finished run here, or of a safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from ordinal_blast.errors import UsageError, UserError, needs, one_line
from ordinal_blast.storage import file_digest
from ordinal_blast.training import checkpoints
from ordinal_blast.training.checkpoints import Checkpoints

_SAFETENSORS = ".safetensors"


def variables(init_from: str, like: Mapping[str, Any]) -> dict[str, Any]:
    """The variables `like` with the weights of `init_from` wherever name and shape agree.

    init_from: the folder of a finished cell or stage, or a `.safetensors` file, whose names are paths such as
    "params/backbone/bn1/scale" or "backbone.bn1.scale", or those of the backbone alone. Heads that do not fit, because
    they are of other grades or another loss, stay as they are. Raises UserError that lists what else does not fit.
    """
    weights, wanted = _read(init_from), flatten_dict(dict(like))
    taken, lacking = {}, []
    for path, leaf in wanted.items():
        value = next((weights[name] for name in _names(path) if name in weights), None)
        if value is not None and value.shape == leaf.shape:
            taken[path] = jnp.asarray(value, leaf.dtype)
        elif not path[1].endswith("_head"):
            has = "is missing" if value is None else f"is {list(value.shape)}, not {list(leaf.shape)}"
            lacking.append(f"{'/'.join(path)} {has}")
    if lacking or not taken:
        listed = f"{'; '.join(lacking[:3])}{f'; and {len(lacking) - 3} more' if len(lacking) > 3 else ''}"
        raise UserError(
            f"{init_from} does not fit the network: {listed or 'nothing of it'}; it holds "
            f"{', '.join(sorted('/'.join(name) for name in weights)[:3])}, ... ({len(weights)} in all)"
        )
    return unflatten_dict({**wanted, **taken})


def digest(init_from: str) -> str:
    """12 hex digits of the weights; raises UserError where there are none."""
    path = Path(init_from).expanduser()
    if path.suffix != _SAFETENSORS:
        return _checkpoints(path).digest("best")
    try:
        return file_digest(path)
    except OSError as error:
        raise UserError(f"cannot read the weights {path}: {one_line(error)}") from error


def _names(path: tuple[str, ...]) -> list[tuple[str, ...]]:
    """What a leaf may be called: its whole path, without the collection, without "backbone" too."""
    collection, *rest = path
    inner = [rest[1:], [collection, *rest[1:]]] if rest[0] == "backbone" else []
    return [path, *(tuple(name) for name in (rest, *inner) if name)]


def _read(init_from: str) -> dict[tuple[str, ...], Any]:
    path = Path(init_from).expanduser()
    if path.suffix != _SAFETENSORS:
        saved = _checkpoints(path)
        try:
            return flatten_dict(saved.restore({"best": saved.shapes("best")})["best"])
        finally:
            saved.close()
    with needs("study"):
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    try:
        arrays: Mapping[str, np.ndarray] = load_file(path)
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise UserError(f"cannot read the weights {path}: {one_line(error)}") from error
    return {tuple(name.split("/" if "/" in name else ".")): array for name, array in arrays.items()}


def _checkpoints(folder: Path) -> Checkpoints:
    if not checkpoints.is_sealed(folder):
        raise UsageError(
            f"init_from is {folder}: it has to be a folder where a model was trained, such as "
            f"runs/demo/cells/NAME, or a {_SAFETENSORS} file"
        )
    return checkpoints.of_run(folder)
