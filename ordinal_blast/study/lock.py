"""One run at a time on a work directory."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

from ordinal_blast.errors import UsageError, reason
from ordinal_blast.locks import is_held, lock

_FILE = ".lock"


def holder(root: Path) -> tuple[str, float] | None:
    """Which process is at work on the directory, and since when, in seconds of `time.time`; None where none is."""
    path = root / _FILE
    with contextlib.suppress(OSError):  # it may end this moment
        if is_held(path):
            return path.read_text().strip() or "another process", path.stat().st_mtime
    return None


@contextlib.contextmanager
def alone(root: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the work directory `root`, made if it is not there, for as long as the block lasts; `kill -9` frees it.

    Raises UsageError where another process holds it, or `root` cannot be a folder; `say` is told of file systems
    without locks.
    """
    path = root / _FILE

    def busy() -> None:
        with contextlib.suppress(FileNotFoundError):  # it may end this moment
            holder = path.read_text().strip() or "another process"
            raise UsageError(f"{root} is in use by {holder}: wait for it, or use another --workdir")

    with contextlib.ExitStack() as stack:
        try:
            root.mkdir(parents=True, exist_ok=True)
            held = stack.enter_context(lock(path, busy))
            path.write_text(f"process {os.getpid()} on {platform.node()}\n")
        except OSError as error:
            raise UsageError(f"--workdir {root} cannot be written: {reason(error)}; name a folder of yours") from error
        if not held:
            say(f"Warning: no lock can be had in {root}: let no second run use it meanwhile")
        yield
