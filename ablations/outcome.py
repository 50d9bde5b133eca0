"""Should a network be trained on grades, on the outcome itself, or on both?

The outcome is fetal heartbeat, known of transferred embryos alone, which are few: of 8,664 about a third. A variant
learns the grades of inner cell mass and trophectoderm, the heartbeat, or all three; every one is tested on the same
embryos. How well scores rank the outcome is in the report's section on it; the measures that decide here say what the
grades lose or gain by the outcome beside them. Data, networks, loss and seeds are held fixed. For configurations with
the stages of `configs/paper.py`.
"""

from collections.abc import Iterator
from typing import Any

REFERENCE = "grades and outcome"  # which has every task in common with another variant
PRIMARY = ("mae", "rps")  # of a decision, and of probabilities, which for an outcome of two values is the Brier score
EQUIVALENCE = 0.02  # one grade in fifty examples; of the rps, a tenth of what guessing shares has
OUTCOME = {"fetal_heartbeat": ("none", "heartbeat")}


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    for name, tasks in {
        "grades and outcome": ("icm", "te", *OUTCOME),
        "grades": ("icm", "te"),
        "outcome": tuple(OUTCOME),
    }.items():
        yield name, {"data.outcomes": OUTCOME, "tasks": tasks}
