"""Shared data types, and the glossary of axes used in every docstring.

B batch, N examples, T frames, H height, W width (pixels), F focal planes, D features, K grades (ordered, worst = 0).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


@dataclasses.dataclass(frozen=True)
class Task:
    """One thing that is graded: its name and the names of its grades, worst first."""

    name: str
    grades: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """K, the number of grades."""
        return len(self.grades)


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
    """What one model says of one split and task, as numpy arrays with the examples first.

    ids: str `[N]`; labels: int `[N]`, -1 where missing; outputs: raw `[N, num_outputs]`;
    probs: `[N, K]`; grades: int `[N]`, the decision; scores: `[N]`, the expected grade.
    """

    ids: np.ndarray
    labels: np.ndarray
    outputs: np.ndarray
    probs: np.ndarray
    grades: np.ndarray
    scores: np.ndarray
