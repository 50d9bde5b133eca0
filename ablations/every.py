"""How does every objective of the package do, each with its default options and its own decision?

The study to run first on data of your own. Of two names for one loss only one is trained (`same_as` of
`objectives.table()`).
"""

from collections.abc import Iterator
from typing import Any

from ordinal_blast import objectives

PRIMARY = "mae"
EQUIVALENCE = 0.02  # one grade in fifty examples

REFERENCE = "cross_entropy"
NAMES = (REFERENCE, *(row["name"] for row in objectives.table() if row["name"] != REFERENCE and not row["same_as"]))
FAMILIES: dict[str, list[str]] = {}  # by the idea that losses share, which is the file that they stand in
for name in NAMES:
    idea = getattr(objectives, name).__module__.rpartition(".")[2].replace("_", " ")
    FAMILIES.setdefault(idea, []).append(name)


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    for name in NAMES:
        yield name, {"objective.name": name}
