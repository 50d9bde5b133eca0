"""Ordinal metrics: how well grades agree with labels on a scale of K grades, 0 the worst.

K is always given, never inferred, so that a grade that happens to be absent from a fold cannot change a metric's
meaning. Most metrics are functions of the K x K table of counts alone; each of those is written once, for counts of
shape `[..., K, K]` (rows are labels), and called with labels: `qwk(labels, predictions, num_classes)`. The version on
counts is its attribute `of_counts`, which the bootstrap uses on thousands of tables at once. With `weights=` `[N]` an
example counts as often as its weight says, and 0 leaves it out.

Conventions, the same for all:
* grades absent from the labels are left out of averages, minima and maxima over grades;
* kappa of a constant predictor is 0, by its formula: it agrees as often as chance;
* what is 0/0 is nan: a correlation with a constant is undefined, and a nan shows a collapsed model that a 0 would hide
  in an average. Kappa is so only where labels and predictions are all the one same grade.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol

import numpy as np
from numpy.typing import ArrayLike

from ordinal_blast.evaluation.probabilistic import crossing_rate, ece, log_loss, rps, unimodal_share
from ordinal_blast.evaluation.validation import as_count, as_num_classes, as_pair, as_weights

__all__ = [
    "accuracy",
    "amae",
    "balanced_accuracy",
    "cem",
    "confusion",
    "crossing_rate",
    "ece",
    "gmsec",
    "kendall_tau",
    "linear_kappa",
    "log_loss",
    "mae",
    "min_sensitivity",
    "mmae",
    "mse",
    "off_by_k_accuracy",
    "off_by_one_accuracy",
    "qwk",
    "recalls",
    "rmse",
    "rps",
    "somers_d",
    "spearman",
    "summary",
    "unimodal_share",
]


P = ParamSpec("P")


class CountMetric(Protocol[P]):
    """A metric of labels and predictions that depends on their table of counts only."""

    __name__: str
    of_counts: Callable[..., np.ndarray]

    def __call__(
        self,
        labels: ArrayLike,
        predictions: ArrayLike,
        num_classes: int,
        weights: ArrayLike | None = None,
        *args: P.args,
        **options: P.kwargs,
    ) -> Any:
        """The metric of int `[N]` labels and predictions in 0..K-1, examples counting by their weights `[N]`."""
        ...


def confusion(
    labels: ArrayLike, predictions: ArrayLike, num_classes: int, weights: ArrayLike | None = None
) -> np.ndarray:
    """Counts int64 `[K, K]`, or sums of weights float64: row y, column ŷ. ValueError names the first bad value."""
    num_classes = as_num_classes(num_classes)
    labels, predictions = as_pair(labels, predictions, num_classes)
    counted = None if weights is None else as_weights(weights, len(labels))
    counts = np.bincount(labels * num_classes + predictions, counted, num_classes**2)
    return counts.reshape(num_classes, num_classes)


def _of_labels(of_counts: Callable[Concatenate[np.ndarray, P], np.ndarray]) -> CountMetric[P]:
    """The function of counts `[..., K, K]` -> `[...]` as a function of labels and predictions."""

    def of_labels(
        labels: ArrayLike,
        predictions: ArrayLike,
        num_classes: int,
        weights: ArrayLike | None = None,
        *args: P.args,
        **options: P.kwargs,
    ) -> Any:
        value = of_counts(confusion(labels, predictions, num_classes, weights), *args, **options)
        return value if np.ndim(value) else float(value)

    metric: Any = of_labels
    # Show the options of the wrapped function in place of *args and **options.
    *shown, _, _ = inspect.signature(metric).parameters.values()
    shown += [p for p in inspect.signature(of_counts).parameters.values() if p.kind is p.KEYWORD_ONLY]
    metric.__signature__ = inspect.signature(metric).replace(parameters=shown)
    metric.of_counts = of_counts
    functools.update_wrapper(metric, of_counts, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    return metric


def _total(counts: np.ndarray) -> np.ndarray:
    return counts.sum(axis=(-2, -1))


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Numerator / denominator, nan where 0/0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.divide(numerator, denominator)


def _distances(counts: np.ndarray) -> np.ndarray:
    """|y - ŷ| as float64 `[K, K]`."""
    grades = np.arange(counts.shape[-1], dtype=np.float64)
    return np.abs(grades[:, None] - grades)


def _mean_cost(counts: np.ndarray, cost: np.ndarray) -> np.ndarray:
    return (counts * cost).sum(axis=(-2, -1)) / _total(counts)


def _grade_errors(counts: np.ndarray) -> np.ndarray:
    """Mean |y - ŷ| within each grade, `[..., K]`, nan where the grade is absent."""
    return _ratio((counts * _distances(counts)).sum(axis=-1), counts.sum(axis=-1))


@_of_labels
def accuracy(counts: np.ndarray) -> np.ndarray:
    """Share of examples with ŷ = y, 0 to 1."""
    return np.trace(counts, axis1=-2, axis2=-1) / _total(counts)


@_of_labels
def off_by_k_accuracy(counts: np.ndarray, *, k: int) -> np.ndarray:
    """Share of examples with |ŷ - y| ≤ k, 0 to 1. ValueError unless k is a whole number, 0 or more."""
    return _mean_cost(counts, _distances(counts) <= as_count(k, "k", 0))


@_of_labels
def off_by_one_accuracy(counts: np.ndarray) -> np.ndarray:
    """Share of examples with |ŷ - y| ≤ 1, 0 to 1; 1 for K = 2."""
    return off_by_k_accuracy.of_counts(counts, k=1)


@_of_labels
def recalls(counts: np.ndarray) -> np.ndarray:
    """Share of each grade that is found (its sensitivity), `[K]`, 0 to 1, nan where the grade is absent."""
    return _ratio(np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1))


@_of_labels
def balanced_accuracy(counts: np.ndarray) -> np.ndarray:
    """Mean over the grades present of the share found, 0 to 1."""
    return np.nanmean(recalls.of_counts(counts), axis=-1)


@_of_labels
def mae(counts: np.ndarray) -> np.ndarray:
    """Mean absolute error |ŷ - y| in grades, 0 to K-1."""
    return _mean_cost(counts, _distances(counts))


@_of_labels
def mse(counts: np.ndarray) -> np.ndarray:
    """Mean squared error (ŷ - y)² in squared grades, 0 to (K-1)²."""
    return _mean_cost(counts, _distances(counts) ** 2)


@_of_labels
def rmse(counts: np.ndarray) -> np.ndarray:
    """Square root of the mean squared error, in grades, 0 to K-1."""
    return np.sqrt(_mean_cost(counts, _distances(counts) ** 2))


@_of_labels
def amae(counts: np.ndarray) -> np.ndarray:
    """Mean over the grades present of their mean absolute error, 0 to K-1 (Baccianella et al., 2009)."""
    return np.nanmean(_grade_errors(counts), axis=-1)


@_of_labels
def mmae(counts: np.ndarray) -> np.ndarray:
    """Largest mean absolute error of a grade present, 0 to K-1 (Cruz-Ramírez et al., 2014)."""
    return np.nanmax(_grade_errors(counts), axis=-1)


def _kappa(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted kappa 1 - Σ w O / Σ w E, disagreement weights w `[K, K]` and E from the margins (Cohen, 1968)."""
    by_chance = counts.sum(axis=-1)[..., :, None] * counts.sum(axis=-2)[..., None, :]
    # Multiplied out, so that O and E stay whole numbers and a constant predictor gives 0 exactly.
    observed = (counts * weights).sum(axis=(-2, -1)) * _total(counts)
    return 1 - _ratio(observed, (by_chance * weights).sum(axis=(-2, -1)))


