"""What a measurement was made on: processor, cores, versions, and settings that change speed."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

import jax
import jax.numpy as jnp

PACKAGES = ("jax", "jaxlib", "numpy", "flax", "torch", "keras", "onnxruntime", "openvino")
_VARIABLES = (
    "GLIBC_TUNABLES",
    "XLA_FLAGS",
    "XLA_PYTHON_CLIENT_PREALLOCATE",
    "OMP_NUM_THREADS",
    "MALLOC_MMAP_THRESHOLD_",
    "JAX_COMPILATION_CACHE_DIR",
)
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")


def facts() -> dict[str, str]:
    """Names and values, for people and for the record."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    processor, flags = _processor()
    device = jax.local_devices()[0]
    packages = {name: _version(name) for name in PACKAGES}
    return {
        "device": device.device_kind if device.platform != "cpu" else processor,
        "cores": str(cores),
        "instructions": ", ".join(flag for flag in _FLAGS if flag in flags) or "unknown",
        "precision": dtype().__name__,
        "huge pages": _huge_pages(),
        "environment": ", ".join(f"{name}={os.environ[name]}" for name in _VARIABLES if name in os.environ) or "none",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {version}" for name, version in packages.items()),
    }


def on_cpu() -> bool:
    """Whether the networks run on a CPU."""
    return jax.default_backend() == "cpu"


def dtype() -> type[jnp.floating]:
    """What the networks compute in here."""
    return jnp.float32 if on_cpu() else jnp.bfloat16


class Watch:
    """How busy others keep this machine from now on."""

    def __init__(self) -> None:
        self._begun = _ticks()

    def others(self) -> float | None:
        """The share 0 ... 1 of all cores' time that other processes took; None where the system does not say."""
        if self._begun is None or (now := _ticks()) is None:
            return None
        total, busy, own = (after - before for after, before in zip(now, self._begun, strict=True))
        return min(max((busy - own) / total, 0.0), 1.0) if total else None


def _ticks() -> tuple[float, float, float] | None:
    """Seconds so far of all cores, of those that worked, and of this process and its children; Linux alone says it."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return None
    ticks = [int(value) / os.sysconf("SC_CLK_TCK") for value in first]
    idle, spent = ticks[3] + ticks[4], os.times()
    own = spent.user + spent.system + spent.children_user + spent.children_system
    return sum(ticks), sum(ticks) - idle, own


def _processor() -> tuple[str, set[str]]:
    """Its name and the extensions of its instructions, as Linux says them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine(), set()
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return said.get("model name", platform.machine()), set(said.get("flags", said.get("Features", "")).split())


def _huge_pages() -> str:
    """When the system gives them: [always], [madvise] or [never]."""
    try:
        return Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text().partition("[")[2].partition("]")[0]
    except OSError:
        return "unknown"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
