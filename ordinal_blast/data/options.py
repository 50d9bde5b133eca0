"""Options of a source: are they those it takes, and of its types?"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from ordinal_blast import ranges
from ordinal_blast.errors import UsageError

_RANGES = {bool: ranges.FLAG, int: ranges.WHOLE, float: ranges.number(), str: ranges.TEXT}


def check(taker: Callable[..., Any], options: Mapping[str, Any], *positional: Any) -> None:
    """Raise UsageError unless `taker(*positional, **options)` can be called and each value is what its hint says."""
    try:
        inspect.signature(taker).bind(*positional, **options)
    except TypeError as error:
        raise UsageError(f"data.options do not fit data.source: {error}") from error
    try:
        hints = typing.get_type_hints(taker)
    except NameError:  # hints that only a type checker can read say nothing here
        return
    for name, value in options.items():
        ranges.check(f"data.options.{name}", value, _range(hints.get(name)))


def _range(hint: Any) -> ranges.Range:
    """The values that a hint speaks of: one of four plain types or a tuple of them, else anything."""
    if typing.get_args(hint)[1:] == (...,):  # tuple[X, ...]
        return ranges.each(_range(typing.get_args(hint)[0]), empty=True)
    return _RANGES.get(hint, ranges.ANYTHING)
