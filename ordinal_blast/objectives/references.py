"""The entries of `references.bib`, which is in a checkout and in no wheel, and how a text cites them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

FILE = Path(__file__).parents[2] / "references.bib"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One work. address: of its DOI, or another; empty where neither is known."""

    key: str
    surnames: tuple[str, ...]
    others: bool
    year: str
    title: str
    address: str

    @property
    def label(self) -> str:
        """The work in a sentence, as `Shi, Cao & Raschka 2023` or `Kragh et al. 2019`."""
        if self.others or len(self.surnames) > 3:
            return f"{self.surnames[0]} et al. {self.year}"
        *first, last = self.surnames
        return f"{', '.join(first)} & {last} {self.year}" if first else f"{last} {self.year}"


def entries() -> dict[str, Entry]:
    """Every entry by its key, in the order of the file. The letter of a key, as in `vargas2023a`, is in its year."""
    works = re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", FILE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {
        key: _entry(key, dict(re.findall(r"^  (\w+) = \{(.*)\},$", body, flags=re.MULTILINE))) for key, body in works
    }


def _entry(key: str, fields: dict[str, str]) -> Entry:
    surnames = [name.partition(",")[0] for name in fields["author"].split(" and ")]
    named = tuple(name for name in surnames if name != "others")
    letter = key[-1] if key[-1].isalpha() else ""
    address = f"https://doi.org/{fields['doi']}" if "doi" in fields else fields.get("url", "")
    return Entry(key, named, "others" in surnames, fields["year"] + letter, fields["title"], address)
