"""Conformal sets of grades: "A or B, 90 %", with a guarantee that needs no calibrated model.

Where calibration and new examples are exchangeable, the set holds the true grade with probability `level` or more, over
both (Vovk et al., 2005): marginally, not within a grade or a group. That is measured by `coverage`. Sets are runs of
neighbouring grades and never empty.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.evaluation.validation import (
    as_grades,
    as_labelled_probs,
    as_members,
    as_num_classes,
    as_probs,
    check_choice,
    check_confidence,
)


def _lac(probs: np.ndarray) -> np.ndarray:
    return 1 - probs


def _rps(probs: np.ndarray) -> np.ndarray:
    cumulative = np.cumsum(probs, axis=1)
    lowest = ((1 - cumulative) ** 2).sum(axis=1, keepdims=True)
    steps = 2 * cumulative[:, :-1] - 1  # from truth k to truth k + 1, where only the k-th term changes
    return np.concatenate([lowest, lowest + np.cumsum(steps, axis=1)], axis=1)


def _interval(probs: np.ndarray) -> np.ndarray:
    rows, k = np.arange(len(probs)), probs.shape[1]
    padded = np.pad(probs, ((0, 0), (1, 1)), constant_values=-1.0)
    low = high = probs.argmax(axis=1) + 1
    mass = padded[rows, low]
    scores = np.zeros(probs.shape)
    for _ in range(k - 1):
        down = padded[rows, low - 1] > padded[rows, high + 1]
        low, high = low - down, high + ~down
        joined = np.where(down, low, high)
        scores[rows, joined - 1] = mass
        mass = mass + padded[rows, joined]
    return scores


METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"interval": _interval, "rps": _rps, "lac": _lac}


@dataclasses.dataclass(frozen=True)
class GradeSets:
    """One set of neighbouring grades an example, from low to high, int `[N]`, both of them in it."""

    low: np.ndarray
    high: np.ndarray
    level: float

    @property
    def sizes(self) -> np.ndarray:
        """How many grades each set holds, `[N]`."""
        return self.high - self.low + 1

    def hold(self, labels: np.ndarray) -> np.ndarray:
        """Whether each set holds the grade, bool `[N]`."""
        return (self.low <= labels) & (labels <= self.high)

    def texts(self, grades: Sequence[str]) -> list[str]:
        """The sets in words by the names of the grades, such as `A or B, 90 %`."""
        shown = f"{100 * self.level:g} %"
        return [
            f"{' or '.join(grades[low : high + 1])}, {shown}" for low, high in zip(self.low, self.high, strict=True)
        ]


@dataclasses.dataclass(frozen=True)
class Conformal:
    """What `calibrate` learned of n examples: a set holds every grade whose score is at most `threshold`.

    threshold: inf where the examples are too few for the level, and sets hold every grade.
    """

    method: str
    level: float
    threshold: float
    num_classes: int
    n: int

    def sets(self, probs: ArrayLike) -> GradeSets:
        """The sets of new examples with probs `[N, K]`."""
        probs = as_probs(probs, self.num_classes)
        inside = METHODS[self.method](probs) <= self.threshold
        inside[np.arange(len(probs)), probs.argmax(axis=1)] |= ~inside.any(axis=1)
        # Grades between two of a set join it: that can only add to its coverage.
        return GradeSets(inside.argmax(axis=1), self.num_classes - 1 - inside[:, ::-1].argmax(axis=1), self.level)


def scores(probs: ArrayLike, num_classes: int, method: str = "interval") -> np.ndarray:
    """How odd each grade would be, `[N, K]`; sets hold the least odd.

    "interval": the mass of the interval that grows from the mode towards the likelier neighbour, before the grade joins
    it; of probabilities with one peak its sets are the shortest intervals of their mass (Lu et al., 2022). "rps": the
    ranked probability score if it were the truth. "lac": 1 - p, whose sets have the least mean size (Sadinle et al.,
    2019).
    """
    check_choice(method, "method", METHODS)
    return METHODS[method](as_probs(probs, as_num_classes(num_classes)))


def calibrate(
    labels: ArrayLike, probs: ArrayLike, num_classes: int, method: str = "interval", level: float = 0.9
) -> Conformal:
    """The threshold that labels `[n]` with probs `[n, K]` set: the ceil((n + 1) level)-th smallest of their scores.

    The examples must not have trained the model. ValueError: bad labels or probs, an unknown method, a level outside
    (0, 1).
    """
    check_confidence(level)
    labels, probs = as_labelled_probs(labels, probs, num_classes)
    own = np.sort(scores(probs, num_classes, method)[np.arange(len(labels)), labels])
    rank = math.ceil((len(own) + 1) * level * (1 - 1e-12))  # .9 of 10 is 9, whatever the rounding of the product
    return Conformal(method, level, float(own[rank - 1]) if rank <= len(own) else math.inf, num_classes, len(own))


@dataclasses.dataclass(frozen=True)
class Coverage:
    """Share of sets that hold the label: of all, of each true grade `[K]` and of each group; NaN where there is none.

    size: mean number of grades; singles: share of sets of one grade.
    """

    overall: float
    by_grade: np.ndarray
    by_group: dict[str, float]
    size: float
    singles: float


def coverage(sets: GradeSets, labels: ArrayLike, num_classes: int, groups: ArrayLike | None = None) -> Coverage:
    """How often sets hold labels `[N]`: marginally, per grade, and per group `[N]` where groups are named."""
    labels = as_grades(labels, as_num_classes(num_classes))
    if labels.shape != sets.low.shape:
        raise ValueError(f"{len(labels)} labels but {len(sets.low)} sets: one set per label is needed")
    held = sets.hold(labels)
    by_group: dict[str, float] = {}
    if groups is not None:
        members = as_members(groups, len(labels), "groups")
        shares = _shares(held, members, int(members.max()) + 1)
        by_group = dict(zip(map(str, np.unique(np.asarray(groups))), shares.tolist(), strict=True))
    by_grade = _shares(held, labels, num_classes)
    return Coverage(float(held.mean()), by_grade, by_group, float(sets.sizes.mean()), float((sets.sizes == 1).mean()))


def _shares(held: np.ndarray, members: np.ndarray, count: int) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.bincount(members, held, count) / np.bincount(members, minlength=count)
