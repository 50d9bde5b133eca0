"""Which random views help the CNN: other focal planes, other times, flips and quarter turns, or none?

Kragh et al. 2019 move the focus by one plane up or down, and the time by up to 30 minutes; nothing is turned. Each is
left out here and tried alone, around tA and around the time of maximum expansion. The LSTM sees what the paper's does:
no random views, and the features of the CNN that was trained so. Crops, networks, loss and seeds are held fixed. For
configurations with the stages of `configs/paper.py`.
"""

from collections.abc import Iterator
from typing import Any

REFERENCE, SUBJECT = "nothing", "planes and time"
PRIMARY = ("mae", "qwk")  # as for the losses: the distance counts, and kappa is what the field reports
EQUIVALENCE = 0.02  # of both: one grade in fifty examples, and a tenth of the .2 from one verdict on kappa to the next
NEAR = (-0.5, 0.0, 0.5)  # hours


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    still = {"cnn.augment": "none", "crops.focal_planes": 0, "crops.time_shifts_h": (0.0,), "crops.cnn_time": "tA"}
    yield "nothing", still
    yield "planes", still | {"crops.focal_planes": 1}
    yield "time", still | {"crops.time_shifts_h": NEAR}
    yield "planes and time", still | {"crops.focal_planes": 1, "crops.time_shifts_h": NEAR}
    yield "flips and turns", still | {"cnn.augment": "quarter"}
    yield "all of them", still | {"crops.focal_planes": 1, "crops.time_shifts_h": NEAR, "cnn.augment": "quarter"}
    yield "nothing, at tMEB", still | {"crops.cnn_time": "tMEB"}
    yield "time, at tMEB", still | {"crops.cnn_time": "tMEB", "crops.time_shifts_h": NEAR}
