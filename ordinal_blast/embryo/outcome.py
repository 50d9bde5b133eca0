"""From grades of the inner cell mass and the trophectoderm to one quality group, to be held against an outcome."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.evaluation.validation import as_pair

QUALITY_GROUPS = ("poor", "good", "top")
SHORT_GROUPS = ("PQB", "GQB", "TQB")  # the same as clinics write them


def quality_group(icm: ArrayLike, te: ArrayLike) -> np.ndarray:
    """Quality int `[N]` of blastocysts from two grades `[N]` with C = 0, B = 1, A = 2: 2 top, 1 good, 0 poor.

    A/A is top; A/B, B/A and B/B are good; any C is poor, that is, the lower of the two (Kragh et al., 2019, figure 5).
    As a score it goes straight into `roc.auc` against the outcome. ValueError: grades outside 0..2, or lengths differ.
    """
    return np.minimum(*as_pair(icm, te, 3, names=("icm", "te")))


def quality(graded: Mapping[str, tuple[int, int]]) -> dict[str, str]:
    """The quality group of one blastocyst by its grades icm and te, as (grade, of how many): TQB, GQB or PQB.

    Nothing where either is not graded, or not as C, B or A.
    """
    pair = [graded[task] for task in ("icm", "te") if task in graded]
    if [count for _, count in pair] != [3, 3]:
        return {}
    (icm, _), (te, _) = pair
    return {"quality": SHORT_GROUPS[int(quality_group([icm], [te])[0])]}
