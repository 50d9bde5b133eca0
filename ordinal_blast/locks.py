"""One process at a time: a lock that the system frees when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def lock(path: Path, busy: Callable[[], None]) -> Iterator[bool]:
    """Hold the lock of the file `path`, which exists only while it is held (or after its holder was killed).

    busy: called where another process holds it; what it raises is the answer, and where it raises nothing this process
    waits. Yields whether it is held: False on a file system without locks. Raises OSError where no file can be made.
    """
    with contextlib.ExitStack() as stack:
        while True:
            stream = stack.enter_context(path.open("a"))
            held = _held(stream, busy)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(stream.fileno())):  # else it was unlinked meanwhile
                    break
        try:
            yield held
        finally:
            path.unlink(missing_ok=True)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of the file; False where there is none, or no locks can be had."""
    try:
        with path.open() as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _held(stream: IO[str], busy: Callable[[], None]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        busy()
        fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError:  # no locks here, or none left
        return False
    return True
