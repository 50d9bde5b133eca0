"""The table of objectives under test: for each name its reference, the options it is tested with, what must hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import objective_references as references


@dataclasses.dataclass(frozen=True)
class Case:
    """An objective's reference, the options it is tested with, and what must hold for it.

    mirror: what reversing the order of the grades does to its outputs ("" where the loss has a direction).
    binary: for K = 2, the logit of grade 1 in terms of the outputs, where the loss is then binary cross-entropy.
    certain: whether the loss of a certain and right prediction is 0.
    rtol: of value and gradient in float32; dividing by a temperature multiplies the rounding of what it divides.
    """

    reference: Callable[..., Any]
    options: tuple[Mapping[str, Any], ...] = ({},)
    mirror: str = ""
    binary: str = ""
    certain: bool = True
    rtol: float = 2e-6


FLIP, NEGATE, BOTH, SHIFT = "flip", "negate", "flip and negate", "from the other end"
FOUR = (0.5, 2.0, 1.0)
MATRIX = ((0.0, 1.0, 3.0, 7.0), (2.0, 0.0, 1.0, 4.0), (5.0, 1.5, 0.0, 1.0), (9.0, 4.0, 2.0, 0.0))
ROWS = ((0.7, 0.2, 0.1, 0.0), (0.1, 0.8, 0.1, 0.0), (0.0, 0.25, 0.5, 0.25), (0.0, 0.0, 0.375, 0.625))
ERRORS = ({}, {"error": "absolute"}, {"error": "huber", "delta": 0.75})
WEIGHED = ({}, {"threshold_weights": FOUR})

# Options are for K = 4, the number of grades the table is tested with.
CASES = {
    "adjacent_category": Case(references.adjacent_category, mirror=BOTH, binary="logit"),
    "adjacent_category_shared": Case(references.adjacent_category, mirror=BOTH, binary="logit"),
    "all_threshold": Case(
        references.all_threshold,
        (*WEIGHED, {"penalty": "hinge"}, {"penalty": "smooth_hinge", "power": 2.0}, {"penalty": "squared_hinge"}),
        mirror=BOTH,
        binary="threshold",
    ),
    "beta_soft_labels": Case(references.beta_soft_labels, ({}, {"blend": 0.3}), mirror=FLIP, certain=False),
    "binary_decomposition": Case(references.binary_decomposition, WEIGHED, mirror=BOTH, binary="logit"),
    "binomial_soft_labels": Case(references.binomial_soft_labels, ({}, {"chances": "liu"}), mirror=FLIP, certain=False),
    "binomial_unimodal": Case(
        references.binomial_unimodal, ({}, {"tau": 0.5}), mirror=NEGATE, binary="logit", certain=False, rtol=4e-6
    ),
    "cdw_ce": Case(references.distance, ({}, {"margin": 0.05}), mirror=FLIP, binary="difference"),
    "co2": Case(references.co2, ({}, {"strength": 1.0, "margin": 0.25}), mirror=FLIP, certain=False),
    "condor": Case(references.condor, WEIGHED, binary="logit"),
    "copoc": Case(references.copoc, certain=False),
    "coral": Case(references.binary_decomposition, WEIGHED, mirror=BOTH, binary="logit"),
    "corn": Case(references.corn, WEIGHED, binary="logit"),
    "corn_per_question": Case(references.corn_per_question, binary="logit"),
    "cross_entropy": Case(references.cross_entropy, mirror=FLIP, binary="difference"),
    "cumulative_link": Case(
        references.cumulative_link, ({}, {"link": "probit"}, {"link": "cloglog"}), mirror=BOTH, binary="threshold"
    ),
    "custom_soft_labels": Case(
        references.custom_soft_labels,
        ({}, {"targets": ROWS}, {"targets": ROWS, "blend": 0.5}),
        mirror=FLIP,
        binary="difference",
    ),
    "ecoc_distance": Case(references.code_distance, WEIGHED, mirror=BOTH),
    "emd": Case(references.emd, mirror=FLIP),
    "expected_squared_error": Case(references.expected_squared_error, mirror=FLIP),
    "exponential_soft_labels": Case(
        references.exponential_soft_labels, ({}, {"power": 1.5, "tau": 2.0, "blend": 0.5}), mirror=FLIP, certain=False
    ),
    "gaussian_uncertainty": Case(
        references.gaussian_uncertainty, ({}, {"alpha": 1.0, "floor": 0.5}), certain=False, rtol=2e-5
    ),
    "geometric_soft_labels": Case(references.geometric_soft_labels, ({}, {"alpha": 0.3}), mirror=FLIP, certain=False),
    "ho2": Case(references.ho2, ({}, {"strength": 0.1, "margin": 0.25}), mirror=FLIP, certain=False),
    "immediate_threshold": Case(
        references.immediate_threshold, (*WEIGHED, {"penalty": "hinge"}), mirror=BOTH, binary="threshold"
    ),
    "label_smoothing": Case(references.label_smoothing, ({}, {"epsilon": 0.5}), mirror=FLIP, certain=False),
    "mce": Case(references.mce, ({}, {"class_weights": (1.0, 2.0, 0.5, 3.0)}), mirror=FLIP),
    "mce_qwk": Case(references.mce_qwk, ({}, {"balance": 0.25, "penalty": "linear"}), mirror=FLIP),
    "oll": Case(references.distance, mirror=FLIP, binary="difference"),
    "ord_acl": Case(references.ord_acl, binary="negated logit"),
    "ordinal_cross_entropy": Case(
        references.distance,
        ({}, {"power": 2.0}, {"power": 0.0}, {"margin": 0.1}, {"distance_matrix": MATRIX}),
        mirror=FLIP,
        binary="difference",
    ),
    "ordinal_encoding_mse": Case(references.ordinal_encoding_mse, WEIGHED, mirror=BOTH),
    "ordinal_focal": Case(references.ordinal_focal, ({}, {"gamma": 0.5, "threshold_weights": FOUR}), mirror=BOTH),
    "ordistic": Case(
        references.ordistic,
        ({}, {"means": (-1.0, 0.0, 0.5, 2.0), "log_priors": (0.0, -1.0, 0.5, 0.0)}),
        mirror=NEGATE,
        binary="logit",
        certain=False,
    ),
    "poisson_soft_labels": Case(references.poisson_soft_labels, ({}, {"offset": 1.0}), certain=False),
    "poisson_unimodal": Case(references.poisson_unimodal, ({}, {"tau": 0.25}), certain=False, rtol=8e-6),
    "regression": Case(references.regression, ERRORS, mirror=SHIFT),
    "slace": Case(references.slace, ({}, {"alpha": 3.0}), mirror=FLIP),
    "soft_qwk": Case(references.soft_qwk, ({}, {"penalty": "linear"}, {"logarithm": True}), mirror=FLIP),
    "sord": Case(
        references.sord,
        ({}, {"alpha": 2.0, "distance": "squared"}, {"distance": "log", "blend": 0.5}),
        mirror=FLIP,
        certain=False,
    ),
    "squared_emd": Case(references.squared_emd, mirror=FLIP),
    "stick_breaking": Case(references.stick_breaking, binary="negated logit"),
    "thresholded_regression": Case(references.regression, ERRORS, mirror=SHIFT),
    "triangular_soft_labels": Case(references.triangular_soft_labels, ({}, {"alpha": 0.2}), certain=False),
    "unimodal_net": Case(references.unimodal_net, mirror=FLIP, certain=False),
    "vs_sl": Case(references.vs_sl, ({}, {"shape": "absolute"}), certain=False),
}
