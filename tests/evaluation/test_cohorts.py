"""Order within groups against brute force, R's survival, and simulation."""

import math

import numpy as np
import pytest

from ordinal_blast.evaluation import cohorts

# Examples of four groups, and what survival 3.5 of R says: concordance(labels ~ scores + strata(groups)).
LABELS = np.array([0, 1, 2, 0, 0, 1, 2, 2, 2, 1, 0, 1])
SCORES = np.array([0.1, 0.7, 0.7, 0.3, 0.2, 0.2, 0.9, 0.4, 0.5, 0.6, 0.8, 0.1])
GROUPS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
C_INDEX = 0.4285714285714286


def test_the_c_index_is_that_of_survival_with_strata():
    assert cohorts.c_index(LABELS, SCORES[None, None], GROUPS).values[0, 0] == pytest.approx(C_INDEX, rel=1e-12)


def random(seed, shape=(2, 3), n=90, groups=25, levels=6):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 3, n), rng.integers(0, levels, (*shape, n)).astype(float), rng.integers(0, groups, n)


def pairs_in_order(labels, scores, groups):
    points = [
        0.5 if scores[i] == scores[j] else float(scores[i] < scores[j])
        for i in range(len(labels))
        for j in range(len(labels))
        if groups[i] == groups[j] and labels[i] < labels[j]
    ]
    return sum(points) / len(points)


def lowest_picked(labels, scores, groups):
    shares = []
    for group in np.unique(groups):
        own, marks = labels[groups == group], scores[groups == group]
        if own.min() < own.max():
            shares.append((own[marks == marks.max()] == own.min()).mean())
    return np.mean(shares)


@pytest.mark.parametrize(
    ("call", "by_hand"), [(cohorts.c_index, pairs_in_order), (cohorts.critical_errors, lowest_picked)]
)
def test_values_and_their_covariance_are_those_of_leaving_groups_out(call, by_hand):
    labels, scores, groups = random(0)
    compared = call(labels, scores, groups)
    flat = scores.reshape(6, -1)
    np.testing.assert_allclose(compared.values.ravel(), [by_hand(labels, row, groups) for row in flat], rtol=1e-12)
    telling = [g for g in np.unique(groups) if len(np.unique(labels[groups == g])) > 1]
    without = np.array(
        [[by_hand(labels[groups != g], r[groups != g], groups[groups != g]) for g in telling] for r in flat]
    )
    size = len(telling)
    assert compared.units == size
    np.testing.assert_allclose(compared.covariance, np.cov(without, ddof=0) * (size - 1), rtol=1e-9, atol=1e-15)


def test_an_outcome_in_the_order_of_the_scores_is_one_and_against_it_nought():
    outcome, groups = np.tile([0, 1, 1], 8), np.repeat(np.arange(8), 3)
    scores = np.stack([outcome, -outcome]).astype(float)[:, None]
    assert cohorts.c_index(outcome, scores, groups).values.ravel().tolist() == [1, 0]
    assert cohorts.critical_errors(outcome, scores, groups).values.ravel().tolist() == [0, 1]


def test_scores_that_are_all_alike_are_chance():
    labels, scores, groups = random(1)
    alike = np.zeros_like(scores[:1, :1])
    assert cohorts.c_index(labels, alike, groups).values[0, 0] == 0.5
    telling = [labels[groups == g] for g in np.unique(groups) if len(np.unique(labels[groups == g])) > 1]
    by_chance = np.mean([(own == own.min()).mean() for own in telling])
    assert cohorts.critical_errors(labels, alike, groups).values[0, 0] == pytest.approx(by_chance, rel=1e-12)


def test_what_raises_all_of_a_patient_alike_is_nothing_here():
    labels, scores, groups = random(2, levels=10**9)
    level = np.random.default_rng(3).normal(size=groups.max() + 1)[groups] * 1e10
    assert (
        cohorts.c_index(labels, scores + level, groups).values == cohorts.c_index(labels, scores, groups).values
    ).all()


def test_groups_that_hold_one_label_say_nothing():
    assert cohorts.contrasting([0, 1, 2, 2, 1], [0, 0, 1, 1, 2]).tolist() == [True, True, False, False, False]
    labels, scores, groups = random(4)
    more = cohorts.c_index(
        np.r_[labels, 1, 1], np.concatenate([scores, scores[..., :2]], axis=-1), np.r_[groups, 99, 99]
    )
    np.testing.assert_array_equal(more.covariance, cohorts.c_index(labels, scores, groups).covariance)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    def draw(rng, groups):
        members = np.repeat(np.arange(groups), rng.integers(2, 8, groups))
        quality = rng.normal(size=len(members))
        labels = np.digitize(quality + 0.5 * rng.normal(size=len(members)), [-0.5, 0.8])
        return labels, (quality + 0.8 * rng.normal(size=(1, 5, len(members)))), members

    rng, calls = np.random.default_rng(5), (cohorts.c_index, cohorts.critical_errors)
    truth = [np.mean([call(*draw(rng, 300)).values.mean() for _ in range(20)]) for call in calls]
    inside = np.zeros(2)
    for _ in range(150):
        arrays = draw(rng, 40)
        limits = [call(*arrays).mean(0).ci for call in calls]
        inside += [low <= true <= high for (low, high), true in zip(limits, truth, strict=True)]
    assert (inside / 150 >= 0.89).all()  # measured .92 to .94


def test_two_variants_are_compared_over_new_seeds_and_groups():
    labels, scores, groups = random(6)
    gap = cohorts.c_index(labels, scores, groups).difference(0, 1)
    values = cohorts.c_index(labels, scores, groups).values
    assert gap.estimate == pytest.approx(values[0].mean() - values[1].mean(), rel=1e-12)
    assert gap.basis == "seeds and examples"
    assert math.isfinite(gap.p_value)


@pytest.mark.parametrize(
    ("labels", "scores", "groups", "words"),
    [
        (LABELS, SCORES, GROUPS, r"\[V, S, N\]"),
        (LABELS, SCORES[None, None, :-1], GROUPS, r"scores\[0, 0\] must have shape"),
        (LABELS * np.nan, SCORES[None, None], GROUPS, r"labels\[0\] is NaN"),
        (LABELS, SCORES[None, None], np.arange(12), "fewer than 2 groups"),
        (LABELS * (GROUPS == 0), SCORES[None, None], GROUPS, "fewer than 2 groups"),
    ],
)
def test_what_has_no_order_is_refused_in_words(labels, scores, groups, words):
    with pytest.raises(ValueError, match=words):
        cohorts.c_index(labels, scores, groups)
