"""What only simulated data can tell: how well the best grader could do, whose errors disagreements are, and quality.

Measured, of nominal .95, on 600 to 1,000 studies of a kind (150 and 400 examples, 3 and 5 seeds): where Fisher's z of
the correlation varies over seeds by .05 or .2, intervals of the annotator's share cover .96 to .98, of correlations and
their differences .94 to .97; where it varies by .5, so that a mean over seeds is far from normal, .95 to .97 and .88 to
.96.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ordinal_blast.evaluation import multireader, ratios
from ordinal_blast.evaluation.jackknife import CHUNK
from ordinal_blast.evaluation.multireader import Comparison
from ordinal_blast.evaluation.validation import as_array, as_clusters, as_floats, as_grades, as_num_classes, count_units


def best_cuts(latent: ArrayLike, labels: ArrayLike, num_classes: int) -> np.ndarray:
    """The K - 1 cut points of a latent quality `[N]` whose grades agree with most of the labels `[N]`.

    What a grader who sees the quality itself can do at best about annotators who do not. Exact, by dynamic programming
    over the sorted examples; a cut is the middle between two of them, or ±inf. ValueError: other labels, or lengths.
    """
    num_classes = as_num_classes(num_classes)
    labels, latent = as_grades(labels, num_classes), as_floats(latent, "latent")
    if latent.shape != labels.shape:
        raise ValueError(f"{len(labels)} labels but latent {latent.shape}")
    order = np.argsort(latent, kind="stable")
    ranked = latent[order]
    ends = np.concatenate(
        [[0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, [len(ranked)]]
    )  # equal ones stay together
    counts = np.concatenate([np.zeros((1, num_classes)), np.cumsum(np.eye(num_classes)[labels[order]], axis=0)])[ends]
    # best[e]: most that agree among the first examples up to end e, the last grade so far being k.
    best, back = counts[:, 0], []
    for grade in range(1, num_classes):
        gain = best - counts[:, grade]
        first = np.zeros(len(ends), np.int64)  # the earliest end at which this grade may begin with the most
        for end in range(1, len(ends)):
            first[end] = end if gain[end] > gain[first[end - 1]] else first[end - 1]
        back.append(first)
        best = gain[first] + counts[:, grade]
    cuts, end = [], len(ends) - 1
    for first in reversed(back):
        end = int(first[end])
        place = int(ends[end])
        low = ranked[place - 1] if place else -np.inf
        high = ranked[place] if place < len(ranked) else np.inf
        cuts.append((low + high) / 2)
    return np.array(cuts[::-1])


def annotators_share(
    labels: ArrayLike,
    true: ArrayLike,
    grades: ArrayLike,
    *,
    num_classes: int,
    cases: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """Of the examples where V networks with S seeds disagree with the annotator: the share where the network is right.

    labels and true int `[N]`, grades `[V, S, N]`. The other disagreements are the network's, or of both. ValueError:
    other grades or lengths, or fewer than 2 units with a disagreement.
    """
    grades = as_array(grades, "grades")
    labels, true = as_grades(labels, num_classes), as_grades(true, num_classes, "true")
    graded = as_grades(grades.ravel(), num_classes, "grades").reshape(grades.shape)
    differs = graded != labels
    return ratios.compare(differs & (graded == true), differs, cases=cases, confidence=confidence)


def rank_correlation(
    quality: ArrayLike, scores: ArrayLike, *, cases: ArrayLike | None = None, confidence: float = 0.95
) -> Comparison:
    """Spearman's correlation of the scores `[V, S, N]` of V variants with S seeds with a quality `[N]`.

    Ranks are taken anew without each example, or all those of a case `[N]`, such as a patient. ValueError: other
    shapes, or fewer than 3 units.
    """
    quality, scores = as_floats(quality, "quality"), as_floats(scores, "scores")
    if scores.ndim != 3 or not scores.size or scores.shape[2:] != quality.shape:
        raise ValueError(f"scores must have shape [V, S, {len(quality)}] like quality, found {scores.shape}")
    units = np.arange(len(quality)) if cases is None else as_clusters(cases, len(quality))
    if count_units(units) < 3:
        raise ValueError(f"a correlation needs 3 units or more, found {count_units(units)}")
    names, units = np.unique(units, return_inverse=True)
    rows, place = np.unique(scores.reshape(-1, len(quality)), axis=0, return_inverse=True)  # a human has every seed's
    step = max(1, CHUNK // len(quality))
    without = np.empty((len(rows), len(names)))
    for first in range(0, len(names), step):
        chosen = np.arange(first, min(first + step, len(names)))
        reference = _without(quality, units, chosen)
        for row, of in zip(rows, without, strict=True):
            of[chosen] = _correlation(reference, _without(row, units, chosen))
    values = _correlation(_centred(quality), np.stack([_centred(row) for row in rows]))[place.ravel()]
    return multireader.jackknifed(values.reshape(scores.shape[:2]), without[place.ravel()], confidence=confidence)


def _centred(values: np.ndarray) -> np.ndarray:
    """Ranks less their mean, those of equal values averaged."""
    return stats.rankdata(values) - (len(values) + 1) / 2


def _without(values: np.ndarray, units: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Centred ranks `[U, N]` without each of the chosen units of int `[N]`; 0 of those that are left out.

    A rank falls by 1 for every example below it that is left out, and by 1/2 for one that is level.
    """
    order = np.argsort(units, kind="stable")
    starts, ends = (np.searchsorted(units[order], chosen, side) for side in ("left", "right"))
    members = order[starts[0] : ends[-1]]
    below = (values[members, None] < values) + 0.5 * (values[members, None] == values)
    fallen = np.add.reduceat(below, starts - starts[0], axis=0)
    kept = units != chosen[:, None]
    rest = kept.sum(axis=1, keepdims=True)
    return np.where(kept, stats.rankdata(values) - fallen - (rest + 1) / 2, 0.0)


def _correlation(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Correlations of centred rows; nan for one that is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (one * others).sum(axis=-1) / np.sqrt((one**2).sum(axis=-1) * (others**2).sum(axis=-1))
