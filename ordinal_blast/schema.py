"""Sections of settings: frozen dataclasses whose fields say what they may be, changed by dotted keys."""

from __future__ import annotations

import ast
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ordinal_blast import parts
from ordinal_blast.errors import UsageError
from ordinal_blast.ranges import Range

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance")


class UnknownSetting(Exception):
    """A key that no setting has, as it was written; `settings` says which are near."""


def setting(
    default: Any,
    doc: str,
    allowed: Range | None = None,
    *,
    place: bool = False,
    decision: bool = False,
    part: str = "",
) -> Any:
    """A field of a section. default: a value, a section, or a function that makes one (a section's class is one).

    allowed: what it may be, beyond its type. place: where files lie, or how many cells go side by side, which changes
    no result. decision: changes what is said of trained models, and not the training. part: the kind of part that it
    names, such as "network".
    """
    metadata = {"doc": doc, "allowed": allowed, "place": place, "decision": decision, "part": part}
    if isinstance(default, Mapping):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def fields(section: Any) -> tuple[dataclasses.Field[Any], ...]:
    """The settings and sections of a section."""
    return tuple(field for field in dataclasses.fields(section) if not field.metadata.get("stages"))


def changed(section: S, path: Sequence[str], value: Any, key: str, *, texts: bool) -> S:
    """The section with the setting, section or option at `path` changed; `key` names it in messages.

    texts: texts are read as the type that stands there, as those of a command line are. Raises UnknownSetting, or
    UsageError for a value that the setting does not take.
    """
    field = next((field for field in fields(section) if field.name == path[0]), None)
    if field is None:
        raise UnknownSetting(key)
    current: Any = getattr(section, field.name)
    rest = path[1:]
    new: Any
    if isinstance(current, Mapping):
        new = _options(current, rest, value, key, texts)
    elif dataclasses.is_dataclass(current) and not isinstance(current, type):
        new = (
            changed(current, rest, value, key, texts=texts)
            if rest
            else replaced(default_of(field), current, value, key, texts=texts)
        )
    elif rest:
        raise UnknownSetting(key)
    else:
        new = _value(field, _hints(section.__class__)[field.name], value, key, texts)
    return dataclasses.replace(section, **{field.name: new})


def replaced(default: S, current: S, value: Any, key: str, *, texts: bool) -> S:
    """A section made of `value`: a mapping states what differs from `default`; a text names the part of `current`."""
    value = _read(value) if texts else value
    by_name = fields(current)[0].name == "name"
    if isinstance(value, str) and by_name:
        named = changed(current, ["name"], value, f"{key}.name", texts=False)
        return dataclasses.replace(named, options={})
    if not hasattr(value, "items"):
        takes = f"a section of settings{', or the name of a part' if by_name else ''}"
        raise UsageError(f"{key} is {value!r:.100}: it takes {takes}")
    for name, inner in _items(value, key):
        default = changed(default, [name], inner, f"{key}.{name}", texts=texts)
    return default


