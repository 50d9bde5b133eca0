"""The platform that a program is traced for: that of this machine, or those of machines where it will be run."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import jax

_EXPORTED: contextvars.ContextVar[str] = contextvars.ContextVar("exported", default="")


@contextlib.contextmanager
def exported(platform: str) -> Iterator[None]:
    """In this block programs are traced for "cpu" or another platform, without what this machine alone can compute."""
    token = _EXPORTED.set(platform)
    try:
        yield
    finally:
        _EXPORTED.reset(token)


def platform() -> str:
    """Of what is traced now: "cpu" or another."""
    return _EXPORTED.get() or jax.default_backend()


def here() -> bool:
    """Whether what is traced now runs on this machine alone."""
    return not _EXPORTED.get()
