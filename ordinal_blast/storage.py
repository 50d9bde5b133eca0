"""Files that are either whole or absent: atomic writes, and names made from content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from ordinal_blast.errors import UserError


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
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; free space or choose another --workdir and run the same "
            "command again, finished work is kept"
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN becomes null, because JSON has none."""
    with atomic(path) as stream:
        stream.write((json.dumps(_plain(value), indent=1) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file; raises UserError naming the file when it is missing or damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}; delete it and run the command that wrote it again") from error


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays as one compressed npz file, atomically."""
    with atomic(path) as stream:
        np.savez_compressed(stream, **arrays)


def _plain(value: Any) -> Any:
    """`value` with numpy scalars, tuples and non-finite numbers turned into what JSON has."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
