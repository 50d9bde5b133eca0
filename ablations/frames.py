"""Which frame should the CNN see, and does a sequence of frames beat the best of them?

Table 3 of Kragh et al. 2019: one frame at 105, 110, 115 or 120 hours after insemination, at the maximum expansion that
the cropper finds (tMEB), or when the embryologist graded (tA); and the recurrent network over the hourly frames up to
tMEB, on the features of the CNN at tA. All of them are one stage here, `grader`, so that the recurrent network stands
in one table with every CNN, on the same test examples. The loss, the crops, the seeds and all training are held fixed.
For configurations with the stages of `configs/paper.py`.
"""

from collections.abc import Iterator
from typing import Any

from ordinal_blast.settings import Settings, tree

REFERENCE, SUBJECT = "CNN at tA", "RNN"
# The paper reports accuracy and squared error; the absolute error lies between, and kappa is what the field reports.
PRIMARY = ("mae", "qwk")
EQUIVALENCE = 0.02  # of both: one grade in fifty examples, and a tenth of the .2 from one verdict on kappa to the next
TIMES = ("tA", "105", "110", "115", "120", "tMEB")


def variants(base: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    sections = tree(base)
    before = {name: sections[name] for name in ("cropper", "crops")}
    for time in TIMES:
        name = f"CNN at {time}" + (" hpi" if time.isdigit() else "")
        overrides = {"chain": (*before, "grader"), "crops.cnn_time": time, "grader": sections["cnn"]}
        if time.isdigit():  # it looks at no hourly frame: one is cropped, as none would be no recording
            overrides["crops.stop_hpi"] = base.stages["crops"].start_hpi
        yield name, overrides
    yield (
        "RNN",
        {"chain": (*before, "cnn", "sequences", "grader"), "crops.cnn_time": "tA", "grader": sections["rnn"]},
    )
