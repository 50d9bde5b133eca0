"""What should a grader learn from where several raters graded: single labels, votes, or a model of the raters?

The label of one rater, the majority vote, the distribution of the votes, or the distribution over grades that a model
of the raters gives, which knows a bias and a magnifier of every rater (Kim, Lin & Nelson 2021). The last two are learnt
by cross-entropy against distributions. All are measured against the labels of the data set; cross-entropy, networks and
seeds are held fixed. Of simulated embryos five embryologists of a clinic grade each; other data need columns
`rater_TASK` of training examples, and are refused without.
"""

from collections.abc import Iterator
from typing import Any

from ordinal_blast.settings import Settings

REFERENCE, SUBJECT = "single labels", "a model of the raters"
# Distributions are worth something where probabilities are asked for, which the rps is; the mae is of decisions.
PRIMARY = ("mae", "rps")
EQUIVALENCE = 0.02  # of both: one grade in fifty examples
SIMULATED, GRADERS = "ordinal_blast.embryo.simulated:source", 5  # embryologists of a clinic who grade an embryo
KINDS = {
    "single labels": "labels",
    "majority votes": "majority",
    "distribution of votes": "distribution",
    "a model of the raters": "raters",
}


def variants(base: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    several = {"data.options.graders": GRADERS} if base.data.source == SIMULATED else {}
    for name, kind in KINDS.items():
        yield name, {"objective": "cross_entropy", "learns_from": kind} | several
