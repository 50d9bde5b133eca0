"""Which family of ordinal losses grades tables best, over many hold-outs?

One or two objectives of every family, with their default options, the same network and the same training. A variant is
a loss and its own decision, named in the report; cross-entropy stands there with two.
"""

from collections.abc import Iterator
from typing import Any

PRIMARY = "mae"
EQUIVALENCE = 0.02  # one grade in fifty examples

FAMILIES = {
    "categorical": ("cross_entropy", "cross_entropy median"),
    "distance": ("ordinal_cross_entropy", "oll"),
    "decomposition": ("binary_decomposition", "coral"),
    "continuation": ("corn",),
    "thresholds": ("cumulative_link", "all_threshold"),
    "neighbours and one peak": ("adjacent_category", "unimodal_net"),
    "parametric": ("binomial_unimodal",),
    "soft labels": ("sord", "triangular_soft_labels"),
    "transport": ("squared_emd",),
    "kappa": ("mce_qwk",),
    "scalar": ("thresholded_regression",),
}


def variants() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    for names in FAMILIES.values():
        for name in names:
            loss, _, rule = name.partition(" ")
            yield name, {"objective.name": loss} | ({"objective.rule": rule} if rule else {})
