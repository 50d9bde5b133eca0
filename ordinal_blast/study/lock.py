"""One run at a time on a work directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

from ordinal_blast.errors import UsageError, reason


@contextlib.contextmanager
def alone(root: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the work directory `root`, made if it is not there, for as long as the block lasts.

    The system lets go of the lock when its process ends, however it ends, so that `kill -9` leaves nothing stale.
    Raises UsageError where another process holds it, or `root` cannot be a folder; `say` is told of file systems
    without locks.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        stream = (root / ".lock").open("a+")
    except OSError as error:
        raise UsageError(f"--workdir {root} cannot be written: {reason(error)}; name a folder of your own") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read().strip() or "another process"
            raise UsageError(f"{root} is in use by {holder}: wait for it, or use another --workdir") from error
        except OSError as error:
            say(f"Warning: {root} cannot be locked ({reason(error)}): let no second run use it meanwhile")
        stream.truncate(0)
        stream.write(f"process {os.getpid()} on {platform.node()}\n")
        stream.flush()
        yield
