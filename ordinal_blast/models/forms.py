"""Which of an operator's forms is computed."""

from __future__ import annotations

import jax.numpy as jnp

from ordinal_blast.models import native, platforms


def resolved(option: str, form: str, dtype: jnp.dtype, *, pure: str, elsewhere: str) -> str:
    """The form itself, or, of "auto", on a CPU "native" or else the pure form, and elsewhere the other.

    `bench` measures them. ValueError that names the option for "native" where there are no kernels for this dtype.
    """
    if form == "auto":
        if platforms.platform() != "cpu":
            return elsewhere
        return "native" if native.able(dtype) else pure
    if form == "native":
        native.check(option, dtype)
    return form
