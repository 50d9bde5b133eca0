"""A command in a process of its own: its time, and the most memory that it holds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ordinal_blast.errors import UserError

CLI = (sys.executable, "-m", "ordinal_blast.cli")


class Done(NamedTuple):
    """seconds: from start to end; text: what it printed."""

    seconds: float
    text: str


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Done:
    """Run a command to its end; raises UserError with its last words where it fails."""
    begun = time.perf_counter()
    everything = {**os.environ, **(environment or {})}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=everything)
    if done.returncode:
        raise UserError(f"{' '.join(command):.200} failed: {done.stdout[-500:]}")
    return Done(time.perf_counter() - begun, done.stdout)


def megabytes(code: str) -> float:
    """How much memory a process of this Python code holds at most, resident, in 10⁶ bytes."""
    done = run([sys.executable, "-c", f"{code}\nfrom ordinal_blast import resident\nprint(resident.peak())"])
    return float(done.text.split()[-1])
