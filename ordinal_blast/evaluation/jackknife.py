"""How much a measure rests on each example: its value without one of them, in closed form.

A measure of a table of counts takes at most K² values when one example is left out, so that all N are looked up; a mean
without one of its terms is a subtraction. Where examples share a patient, whole patients are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.evaluation.metrics import COUNT_METRICS, cem, somers_d
from ordinal_blast.evaluation.probabilistic import log_loss_values, rps_values
from ordinal_blast.evaluation.validation import (
    as_array,
    as_clusters,
    as_grades,
    as_labelled_probs,
    as_num_classes,
    as_weights,
)

# A smallest or largest share rests on one grade and jumps to another: no jackknife holds for it (Efron, 1979).
_EXTREMES = ("mmae", "min_sensitivity", "gmsec")
_OF_COUNTS = {m.__name__: m.of_counts for m in (*COUNT_METRICS, somers_d, cem) if m.__name__ not in _EXTREMES}
_MEANS = {"rps": rps_values, "log_loss": log_loss_values}
MEASURES = (*_OF_COUNTS, *_MEANS)
_BY_GRADE = ("balanced_accuracy", "amae")  # means over grades: without its only example a grade would vanish
CHUNK = 2_000_000  # numbers held at once


def leave_one_out(
    name: str,
    labels: ArrayLike,
    grades: ArrayLike,
    num_classes: int,
    probs: ArrayLike | None = None,
    *,
    cases: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A measure of R gradings `[R, N]` of the same labels `[N]`, `[R]`, and without each unit, `[R, U]`.

    name: one of MEASURES; rps and log_loss read probs `[R, N, K]` and no grades. Units are examples, or cases
    `[N]`, such as patients; weights `[N]` count examples. NaN where the measure is undefined. ValueError: another name,
    fewer than 2 units, and as `metrics.summary`.
    """
    if name not in MEASURES:
        raise ValueError(f"no jackknife of {name!r}: there is one of {', '.join(MEASURES)}")
    num_classes = as_num_classes(num_classes)
    labels = as_grades(labels, num_classes)
    weights = None if weights is None else as_weights(weights, len(labels))
    units = np.arange(len(labels)) if cases is None else as_clusters(cases, len(labels))
    if len(labels) < 2:
        raise ValueError("a measure without one example needs 2 examples or more")
    if name in _MEANS:
        if probs is None:
            raise ValueError(f"{name} is a measure of probabilities: give probs [R, N, K]")
        rows = [_MEANS[name](*as_labelled_probs(labels, row, num_classes)) for row in as_array(probs, "probs")]
        return _means(np.stack(rows), units, np.ones(len(labels)) if weights is None else weights)
    values, without = [], []
    for row in as_array(grades, "grades"):
        graded = as_grades(row, num_classes, "grades")
        if len(graded) != len(labels):
            raise ValueError(f"{len(labels)} labels but {len(graded)} grades: one for each example is needed")
        value, rest = _counted(name, labels * num_classes + graded, num_classes, units, weights, cases is None)
        values.append(value)
        without.append(rest)
    return np.array(values), np.stack(without)


def single_grades(labels: np.ndarray, units: np.ndarray) -> bool:
    """Whether a grade that is present comes from one unit alone: means over grades have no jackknife there."""
    return any(len(np.unique(units[labels == grade])) < 2 for grade in np.unique(labels))


def needs_every_grade(name: str) -> bool:
    """Whether a measure is a mean over grades, so that no grade may hang on one unit."""
    return name in _BY_GRADE


def _means(rows: np.ndarray, units: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = units.max() + 1
    total = weights.sum()
    with np.errstate(invalid="ignore", divide="ignore"):  # an infinite log loss has no finite rest
        sums = rows @ weights
        shares = np.stack([np.bincount(units, row * weights, size) for row in rows])
        return sums / total, (sums[:, None] - shares) / (total - np.bincount(units, weights, size))


def _counted(
    name: str, cells: np.ndarray, num_classes: int, units: np.ndarray, weights: np.ndarray | None, single: bool
) -> tuple[float, np.ndarray]:
    """A measure of counts, of all cells `[N]` of the table and without each unit `[U]`."""
    measure, size = _OF_COUNTS[name], num_classes**2
    table = np.bincount(cells, weights, size).astype(np.float64)
    value = float(measure(table.reshape(num_classes, num_classes)))
    if single and weights is None:
        taken = np.flatnonzero(table)
        rest = np.full(size, np.nan)
        rest[taken] = measure((table - np.eye(size)[taken]).reshape(-1, num_classes, num_classes))
        return value, rest[cells]
    weights = np.ones(len(cells)) if weights is None else weights
    without = [
        measure((table - part).reshape(-1, num_classes, num_classes)) for part in _tables(cells, units, weights, size)
    ]
    return value, np.concatenate(without)


def _tables(cells: np.ndarray, units: np.ndarray, weights: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The tables of the units, `[u, K²]`, a few at a time."""
    order = np.argsort(units, kind="stable")
    cells, units, weights = cells[order], units[order], weights[order]
    count, step = int(units[-1]) + 1, max(1, CHUNK // size)
    for first in range(0, count, step):
        low, high = np.searchsorted(units, [first, first + step])
        rows = min(step, count - first)
        place = (units[low:high] - first) * size + cells[low:high]
        yield np.bincount(place, weights[low:high], rows * size).reshape(rows, size)
