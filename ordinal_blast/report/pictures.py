"""Figures as files and as addresses inside the page; marks and colours of one study."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from ordinal_blast.report import spreadsheets
from ordinal_blast.report.blocks import Entry, Line, Mark, Picture, Table
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import distinct, slug
from ordinal_blast.report.theme import COLOURS, Look, looks
from ordinal_blast.report.vectors import Drawing


class Studio:
    """Names the pictures of one study and gives each variant its look."""

    def __init__(self, key: str, study: Study) -> None:
        self.key = key
        self.looks: dict[str, Look] = looks(study.plan["variants"], study.reference)
        self._names: set[str] = set()
        self._anchors: set[str] = set()
        self._rows: dict[tuple[str, ...], str] = {}
        self._numbers = {variant: position for position, variant in enumerate(self.looks)}

    def number(self, variant: str) -> int:
        """Position in the palette's order, the reference 0: a file name that any variant name can have."""
        return self._numbers[variant]

    def mark(self, variant: str) -> Mark:
        """The variant's symbol, and its colour on the page (0 for the reference)."""
        position = self.number(variant)
        return Mark(self.looks[variant].symbol, position and 1 + (position - 1) % len(COLOURS))

    def table(
        self,
        caption: str,
        header: Sequence[str],
        entries: Mapping[str, Sequence[Entry]],
        *more: Line,
        place: Sequence[str] = (),
    ) -> Table:
        """A table with a line per variant, each under its mark, and `more` lines below.

        place: what names this table, so that a sentence may rest on `row(*place, variant)`.
        """
        lines = [
            Line(variant, line, self.mark(variant), id=self.row(*place, variant) if place else "")
            for variant, line in entries.items()
        ]
        return Table(caption, ["Variant", *header], [*lines, *more])

    def row(self, *place: str) -> str:
        """The address of a table line, the same for the same place, such as ("differences", stage, task, variant)."""
        if place not in self._rows:
            self._rows[place] = self.anchor("-".join(place))
        return self._rows[place]

    def anchor(self, name: str) -> str:
        """An address on the page for a section of this study."""
        return distinct(f"{self.key}-{slug(name)}", self._anchors)

    def picture(self, name: str, content: Drawing | bytes, alt: str) -> Picture:
        """A figure: drawn here, or a PNG."""
        return picture(f"{self.key}-{distinct(slug(name), self._names)}", content, alt)


def picture(stem: str, content: Drawing | bytes, alt: str) -> Picture:
    """A figure under this file name, without its ending: drawn here, or a PNG."""
    if isinstance(content, bytes):
        address = f"data:image/png;base64,{base64.b64encode(content).decode()}"
        return Picture(f"{stem}.png", content, address, alt)
    beside = {f"{stem}.pdf": content.pdf}
    if content.data is not None:
        beside[f"{stem}.csv"] = spreadsheets.csv(content.data, digits=6)
    # As text: base64 would be a third longer. Only these two have a meaning in an address.
    address = "data:image/svg+xml;charset=utf-8," + content.svg.replace("%", "%25").replace("#", "%23")
    return Picture(f"{stem}.svg", content.svg.encode(), address, alt, beside)
