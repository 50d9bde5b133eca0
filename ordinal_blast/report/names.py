"""Names that somebody chose, made safe to show: visible, on one line, short and still told apart."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

LONGEST = 24  # characters of a name in a figure
# Marks that turn the direction of the text around them, and two code points that XML forbids.
_HIDDEN = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufffe\uffff")


def visible(text: str) -> str:
    """The text with what cannot be shown, or would reorder or break the page around it, as �; line ends stay."""
    return "".join(
        "�" if char in _HIDDEN or (unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t") else char
        for char in text
    )


def one_line(text: str) -> str:
    """The visible text with every run of white space as one space."""
    return " ".join(visible(text).split()) or "(no name)"


def cut(text: str, longest: int = LONGEST) -> str:
    """The text on one line, its end replaced by … where it is longer."""
    text = one_line(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def labels(names: Iterable[str], longest: int = LONGEST) -> dict[str, str]:
    """A label of at most `longest` characters per distinct name, no two alike.

    Cut at the end; where that makes two alike, cut in the middle; where that does too, numbered in the order given.
    """
    names = list(dict.fromkeys(names))
    numbers = {name: f"{position} " for position, name in enumerate(names, start=1)}
    for label in (
        lambda name: cut(name, longest),
        lambda name: _cut_middle(name, longest),
        lambda name: numbers[name] + cut(name, longest - len(numbers[name])),
    ):
        short = {name: label(name) for name in names}
        if len(set(short.values())) == len(names):
            break
    return short


def _cut_middle(name: str, longest: int) -> str:
    text, half = one_line(name), (longest - 1) // 2
    return text if len(text) <= longest else f"{text[: longest - 1 - half]}…{text[-half:]}"
