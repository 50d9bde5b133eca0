"""What `ordinal-blast settings` prints: every setting, what it may be, what it means, what a configuration changes."""

from __future__ import annotations

import inspect
import itertools
import re
import textwrap
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ordinal_blast import kinds, parts, schema
from ordinal_blast.errors import UsageError
from ordinal_blast.settings import Settings, leaves

_WIDTH, _LINE = 46, 120  # of a setting with its value, before what it means; and of both
_ELSEWHERE = ("axis_name", "learning_rate")  # parameters of parts that other settings, or the machine, give
_HEAD = """Any of these stands in a configuration, or on the command line as --config.KEY=VALUE.
* differs from the default. place: changes no result. decision: changes what is said of a trained model alone."""


def rows(settings: Settings) -> list[dict[str, Any]]:
    """Every setting, and every option of the parts that are named, with its value, ready for JSON."""
    defaults = {leaf.key: leaf.value for leaf in leaves(Settings())}
    for name in settings.chain:
        defaults |= {leaf.key: leaf.value for leaf in schema.leaves(type(settings.stages[name])(), f"{name}.")}
    listed: list[dict[str, Any]] = []
    part = None  # of the section, whose options come after its name
    for leaf in leaves(settings):
        if leaf.field.name in ("name", "source"):
            part = next(iter(kinds.named([leaf])), None) if leaf.value != "none" else None
        if leaf.field.name == "options" and part:
            listed += _options(leaf.key, leaf.value, kinds.find(*part[1:]))
        else:
            marks = [mark for mark in ("place", "decision") if leaf.is_a(mark)]
            meaning = leaf.field.metadata.get("doc", "")
            if leaf.field.name in ("name", "source") and part and (summary := _summary(kinds.find(*part[1:]))):
                meaning = f"{meaning}; {leaf.value}: {summary}"
            takes = "" if leaf.field.metadata.get("part") else leaf.takes  # a part's name, as the meaning says
            listed.append(_row(leaf.key, leaf.hint, leaf.value, defaults[leaf.key], takes, meaning, marks))
    return listed


def text(settings: Settings) -> str:
    """The rows for a terminal."""
    lines, section = [_HEAD], ""
    for row in rows(settings):
        top, _, inside = row["key"].partition(".")
        lines += [""] if inside and top != section else []
        section = top
        changed = row["value"] != row["default"]
        head = (
            f"{'*' if changed else ' '} {row['key']}: {textwrap.shorten(row['type'], _WIDTH)} = {_shown(row['value'])}"
        )
        said = (row["meaning"], row["takes"], f"default {_shown(row['default'])}" if changed else "", *row["marks"])
        lines += _beside(head, "; ".join(filter(None, said)))
    return "\n".join(lines)


def _row(
    key: str, hint: Any, value: Any, default: Any, takes: str, meaning: str, marks: list[str] | tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "key": key,
        "type": _type(hint),
        "value": _stored(value),
        "default": _stored(default),
        "takes": takes,
        "meaning": meaning,
        "marks": list(marks),
    }


def _options(key: str, options: Mapping[str, Any], part: Any) -> Iterator[dict[str, Any]]:
    """The options that a part takes by its signature, and those beside them that are stated."""
    allowed, hints = parts.stated(part), parts.hints(part)
    taken = {p.name: p for p in parts.options_of(part) if p.name not in _ELSEWHERE}
    meanings = _meanings(part, taken)
    for name in (*taken, *(option for option in options if option not in taken)):
        parameter = taken.get(name)
        keyword = parameter is None or parameter.kind == parameter.KEYWORD_ONLY
        default = parameter.default if parameter else inspect.Parameter.empty
        if default is inspect.Parameter.empty and not keyword:
            continue  # what the part is called with
        default = None if default is inspect.Parameter.empty else default
        hint = hints.get(name, parameter.annotation) if parameter else type(options[name])
        if name not in allowed and isinstance(default, bool | int | float | str):
            hint = type(default)  # simpler than the unions of other packages
        takes = allowed[name].words if name in allowed else ""
        refused = "" if parameter or parts.open_ended(part) else "no option of this part: a run refuses it"
        yield _row(f"{key}.{name}", hint, options.get(name, default), default, takes, refused or meanings.get(name, ""))


def _summary(part: Any) -> str:
    """The first sentence of a part's docstring, empty where it has none of its own."""
    paragraph = _one_line((inspect.getdoc(part) or "").partition("\n\n")[0])
    own = part.__doc__ and not paragraph.startswith(f"{getattr(part, '__name__', '')}(")  # as dataclasses make them
    return _sentence(paragraph) if own else ""


def _meanings(part: Any, options: Iterable[str]) -> dict[str, str]:
    """What a part's docstring says of its options, each in a sentence after its name and a colon."""
    names = "|".join(map(re.escape, options))
    if not names:
        return {}
    said: dict[str, str] = {}
    for paragraph in map(_one_line, (inspect.getdoc(part) or "").split("\n\n")):
        heads = list(re.finditer(rf"(?:^|(?<=[.;] ))((?:{names})(?:, (?:{names}))*): ", paragraph))
        for head, following in itertools.zip_longest(heads, heads[1:]):
            meaning = paragraph[head.end() : following.start() if following else None]
            said |= dict.fromkeys(head[1].split(", "), _sentence(meaning))
    return said


def _sentence(text: str) -> str:
    """The first one, without its stop."""
    return re.split(r"\. (?=[^a-z])", text)[0].strip().rstrip(".;")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _type(hint: Any) -> str:
    """A type as an annotation spells it."""
    while hasattr(hint, "__metadata__"):  # of Annotated, which `takes` tells
        hint = hint.__origin__
    if hint is inspect.Parameter.empty:
        return "anything"
    text = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", text)  # without the modules


def _stored(value: Any) -> Any:
    """A value as JSON has it; the name of a type, or what else a part has for a default."""
    try:
        return schema.listed(schema.plain(value, ""))
    except UsageError:
        return getattr(value, "__name__", repr(value))


def _shown(value: Any) -> str:
    return textwrap.shorten(repr(value), _WIDTH)


def _beside(head: str, meaning: str) -> list[str]:
    """The meaning in a column of its own, from the next line on where the head is wide."""
    column = textwrap.wrap(meaning, _LINE - _WIDTH) or [""]
    first = [head] if len(head) >= _WIDTH else [f"{head:<{_WIDTH}}{column.pop(0)}".rstrip()]
    return first + [" " * _WIDTH + line for line in column if line]
