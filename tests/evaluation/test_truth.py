"""What only simulated data tell, against exhaustive search, counts and scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from ordinal_blast.evaluation import simultaneous, truth


@pytest.mark.parametrize("seed", range(4))
def test_best_cuts_are_those_of_exhaustive_search(seed):
    rng = np.random.default_rng(seed)
    latent = rng.integers(0, 9, 25) / 2  # with ties
    labels = np.clip(np.digitize(latent + rng.normal(size=25), [1.5, 3.0]), 0, 2)
    cuts = truth.best_cuts(latent, labels, 3)
    places = [-np.inf, *(np.unique(latent) + 0.25)]
    best = max(
        (np.digitize(latent, pair) == labels).sum() for pair in itertools.combinations_with_replacement(places, 2)
    )
    assert (np.searchsorted(cuts, latent, side="right") == labels).sum() == best
    assert list(cuts) == sorted(cuts)


def test_a_grade_that_no_cut_helps_is_never_given():
    assert truth.best_cuts([1.0, 2.0, 3.0], [0, 0, 0], 3).tolist() == [np.inf, np.inf]
    assert truth.best_cuts([1.0, 2.0, 3.0], [2, 2, 2], 3).tolist() == [-np.inf, -np.inf]
    assert truth.best_cuts([3.0, 1.0, 2.0], [2, 0, 1], 3).tolist() == [1.5, 2.5]


def test_the_annotators_share_counts_disagreements_where_the_network_is_right():
    labels, true = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 2, 2, 1])
    grades = np.array([[[0, 1, 2, 2, 1, 1], [1, 1, 0, 0, 2, 2]]])
    one = truth.annotators_share(labels, true, grades, num_classes=3)
    assert one.values.tolist() == [[3 / 5, 1 / 4]]


@pytest.mark.parametrize("by_patient", [False, True])
def test_rank_correlation_is_scipys_without_each_unit(by_patient):
    rng = np.random.default_rng(7)
    quality = rng.normal(size=30)
    scores = np.round(quality + rng.normal(size=(2, 2, 30)), 1)  # with ties
    units = np.arange(30) // (3 if by_patient else 1)
    one = truth.rank_correlation(quality, scores, cases=units if by_patient else None)
    rows = scores.reshape(4, -1)
    values = [stats.spearmanr(quality, row).statistic for row in rows]
    without = [
        [stats.spearmanr(quality[units != unit], row[units != unit]).statistic for unit in np.unique(units)]
        for row in rows
    ]
    count = len(np.unique(units))
    assert one.values.ravel() == pytest.approx(values, rel=1e-10)
    assert one.covariance == pytest.approx((count - 1) ** 2 / count * np.cov(without), rel=1e-7)


def test_a_constant_score_has_no_correlation():
    one = truth.rank_correlation(np.arange(5.0), np.ones((1, 1, 5)))
    assert np.isnan(one.values).all()
    assert one.mean(0).degenerate


def draw(rng, count, seeds=3, spread=0.2):
    """Quality, annotations, true grades, and the scores and grades `[1, S, N]` of a network whose seeds differ."""
    quality = rng.standard_normal(count)
    labels = np.digitize((quality + 0.6 * rng.standard_normal(count)) / np.hypot(1, 0.6), [-1.0, 0.2])
    rho = np.tanh(np.arctanh(0.75) + spread * rng.standard_normal((1, seeds, 1)))
    noise = np.sqrt(0.6) * rng.standard_normal(count) + np.sqrt(0.4) * rng.standard_normal((1, seeds, count))
    scores = rho * quality + np.sqrt(1 - rho**2) * noise
    return quality, labels, np.digitize(quality, [-1.0, 0.2]), scores, np.digitize(scores, [-1.0, 0.2])


def of_study(quality, labels, true, scores, grades):
    """The annotator's share; the correlation of labels and scores with the quality; both with their differences."""
    share = truth.annotators_share(labels, true, grades, num_classes=3)
    ranks = truth.rank_correlation(quality, np.concatenate([np.broadcast_to(labels, scores.shape), scores]))
    return share.mean(0), ranks.mean(0, "examples"), ranks.mean(1), ranks.difference(1, 0)


def test_intervals_cover_over_new_examples_and_seeds():
    """Of 150 studies of 150 examples, nominal .95; `truth` says what 2,000 of them give."""
    rng = np.random.default_rng(9)
    quality, labels, true, scores, grades = draw(rng, 4_000, seeds=30)
    differs = grades != labels
    share = np.mean([np.mean((g == true)[d]) for g, d in zip(grades[0], differs[0], strict=True)])
    human, network = (
        np.mean([stats.spearmanr(quality, row).statistic for row in rows]) for rows in (labels[None], scores[0])
    )
    truths, bounds = (share, human, network, network - human), ((0, 1), (-1, 1), (-1, 1), None)
    misses = np.zeros(4)
    for _ in range(150):
        intervals = (simultaneous.interval(c, bounds=b) for c, b in zip(of_study(*draw(rng, 150)), bounds, strict=True))
        misses += [not low <= value <= high for (low, high), value in zip(intervals, truths, strict=True)]
    assert 1 - misses / 150 == pytest.approx(np.full(4, 0.955), abs=0.04)


def test_other_lengths_and_too_few_are_refused():
    with pytest.raises(ValueError, match=r"2 labels but latent \(3,\)"):
        truth.best_cuts(np.zeros(3), [0, 1], 3)
    with pytest.raises(ValueError, match=r"scores must have shape \[V, S, 3\] like quality"):
        truth.rank_correlation(np.zeros(3), np.zeros((1, 1, 4)))
    with pytest.raises(ValueError, match="3 units or more, found 2"):
        truth.rank_correlation(np.zeros(2), np.zeros((1, 1, 2)))