@_of_labels
def qwk(counts: np.ndarray) -> np.ndarray:
    """Quadratic weighted kappa, weights (y - ŷ)²: 1 perfect, 0 as by chance, negative below; nan if one grade only."""
    return _kappa(counts, _distances(counts) ** 2)


@_of_labels
def linear_kappa(counts: np.ndarray) -> np.ndarray:
    """Linearly weighted kappa, weights |y - ŷ|: 1 perfect, 0 as by chance, negative below; nan if one grade only."""
    return _kappa(counts, _distances(counts))


def _excess_concordance(counts: np.ndarray) -> np.ndarray:
    """Concordant minus discordant pairs of examples, `[...]`."""
    counts = counts.astype(np.float64)
    below = np.cumsum(counts, axis=-2) - counts
    left = np.cumsum(below, axis=-1) - below
    right = below.sum(axis=-1, keepdims=True) - below - left
    return (counts * (left - right)).sum(axis=(-2, -1))


def _untied_pairs(margin: np.ndarray) -> np.ndarray:
    """Pairs of examples that differ, from the counts `[..., K]` of a margin."""
    margin = margin.astype(np.float64)
    return (margin.sum(axis=-1) ** 2 - (margin**2).sum(axis=-1)) / 2


@_of_labels
def kendall_tau(counts: np.ndarray) -> np.ndarray:
    """Kendall's tau-b, -1 to 1; nan where labels or predictions are constant (Kendall, 1945)."""
    pairs = _untied_pairs(counts.sum(axis=-1)) * _untied_pairs(counts.sum(axis=-2))
    return _ratio(_excess_concordance(counts), np.sqrt(pairs))


