"""What data tell whose truth is known: the best possible grader, whose errors disagreements are, and quality itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from ordinal_blast.evaluation import multireader, truth
from ordinal_blast.report.measures import LEVEL
from ordinal_blast.report.quantities import COLUMNS, enough, of_test, patients, row
from ordinal_blast.report.results import Group, Results
from ordinal_blast.types import LATENT, TRUE

ACCURACY, OF_TRUTH, BEST, ROOM = "accuracy", "true grade", "best grader", "best grader - variant"
AT_TRUTH, GAIN, ANNOTATOR = "accuracy at the truth", "at the truth, variant - annotator", "annotator's share"
RANK, OWN_RANK, RANK_GAIN = "correlation", "annotator's correlation", "correlation, variant - annotator"


def frame(results: Results) -> pd.DataFrame:
    """Quantities per stage, task and variant of test examples whose true grade or latent quality is a column.

    accuracy: at the annotations, as are those of the true grade and of the best grader, who sees the latent quality and
    cuts it where that agrees with most annotations of the training set; best grader - variant: what is left to gain.
    accuracy at the truth: at the true grade, less the annotator's own. annotator's share: of the examples where the
    variant and the annotation differ, those where the variant has the true grade. correlation: Spearman's, of score or
    annotation with the latent quality. Empty where cells were tested on different examples.
    """
    rows = [
        one
        for group in results.groups()
        if group.same_examples and enough(group.patients, int(group.known.sum()), 3)
        for variant in group.variants
        for one in _rows(group, variant)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(group: Group, variant: str) -> Iterator[dict[str, Any]]:
    split, known = group.cells[0].tested(group.stage), group.known
    true, latent = (split.columns.get(name) for name in (group.task + TRUE, LATENT + group.task))
    if true is not None and (true[known] >= 0).all():
        yield from _of_grades(group, variant, true[known])
    if latent is not None:
        yield from _of_quality(group, variant, latent[known].astype(float))


def _of_grades(group: Group, variant: str, true: np.ndarray) -> Iterator[dict[str, Any]]:
    labels, k = group.of(group.cells[0]).labels[group.known], len(group.grades)
    grades, units, n = of_test(group, variant, group.known)["grades"], patients(group, group.known), len(labels)

    def accuracies(at: np.ndarray, grader: np.ndarray) -> multireader.Comparison:
        both = np.stack([np.broadcast_to(grader, grades.shape), grades])  # the first is the same for every seed
        return multireader.measure("accuracy", at, both, num_classes=k, cases=units, confidence=LEVEL)

    at_labels, at_truth = accuracies(labels, true), accuracies(true, labels)
    yield row(group, variant, ACCURACY, at_labels.mean(1), at_labels, n, (0.0, 1.0))
    yield row(group, variant, OF_TRUTH, at_labels.mean(0, "examples"), at_labels, n, (0.0, 1.0))
    cuts = _cuts(group)
    if cuts is not None:
        latent = group.cells[0].tested(group.stage).columns[LATENT + group.task][group.known]
        best = accuracies(labels, np.searchsorted(cuts, latent, side="right"))
        yield row(group, variant, BEST, best.mean(0, "examples"), best, n, (0.0, 1.0))
        yield row(group, variant, ROOM, best.difference(0, 1), best, n)
    yield row(group, variant, AT_TRUTH, at_truth.mean(1), at_truth, n, (0.0, 1.0))
    yield row(group, variant, GAIN, at_truth.difference(1, 0), at_truth, n)
    differs = (grades != labels).any(axis=0)
    if enough(None if units is None else units[differs], int(differs.sum())):
        share = truth.annotators_share(labels, true, grades[None], num_classes=k, cases=units, confidence=LEVEL)
        yield row(group, variant, ANNOTATOR, share.mean(0), share, int(differs.sum()), (0.0, 1.0))


def _cuts(group: Group) -> np.ndarray | None:
    """Where the best grader cuts the latent quality, by the training set; None where that is not known of it."""
    splits = group.cells[0].record.models[group.stage].splits
    column = LATENT + group.task
    if "train" not in splits or not all(column in splits[name].columns for name in ("train", "test")):
        return None
    labels = splits["train"].tasks[group.task].labels
    kept = labels >= 0
    return truth.best_cuts(splits["train"].columns[column][kept], labels[kept], len(group.grades))


def _of_quality(group: Group, variant: str, latent: np.ndarray) -> Iterator[dict[str, Any]]:
    labels = group.of(group.cells[0]).labels[group.known]
    scores, units = of_test(group, variant, group.known)["scores"].astype(float), patients(group, group.known)
    both = np.stack([np.broadcast_to(labels, scores.shape), scores])
    one = truth.rank_correlation(latent, both, cases=units, confidence=LEVEL)
    yield row(group, variant, RANK, one.mean(1), one, len(labels), (-1.0, 1.0))
    yield row(group, variant, OWN_RANK, one.mean(0, "examples"), one, len(labels), (-1.0, 1.0))
    yield row(group, variant, RANK_GAIN, one.difference(1, 0), one, len(labels), span=2.0)
