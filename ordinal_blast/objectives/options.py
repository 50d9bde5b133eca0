"""Which values the options of an objective may have: said once, in their annotations, and checked wherever given."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import jax
import numpy as np


@dataclasses.dataclass(frozen=True)
class Rule:
    """The values of an option in words, and whether a value for K grades is one of them (K None: not known)."""

    says: str
    holds: Callable[[Any, int | None], bool]


def _array(value: Any, *shape: int) -> np.ndarray | None:
    """Finite numbers of a shape in float64, or None where the value is something else."""
    try:
        found = np.asarray(value)
    except ValueError:  # ragged
        return None
    fits = found.shape == shape and found.dtype.kind in "fiu" and np.isfinite(found).all()
    return found.astype(np.float64) if fits else None


def number(says: str, holds: Callable[[float], bool] = lambda value: True) -> Rule:
    """A finite number for which something holds."""
    return Rule(says, lambda value, _: (x := _array(value)) is not None and bool(holds(float(x))))


def vector(
    says: str, missing: int = 0, holds: Callable[[np.ndarray], Any] = lambda value: True, square: bool = False
) -> Rule:
    """K - missing finite numbers, or K rows of them, for which something holds; or None."""

    def check(value: Any, num_classes: int | None) -> bool:
        if value is None or num_classes is None:
            return True
        array = _array(value, *(num_classes - missing,) * (2 if square else 1))
        return array is not None and bool(holds(array))

    return Rule(says, check)


def _weights(array: np.ndarray) -> bool:
    return bool(np.all(array >= 0) and np.any(array > 0))


def distributions(rows: np.ndarray) -> bool:
    """Whether each row is one, to 1e-6."""
    return bool(np.all(rows >= 0) and np.allclose(rows.sum(axis=-1), 1, rtol=0, atol=1e-6))


NotNegative = Annotated[float, number("a finite number >= 0", lambda x: x >= 0)]
Positive = Annotated[float, number("a finite number > 0", lambda x: x > 0)]
Share = Annotated[float, number("in [0, 1]", lambda x: 0 <= x <= 1)]
LessThanOne = Annotated[float, number("in [0, 1)", lambda x: 0 <= x < 1)]
Vector = tuple[float, ...] | None
Matrix = tuple[tuple[float, ...], ...] | None
Numbers = Annotated[Vector, vector("K finite numbers")]
Rising = Annotated[Vector, vector("K finite increasing numbers", holds=lambda x: np.all(np.diff(x) > 0))]
ClassWeights = Annotated[Vector, vector("K finite numbers >= 0, not all of them 0", holds=_weights)]
ThresholdWeights = Annotated[Vector, vector("K - 1 finite numbers >= 0, not all of them 0", 1, _weights)]
Charges = Annotated[
    Matrix, vector("[K, K] finite numbers >= 0 (label by grade)", holds=lambda x: np.all(x >= 0), square=True)
]
Distributions = Annotated[
    Matrix, vector("[K, K] numbers, each row a distribution over grades", holds=distributions, square=True)
]


def rule_of(annotation: Any) -> Rule | None:
    """The rule that an annotation states; None where it states none."""
    if typing.get_origin(annotation) is Literal:
        choices = typing.get_args(annotation)
        return Rule(f"one of {', '.join(choices)}", lambda value, _: isinstance(value, str) and value in choices)
    if annotation is bool:
        return Rule("true or false", lambda value, _: isinstance(value, (bool, np.bool_)))
    if annotation is float:
        return Rule("a number", lambda value, _: _array(value) is not None or value in (math.inf, -math.inf))
    return next((part for part in getattr(annotation, "__metadata__", ()) if isinstance(part, Rule)), None)


@functools.cache
def rules(thing: Any) -> dict[str, Rule]:
    """Rules of the annotated parameters of a function or fields of a class."""
    try:
        hints = typing.get_type_hints(thing, include_extras=True)
    except NameError:  # a loss from outside whose annotations are for type checkers only: they say nothing here
        return {}
    return {name: rule for name, hint in hints.items() if (rule := rule_of(hint))}


def check(name: str, thing: Any, given: Mapping[str, Any], num_classes: int | None) -> None:
    """ValueError that names objective, option, valid values and value for one that is not valid; traced ones pass."""
    for option, value in given.items():
        rule = rules(thing).get(option)
        if rule and not isinstance(value, jax.core.Tracer) and not rule.holds(value, num_classes):
            grades = f" for K = {num_classes}" if "K" in rule.says else ""
            raise ValueError(f"{name}: {option} must be {rule.says}{grades}, got {value!r}")
