"""Does the ordinal cross-entropy grade better than its rivals, with the same network, data and seeds?

Table 7 of Kragh et al. 2019, and the fair rival that the paper did not run: the categorical cross-entropy with the
median of its probabilities as the decision, which estimates what the ordinal cross-entropy estimates. A variant is a
loss and a decision: the mode for both cross-entropies, the median for the binary decomposition, and for the regression
cut points that minimise the absolute error, which decide the median as well. At their optima only the first decides the
mode of the truth.
"""

from collections.abc import Iterator
from typing import Any

REFERENCE, SUBJECT = "cross_entropy", "ordinal_cross_entropy"
# The ordinal cross-entropy estimates the median, which has the least absolute error; kappa is what the field reports.
PRIMARY = ("mae", "qwk")
EQUIVALENCE = 0.02  # of both: one grade in fifty examples, and a tenth of the .2 from one verdict on kappa to the next


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    yield "cross_entropy", {"objective.name": "cross_entropy"}
    yield "cross_entropy median", {"objective.name": "cross_entropy", "objective.rule": "median"}
    yield "ordinal_cross_entropy", {"objective.name": "ordinal_cross_entropy"}
    yield "binary_decomposition", {"objective.name": "binary_decomposition"}
    yield "thresholded_regression", {"objective.name": "thresholded_regression"}
