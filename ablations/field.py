"""Which family of ordinal losses grades tables best, over many hold-outs?

One or two objectives of every family, with their default options, the same network and the same training. A variant is
a loss and its own decision, named in the report; cross-entropy stands there with two.
"""

from collections.abc import Iterator
from typing import Any

OBJECTIVES = (
    "ordinal_cross_entropy",  # distance
    "oll",
    "binary_decomposition",  # decomposition
    "coral",
    "corn",  # continuation
    "cumulative_link",  # thresholds
    "all_threshold",
    "adjacent_category",  # neighbours and one peak
    "unimodal_net",
    "binomial_unimodal",  # parametric
    "sord",  # soft labels
    "triangular_soft_labels",
    "squared_emd",  # transport
    "mce_qwk",  # kappa
    "thresholded_regression",  # scalar
)


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    yield "cross_entropy", {"objective.name": "cross_entropy"}
    yield "cross_entropy median", {"objective.name": "cross_entropy", "objective.rule": "median"}
    for name in OBJECTIVES:
        yield name, {"objective.name": name}
