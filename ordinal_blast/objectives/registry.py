"""Every objective of this package by name, and any other by where it stands."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from ordinal_blast import objectives, parts
from ordinal_blast.errors import UserError
from ordinal_blast.objectives.bound import Objective, bind
from ordinal_blast.objectives.families import Family
from ordinal_blast.objectives.loss import AnyLoss, is_objective, objective


def functions() -> dict[str, AnyLoss]:
    """Losses of this package by name, in alphabetical order: those that `ordinal_blast.objectives` exports."""
    exported = {name: getattr(objectives, name) for name in sorted(objectives.__all__)}
    return {name: loss for name, loss in exported.items() if is_objective(loss)}


def names() -> tuple[str, ...]:
    """Names of all objectives."""
    return tuple(functions())


def get(name: str, *, num_classes: int, fitted: Mapping[str, Any] | None = None, **options: Any) -> Objective:
    """Objective `name` for K = `num_classes` grades.

    name: one of `names()`, or "package.module:function" or "path/file.py:function" for a loss of your own: a plain
    function `(logits [B, K], labels [B], *, options) -> [B]`, or one made with `objective(family)`.
    fitted: what `Objective.fitted` said, to bind it again. ValueError for an unknown name or option, an option's value
    out of its range, and a loss of your own that does not return `[B]`.
    """
    try:
        function = parts.find("objective", name, functions())
    except UserError as error:
        raise ValueError(str(error)) from error
    return bind(name, function if is_objective(function) else _plain(function), num_classes, options, fitted)


@functools.cache
def _plain(function: Callable[..., jax.Array]) -> AnyLoss:
    """The loss of a function that is not decorated; the same one each time, so that equal objectives stay equal."""
    return objective()(function)


def table() -> list[dict[str, Any]]:
    """One row of facts for each objective with its defaults; see `objective` for their meaning.

    proper holds for any truth; truths says for which the objective would be proper, or estimates what it does, else.
    """
    return [
        {
            "name": name,
            "loss": (loss.__doc__ or "").partition("\n")[0],
            "family": loss.spec.family.__name__,
            "layer": loss.spec.family.layer,
            "outputs": _width(loss.spec.family),
            "options": bound.options,
            "decision": bound.decision(),
            "estimates": bound.estimates,
            "proper": bound.proper,
            "truths": bound.spec.truths,
            "unimodal": bound.unimodal,
            "same_as": bound.spec.same_as,
            "note": bound.spec.note,
            "soft_labels": loss.spec.soft_labels,
            "batch_coupled": loss.spec.batch_coupled,
            "cites": loss.spec.cites,
        }
        for name, loss in functions().items()
        for bound in [get(name, num_classes=3)]
    ]


def _width(family: type[Family]) -> str:
    """Number of raw outputs in terms of K."""
    return str(family.width) if family.width is not None else "K" + (f"{family.extra:+d}" if family.extra else "")
