"""What is optimised: ordinal losses as pure functions of raw outputs, and the decisions that belong to them.

    objective = objectives.get("ordinal_cross_entropy", num_classes=3, power=1.0)
    objective.loss(outputs, labels, weights)      # scalar
    objective.predict(outputs)                    # grades
    objectives.ordinal_cross_entropy(logits, labels, power=1.0)      # [B], for any training loop

Every loss of this package is a function here under the name that `names()` lists. Written by
`python -m ordinal_blast.objectives`, which finds them.
"""

from ordinal_blast.objectives.bound import Objective
from ordinal_blast.objectives.categorical import cross_entropy
from ordinal_blast.objectives.continuation import condor, corn, corn_per_question, stick_breaking
from ordinal_blast.objectives.decomposition import (
    binary_decomposition,
    coral,
    ecoc_distance,
    ordinal_encoding_mse,
    ordinal_focal,
)
from ordinal_blast.objectives.distance import cdw_ce, oll, ordinal_cross_entropy
from ordinal_blast.objectives.families import Family
from ordinal_blast.objectives.kappa import mce, mce_qwk, soft_qwk
from ordinal_blast.objectives.loss import BatchLoss, Loss, objective
from ordinal_blast.objectives.parametric import binomial_unimodal, gaussian_uncertainty, ordistic, poisson_unimodal
from ordinal_blast.objectives.registry import get, names, table
from ordinal_blast.objectives.scalar import regression, thresholded_regression
from ordinal_blast.objectives.soft_labels import (
    beta_soft_labels,
    binomial_soft_labels,
    custom_soft_labels,
    exponential_soft_labels,
    geometric_soft_labels,
    label_smoothing,
    poisson_soft_labels,
    slace,
    sord,
    triangular_soft_labels,
)
from ordinal_blast.objectives.thresholds import all_threshold, cumulative_link, immediate_threshold
from ordinal_blast.objectives.transport import emd, expected_squared_error, squared_emd
from ordinal_blast.objectives.unimodal import (
    adjacent_category,
    adjacent_category_shared,
    co2,
    copoc,
    ho2,
    ord_acl,
    unimodal_net,
    vs_sl,
)

__all__ = [
    "BatchLoss",
    "Family",
    "Loss",
    "Objective",
    "adjacent_category",
    "adjacent_category_shared",
    "all_threshold",
    "beta_soft_labels",
    "binary_decomposition",
    "binomial_soft_labels",
    "binomial_unimodal",
    "cdw_ce",
    "co2",
    "condor",
    "copoc",
    "coral",
    "corn",
    "corn_per_question",
    "cross_entropy",
    "cumulative_link",
    "custom_soft_labels",
    "ecoc_distance",
    "emd",
    "expected_squared_error",
    "exponential_soft_labels",
    "gaussian_uncertainty",
    "geometric_soft_labels",
    "get",
    "ho2",
    "immediate_threshold",
    "label_smoothing",
    "mce",
    "mce_qwk",
    "names",
    "objective",
    "oll",
    "ord_acl",
    "ordinal_cross_entropy",
    "ordinal_encoding_mse",
    "ordinal_focal",
    "ordistic",
    "poisson_soft_labels",
    "poisson_unimodal",
    "regression",
    "slace",
    "soft_qwk",
    "sord",
    "squared_emd",
    "stick_breaking",
    "table",
    "thresholded_regression",
    "triangular_soft_labels",
    "unimodal_net",
    "vs_sl",
]
