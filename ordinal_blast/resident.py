"""How much memory a process holds."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak() -> float:
    """The most that this process has held so far, resident, in 10⁶ bytes."""
    if sys.platform == "linux":  # rusage would begin with what the parent held
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
