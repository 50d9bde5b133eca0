"""Conformal sets: scores against brute force, the quantile by hand, coverage by simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import special

from ordinal_blast.evaluation import conformal, probabilistic


def draw(n: int, seed: int, k: int = 5):
    """Labels and probabilities of a model that is twice as sure as it may be."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2, size=(n, k))
    fate = rng.uniform(size=(n, 1))
    labels = (fate > np.cumsum(special.softmax(logits, axis=1), axis=1)[:, :-1]).sum(axis=1)
    return labels, special.softmax(2 * logits, axis=1)


@pytest.mark.parametrize("method", conformal.METHODS)
def test_sets_cover_what_they_promise_however_wrong_the_model(method):
    covered = []
    for seed in range(400):
        labels, probs = draw(159, seed)
        sets = conformal.calibrate(labels[:59], probs[:59], 5, method, 0.9).sets(probs[59:])
        covered.append(conformal.coverage(sets, labels[59:], 5).overall)
    # 54 of 60 at least; LAC gains by holes that are filled and by sets that are never empty.
    assert 0.89 < np.mean(covered) < (0.94 if method == "lac" else 0.915)


def test_the_threshold_is_the_score_of_the_finite_sample_rank():
    labels, probs = draw(19, 0)
    own = np.sort(1 - probs[np.arange(19), labels])
    for level, rank in ((0.9, 18), (0.95, 19), (0.5, 10)):
        assert conformal.calibrate(labels, probs, 5, "lac", level).threshold == own[rank - 1]
    few = conformal.calibrate(labels, probs, 5, "lac", 0.96)
    assert math.isinf(few.threshold)
    assert (few.sets(probs).sizes == 5).all()


def test_the_score_of_the_ranked_probability_is_the_one_that_is_measured():
    _, probs = draw(30, 1)
    for grade in range(5):
        expected = probabilistic.rps_values(np.full(30, grade), probs)
        np.testing.assert_allclose(conformal.scores(probs, 5, "rps")[:, grade], expected, rtol=1e-12, atol=1e-14)


def test_intervals_are_the_shortest_of_their_mass_where_there_is_one_peak():
    grades = np.arange(6)
    rng = np.random.default_rng(2)
    for centre, width in zip(rng.uniform(0, 5, 40), rng.uniform(0.5, 3, 40), strict=True):
        probs = special.softmax(-((grades - centre) ** 2) / width)
        scores = conformal.scores(probs[None], 6, "interval")[0]
        for mass in rng.uniform(0.05, 0.95, 5):
            (inside,) = np.nonzero(scores <= mass)
            low, high = inside.min(), inside.max()
            assert len(inside) == high - low + 1
            assert probs[low : high + 1].sum() > mass
            shorter = [
                (a, b)
                for a, b in itertools.combinations_with_replacement(range(6), 2)
                if b - a < high - low and probs[a : b + 1].sum() > mass
            ]
            assert not shorter


def test_sets_are_runs_of_grades_and_never_empty():
    probs = np.array([[0.45, 0.1, 0.45], [0.34, 0.33, 0.33]])
    two_peaks = conformal.Conformal("lac", 0.9, 0.6, 3, 10).sets(probs)
    assert (two_peaks.low.tolist(), two_peaks.high.tolist()) == ([0, 0], [2, 0])
    assert two_peaks.texts("CBA") == ["C or B or A, 90 %", "C, 90 %"]
    for method in conformal.METHODS:
        smallest = conformal.Conformal(method, 0.9, -1.0, 3, 10).sets(probs)
        assert smallest.sizes.tolist() == [1, 1]


def test_coverage_is_counted_by_grade_and_by_group():
    sets = conformal.GradeSets(np.array([0, 0, 1, 2]), np.array([0, 1, 2, 2]), 0.9)
    counted = conformal.coverage(sets, [0, 2, 2, 0], 4, groups=["a", "b", "a", "b"])
    assert counted.overall == 0.5
    assert counted.by_grade.tolist()[:1] == [0.5]
    assert np.isnan(counted.by_grade[[1, 3]]).all()
    assert counted.by_grade[2] == 0.5
    assert counted.by_group == {"a": 1.0, "b": 0.0}
    assert (counted.size, counted.singles) == (1.5, 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conformal.calibrate([0], [[0.5, 0.5]], 2, "aps"), "one of interval, rps, lac, found 'aps'"),
        (lambda: conformal.calibrate([0], [[0.5, 0.5]], 2, level=1.0), "between 0 and 1, found 1.0"),
        (lambda: conformal.calibrate([2], [[0.5, 0.5]], 2), r"labels\[0\] = 2 is outside 0..1"),
        (lambda: conformal.coverage(conformal.GradeSets(np.zeros(2, int), np.ones(2, int), 0.9), [0], 2), "2 sets"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
