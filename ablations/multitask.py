"""Do two tasks beat one: is the inner cell mass, or the trophectoderm, graded better when both are learnt together?

Table 4 of Kragh et al. 2019. The network has a head for each task that it learns; a variant learns one of them or both.
Data, splits, networks, loss and seeds are held fixed, and each task is compared on the same test examples.
"""

from collections.abc import Iterator
from typing import Any

REFERENCE = "ICM and TE"
PRIMARY = ("mae", "qwk")  # as for the losses: the distance counts, and kappa is what the field reports
EQUIVALENCE = 0.02  # of both: one grade in fifty examples, and a tenth of the .2 from one verdict on kappa to the next


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    yield "ICM and TE", {"tasks": ("icm", "te")}
    yield "ICM alone", {"tasks": ("icm",)}
    yield "TE alone", {"tasks": ("te",)}
