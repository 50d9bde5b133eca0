"""What a setting may be, in words and as a test, so that a value that means nothing is refused where it is given."""

from __future__ import annotations

import dataclasses
import errno
import math
import numbers
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ordinal_blast.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Range:
    """The values that a setting takes: in words that follow "it takes", and as a test of any object."""

    words: str
    holds: Callable[[Any], bool]


def check(name: str, value: Any, allowed: Range) -> None:
    """Raise UsageError that names the setting, its value and what it takes, unless the value is allowed."""
    if not allowed.holds(value):
        raise UsageError(f"{name} is {value!r:.100}: it takes {allowed.words}")


def check_fields(thing: Any, table: Mapping[str, Range], section: str) -> None:
    """Check the fields of a dataclass that `table` names; raises UsageError for the first, as `section.field`."""
    for name, allowed in table.items():
        check(f"{section}.{name}", getattr(thing, name), allowed)


_MOST = 2**31 - 1  # what counts steps and widths on a device


def whole(low: int, high: int = _MOST) -> Range:
    """Whole numbers low ... high, or from `low` on as far as a device counts; True and False are none."""
    words = f"a whole number from {low} {'on' if high == _MOST else f'to {high}'}"
    return Range(words, lambda value: _is_whole(value) and low <= value <= high)


def number(
    *, above: float = -math.inf, least: float = -math.inf, most: float = math.inf, below: float = math.inf
) -> Range:
    """Finite numbers within all the bounds that are given."""
    bounds = {"above": above, "of at least": least, "of at most": most, "below": below}
    stated = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound))

    def holds(value: Any) -> bool:
        return _is_finite(value) and above < value < below and least <= value <= most

    return Range(f"a number {stated}".rstrip(), holds)


def _is_finite(value: Any) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def one_of(*choices: Any) -> Range:
    """Any of the choices."""
    return Range("one of " + ", ".join(map(repr, choices)), lambda value: value in choices)


def list_of(allowed: Range, count: int | None = None, *, empty: bool = False) -> Range:
    """Tuples or lists of `count` values, or of any number (none only if `empty`), that are allowed one by one."""
    size = f"{count} values" if count is not None else "values" if empty else "at least one value"

    def holds(value: Any) -> bool:
        if not isinstance(value, tuple | list):
            return False
        fits = len(value) == count if count is not None else empty or len(value) > 0
        return fits and all(map(allowed.holds, value))

    return Range(f"{size}, each {allowed.words}", holds)


def _is_path(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        os.lstat(os.path.join(os.path.expanduser(value), "x" * 99))  # with room for the files in it
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    except ValueError:  # a NUL, or a letter that no file name has
        return False
    return True


SEED = whole(0, 2**32 - 1)  # a random key has 32 bits of seed: 2³² would silently be 0, and −1 be 2³² − 1
WHOLE = Range("a whole number", _is_whole)
FLAG = Range("True or False", lambda value: isinstance(value, bool | np.bool_))
TEXT = Range("a text", lambda value: isinstance(value, str))
ANYTHING = Range("anything", lambda value: True)
SHARES = Range(
    "three numbers above 0 that sum to 1",
    lambda value: list_of(number(above=0), count=3).holds(value) and math.isclose(sum(value), 1),
)
PATH = Range("a path that is not too long", _is_path)  # whether anything lies there is another question
