"""Does a grader hold in a clinic that it has never seen?

Each clinic in turn is left out of training and validation, and tested all the same: every variant has the test examples
of the reference, which has seen all clinics. The cropper learns from images of its own, of no clinic. The table by
clinic tells the answer: what a variant loses in the clinic that it has not seen, against what it loses in the others,
where only examples are fewer. Division, networks, loss and seeds are held fixed. For the simulated embryos, or data
with a column `clinic` of the same names.
"""

from collections.abc import Iterator
from typing import Any

from ordinal_blast.embryo.simulator.population import CLINICS

REFERENCE = "all clinics"
PRIMARY = ("mae", "qwk")  # as for the losses: the distance counts, and kappa is what the field reports
EQUIVALENCE = 0.02  # of both: one grade in fifty examples, and a tenth of the .2 from one verdict on kappa to the next


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    yield "all clinics", {}
    for number in range(len(CLINICS)):
        yield f"without clinic-{number}", {"data.split.unseen": (f"clinic=clinic-{number}",)}
