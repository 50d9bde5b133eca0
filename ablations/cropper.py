"""What is the cropper worth: against no crop, a crop at the centre of the frame, and one by the true mask?

And whether it is trained by Dice or by the cross-entropy of pixels. The window alone varies: which frames are looked at
is told by the trained cropper in all variants but the last, whose cropper is another. Size of crops, networks, loss and
seeds are held fixed. True masks are known of simulated embryos alone. For configurations with the stages of
`configs/paper.py`.
"""

from collections.abc import Iterator
from typing import Any

REFERENCE, SUBJECT = "learned crop", "whole frame"
PRIMARY = ("mae", "qwk")  # as for the losses: the distance counts, and kappa is what the field reports
EQUIVALENCE = 0.02  # of both: one grade in fifty examples, and a tenth of the .2 from one verdict on kappa to the next


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    yield "learned crop", {"crops.around": "embryo", "cropper.loss": "dice"}
    yield "whole frame", {"crops.around": "frame"}
    yield "centre crop", {"crops.around": "centre"}
    yield "crop by the true mask", {"crops.around": "mask"}
    yield "cropper by cross-entropy", {"crops.around": "embryo", "cropper.loss": "cross_entropy"}
