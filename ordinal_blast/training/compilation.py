"""Compiled programs: kept on disk for the next start, by JAX's own cache, and let go of where too many gather."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from pathlib import Path

import jax

from ordinal_blast.storage import digest
from ordinal_blast.training import parallel

_LARGEST = 2 << 30  # bytes of all programs together


def keep(folder: str) -> None:
    """Read and write the programs of this process in `folder` from here on; "" for nowhere.

    What JAX is configured to do, by JAX_COMPILATION_CACHE_DIR or in the process, stands. Nothing is kept where the
    folder cannot be written. An entry that another process has half written is compiled anew.
    """
    if not folder or "JAX_COMPILATION_CACHE_DIR" in os.environ or jax.config.jax_compilation_cache_dir is not None:
        return
    kept = Path(folder).expanduser()
    # JAX tells machines with other instructions apart, but not other numbers of threads, which order sums otherwise.
    place = kept / digest(parallel.hardware(tuple(jax.local_devices())))
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)  # who writes there runs code here
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError:
        return
    forget_oldest(kept)
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache", UserWarning)
    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # hundreds of small ones take seconds too


def forget() -> None:
    """Let go of every program of this process; what is still needed is compiled, or read from disk, again.

    Linux allows a process 65,530 mappings of memory. A program has tens of them, and beyond the limit compiling crashes
    the process: a long grid of losses and networks would.
    """
    jax.clear_caches()


def forget_oldest(folder: Path) -> None:
    """Delete the programs that were read or written longest ago, until all are no larger than `_LARGEST`."""
    entries = []
    for path in folder.glob("*/*-cache"):
        with contextlib.suppress(OSError):  # another process was first
            about = path.stat()
            entries.append((max(about.st_atime, about.st_mtime), about.st_size, path))
    size = 0
    for _, more, path in sorted(entries, reverse=True):
        size += more
        if size > _LARGEST:
            path.unlink(missing_ok=True)
