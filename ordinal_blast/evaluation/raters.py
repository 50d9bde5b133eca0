"""Several raters of the same examples: their vote, and how well one rater or a model predicts the vote of the others.

Annotations are int `[N, R]`, -1 where a rater gave no grade.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.evaluation.validation import MOST_CLASSES, as_numbers, check_choice

Ties = Literal["low", "high", "median", "drop", "first"]
TIES: tuple[Ties | Literal["share"], ...] = ("low", "high", "median", "drop", "share")
VOTED: tuple[Ties, ...] = ("low", "high", "median", "drop", "first")  # of one vote

ASSUMES = (
    "Each example counts alike however many raters graded it, and examples are independent: it does not cover the "
    "choice of raters, and depends on the rule for ties."
)


@dataclasses.dataclass(frozen=True)
class LeaveOneOut:
    """Agreement with the vote of the other raters.

    human, model: accuracies averaged over examples (model nan without predictions); human_by_example and
    model_by_example `[N]`: what they average, nan where no vote of others exists; num_examples: that count;
    tied: share of the left-out raters for whom the others' vote was tied; ties: the rule.
    """

    human: float
    model: float
    human_by_example: np.ndarray
    model_by_example: np.ndarray
    num_examples: int
    tied: float
    ties: str
    assumes: str = ASSUMES


@dataclasses.dataclass(frozen=True, eq=False)
class Others:
    """What the votes of the other raters say of each example; rows are nan where there is no such vote.

    human `[N]`: mean over raters of whether their own grade is the vote of the others. credit `[N, K]`: the same mean
    for whoever gives grade k instead. tied: share of the left-out raters for whom the others' vote was tied.
    """

    human: np.ndarray
    credit: np.ndarray
    tied: float


def _counts(annotations: ArrayLike, num_classes: int = 1) -> np.ndarray:
    """How many raters gave each grade, int `[N, K]`, K the highest grade seen and `num_classes` at the least."""
    annotations = as_numbers(annotations, "annotations")
    if annotations.ndim != 2 or not annotations.size:
        raise ValueError(f"annotations must have shape [N, R] with N, R above 0, found {annotations.shape}")
    if annotations.dtype.kind not in "iu":
        raise ValueError(f"annotations must be integers, -1 where missing, found {annotations.dtype}")
    bad = np.argwhere((annotations < -1) | (annotations >= MOST_CLASSES))
    if len(bad):
        n, r = bad[0]
        raise ValueError(
            f"annotations[{n}, {r}] = {annotations[n, r]} is neither a grade (0 to {MOST_CLASSES - 1}) nor missing (-1)"
        )
    grades = np.arange(max(num_classes, annotations.max() + 1))
    return (annotations[..., None] == grades).sum(axis=1)


def _check_ties(ties: str, rules: tuple[str, ...]) -> None:
    check_choice(ties, "ties", rules)


def _most_voted(counts: np.ndarray) -> np.ndarray:
    """Which grades have the most votes, bool `[..., K]`; none where there are no votes."""
    return (counts == counts.max(axis=-1, keepdims=True)) & (counts > 0)


def _vote(counts: np.ndarray, ties: Ties) -> np.ndarray:
    """The most voted grade int `[...]` of votes `[..., K]`, -1 without a vote."""
    best = _most_voted(counts)
    num_classes = counts.shape[-1]
    if ties == "high":
        voted = num_classes - 1 - best[..., ::-1].argmax(axis=-1)
    elif ties == "median":
        total, upto = counts.sum(axis=-1, keepdims=True), np.cumsum(counts, axis=-1)
        lower, upper = ((upto > (total - odd) // 2).argmax(axis=-1) for odd in (1, 0))
        # Distances to twice the median stay whole; argmin takes the lower of two grades equally near.
        distance = np.abs(2 * np.arange(num_classes) - (lower + upper)[..., None])
        voted = np.where(best, distance, 2 * num_classes).argmin(axis=-1)
    else:
        voted = best.argmax(axis=-1)
    valid = best.sum(axis=-1) == 1 if ties == "drop" else best.any(axis=-1)
    return np.where(valid, voted, -1)


def vote(annotations: ArrayLike, ties: Ties = "low") -> np.ndarray:
    """The grade most raters gave, int `[N]`; -1 where nobody graded, and for ties if they are dropped.

    ties: "low" or "high" of the tied grades, the one nearest the "median" of all grades given (the lower of two equally
    near), that of the "first" rater who gave one of them, or "drop". ValueError: another shape, type or rule, or a
    grade below -1.
    """
    _check_ties(ties, VOTED)
    counts = _counts(annotations)
    if ties != "first":
        return _vote(counts, ties)
    grades = np.asarray(annotations)
    tied = np.take_along_axis(_most_voted(counts), np.maximum(grades, 0), axis=1) & (grades >= 0)
    first = np.take_along_axis(grades, tied.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(tied.any(axis=1), first, -1)


def leave_one_out(
    annotations: ArrayLike, predictions: ArrayLike | None = None, ties: Ties | Literal["share"] = "low"
) -> LeaveOneOut:
    """Accuracy of raters, and of a model, at the vote of the other raters (Kragh et al., 2019, equations 4 and 5).

    human = mean_n mean_a 1[vote(y_n without a) = y_na], model = mean_n mean_a 1[vote(y_n without a) = ŷ_n], over the
    raters a of each example. ties as for `vote`; "drop" leaves tied votes out of the inner mean, and "share" gives
    1 / (number tied) for any tied grade, as drawing among them would on average. Examples without a vote of others are
    left out. predictions int `[N]`. ValueError: as `vote`, or where no example has two raters.
    """
    annotated = others(annotations, ties)
    (num_examples, num_classes), credit = annotated.credit.shape, annotated.credit
    model = np.full(num_examples, np.nan)
    if predictions is not None:
        predictions = as_numbers(predictions, "predictions")
        if predictions.shape != (num_examples,) or predictions.dtype.kind not in "iu":
            raise ValueError(
                f"predictions must be integers [{num_examples}], found {predictions.dtype} {predictions.shape}"
            )
        bad = np.flatnonzero(predictions < 0)
        if len(bad):
            raise ValueError(f"predictions[{bad[0]}] = {predictions[bad[0]]} is no grade (0 or more)")
        seen = credit[np.arange(num_examples), np.minimum(predictions, num_classes - 1)]
        model = np.where((predictions < num_classes) | np.isnan(seen), seen, 0.0)
    return LeaveOneOut(
        human=float(np.nanmean(annotated.human)),
        model=float(np.nanmean(model)) if predictions is not None else np.nan,
        human_by_example=annotated.human,
        model_by_example=model,
        num_examples=int(np.isfinite(annotated.human).sum()),
        tied=annotated.tied,
        ties=ties,
    )


def others(annotations: ArrayLike, ties: Ties | Literal["share"] = "low", num_classes: int = 1) -> Others:
    """Every rater, and every grade, against the vote of the other raters; see `leave_one_out`, which averages them.

    num_classes: K at the least; more where the annotations have higher grades. ValueError: as `leave_one_out`.
    """
    _check_ties(ties, TIES)
    counts = _counts(annotations, num_classes)
    # Raters who gave the same grade leave the same votes behind: row g of others is without one of those who gave g.
    rest = np.maximum(counts[:, None, :] - np.eye(counts.shape[1], dtype=np.int64), 0)
    best = _most_voted(rest)
    if ties == "share":
        credit = best / np.maximum(best.sum(axis=-1, keepdims=True), 1)
    else:
        credit = _vote(rest, ties)[..., None] == np.arange(counts.shape[1])
    raters = counts * credit.any(axis=-1)
    votes = raters.sum(axis=1)
    if not votes.any():
        raise ValueError("no example has a vote of other raters: at least two raters must have graded one")
    total = np.where(votes > 0, votes, np.nan)  # divided by once, so that whole numbers come out whole
    multiple = counts * (counts.sum(axis=1, keepdims=True) > 1)
    return Others(
        human=(raters * np.diagonal(credit, axis1=1, axis2=2)).sum(axis=1) / total,
        credit=(raters[..., None] * credit).sum(axis=1) / total[:, None],
        tied=float((multiple * (best.sum(axis=-1) > 1)).sum() / multiple.sum()),
    )


def distribution(annotations: ArrayLike, ties: Ties = "low", num_classes: int = 1) -> np.ndarray:
    """How often each grade was given to examples of each vote, int `[K, K]`, rows votes (Kragh et al., 2019, Fig. 4).

    num_classes: as in `others`. ValueError: as `vote`.
    """
    counts, voted = _counts(annotations, num_classes), vote(annotations, ties)
    return np.stack([counts[voted == grade].sum(axis=0) for grade in range(counts.shape[1])])
