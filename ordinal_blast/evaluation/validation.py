"""Checks of what enters the statistics; every error is one line that names the first bad value."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.types import NO_ID

MOST_CLASSES = 1000  # a table of counts is K x K, and thousands of them are held at once
MOST_DRAWS = 10_000_000  # of resamples or bins: more would only fill the memory
MOST_WEIGHT = 1e100  # products of weights neither overflow nor vanish
STEPS = {"bfloat16": 2**-7, "float16": 2**-10, "float32": 2**-23}  # the spacing of a type's numbers at 1


def as_array(values: ArrayLike, name: str) -> np.ndarray:
    """Values as an array; ValueError for masked entries, whose mask would be lost, or rows that differ in length."""
    if np.ma.is_masked(values):
        where = np.argwhere(np.ma.getmaskarray(np.ma.asarray(values)))[0].tolist()
        raise ValueError(f"{name}[{_at(where)}] is masked: drop what is missing first")
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{name} must be an array, found rows that differ in length or shape") from None


def _at(where: Iterable[int]) -> str:
    return ", ".join(map(str, where))


def as_numbers(values: ArrayLike, name: str) -> np.ndarray:
    """Values as an array of whole or real numbers of their own type; ValueError names the first that is none."""
    array = as_array(values, name)
    if array.dtype.kind == "O":
        for where, value in np.ndenumerate(array):
            if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
                place = f"[{_at(where)}]" if where else ""
                raise ValueError(f"{name}{place} must be a number, found {value!r}")
        array = np.asarray(array.tolist())
    if not np.can_cast(array.dtype, np.float64, "same_kind"):
        raise ValueError(f"{name} must be numbers, found {'text' if array.dtype.kind in 'US' else array.dtype}")
    return array


def step(values: np.ndarray) -> float:
    """What one rounding of a number near 1 may do in the values' own type; 1e-12 for float64, which many were."""
    return STEPS.get(values.dtype.name, 1e-12)


def as_floats(values: ArrayLike, name: str) -> np.ndarray:
    """Values as float64; ValueError as `as_numbers`."""
    return as_numbers(values, name).astype(np.float64)


def as_real(value: float, name: str) -> float:
    """A finite number as a float; ValueError for anything else."""
    if _is_finite(value):
        return float(value)
    raise ValueError(f"{name} must be a finite number, found {value!r:.100}")


def _is_finite(value: object) -> bool:
    try:
        return isinstance(value, numbers.Real) and math.isfinite(value)
    except OverflowError:  # an int beyond float64
        return False


def as_seed(seed: int) -> int:
    """A seed of random draws as an int; ValueError outside 0..2^32 - 1, or for another type."""
    return as_count(seed, "seed", 0, 2**32 - 1)


def check_choice(value: str, name: str, choices: Iterable[str]) -> None:
    """ValueError for a value that is none of the choices, whatever its type."""
    if not (isinstance(value, str) and value in choices):
        raise ValueError(f"{name} must be one of {', '.join(choices)}, found {value!r:.100}")


def as_count(value: int, name: str, least: int = 1, most: int = MOST_DRAWS) -> int:
    """A whole number as an int; ValueError outside `least`..`most` or for another type."""
    try:
        count = int(operator.index(value))
    except TypeError:
        raise ValueError(f"{name} must be a whole number, found {value!r:.100}") from None
    if count < least:
        raise ValueError(f"{name} must be {least} or more, found {count}")
    if count > most:
        raise ValueError(f"{name} must be {most} or less, found {count}")
    return count


def as_num_classes(num_classes: int) -> int:
    """K as an int; ValueError below 2, because one grade is not a scale, or above 1000."""
    return as_count(num_classes, "num_classes", 2, MOST_CLASSES)


def as_grades(grades: ArrayLike, num_classes: int, name: str = "labels") -> np.ndarray:
    """Grades as int64 `[N]`; ValueError unless one-dimensional, non-empty integers in 0..K-1."""
    grades = as_numbers(grades, name)
    if grades.ndim != 1 or not len(grades):
        raise ValueError(f"{name} must be a non-empty vector [N], found shape {grades.shape}")
    if grades.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, found {grades.dtype}{_first_nan(grades)}")
    bad = np.flatnonzero((grades < 0) | (grades >= num_classes))
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] = {grades[bad[0]]} is outside 0..{num_classes - 1} ({num_classes} classes)")
    return grades.astype(np.int64)


