"""What should a grader learn from where several raters graded: single labels, votes, or a model of the raters?

The label of one rater, the majority vote, the distribution of the votes, or the distribution over grades that a model
of the raters gives, which knows a bias and a magnifier of every rater (Kim, Lin & Nelson 2021). The last two are learnt
by cross-entropy against distributions. All are measured against the labels of the data set; cross-entropy, networks and
seeds are held fixed. For data with columns `rater_TASK` of training examples; where there are none, it is refused.
"""

from collections.abc import Iterator
from typing import Any

REFERENCE, SUBJECT = "single labels", "a model of the raters"
# Distributions are worth something where probabilities are asked for, which the rps is; the mae is of decisions.
PRIMARY = ("mae", "rps")
EQUIVALENCE = 0.02  # of both: one grade in fifty examples
KINDS = {
    "single labels": "labels",
    "majority votes": "majority",
    "distribution of votes": "distribution",
    "a model of the raters": "raters",
}


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    for name, kind in KINDS.items():
        yield name, {"objective": "cross_entropy", "learns_from": kind}
