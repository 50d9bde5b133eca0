"""How does every objective of the package do, each with its default options and its own decision?

The study to run first on data of your own. Of two names for one loss only one is trained (`same_as` of
`objectives.table()`).
"""

from collections.abc import Iterator
from typing import Any

from ordinal_blast import objectives

PRIMARY = "mae"
EQUIVALENCE = 0.02  # one grade in fifty examples


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    reference = "cross_entropy"
    rivals = (row["name"] for row in objectives.table() if row["name"] != reference and not row["same_as"])
    for name in (reference, *rivals):
        yield name, {"objective.name": name}
