"""What should be done about rare grades: nothing, class weights, balanced batches, or an adjustment of the logits?

Cross-entropy for all, because its probabilities are those of the truth, so that every remedy means something. Class
weights by inverse frequency, divided by their sum or, as printed by Kragh et al. 2019, by the number of examples, and
weights that the decision undoes; batches that hold every grade of one task in equal numbers; the logit-adjusted loss,
and the same adjustment after training, which costs none (Menon et al. 2021). Data, networks and seeds are held fixed.
"""

from collections.abc import Iterator
from typing import Any

from ordinal_blast.settings import GraderSettings, Settings

REFERENCE = "nothing"
# Remedies are meant for the mean over grades of the absolute error; what they cost the common ones is in the plain one.
PRIMARY = ("amae", "mae")
EQUIVALENCE = 0.02  # of both: one grade in fifty examples
TASKS = ("icm", "te")


def variants(base: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, overrides); the first is the reference."""
    fixed = {"objective": "cross_entropy", "class_weights": "none"}
    weighted = fixed | {"class_weights": "inverse_frequency"}
    graders = [name for name, section in base.stages.items() if isinstance(section, GraderSettings)]
    yield "nothing", fixed
    yield "class weights", weighted
    yield "class weights over examples", fixed | {"class_weights": "inverse_share", "divide_by": "examples"}
    yield "class weights, undone", weighted | {"objective.correct_weights": True}
    for task in TASKS:
        yield f"batches balanced by {task}", fixed | {f"{name}.training.balance": task for name in graders}
    yield "logit-adjusted loss", fixed | {"objective.adjust_loss": 1.0}
    yield "logit-adjusted decision", fixed | {"objective.adjust_decision": 1.0}
