"""How much of what the ordinal cross-entropy gains is the loss, how much the decision, and how much the class weights?

Table 7 of Kragh et al. 2019 taken apart: every loss of `ablations/losses.py` with the mode, the median and the mean of
its probabilities as the decision (of the regression, with cut points fitted for each), trained with and without class
weights, those of the configuration or else by inverse frequency; and where class weights can be undone after training,
decided without them. A decision costs no training: 8 trainings a seed hold 30 variants. The reference is the rival of
the paper, and the subject its method.

The loss: ordinal cross-entropy less cross-entropy under one rule and one weighting. The rule: the median less the mode
of cross-entropy, whose optimum the ordinal cross-entropy shares. The weights: weighted less unweighted under one of
both.
"""

from collections.abc import Iterator
from typing import Any

from ordinal_blast.settings import Settings

LOSSES = ("cross_entropy", "ordinal_cross_entropy", "binary_decomposition", "thresholded_regression")
PROPER = ("cross_entropy", "binary_decomposition")  # whose class weights can be undone
RULES = ("mode", "median", "mean")
REFERENCE, SUBJECT = "cross_entropy mode weighted", "ordinal_cross_entropy mode weighted"
# Each rule is the best one for another error: all three are told, so that no choice of measure decides for a rule.
PRIMARY = ("accuracy", "mae", "mse")
EQUIVALENCE = 0.02  # one example in fifty, by one grade
FAMILIES = {
    rule: tuple(f"{loss} {rule} {weights}" for loss in LOSSES for weights in ("weighted", "unweighted"))
    for rule in RULES
}


def variants(base: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    weighted = base.class_weights if base.class_weights != "none" else "inverse_frequency"
    for loss in LOSSES:
        for weights, kind in {"weighted": weighted, "unweighted": "none"}.items():
            trained = {"objective": loss, "class_weights": kind}
            for rule in RULES:
                yield f"{loss} {rule} {weights}", trained | {"objective.rule": rule}
                if loss in PROPER and kind != "none":
                    undone = {"objective.rule": rule, "objective.correct_weights": True}
                    yield f"{loss} {rule} undone", trained | undone
