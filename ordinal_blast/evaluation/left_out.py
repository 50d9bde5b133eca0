"""Are humans or a network nearer to what the others say? One annotator left out, and the network against those votes.

Human and network are averages over the same examples, paired example by example. The network has training seeds, and
the humans, who have none, stand beside every seed alike. With h the human's value and θ_s the network's, the variance
of mean θ - h is then var(θ) / S + 2 max(Cov2 - Cov3, 0), and 2 (Cov2 - Cov3) is the covariance of two seeds + the
variance of h - twice the covariance of h with a seed: the variance over examples of that very difference. So it is of
new examples and new seeds, and not of new annotators: these ones are taken as they are. Measured on 2,000 studies each
of 55 and 200 examples, 3 and 5 seeds that vary little to much: of nominal .95 the intervals of the difference cover
.95 to .98, of the human's own value .94 to .96, of the network's .95 to .98.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.evaluation import raters, ratios
from ordinal_blast.evaluation.multireader import Comparison
from ordinal_blast.evaluation.validation import as_grades, as_num_classes


def people(
    annotations: ArrayLike,
    ties: str = "low",
    *,
    num_classes: int,
    cases: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """The average human alone against the vote of the other annotators: equation (4). Arguments as `compare`."""
    of = raters.others(annotations, ties, as_num_classes(num_classes))  # type: ignore[arg-type]
    voted = np.isfinite(of.human)
    own = np.nan_to_num(of.human)[None, None]
    return ratios.compare(own, voted.astype(float), cases=cases, confidence=confidence)


def compare(
    annotations: ArrayLike,
    grades: ArrayLike,
    ties: str = "low",
    *,
    num_classes: int,
    cases: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """The average human, variant 0, and V networks with S seeds against the vote of the other annotators.

    Equations (4) and (5) of Kragh et al. (2019) with intervals: annotations int `[N, R]`, -1 where there is none,
    grades int `[V, S, N]`, ties as for `raters.leave_one_out`, cases `[N]` such as patients. ValueError: as there, or
    fewer than 2 units with a vote.
    """
    num_classes = as_num_classes(num_classes)
    grades = np.asarray(grades)
    if grades.ndim != 3 or not grades.size:
        raise ValueError(f"grades must have shape [V, S, N], found {grades.shape}")
    flat = as_grades(grades.ravel(), num_classes, "grades").reshape(grades.shape)
    of = raters.others(annotations, ties, num_classes)  # type: ignore[arg-type]
    if len(of.human) != grades.shape[2]:
        raise ValueError(f"{len(of.human)} annotated examples but grades of {grades.shape[2]}")
    voted = np.isfinite(of.human)
    credit, human = np.nan_to_num(of.credit), np.nan_to_num(of.human)
    networks = credit[np.arange(len(human)), flat]
    everyone = np.concatenate([np.broadcast_to(human, (1, *networks.shape[1:])), networks])
    return ratios.compare(everyone, voted.astype(float), cases=cases, confidence=confidence)