def _first_nan(values: np.ndarray) -> str:
    missing = np.flatnonzero(values != values)
    return f" with NaN at {missing[0]}: drop what is missing first" if len(missing) else ""


def as_pair(
    labels: ArrayLike, predictions: ArrayLike, num_classes: int, names: tuple[str, str] = ("labels", "predictions")
) -> tuple[np.ndarray, np.ndarray]:
    """Two gradings of the same examples as int64 `[N]`; ValueError as `as_grades`, or where the lengths differ."""
    first, second = as_grades(labels, num_classes, names[0]), as_grades(predictions, num_classes, names[1])
    if len(first) != len(second):
        raise ValueError(f"{len(first)} {names[0]} but {len(second)} {names[1]}: one for each example is needed")
    return first, second


def as_probs(probs: ArrayLike, num_classes: int, tolerance: float = 1e-4) -> np.ndarray:
    """Class probabilities as float64 `[N, K]`; ValueError unless every row is a distribution to within `tolerance`.

    float16 and bfloat16 cannot hold that: their rows may be off by 4 steps of the type at 1, and are then normalised.
    """
    numbers = as_numbers(probs, "probs")
    if numbers.ndim != 2 or numbers.shape[1] != num_classes or not len(numbers):
        raise ValueError(f"probs must have shape [N, {num_classes}], found {numbers.shape}")
    coarse = 4 * step(numbers) > tolerance
    tolerance, probs = max(tolerance, 4 * step(numbers)), numbers.astype(np.float64)
    bad = np.flatnonzero(~(probs >= 0).all(axis=1))
    if len(bad):
        row = probs[bad[0]]
        hint = ": give probabilities, not logits or log-probabilities" if (row < 0).any() else ""
        raise ValueError(f"probs[{bad[0]}] = {row.tolist()} has a negative or missing entry{hint}")
    with np.errstate(over="ignore"):
        totals = probs.sum(axis=1)
    bad = np.flatnonzero(~(np.abs(totals - 1) <= tolerance))
    if len(bad):
        row, total = probs[bad[0]], totals[bad[0]]
        if abs(total - 1) <= 0.01:
            why = f"that is rounding beyond what {numbers.dtype} allows ({tolerance:.2g}): divide each row by its sum"
        elif (row <= 1).all():
            why = "give the probability of each class, not of each threshold"
        else:
            why = "give probabilities, not logits"
        raise ValueError(f"probs[{bad[0]}] sums to {total:.6g}, not 1: {why}")
    return probs / totals[:, None] if coarse else probs


