"""Which values the options of an objective may have: said once, in their annotations, and checked wherever given."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import jax
import numpy as np

from ordinal_blast import parts
from ordinal_blast.ranges import ANYTHING, Range, number


@dataclasses.dataclass(frozen=True)
class Numbers:
    """K - missing finite numbers, or a square of them, for which something holds; or None."""

    words: str
    holds: Callable[[np.ndarray], Any] = lambda array: True
    missing: int = 0
    square: bool = False

    def of(self, num_classes: int | None) -> Range:
        """The values for K grades; any where K is not known."""
        if num_classes is None:
            return ANYTHING
        shape = (num_classes - self.missing,) * (2 if self.square else 1)

        def holds(value: Any) -> bool:
            if value is None:
                return True
            try:
                array = np.asarray(value)
            except ValueError:  # ragged
                return False
            fits = array.shape == shape and array.dtype.kind in "fiu" and np.isfinite(array).all()
            return bool(fits and self.holds(array.astype(np.float64)))

        return Range(f"{self.words} for K = {num_classes}", holds)


def _weights(array: np.ndarray) -> bool:
    return bool(np.all(array >= 0) and np.any(array > 0))


def _distributions(rows: np.ndarray) -> bool:
    return bool(np.all(rows >= 0) and np.allclose(rows.sum(axis=-1), 1, rtol=0, atol=1e-6))


NotNegative = Annotated[float, number(least=0)]
Positive = Annotated[float, number(above=0)]
Share = Annotated[float, number(least=0, most=1)]
LessThanOne = Annotated[float, number(least=0, below=1)]
Vector = tuple[float, ...] | None
Matrix = tuple[tuple[float, ...], ...] | None
PerGrade = Annotated[Vector, Numbers("K finite numbers")]
Rising = Annotated[Vector, Numbers("K finite increasing numbers", lambda x: np.all(np.diff(x) > 0))]
ClassWeights = Annotated[Vector, Numbers("K finite numbers, none negative and not all 0,", _weights)]
ThresholdWeights = Annotated[Vector, Numbers("K - 1 finite numbers, none negative and not all 0,", _weights, missing=1)]
Charges = Annotated[
    Matrix, Numbers("[K, K] finite numbers, label by grade, none negative,", lambda x: np.all(x >= 0), square=True)
]
Distributions = Annotated[
    Matrix, Numbers("[K, K] numbers, each row a distribution over grades,", _distributions, square=True)
]
_ANY_NUMBER = Range("a number", lambda value: number().holds(value) or value in (math.inf, -math.inf))


def _stated(annotation: Any) -> Range | Numbers | None:
    """What an annotation says of its values; None where it says nothing."""
    for said in getattr(annotation, "__metadata__", ()):
        if isinstance(said, Numbers):
            return said
    return _ANY_NUMBER if annotation is float else parts.range_of(annotation)


@functools.cache
def stated(thing: Any) -> dict[str, Range | Numbers]:
    """What the annotations of a function's parameters or of a class's fields say of their values."""
    try:
        hints = typing.get_type_hints(thing, include_extras=True)
    except NameError:  # a loss from outside whose annotations are for type checkers only: they say nothing here
        return {}
    return {name: allowed for name, hint in hints.items() if (allowed := _stated(hint))}


def check(name: str, thing: Any, chosen: Mapping[str, Any], num_classes: int | None) -> None:
    """ValueError that names objective, option, valid values and value for one that is not valid; traced ones pass."""
    known = stated(thing)
    for option, value in chosen.items():
        if option not in known or isinstance(value, jax.core.Tracer):
            continue
        allowed = known[option]
        if isinstance(allowed, Numbers):
            allowed = allowed.of(num_classes)
        if not allowed.holds(value):
            raise ValueError(f"{name}: {option} must be {allowed.words}, got {value!r:.100}")
