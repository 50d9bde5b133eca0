"""Options of a source: are they those it takes, and of its types?"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

from ordinal_blast.errors import UsageError


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
        if not _fits(value, hints.get(name, Any)):
            raise UsageError(f"data.options.{name} is {value!r}: it takes {_words(hints[name])}")


def _fits(value: Any, hint: Any) -> bool:
    if typing.get_args(hint)[1:] == (...,):  # tuple[X, ...]
        return isinstance(value, tuple) and all(_fits(item, typing.get_args(hint)[0]) for item in value)
    kind = {bool: bool, int: Integral, float: Real, str: str}.get(hint, object)
    return isinstance(value, kind) and (hint is bool or kind is object or not isinstance(value, bool))


def _words(hint: Any) -> str:
    if typing.get_args(hint):
        return f"a tuple, each {_words(typing.get_args(hint)[0])}"
    return {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}[hint]
