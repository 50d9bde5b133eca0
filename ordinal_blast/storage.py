"""Files that are either whole or absent: atomic writes, and names made from content."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import math
import os
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from ordinal_blast.errors import UserError, is_full, reason


def digest(value: Any) -> str:
    """First 12 hex digits of the SHA-256 of `value` as canonical JSON; raises TypeError for what JSON cannot say."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_digest(path: Path) -> str:
    """First 12 hex digits of the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:12]


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary neighbour of `path` and rename it when the block succeeds, so `path` is never half written.

    Raises UserError when the disk refuses (full, read-only); what stood at `path` before is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        remedy = (
            "free space or choose another --workdir" if is_full(error) else "choose a --workdir that can be written"
        )
        raise UserError(
            f"cannot write {path}: {reason(error)}; {remedy} and run the same command again, finished work is kept"
        ) from error


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Delete what `atomic` left beside these files of `folder` when its process was killed; nobody may be writing."""
    for name in names:
        for path in folder.glob(f".{glob.escape(name)}.*"):
            path.unlink(missing_ok=True)


def jsonable(value: Any) -> Any:
    """`value` with numpy scalars, tuples and non-finite numbers turned into what JSON has."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN becomes null, because JSON has none."""
    with atomic(path) as stream:
        stream.write((json.dumps(jsonable(value), indent=1) + "\n").encode())


def read_json(path: Path, keys: Collection[str] = ()) -> Any:
    """Read a JSON file, with `keys` one that holds an object with these keys.

    Raises UserError naming the file when it is missing, no regular file, damaged or lacks a key.
    """
    again = "delete it and run the command that wrote it again"
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise ValueError("it is no regular file")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"cannot read {path}: {reason(error)}; {again}") from error
    if missing := [key for key in keys if not isinstance(content, Mapping) or key not in content]:
        raise UserError(f"cannot read {path}: it is damaged and has no {', '.join(missing)}; {again}")
    return content


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as one compressed npz file, atomically."""
    with atomic(path) as stream:
        np.savez_compressed(stream, **dict[str, Any](arrays))


def read_npy(path: Path) -> np.ndarray:
    """The array of an npy file that a stage wrote, left on disk until indexed; raises UserError for a damaged one."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        advice = f"{reason(error)}; delete {path.parent} and run the same command again"
        raise UserError(f"cannot read {path}: {advice}") from error


def read_npz(
    path: Path, names: Collection[str] | None = None, *, also: Collection[str] = (), budget: int = 4 << 30
) -> dict[str, np.ndarray]:
    """Arrays of an npz file: those named, and of `also` those that it holds; or all.

    Nothing is unpickled, and nothing is read before the sizes that the archive declares are added up. Raises UserError
    for a file that is missing, no regular file, damaged or pickled, lacks an array, or declares over `budget` bytes.
    """
    if not path.is_file():  # opening a pipe would wait for ever
        why = "it is no regular file" if path.exists() else "there is no such file"
        raise UserError(f"cannot read {path}: {why}; name an .npz file")
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            held = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            wanted = list(held if names is None else names)
            if missing := [name for name in wanted if name not in held]:
                has = ", ".join(sorted(held)[:12]) or "nothing"
                raise UserError(f"{path} lacks {', '.join(missing)}: it holds {has}{', ...' if len(held) > 12 else ''}")
            wanted += [name for name in also if name in held and name not in wanted]
            declared = sum(_declared(archive, held[name]) for name in wanted)
            if declared > budget:
                raise UserError(
                    f"cannot read {path}: its arrays declare {declared / 2**30:.3g} GiB, and {budget / 2**30:.3g} GiB "
                    "may be read at once; give a smaller file"
                )
            return {name: _array(archive, held[name]) for name in wanted}
    except UserError:
        raise
    except Exception as error:  # whatever zipfile, zlib and numpy raise for bytes that are not what they should be
        raise UserError(f"cannot read {path}: it is damaged ({reason(error)}); get a fresh copy") from error


def _declared(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """Bytes that one array of an npz file takes, by its header; raises UserError or ValueError before they are read."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack without a limit
        raise ValueError(f"{info.filename} is packed in a way that numpy does not write")
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in headers:
            raise ValueError(f"{info.filename} has the unknown npy version {version}")
        shape, _, dtype = headers[version](stream)
        if dtype.hasobject:
            raise UserError(
                f"cannot read {archive.filename}: {info.filename} holds pickled Python objects, "
                "which are never loaded; save plain arrays"
            )
        size = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or dtype.itemsize == 0 or size != info.file_size - stream.tell():
            raise ValueError(f"{info.filename} declares {dtype} {shape} and holds {info.file_size} bytes")
        return size


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
