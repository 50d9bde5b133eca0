"""Files of weights: safetensors, and what Keras writes. Names and shapes first, arrays when they are asked for.

Nothing is unpickled, and HDF5, which Keras writes, is read by another process for a limited time (`keras_reader`), so
that a hostile file costs an error. Written are safetensors: one file, with the paths of the arrays as names,
`params/backbone/block1_conv1/kernel`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from ordinal_blast.errors import UserError, needs, one_line
from ordinal_blast.storage import atomic

SAFETENSORS, KERAS = (".safetensors",), (".h5", ".hdf5", ".keras")
_INSIDE = "model.weights.h5"  # of the archive .keras
_BUDGET = 1 << 30  # bytes of weights that are unpacked to the disk: three times those of Xception and its optimiser
_SECONDS = 60  # of reading what Keras wrote; Xception's takes one
_READER = Path(__file__).with_name("keras_reader.py")
_SOURCES = {
    SAFETENSORS: "timm, model.safetensors of https://huggingface.co/timm/legacy_xception.tf_in1k is its Xception",
    KERAS: "Keras, https://keras.io/api/applications/xception names those of ImageNet, and "
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
        raise UserError(f"cannot read the weights {path}: {kind}, and none is downloaded: put one there. Of {source}")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[dict[Name, Stored]]:
    """The arrays of a file by their own names; those of Keras are (layer, number). Raises UserError for a damaged one.

    The arrays may be read in this block alone; what is not finite or no float is refused then.
    """
    check(path)
    with _blamed(path), contextlib.ExitStack() as stack:
        held = _of_safetensors(path, stack) if path.suffix in SAFETENSORS else _of_keras(path, stack)
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
        raise _unreadable(path, one_line(error)) from error


def _unreadable(path: Path, why: str) -> UserError:
    return UserError(f"cannot read the weights {path}: {why}; get a fresh copy")


def _checked(name: str, array: np.ndarray) -> np.ndarray:
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"{name} is {array.dtype}, and weights are floats")
    if not np.isfinite(array.astype(np.float32)).all():
        raise ValueError(f"{name} has values that are not finite")
    return array


def _of_safetensors(path: Path, stack: contextlib.ExitStack) -> dict[Name, Stored]:
    return {tuple(name.split("/" if "/" in name else ".")): one for name, one in _lazily(path, stack).items()}


def _lazily(path: Path, stack: contextlib.ExitStack) -> dict[str, Stored]:
    """The arrays of a file of safetensors by their names."""
    with needs("study"):
        from safetensors import safe_open
    file = stack.enter_context(safe_open(path, framework="numpy"))
    names = list(file.keys())
    return {
        name: Stored(tuple(file.get_slice(name).get_shape()), lambda name=name: file.get_tensor(name)) for name in names
    }


def _of_keras(path: Path, stack: contextlib.ExitStack) -> dict[Name, Stored]:
    """The arrays of every layer, (layer, number), as another process reads them."""
    with needs("pretrained"):
        import h5py  # noqa: F401 (that process needs it)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    file, out = _unpacked(path, folder) if path.suffix == ".keras" else path.absolute(), folder / "layers.safetensors"
    try:
        command = [sys.executable, "-P", str(_READER), str(file), str(out)]  # -P: no module beside it is imported
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise _unreadable(path, f"HDF5 is not done with it after {_SECONDS} s") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() if done.returncode > 0 else []
        raise _unreadable(path, said[-1] if said else f"HDF5 broke down over it (signal {-done.returncode})")
    arrays = {tuple(name.split("/", 2)): one for name, one in sorted(_lazily(out, stack).items())}
    return {(layer, number): one for (_, number, layer), one in arrays.items()}


def _unpacked(path: Path, folder: Path) -> Path:
    """The weights within a .keras archive, as a file in `folder` of no more bytes than it declares, and those few."""
    with zipfile.ZipFile(path) as archive:
        if _INSIDE not in archive.namelist():
            raise ValueError(f"it has no {_INSIDE}, as a model that Keras saved has")
        info = archive.getinfo(_INSIDE)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack without a limit
            raise ValueError(f"{_INSIDE} is packed in a way that Keras does not")
        if info.file_size > _BUDGET:
            raise ValueError(f"{_INSIDE} unpacks to {info.file_size / 2**30:.3g} GiB, and {_BUDGET / 2**30:g} may be")
        with archive.open(info) as packed, (folder / _INSIDE).open("wb") as whole:
            shutil.copyfileobj(packed, whole)
    return folder / _INSIDE
