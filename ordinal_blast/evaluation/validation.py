"""Checks of what enters the statistics; every error is one line that names the first bad value."""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import ArrayLike


def as_num_classes(num_classes: int) -> int:
    """K as an int; ValueError below 2, because one grade is not a scale."""
    num_classes = operator.index(num_classes)
    if num_classes < 2:
        raise ValueError(f"num_classes must be 2 or more, found {num_classes}")
    return num_classes


def as_grades(grades: ArrayLike, num_classes: int, name: str = "labels") -> np.ndarray:
    """Grades as int64 `[N]`; ValueError unless one-dimensional, non-empty integers in 0..K-1."""
    grades = np.asarray(grades)
    if grades.ndim != 1 or not len(grades):
        raise ValueError(f"{name} must be a non-empty vector [N], found shape {grades.shape}")
    if grades.dtype.kind not in "iub":
        raise ValueError(f"{name} must be integers, found {grades.dtype}")
    bad = np.flatnonzero((grades < 0) | (grades >= num_classes))
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] = {grades[bad[0]]} is outside 0..{num_classes - 1} ({num_classes} classes)")
    return grades.astype(np.int64)


def as_pair(
    labels: ArrayLike, predictions: ArrayLike, num_classes: int, names: tuple[str, str] = ("labels", "predictions")
) -> tuple[np.ndarray, np.ndarray]:
    """Two gradings of the same examples as int64 `[N]`; ValueError as `as_grades`, or where the lengths differ."""
    first, second = as_grades(labels, num_classes, names[0]), as_grades(predictions, num_classes, names[1])
    if len(first) != len(second):
        raise ValueError(f"{len(first)} {names[0]} but {len(second)} {names[1]}: one for each example is needed")
    return first, second


def as_probs(probs: ArrayLike, num_classes: int, tolerance: float = 1e-4) -> np.ndarray:
    """Class probabilities as float64 `[N, K]`; ValueError unless every row is a distribution to within `tolerance`."""
    probs = np.asarray(probs, np.float64)
    if probs.ndim != 2 or probs.shape[1] != num_classes:
        raise ValueError(f"probs must have shape [N, {num_classes}], found {probs.shape}")
    bad = np.flatnonzero(~(probs >= 0).all(axis=1))
    if len(bad):
        raise ValueError(f"probs[{bad[0]}] = {probs[bad[0]].tolist()} has a negative or missing entry")
    totals = probs.sum(axis=1)
    bad = np.flatnonzero(~(np.abs(totals - 1) <= tolerance))
    if len(bad):
        raise ValueError(f"probs[{bad[0]}] sums to {totals[bad[0]]:.6g}, not 1: give probabilities, not logits")
    return probs


def as_labelled_probs(labels: ArrayLike, probs: ArrayLike, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels `[N]` and probabilities `[N, K]`; ValueError as `as_grades` and `as_probs`, or where N differs."""
    num_classes = as_num_classes(num_classes)
    labels, probs = as_grades(labels, num_classes), as_probs(probs, num_classes)
    if len(labels) != len(probs):
        raise ValueError(f"{len(labels)} labels but {len(probs)} rows of probs: one row per label is needed")
    return labels, probs


def as_binary(labels: ArrayLike, name: str = "labels") -> np.ndarray:
    """Labels of a binary outcome as bool `[N]`, True for cases; ValueError unless 0s and 1s with some of each."""
    cases = as_grades(labels, 2, name).astype(bool)
    if not cases.any() or cases.all():
        raise ValueError(
            f"{name} hold {cases.sum()} cases and {(~cases).sum()} controls: at least one of each is needed"
        )
    return cases


def as_scores(scores: ArrayLike, length: int, name: str = "scores") -> np.ndarray:
    """Scores as float64 `[N]`, infinite ones allowed; ValueError for NaN or another length."""
    scores = np.asarray(scores, np.float64)
    if scores.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},) like the labels, found {scores.shape}")
    bad = np.flatnonzero(np.isnan(scores))
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] is NaN: a missing score cannot be ranked, drop or fill it first")
    return scores


def as_clusters(clusters: ArrayLike, length: int) -> np.ndarray:
    """Cluster of each example as int64 `[N]` in 0..G-1; ValueError for another length or fewer than 2 clusters."""
    clusters = np.asarray(clusters)
    if clusters.shape != (length,):
        raise ValueError(f"clusters must have shape ({length},) like the labels, found {clusters.shape}")
    names, members = np.unique(clusters, return_inverse=True)
    if len(names) < 2:
        raise ValueError("clusters must name at least 2 clusters: one says nothing of the spread between them")
    return members


def check_confidence(confidence: float) -> None:
    """ValueError for a confidence outside (0, 1)."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, found {confidence}")
