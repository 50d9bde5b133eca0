"""Which of an operator's forms is computed where the form is "auto"."""

from __future__ import annotations

import jax


def resolved(form: str, *, on_cpu: str, elsewhere: str) -> str:
    """The form itself, or, of "auto", the one for the kind of the present default device; `bench` measures both."""
    if form != "auto":
        return form
    return on_cpu if jax.default_backend() == "cpu" else elsewhere
