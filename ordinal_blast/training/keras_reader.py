"""Weights of Keras, read in a process of their own: a damaged file can keep HDF5 busy for ever, or bring it down.

    python keras_reader.py FILE OUT

The arrays of every layer are written to OUT, as safetensors named PLACE/NUMBER/LAYER, where PLACE says their order;
what is wrong is one line on stderr.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import save_file

_MOST = 10_000  # layers of a file
_BUDGET = 1 << 30  # bytes of arrays: three times those of Xception and its optimiser


def layers(file: h5py.File) -> dict[str, list[Any]]:
    """The arrays of every layer, not read, of weights that Keras 3 wrote, or a model or weights of Keras 1 to 3.

    Raises ValueError, and what HDF5 raises, for anything else.
    """
    if "layers" in file:
        groups = {key: _inner(file, f"layers/{key}/vars") for key in _members(file, "layers")}
        return {
            _text(group.attrs.get("name", key)): [_plain(_inner(group, number)) for number in sorted(group, key=int)]
            for key, group in groups.items()
        }
    root = _inner(file, "model_weights") if "model_weights" in file else file
    if "layer_names" not in root.attrs:
        raise ValueError("it holds neither a model of Keras nor weights of one")
    groups = {key: _inner(root, key) for key in _members(root, ".")}
    return {
        key: [_plain(_inner(group, _text(name))) for name in group.attrs["weight_names"]]
        for key, group in groups.items()
        if "weight_names" in group.attrs
    }


def _members(file: h5py.Group, name: str) -> list[str]:
    group = file if name == "." else _inner(file, name)
    if len(group) > _MOST:
        raise ValueError(f"it has {len(group)} layers")
    return [key for key in group if key != "optimizer_weights"]


def _inner(group: h5py.Group, path: str) -> Any:
    """What stands in the file itself at a path; HDF5 follows links to other files, which is refused."""
    for name in path.split("/"):
        if not isinstance(group, h5py.Group) or not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"it lacks {path}")
        group = group[name]
    return group


def _plain(array: Any) -> Any:
    """The array where it is one of numbers, of a shape, that lies in the file and takes no more memory than it says."""
    size = math.prod(array.shape) if isinstance(array.shape, tuple) else -1  # None for a data set that is null
    packed = math.prod(array.chunks or (0,))
    if size < 0 or array.dtype.kind not in "fiub" or array.is_virtual or array.external or packed > size:
        raise ValueError(f"{array.name} is no plain array")
    return array


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _read(path: str) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        of_layers = [(name, n, one) for name, arrays in layers(file).items() for n, one in enumerate(arrays)]
        held = {f"{place:06d}/{number}/{name}": one for place, (name, number, one) in enumerate(of_layers)}
        size = sum(math.prod(one.shape) * one.dtype.itemsize for one in held.values())
        if size > _BUDGET:
            raise ValueError(f"its arrays declare {size / 2**30:.3g} GiB, and {_BUDGET / 2**30:g} may be")
        return {name: np.asarray(one[()], one.dtype.newbyteorder("=")) for name, one in held.items()}


if __name__ == "__main__":
    try:
        save_file(_read(sys.argv[1]), sys.argv[2])
    except Exception as error:  # whatever HDF5 raises for bytes that are not what they should be
        words = " ".join(str(error).split())
        sys.exit(f"{type(error).__name__}: {words}")