@_of_labels
def somers_d(counts: np.ndarray) -> np.ndarray:
    """Somers' D of predictions given labels: concordant minus discordant over pairs whose labels differ, -1 to 1.

    (D + 1) / 2 is the concordance index, the area under the ROC curve for K = 2; nan with one label (Somers, 1962).
    """
    return _ratio(_excess_concordance(counts), _untied_pairs(counts.sum(axis=-1)))


@_of_labels
def spearman(counts: np.ndarray) -> np.ndarray:
    """Spearman's correlation of midranks, -1 to 1; nan where labels or predictions are constant."""

    def centred_ranks(margin: np.ndarray) -> np.ndarray:
        return np.cumsum(margin, axis=-1) - (margin + margin.sum(axis=-1, keepdims=True)) / 2

    rows, columns = counts.sum(axis=-1), counts.sum(axis=-2)
    y, x = centred_ranks(rows), centred_ranks(columns)
    covariance = (counts * y[..., :, None] * x[..., None, :]).sum(axis=(-2, -1))
    return _ratio(covariance, np.sqrt((rows * y**2).sum(axis=-1) * (columns * x**2).sum(axis=-1)))


@_of_labels
def min_sensitivity(counts: np.ndarray) -> np.ndarray:
    """Smallest share found of a grade present, 0 to 1."""
    return np.nanmin(recalls.of_counts(counts), axis=-1)


@_of_labels
def gmsec(counts: np.ndarray) -> np.ndarray:
    """Geometric mean of the shares found of the lowest and the highest grade present, 0 to 1."""
    present = counts.sum(axis=-1) > 0
    lowest, highest = present.argmax(axis=-1), present.shape[-1] - 1 - present[..., ::-1].argmax(axis=-1)
    extremes = np.take_along_axis(recalls.of_counts(counts), np.stack([lowest, highest], axis=-1), axis=-1)
    return np.sqrt(extremes.prod(axis=-1))


@_of_labels
def cem(counts: np.ndarray) -> np.ndarray:
    """Closeness evaluation measure, Σ prox(ŷ, y) / Σ prox(y, y), 0 to 1 (Amigó et al., 2020).

    prox(a, b) = -log2((n_a / 2 + Σ n_c over c after a up to b) / N), n from the labels: confusing rare neighbours costs
    little, confusing grades with many examples between them costs much.
    """
    labels = counts.sum(axis=-1)
    upto = np.cumsum(labels, axis=-1)
    below = upto - labels
    predicted_lower = upto[..., :, None] - upto[..., None, :]
    predicted_higher = below[..., None, :] - below[..., :, None]
    mass = np.maximum(predicted_lower, predicted_higher) + labels[..., None, :] / 2
    # Mass is 0 only on the diagonal of an absent grade, where the count is 0 as well.
    prox = -np.log2(np.where(mass > 0, mass, 1) / _total(counts)[..., None, None])
    best = (labels * np.diagonal(prox, axis1=-2, axis2=-1)).sum(axis=-1)
    return _ratio((counts * prox).sum(axis=(-2, -1)), best)


COUNT_METRICS: tuple[CountMetric[...], ...] = (
    accuracy,
    off_by_one_accuracy,
    balanced_accuracy,
    mae,
    mse,
    rmse,
    amae,
    mmae,
    qwk,
    linear_kappa,
    kendall_tau,
    spearman,
    min_sensitivity,
    gmsec,
)
PROB_METRICS = (rps, log_loss, ece)


def summary(
    labels: ArrayLike,
    predictions: ArrayLike,
    num_classes: int,
    probs: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> dict[str, float]:
    """Every metric of the summary by name; rps, log_loss and ece only with `probs`.

    labels and predictions int `[N]` in 0..K-1, probs `[N, K]`, weights `[N]`, 0 or more. ValueError: empty input, a
    grade out of range (the first is named), lengths that differ, rows of probs that are no distribution, bad weights.
    """
    counts = confusion(labels, predictions, num_classes, weights)
    result = {metric.__name__: float(metric.of_counts(counts)) for metric in COUNT_METRICS}
    if probs is not None:
        result |= {metric.__name__: metric(labels, probs, num_classes, weights=weights) for metric in PROB_METRICS}
    return result
