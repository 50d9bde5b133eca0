"""One number of a variant, or of a grader beside it, with its interval, as a row of a frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ordinal_blast.evaluation import simultaneous
from ordinal_blast.evaluation.multireader import Comparison, Contrast
from ordinal_blast.evaluation.validation import count_units
from ordinal_blast.report.measures import LEVEL
from ordinal_blast.report.results import Group

COLUMNS: tuple[str, ...] = (
    "stage",
    "task",
    "variant",
    "quantity",
    "mean",
    "standard_error",
    "low",
    "high",
    "p",
    "basis",
    "seeds",
    "n",
)
COLUMNS += ("units", "why")


def row(
    group: Group,
    variant: str,
    quantity: str,
    contrast: Contrast,
    one: Comparison,
    n: int,
    bounds: tuple[float, float] | None = None,
    span: float = 1.0,
) -> dict[str, Any]:
    """The row of a contrast of a comparison on n examples.

    bounds: of a value; None of a difference, which has a p, and is `span` at most either way.
    """
    low, high = math.nan, math.nan
    if not contrast.degenerate:
        low, high = simultaneous.interval(contrast, confidence=LEVEL, bounds=bounds)
        low, high = (low, high) if bounds else (max(low, -span), min(high, span))
    return {
        "stage": group.stage,
        "task": group.task,
        "variant": variant,
        "quantity": quantity,
        "mean": contrast.estimate,
        "standard_error": contrast.standard_error,
        "low": low,
        "high": high,
        "p": math.nan if bounds else simultaneous.p_value(contrast),
        "basis": contrast.basis,
        "seeds": one.seeds,
        "n": n,
        "units": one.units,
        "why": contrast.degenerate,
    }


def of_test(group: Group, variant: str, chosen: np.ndarray) -> Mapping[str, np.ndarray]:
    """Grades `[S, n]`, probs `[S, n, K]` and scores `[S, n]` of a variant's seeds on the chosen test examples."""
    seeds = group.seeds[variant]
    return {name: group.seeded(variant, seeds, name)[:, chosen] for name in ("grades", "probs", "scores")}


def patients(group: Group, chosen: np.ndarray) -> np.ndarray | None:
    """The patient of each of the chosen test examples, all of which have a label; None where each has its own."""
    return None if group.patients is None else group.patients[chosen[group.known]]


def enough(of: np.ndarray | None, n: int, least: int = 2) -> bool:
    """Whether n examples, of these patients, are so many units."""
    return (n if of is None else count_units(of)) >= least
