"""The memory that a process says it held is what it held."""

import subprocess
import sys
from types import SimpleNamespace

import jax

from ordinal_blast import resident
from ordinal_blast.training import parallel

HOLDING = """
import numpy as np
from ordinal_blast import resident

before = resident.peak()
held = np.ones(50_000_000)
del held
print(before, resident.peak())
"""


def test_what_was_held_and_given_back_is_in_the_peak():
    done = subprocess.run([sys.executable, "-c", HOLDING], capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert 390 < after - before < 410  # 400 MB, but for what was held and not used again


def test_a_cpu_holds_what_its_process_holds_and_another_device_what_it_says(monkeypatch):
    monkeypatch.setattr(resident, "peak", lambda: 123.0)
    assert parallel.peak_memory(tuple(jax.devices()[:2])) == 123.0
    said = [SimpleNamespace(memory_stats=lambda n=n: {"peak_bytes_in_use": n * 10**6}) for n in (3, 7, 5)]
    assert parallel.peak_memory(tuple(said)) == 7.0