def as_labelled_probs(labels: ArrayLike, probs: ArrayLike, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels `[N]` and probabilities `[N, K]`; ValueError as `as_grades` and `as_probs`, or where N differs."""
    num_classes = as_num_classes(num_classes)
    labels, probs = as_grades(labels, num_classes), as_probs(probs, num_classes)
    if len(labels) != len(probs):
        raise ValueError(f"{len(labels)} labels but {len(probs)} rows of probs: one row per label is needed")
    return labels, probs


def as_binary(labels: ArrayLike, name: str = "labels") -> np.ndarray:
    """Labels of a binary outcome as bool `[N]`, True for cases; ValueError unless 0s and 1s, or bools, of both."""
    labels = as_array(labels, name)
    cases = as_grades(labels.astype(np.int64) if labels.dtype == bool else labels, 2, name).astype(bool)
    if not cases.any() or cases.all():
        raise ValueError(
            f"{name} hold {cases.sum()} cases and {(~cases).sum()} controls: at least one of each is needed"
        )
    return cases


def as_scores(scores: ArrayLike, length: int, name: str = "scores") -> np.ndarray:
    """Scores as float64 `[N]`, infinite ones allowed; ValueError for NaN, another length, or integers beyond float64.

    Scores are never rounded: two that differ in their last bit are two.
    """
    numbers = as_numbers(scores, name)
    if numbers.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},) like the labels, found {numbers.shape}")
    scores = numbers.astype(np.float64)
    if numbers.dtype.kind in "iu":
        bad = np.flatnonzero(np.abs(scores) > 2.0**53)
        if len(bad):
            raise ValueError(f"{name}[{bad[0]}] = {numbers[bad[0]]} has no exact float64: different scores would tie")
    bad = np.flatnonzero(np.isnan(scores))
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] is NaN: a missing score cannot be ranked, drop or fill it first")
    return scores


def as_weights(weights: ArrayLike | None, length: int, name: str = "weights") -> np.ndarray:
    """Weights of examples as float64 `[N]`, ones for None; ValueError: one negative or not finite, or all of them 0.

    They say how much an example counts: 2 is the example twice, and 0 is the example left out.
    """
    if weights is None:
        return np.ones(length)
    numbers = as_numbers(weights, name)
    if numbers.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},) like the labels, found {numbers.shape}")
    weights = numbers.astype(np.float64)
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] = {weights[bad[0]]} is no weight: it must be finite and 0 or more")
    bad = np.flatnonzero((weights > 0) & ((weights < 1 / MOST_WEIGHT) | (weights > MOST_WEIGHT)))
    if len(bad):
        raise ValueError(f"{name}[{bad[0]}] = {weights[bad[0]]} cannot be computed with: give 0, or 1e-100 to 1e100")
    if not weights.any():
        raise ValueError(f"{name} are all 0: nothing is left to measure")
    return weights


def as_clusters(clusters: ArrayLike, length: int) -> np.ndarray:
    """Cluster of each example as int64 `[N]` in 0..G-1; ValueError as `as_members`, or for fewer than 2 clusters."""
    members = as_members(clusters, length)
    if not members.any():
        raise ValueError("clusters must name at least 2 clusters: one says nothing of the spread between them")
    return members


def as_members(ids: ArrayLike, length: int, name: str = "clusters") -> np.ndarray:
    """The ids `[N]`, all text or all numbers, as int64 `[N]` in 0..G-1, in the order of the ids.

    ValueError: a missing id (it would gather strangers in one cluster), ids of two kinds, or another length.
    """
    if not hasattr(ids, "dtype"):
        try:  # item by item, because numpy would write a None or NaN among texts as text
            ids = np.fromiter(ids, object)  # type: ignore[arg-type]  # what cannot be iterated is told
        except TypeError:
            raise ValueError(f"{name} must be a vector of ids, found {ids!r}") from None
    ids = as_array(ids, name)
    if ids.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},) like the labels, found {ids.shape}")
    return np.unique(ids if ids.dtype.kind in "iub" else _checked_ids(ids, name), return_inverse=True)[1]


def count_units(members: np.ndarray) -> int:
    """How many different units, int 0 or more `[N]`, there are: `numpy.unique` hashes, which takes N^1.3 and more."""
    return int(np.count_nonzero(np.bincount(members)))


def _checked_ids(ids: np.ndarray, name: str) -> np.ndarray:
    """Ids `[N]` as an array of text or of numbers; ValueError names the first that is missing or of another kind."""
    if ids.dtype.kind == "U" and not np.isin(np.strings.strip(ids), NO_ID).any():
        return ids
    items = ids.tolist()
    kinds = [_kind(item) for item in items]
    for i, kind in enumerate(kinds):
        if not kind:
            raise ValueError(f"{name}[{i}] = {items[i]!r} is no id: give text or a number, or drop the example")
        if kind != kinds[0]:
            raise ValueError(f"{name}[{i}] = {items[i]!r} is {kind}, {name}[0] = {items[0]!r} is {kinds[0]}")
    return np.array(items)


def _kind(item: object) -> str:
    """What an id is, empty where it is missing or cannot be one."""
    if isinstance(item, str | bytes):
        text = item.decode(errors="replace") if isinstance(item, bytes) else item
        return "" if text.strip() in NO_ID else type(item).__name__
    return "a number" if isinstance(item, numbers.Integral) or _is_finite(item) else ""


def check_confidence(confidence: float, name: str = "confidence") -> None:
    """ValueError for a confidence outside (0, 1), or too near to 1 to tell them apart."""
    if not (as_real(confidence, name) > 0 and (1 + confidence) / 2 < 1):
        raise ValueError(f"{name} must lie between 0 and 1, found {confidence}")
