"""One process at a time: a lock that the system frees when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def lock(path: Path, busy: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of the file `path`, which exists only while it is held (or after its holder was killed).

    busy: called where another process holds it; what it raises is the answer, and where it raises nothing this process
    waits. Raises OSError where the file cannot be made.
    """
    with contextlib.ExitStack() as stack:
        held = False
        while not held:  # a lock on a file that was unlinked meanwhile is none
            stream = stack.enter_context(path.open("a"))
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                busy()
                fcntl.flock(stream, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                held = os.path.samestat(path.stat(), os.fstat(stream.fileno()))
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
