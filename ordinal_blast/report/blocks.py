"""The pieces a page is made of; each is shown by one macro per output format."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

TONES = {
    "better": "▲ Better",
    "worse": "▼ Worse",
    "equivalent": "≈ Equivalent",
    "mixed": "◆ Mixed",
    "open": "? Cannot tell",
}


@dataclasses.dataclass(frozen=True)
class Headline:
    """The answer in one sentence, what kind of answer it is, and what it covers.

    rows: the ids of the table lines that it rests on.
    """

    kind: ClassVar[str] = "headline"
    sentence: str
    tone: Literal["better", "worse", "equivalent", "mixed", "open"]
    detail: str = ""
    rows: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Text:
    """One paragraph; a note is set smaller. `rows`: the ids of the table lines that it rests on."""

    kind: ClassVar[str] = "text"
    text: str
    note: bool = False
    rows: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Bullets:
    """A list of short statements; a Text says what it rests on."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[str | Text]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One table cell: its text, a smaller second text, and whether it is the best of its column."""

    text: str
    small: str = ""
    best: bool = False


@dataclasses.dataclass(frozen=True)
class Line:
    """One table row: its head, the variant whose mark it carries, and its entries; `aside` sets it apart.

    id: its address on the page, for the sentences that rest on it (`Studio.row`); empty for none.
    """

    head: str
    entries: Sequence[Entry]
    mark: Mark | None = None
    aside: bool = False
    id: str = ""


@dataclasses.dataclass(frozen=True)
class Mark:
    """A variant's symbol and its number in the palette."""

    symbol: str
    index: int


@dataclasses.dataclass(frozen=True)
class Table:
    """A captioned table; one without a header lists names and values."""

    kind: ClassVar[str] = "table"
    caption: str
    header: Sequence[str]
    lines: Sequence[Line]


@dataclasses.dataclass(frozen=True)
class Picture:
    """One figure: its file name, its content and what it shows in words. `address` holds it inside the page.

    beside: the same for a paper, and the numbers behind it, by file name.
    """

    name: str
    content: bytes
    address: str
    alt: str
    beside: Mapping[str, bytes] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Small multiples that wrap; `size` is small, medium, wide or full."""

    kind: ClassVar[str] = "gallery"
    caption: str
    pictures: Sequence[Picture]
    size: str = "medium"


@dataclasses.dataclass(frozen=True)
class Example:
    """One frame and, per task, the true grade and each variant's grade as (mark, variant, grade, verdict)."""

    picture: Picture
    id: str
    truths: Sequence[tuple[str, str]]
    grades: Sequence[tuple[Mark, str, Sequence[tuple[str, str]]]]


@dataclasses.dataclass(frozen=True)
class Strip:
    """Example frames with their grades."""

    kind: ClassVar[str] = "strip"
    caption: str
    tasks: Sequence[str]
    examples: Sequence[Example]


@dataclasses.dataclass(frozen=True)
class Code:
    """Text in the fixed-width font, such as a command or an error."""

    kind: ClassVar[str] = "code"
    text: str


@dataclasses.dataclass(frozen=True)
class Beside:
    """A figure and what belongs to it, side by side where the page is wide enough, one above the other elsewhere."""

    kind: ClassVar[str] = "beside"
    blocks: Sequence[Block]


@dataclasses.dataclass(frozen=True)
class Details:
    """Blocks behind a summary that opens on demand."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: Sequence[Block]


@dataclasses.dataclass(frozen=True)
class Part:
    """A subsection with its own heading."""

    kind: ClassVar[str] = "part"
    title: str
    blocks: Sequence[Block]


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of the page, listed in its contents; one without blocks is not shown.

    facts: what of it a reader wants to know first, as (name, value), for the head of the chapter.
    """

    id: str
    title: str
    blocks: Sequence[Block]
    facts: Sequence[tuple[str, str]] = ()


Block = Headline | Text | Bullets | Table | Gallery | Strip | Code | Beside | Details | Part
