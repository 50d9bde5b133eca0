"""Files of weights: safetensors, and what Keras writes. Names and shapes first, arrays when they are asked for.

Nothing is unpickled, and no array is read before its shape is known to be wanted, so that a hostile file costs an
error. Written are safetensors: one file, with the paths of the arrays as names, `params/backbone/block1_conv1/kernel`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from ordinal_blast.errors import UserError, needs, one_line
from ordinal_blast.storage import atomic

if TYPE_CHECKING:
    import h5py

SAFETENSORS, KERAS = (".safetensors",), (".h5", ".hdf5", ".keras")
_INSIDE = "model.weights.h5"  # of the archive .keras
_MOST = 10_000  # layers of a file
_BUDGET = 1 << 30  # bytes of weights that are unpacked to the disk: three times those of Xception and its optimiser
_SOURCES = {
    SAFETENSORS: "timm's for Xception are model.safetensors of https://huggingface.co/timm/legacy_xception.tf_in1k",
    KERAS: "https://keras.io/api/applications/xception names those of ImageNet, and "
    'keras.applications.Xception(weights="imagenet", include_top=False).save("xception.keras") writes them',
}

Name = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Stored:
    """An array of a file that has not been read."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]

    def transposed(self, axes: tuple[int, ...]) -> Stored:
        """The same with its axes in this order; as it is, for none or for other axes than it has."""
        if len(axes) != len(self.shape):
            return self
        return Stored(tuple(self.shape[axis] for axis in axes), lambda: self.read().transpose(axes))


def is_one(path: Path) -> bool:
    """Whether a path is named as a file of weights is."""
    return path.suffix in SAFETENSORS + KERAS


def check(path: Path) -> None:
    """Raise UserError where there is no such file, which says where one comes from."""
    if not path.is_file():
        source = next(text for suffixes, text in _SOURCES.items() if path.suffix in suffixes)
        kind = "it is no regular file" if path.exists() else "there is no such file"
        raise UserError(f"cannot read the weights {path}: {kind}, and none is downloaded; put it there: {source}")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[dict[Name, Stored]]:
    """The arrays of a file by their own names; those of Keras are (layer, number). Raises UserError for a damaged one.

    The arrays may be read in this block alone; what is not finite or no float is refused then.
    """
    check(path)
    with _blamed(path), contextlib.ExitStack() as stack:
        if path.suffix in SAFETENSORS:
            held = _of_safetensors(path, stack)
        else:
            held = _of_keras(stack.enter_context(_hdf5(path, stack)))
        yield {
            name: Stored(one.shape, lambda one=one, name=name: _checked("/".join(name), one.read()))
            for name, one in held.items()
        }


def write(path: Path, arrays: Mapping[Name, np.ndarray]) -> None:
    """Write one safetensors file, atomically."""
    with needs("study"):
        from safetensors.numpy import save
    flat = {"/".join(name): np.ascontiguousarray(array) for name, array in arrays.items()}
    with atomic(path) as stream:
        stream.write(save(flat, {"format": "ordinal_blast"}))


@contextlib.contextmanager
def _blamed(path: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # whatever the readers raise for bytes that are not what they should be
        raise UserError(f"cannot read the weights {path}: {one_line(error)}; get a fresh copy") from error


def _checked(name: str, array: np.ndarray) -> np.ndarray:
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"{name} is {array.dtype}, and weights are floats")
    if not np.isfinite(array.astype(np.float32)).all():
        raise ValueError(f"{name} has values that are not finite")
    return array


def _of_safetensors(path: Path, stack: contextlib.ExitStack) -> dict[Name, Stored]:
    with needs("study"):
        from safetensors import safe_open
    file = stack.enter_context(safe_open(path, framework="numpy"))
    held = {}
    for name in file.keys():  # noqa: SIM118 (it is no mapping)
        parts = tuple(name.split("/" if "/" in name else "."))
        held[parts] = Stored(tuple(file.get_slice(name).get_shape()), lambda name=name: file.get_tensor(name))
    return held


def _hdf5(path: Path, stack: contextlib.ExitStack) -> h5py.File:
    with needs("pretrained"):
        import h5py
    return h5py.File(stack.enter_context(_unpacked(path)) if path.suffix == ".keras" else path, "r")


@contextlib.contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The weights within a .keras archive, as a temporary file of no more bytes than it declares, and those few."""
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryFile() as whole:
        if _INSIDE not in archive.namelist():
            raise ValueError(f"it has no {_INSIDE}, as a model that Keras saved has")
        info = archive.getinfo(_INSIDE)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack without a limit
            raise ValueError(f"{_INSIDE} is packed in a way that Keras does not")
        if info.file_size > _BUDGET:
            raise ValueError(f"{_INSIDE} unpacks to {info.file_size / 2**30:.3g} GiB, and {_BUDGET / 2**30:g} may be")
        with archive.open(info) as packed:
            shutil.copyfileobj(packed, whole)
        whole.seek(0)
        yield whole


def _of_keras(file: h5py.File) -> dict[Name, Stored]:
    """The arrays of every layer, whether Keras 3 wrote its weights or Keras 1 to 3 a model or weights of HDF5."""
    if "layers" in file:
        groups = {key: _inner(file, f"layers/{key}/vars") for key in _members(file, "layers")}
        layers = {
            _text(group.attrs.get("name", key)): [_inner(group, number) for number in sorted(group, key=int)]
            for key, group in groups.items()
        }
    else:
        root = _inner(file, "model_weights") if "model_weights" in file else file
        if "layer_names" not in root.attrs:
            raise ValueError("it holds neither a model of Keras nor weights of one")
        groups = {key: _inner(root, key) for key in _members(root, ".")}
        layers = {
            key: [_inner(group, _text(name)) for name in group.attrs["weight_names"]]
            for key, group in groups.items()
            if "weight_names" in group.attrs
        }
    return {(name, str(number)): _lazy(array) for name, arrays in layers.items() for number, array in enumerate(arrays)}


def _members(file: h5py.Group, name: str) -> list[str]:
    group = file if name == "." else _inner(file, name)
    if len(group) > _MOST:
        raise ValueError(f"it has {len(group)} layers")
    return [key for key in group if key != "optimizer_weights"]


def _inner(group: h5py.Group, path: str) -> Any:
    """What stands in the file itself at a path; HDF5 follows links to other files, which is refused."""
    import h5py

    for name in path.split("/"):
        if not isinstance(group, h5py.Group) or not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"it lacks {path}")
        group = group[name]
    return group


def _lazy(array: Any) -> Stored:
    size = math.prod(array.shape) if isinstance(array.shape, tuple) else -1  # None for a data set that is null
    packed = math.prod(array.chunks or (0,))
    if size < 0 or array.is_virtual or array.external or packed > size:
        raise ValueError(f"{array.name} is no plain array")
    return Stored(array.shape, lambda: np.asarray(array[()]))


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