def default_of(field: dataclasses.Field[Any]) -> Any:
    """What a field is where nothing is stated."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def plain(value: Any, key: str) -> Any:
    """A value as dicts, tuples and scalars; raises UsageError for what cannot be stored."""
    if hasattr(value, "items"):
        return {name: plain(inner, f"{key}.{name}".lstrip(".")) for name, inner in _items(value, key)}
    if isinstance(value, list | tuple):
        return tuple(plain(inner, key) for inner in value)
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise UsageError(
        f"{key} is {value!r:.100}: settings are text, finite numbers, booleans, None, and tuples and sections of these"
    )


def tree(section: Any) -> dict[str, Any]:
    """Every setting of a section and of those in it, as JSON has it."""
    return {field.name: listed(getattr(section, field.name)) for field in fields(section)}


def listed(value: Any) -> Any:
    """A section or a value as JSON has it."""
    if dataclasses.is_dataclass(value):
        return tree(value)
    if isinstance(value, Mapping):
        return {name: listed(inner) for name, inner in value.items()}
    return [listed(inner) for inner in value] if isinstance(value, list | tuple) else value


class Leaf(typing.NamedTuple):
    """One setting, under its dotted key; the options of a part are one."""

    key: str
    value: Any
    field: dataclasses.Field[Any]
    hint: Any

    @property
    def takes(self) -> str:
        """What it may be, in words that follow "it takes"."""
        return _takes(self.field, self.hint)

    def is_a(self, mark: str) -> bool:
        """Whether it is marked as a "place", or a "decision"."""
        return bool(self.field.metadata.get(mark))


@functools.lru_cache(maxsize=64)
def _hints(section: type) -> Mapping[str, Any]:
    """Working them out of their text takes longer than all else that is done with settings."""
    return typing.get_type_hints(section)


def leaves(section: Any, prefix: str = "") -> Iterator[Leaf]:
    """Every setting of a section and of those in it."""
    hints = _hints(section.__class__)
    for field in fields(section):
        value = getattr(section, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{prefix}{field.name}.")
        else:
            yield Leaf(f"{prefix}{field.name}", value, field, hints[field.name])


def differences(section: Any, default: Any, *, decision: bool) -> dict[str, Any]:
    """The settings that `default` has otherwise, by dotted key and as JSON has them, without places.

    decision: with those that change only what is said of trained models.
    """
    defaults = {leaf.key: leaf.value for leaf in leaves(default)}
    result: dict[str, Any] = {}
    for leaf in leaves(section):
        counts = not leaf.is_a("place") and (decision or not leaf.is_a("decision"))
        if counts and leaf.value != defaults[leaf.key]:
            result |= _flat(leaf.key, listed(leaf.value))
    return result


def _flat(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {key: value}
    return {name: leaf for inner in value for name, leaf in _flat(f"{key}.{inner}", value[inner]).items()}


def _options(current: Mapping[str, Any], path: Sequence[str], value: Any, key: str, texts: bool) -> dict[str, Any]:
    """Free options, with the one at `path` changed, or all; a text stays one where a text stands there."""
    if not path:
        value = _read(value) if texts else value
        if not hasattr(value, "items"):
            raise UsageError(f"{key} is {value!r:.100}: it takes a section of options")
        return plain(value, key)
    name, *rest = path
    there = current.get(name)
    if not name or (rest and not isinstance(there, Mapping | None)):
        raise UnknownSetting(key)
    if rest:
        return {**current, name: _options(there or {}, rest, value, key, texts)}
    return {**current, name: plain(_read(value) if texts and not isinstance(there, str) else value, key)}


def _value(field: dataclasses.Field[Any], hint: Any, value: Any, key: str, texts: bool) -> Any:
    if texts and isinstance(value, str) and not _takes_text(hint):
        value = _read(value)
        if isinstance(value, str) and typing.get_origin(hint) is tuple:
            value = (value,)
    for allowed in (parts.range_of(hint), field.metadata.get("allowed")):
        if allowed and not allowed.holds(value):
            raise UsageError(f"{key} is {value!r:.100}: it takes {_takes(field, hint)}")
    return plain(_as(hint, value), key)


def _as(hint: Any, value: Any) -> Any:
    """A value that a hint allows as the very type of the hint: 1 is no other setting than 1.0."""
    if hint in (int, float, bool):
        return hint(value)
    if typing.get_origin(hint) is tuple and isinstance(value, list | tuple):
        inner = typing.get_args(hint)
        hints = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return tuple(map(_as, hints, value)) if len(hints) == len(value) else tuple(value)
    return value


def _takes(field: dataclasses.Field[Any], hint: Any) -> str:
    allowed = field.metadata.get("allowed") or parts.range_of(hint)
    options = isinstance(origin := typing.get_origin(hint), type) and issubclass(origin, Mapping)
    return allowed.words if allowed else "options" if options else "anything that can be stored"


def _takes_text(hint: Any) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(map(_takes_text, typing.get_args(hint)))
    return hint is str or (typing.get_origin(hint) is typing.Literal and isinstance(typing.get_args(hint)[0], str))


def _items(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if not isinstance(name, str) or not name or "." in name:
            raise UsageError(f"{key or 'the configuration'} has the key {name!r}: keys are texts without dots")
        yield name, inner


def _read(value: Any) -> Any:
    """A text as the Python literal that it is, if it is one."""
    if not isinstance(value, str):
        return value
    text = {"true": "True", "false": "False"}.get(value.lower(), value)
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # all that literal_eval is known to raise
        return value
