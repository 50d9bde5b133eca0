"""Text that somebody chose, put into HTML and Markdown so that it stays text."""

from __future__ import annotations

import re
from typing import Any

import markupsafe

from ordinal_blast.report.names import visible

# What Markdown would take for code, emphasis, mathematics, the edge of a table cell, a link or an escape.
_SPECIAL = re.compile(r"[`*~$|\\]|(?<=\])[(\[:]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_INTERVAL = re.compile(r"\[[^\[\]]*\]")
_SPACE = re.compile(r"[ \t\n\u2028\u2029]+")  # not the one that keeps a number and its unit together


def html(value: Any) -> Any:
    """What a template prints: text without control characters, still to be escaped."""
    return visible(value) if type(value) is str else value


def markdown(value: Any) -> Any:
    """What a template prints: text on one line, with everything that Markdown or HTML would read as entities."""
    if type(value) is not str:
        return value
    escaped = str(markupsafe.escape(_SPACE.sub(" ", visible(value)).strip()))
    return markupsafe.Markup(_SPECIAL.sub(lambda match: f"&#{ord(match[0])};", escaped))


def verbatim(text: str) -> markupsafe.Markup:
    """Text between `<pre>` and `</pre>`: its lines and spaces stay."""
    return markupsafe.escape(visible(text))


def quoted(address: str) -> markupsafe.Markup:
    """An address between single quotes; that of an SVG is full of double ones and of what only text must escape."""
    return markupsafe.Markup(visible(address).replace("&", "&amp;").replace("'", "&#39;"))


def unbroken(text: str) -> markupsafe.Markup:
    """Text whose intervals stay on one line."""
    return markupsafe.Markup(_INTERVAL.sub(r"<span>\g<0></span>", str(markupsafe.escape(visible(text)))))


def breakable(name: str) -> markupsafe.Markup:
    """A name that may wrap after an underscore."""
    return markupsafe.escape(visible(name)).replace("_", markupsafe.Markup("_<wbr>"))
