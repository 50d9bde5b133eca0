"""What is optimised: ordinal losses as pure functions of raw outputs, and the decisions that belong to them.

    objective = objectives.get("ordinal_cross_entropy", num_classes=3, power=1.0)
    objective.loss(outputs, labels, weights)      # scalar
    objective.predict(outputs)                    # grades
    objectives.ordinal_cross_entropy(logits, labels, power=1.0)      # [B], for any training loop

Every loss of this package is a function here under the name that `names()` lists.
"""

from __future__ import annotations

from ordinal_blast.objectives.objective import Objective, objective
from ordinal_blast.objectives.registry import functions, get, names, table

globals().update(functions())

__all__ = ["Objective", "get", "names", "objective", "table", *functions()]
