"""Shared data types, and the glossary of axes used in every docstring.

B batch, N examples, T frames, H height, W width (pixels), F focal planes, D features, K grades (ordered, worst = 0).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ordinal_blast.errors import UsageError

INPUTS = {"images": 4, "clips": 5, "sequences": 3, "numbers": 2}  # what networks read, and how many axes it has
RATERS = "rater_"  # begins the name of a column of grades by several raters, int `[N, R]`, -1 where one gave none
TRUE = "_true"  # ends, and LATENT begins, the name of a column of what only simulated data know of a task
LATENT = "latent_"  # its quality float `[N]`; the true grade int `[N]`
ABSENT = "absent/"  # begins the name of a column, int `[N]`: why there is no label of a task, 0 where there is one
MISSING, NOT_DEFINED, NOT_AGREED, A_RANGE = -1, -2, -3, -4
ABSENCES = {MISSING: "missing", NOT_DEFINED: "not defined", NOT_AGREED: "not agreed", A_RANGE: "a range"}  # such as <3
AXIS = "batch"  # the axis of devices in collectives
NO_ID = ("", "nan", "NaN", "None", "NaT", "<NA>")  # what a missing id of a patient becomes as text: never one patient


@dataclasses.dataclass(frozen=True)
class Task:
    """One thing that is graded: its name and the names of its grades, worst first.

    Raises UsageError for a name that is no plain text or has a slash, fewer than two grades, or two grades alike.
    """

    name: str
    grades: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _is_name(self.name) or "/" in self.name:
            raise UsageError(f"a task is named {self.name!r}: give it a name of one line, without a slash")
        if len(self.grades) < 2:
            raise UsageError(f"task {self.name} has {len(self.grades)} grades: name two or more, worst first")
        for grade in self.grades:
            if not _is_name(grade):
                raise UsageError(f"task {self.name} has the grade {grade!r}: name each by a text of one line")
            if self.grades.count(grade) > 1:
                raise UsageError(f"task {self.name} has two grades named {grade}: name each otherwise")

    @property
    def num_classes(self) -> int:
        """K, the number of grades."""
        return len(self.grades)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.strip() == value != "" and value.isprintable()


class Batch(NamedTuple):
    """Examples of one step; every leaf has the batch axis first.

    inputs: what the model reads, `[B, ...]`.
    labels: per task, int `[B]` grades, or `[B, H, W]` masks for segmentation.
    weights: per task, float32 `[B]`; 0 where the label is missing or the row is padding.
    index: int32 `[B]`, position in the global batch; random draws are keyed by it, so they do not depend on devices.
    mask: bool `[B]`, False on padding rows; None where there are none.
    """

    inputs: Any
    labels: Mapping[str, Any]
    weights: Mapping[str, Any]
    index: Any
    mask: Any = None


class Predictions(NamedTuple):
    """What a fitted objective says of one task, as numpy arrays with the examples first.

    outputs: raw `[N, num_outputs]`; probs: `[N, K]`; grades: int `[N]`, the decision; scores: `[N]`, what ranks, see
    `Objective.score`.
    """

    outputs: np.ndarray
    probs: np.ndarray
    grades: np.ndarray
    scores: np.ndarray
