"""How does every objective of the package do, each with its default options?

The study to run first on data of your own.
"""

from collections.abc import Iterator
from typing import Any

from ordinal_blast import objectives


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    reference = "cross_entropy"
    for name in (reference, *(name for name in objectives.names() if name != reference)):
        yield name, {"objective.name": name}
