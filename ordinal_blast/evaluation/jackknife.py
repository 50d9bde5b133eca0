"""How much a measure rests on each example: its value without one of them, in closed form.

A measure of a table of counts takes at most K² values when one example is left out, so that all N are looked up; a mean
without one of its terms is a subtraction. Where examples share a patient, whole patients are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
    count_units,
)

# A smallest or largest share rests on one grade and jumps to another: no jackknife holds for it (Efron, 1979).
_EXTREMES = ("mmae", "min_sensitivity", "gmsec")
_OF_COUNTS = {m.__name__: m.of_counts for m in (*COUNT_METRICS, somers_d, cem) if m.__name__ not in _EXTREMES}
_MEANS = {"rps": rps_values, "log_loss": log_loss_values}
MEASURES = (*_OF_COUNTS, *_MEANS)
_SHARES = ("accuracy", "off_by_one_accuracy", "balanced_accuracy", "min_sensitivity", "gmsec", "cem", "ece")
_AGREEMENTS = ("qwk", "linear_kappa", "kendall_tau", "spearman", "somers_d")
_DISTANCES = ("mae", "rmse", "amae", "mmae", "rps")
_BY_GRADE = ("balanced_accuracy", "amae")  # means over grades: without its only example a grade would vanish
CHUNK = 2_000_000  # numbers held at once
Values = Callable[[np.ndarray], np.ndarray]  # of tables [T, K²], [T]


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
    `[N]`, such as patients; weights `[N]` count examples, and those of weight 0 are no units. NaN where the measure is
    undefined. ValueError: another name, fewer than 2 units, and as `metrics.summary`.
    """
    if not isinstance(name, str) or name not in MEASURES:
        raise ValueError(f"no jackknife of {name!r}: there is one of {', '.join(MEASURES)}")
    num_classes = as_num_classes(num_classes)
    labels = as_grades(labels, num_classes)
    units = np.arange(len(labels)) if cases is None else as_clusters(cases, len(labels))
    counted = np.ones(len(labels)) if weights is None else as_weights(weights, len(labels))
    kept = counted > 0
    names, units = np.unique(units[kept], return_inverse=True)
    if len(names) < 2:
        raise ValueError("a measure without one example needs 2 examples or more, of a weight above 0")
    if name in _MEANS:
        if probs is None:
            raise ValueError(f"{name} is a measure of probabilities: give probs [R, N, K]")
        rows = [_MEANS[name](*as_labelled_probs(labels, row, num_classes)) for row in as_array(probs, "probs")]
        return _means(np.stack(rows)[:, kept], units, counted[kept])
    grades = as_array(grades, "grades")
    if grades.ndim != 2 or grades.shape[1] != len(labels):
        raise ValueError(f"grades must have shape [R, {len(labels)}] like the labels, found {grades.shape}")
    graded = as_grades(grades.ravel(), num_classes, "grades").reshape(grades.shape)
    cells, measure = (labels * num_classes + graded)[:, kept], _OF_COUNTS[name]

    def value_of(tables: np.ndarray) -> np.ndarray:
        return measure(tables.reshape(-1, num_classes, num_classes))

    if cases is None and weights is None:
        return _alike(value_of, cells, num_classes**2)
    return _by_unit(value_of, cells, num_classes**2, units, counted[kept])


def bounds(name: str, num_classes: int) -> tuple[float, float] | None:
    """What a measure of K grades lies between; None where it has no end, as log loss, or another name."""
    ends = (
        dict.fromkeys(_SHARES, (0.0, 1.0))
        | dict.fromkeys(_AGREEMENTS, (-1.0, 1.0))
        | {"mse": (0.0, (num_classes - 1.0) ** 2)}
    )
    return (ends | dict.fromkeys(_DISTANCES, (0.0, num_classes - 1.0))).get(name)


def hangs_on_one_unit(
    name: str, labels: ArrayLike, cases: ArrayLike | None = None, weights: ArrayLike | None = None
) -> bool:
    """Whether a measure is a mean over grades and a grade comes from one unit alone: it has no jackknife there."""
    labels = as_array(labels, "labels")
    units = np.arange(len(labels)) if cases is None else as_clusters(cases, len(labels))
    counted = np.full(len(labels), True) if weights is None else as_weights(weights, len(labels)) > 0
    return name in _BY_GRADE and any(
        count_units(units[counted & (labels == grade)]) < 2 for grade in np.unique(labels[counted])
    )


def _means(rows: np.ndarray, units: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted means of rows `[R, N]`, and without each unit `[R, U]`."""
    total = weights.sum()
    with np.errstate(invalid="ignore"):  # an infinite log loss has no finite rest
        sums = (rows * weights).sum(axis=1)
        shares = np.stack([np.bincount(units, row * weights) for row in rows])
        return sums / total, (sums[:, None] - shares) / (total - np.bincount(units, weights))


def _alike(value_of: Values, cells: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of cells `[R, N]` of tables of counts, and without each example: alike for all examples of a cell."""
    tables = _tables(cells, np.zeros(cells.shape[1], np.int64), np.ones(cells.shape[1]), 1, size)[:, 0]
    rows, taken = np.nonzero(tables)
    rest = np.full(tables.shape, np.nan)
    for part in _parts(len(rows), size):
        without = tables[rows[part]]
        without[np.arange(len(without)), taken[part]] -= 1
        rest[rows[part], taken[part]] = value_of(without)
    return value_of(tables), np.take_along_axis(rest, cells, axis=1)


def _by_unit(
    value_of: Values, cells: np.ndarray, size: int, units: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Values of weighted cells `[R, N]` of tables, and without each unit `[R, U]`."""
    order = np.argsort(units, kind="stable")
    cells, units, weights = cells[:, order], units[order], weights[order]
    tables = _tables(cells, np.zeros(len(units), np.int64), weights, 1, size)
    rest = np.empty((len(cells), int(units[-1]) + 1))
    for part in _parts(rest.shape[1], len(cells) * size):
        low, high = np.searchsorted(units, [part.start, part.stop])
        own = _tables(cells[:, low:high], units[low:high] - part.start, weights[low:high], part.stop - part.start, size)
        # A cell that is of one unit alone is a sum in the same order: without it, exactly 0 is left.
        rest[:, part] = value_of(tables - own).reshape(len(cells), -1)
    return value_of(tables), rest


def _tables(cells: np.ndarray, units: np.ndarray, weights: np.ndarray, count: int, size: int) -> np.ndarray:
    """Sums of weights `[N]` in cells `[R, N]` by unit `[N]`, `[R, count, size]`."""
    place = (np.arange(len(cells))[:, None] * count + units) * size + cells
    added = np.broadcast_to(weights, cells.shape)
    return np.bincount(place.ravel(), added.ravel(), len(cells) * count * size).reshape(len(cells), count, size)


def _parts(count: int, size: int) -> Iterator[slice]:
    """Slices of 0..count that hold CHUNK numbers at most, of `size` apiece."""
    step = max(1, CHUNK // size)
    return (slice(first, min(first + step, count)) for first in range(0, count, step))
