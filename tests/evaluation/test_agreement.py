"""Agreement over seeds within groups, against scipy, published values, arithmetic and simulation."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from ordinal_blast.evaluation import agreement

# Three rankings of six, and the chi-squared of R's friedman.test of them.
RANKS = np.array([[1.0, 2, 3, 4, 5, 6], [1, 2, 4, 3, 6, 5], [2, 1, 3, 5, 4, 6]])
CHI_SQUARED = 13.0952380952


def drawn(rng, seeds, groups, spread=0.0):
    """Scores of seeds whose noise differs by `spread`, on groups of two to seven."""
    members = np.repeat(np.arange(groups), rng.integers(2, 8, groups))
    quality = rng.normal(size=len(members)) * rng.lognormal(0, 0.5, groups)[members]
    noise = 0.8 * np.exp(spread * rng.normal(size=(seeds, 1)))
    return quality + noise * rng.normal(size=(seeds, len(members))), members


@pytest.mark.parametrize("levels", [3, 10**9])
def test_kendalls_w_is_friedmans_chi_squared_over_its_largest(levels):
    rows = np.random.default_rng(levels).integers(0, levels, (5, 7)).astype(float)
    w = agreement.kendalls_w(np.tile(rows, (1, 2)), np.repeat([0, 1], 7))
    assert w.estimate == pytest.approx(stats.friedmanchisquare(*rows.T).statistic / (5 * 6), rel=1e-12)
    assert (w.groups, w.examples, w.chance) == (2, 14, 1 / 5)


def test_kendalls_w_by_hand_and_of_r():
    totals = RANKS.sum(axis=0)
    by_hand = 12 * ((totals - totals.mean()) ** 2).sum() / (3**2 * (6**3 - 6))
    w = agreement.kendalls_w(RANKS, np.zeros(6)).estimate
    assert w == pytest.approx(by_hand, rel=1e-12)
    assert w == pytest.approx(CHI_SQUARED / (3 * 5), rel=1e-11)


def test_the_mean_is_over_groups_and_its_interval_of_two_seeds_students_t_over_them():
    scores, members = drawn(np.random.default_rng(0), 2, 30)
    own = [agreement.kendalls_w(scores[:, members == g], members[members == g]).estimate for g in range(30)]
    w = agreement.kendalls_w(scores, members)
    low, high = stats.t.interval(0.95, 29, np.mean(own), stats.sem(own))
    assert (w.estimate, *w.ci) == pytest.approx((np.mean(own), low, high), rel=1e-12)
    assert w.basis == "examples"


def test_without_ties_the_correlation_is_the_mean_of_spearmans_over_pairs():
    scores, members = drawn(np.random.default_rng(1), 4, 12)
    pairs = [
        stats.spearmanr(scores[a, members == g], scores[b, members == g]).statistic
        for g in range(12)
        for a, b in itertools.combinations(range(4), 2)
    ]
    assert agreement.rank_correlation(scores, members).estimate == pytest.approx(np.mean(pairs), rel=1e-10)


def test_pairs_of_seeds_that_pick_alike_are_counted_by_brute_force():
    scores, members = drawn(np.random.default_rng(2), 4, 25)
    first = [[scores[s, members == g].argmax() for g in range(25)] for s in range(4)]
    alike = np.mean([np.equal(first[a], first[b]) for a, b in itertools.combinations(range(4), 2)])
    top = agreement.top_agreement(scores, members)
    assert top.estimate == pytest.approx(alike, rel=1e-12)
    assert top.chance == pytest.approx(np.mean(1 / np.bincount(members)), rel=1e-12)


def test_seeds_that_tie_draw_their_pick_and_a_constant_score_agrees_as_often_as_chance():
    tied = [[1.0, 1, 0], [1, 1, 0]]
    assert agreement.top_agreement(np.tile(tied, (1, 2)), [0, 0, 0, 1, 1, 1]).estimate == 0.5
    scores, members = drawn(np.random.default_rng(3), 3, 20)
    top = agreement.top_agreement(np.zeros_like(scores), members)
    assert top.estimate == pytest.approx(top.chance, rel=1e-12)


def test_another_methods_picks_are_compared_over_different_seeds():
    scores, members = drawn(np.random.default_rng(4), 3, 20)
    others = scores[:, ::-1].copy()
    chosen = [[[row[members == g].argmax() for g in range(20)] for row in rows] for rows in (scores, others)]
    alike = np.mean([np.equal(chosen[0][a], chosen[1][b]) for a in range(3) for b in range(3) if a != b])
    assert agreement.top_agreement(scores, members, others).estimate == pytest.approx(alike, rel=1e-12)
    own, itself = agreement.top_agreement(scores, members), agreement.top_agreement(scores, members, scores)
    assert (own.estimate, *own.ci) == pytest.approx((itself.estimate, *itself.ci), rel=1e-12)


def test_three_seeds_add_the_jackknife_over_seeds():
    scores, members = drawn(np.random.default_rng(5), 4, 40)
    top = agreement.top_agreement(scores, members)
    without = [agreement.top_agreement(np.delete(scores, s, axis=0), members).estimate for s in range(4)]
    own = [agreement.top_agreement(scores[:, members == g], members[members == g]).estimate for g in range(40)]
    parts = np.var(own, ddof=1) / 40, 3 * np.var(without)
    assert top.standard_error == pytest.approx(math.sqrt(sum(parts)), rel=1e-12)
    assert top.df == pytest.approx(sum(parts) ** 2 / (parts[0] ** 2 / 39 + parts[1] ** 2 / 3), rel=1e-12)
    assert top.basis == "seeds and examples"


@pytest.mark.parametrize(("seeds", "spread"), [(2, 0.0), (3, 0.0), (3, 0.5)])
def test_intervals_hold_the_truth_as_often_as_they_say(seeds, spread):
    rng = np.random.default_rng(6)
    calls = (agreement.rank_correlation, agreement.top_agreement)
    truth = np.mean([[call(*drawn(rng, seeds, 200, spread)).estimate for call in calls] for _ in range(30)], axis=0)
    inside = np.zeros(2)
    for _ in range(150):
        scores, members = drawn(rng, seeds, 40, spread)
        limits = np.array([call(scores, members).ci for call in calls])
        inside += (limits[:, 0] <= truth) & (truth <= limits[:, 1])
    assert (inside / 150 >= 0.88).all()  # measured on 1,200: .93 with two seeds, .98 with three


def test_perfect_agreement_has_no_interval_because_zero_variance_is_never_certainty():
    w = agreement.kendalls_w(np.tile(np.arange(8.0), (3, 1)), np.repeat([0, 1], 4))
    assert w.estimate == 1
    assert math.isnan(w.ci[0])
    assert w.degenerate == "estimated variance 0: no test"
    one = agreement.top_agreement(RANKS, np.zeros(6))
    assert one.degenerate == "one group: no interval"


@pytest.mark.parametrize(
    ("scores", "groups", "words"),
    [
        (RANKS[:1], np.zeros(6), "2 seeds or more"),
        (RANKS, np.arange(6), "no group has 2 examples"),
        (np.where(RANKS == 4, np.nan, RANKS), np.zeros(6), r"scores\[0\]\[3\] is NaN"),
        (np.zeros((2, 6)), np.zeros(6), "there is no ranking"),
        (RANKS, ["a", "a", None, "b", "b", "b"], r"groups\[2\]"),
    ],
)
def test_what_cannot_be_ranked_is_refused_in_words(scores, groups, words):
    with pytest.raises(ValueError, match=words):
        agreement.kendalls_w(scores, groups)


def test_as_many_seeds_of_the_others_are_needed():
    with pytest.raises(ValueError, match="3 seeds but 2 of the others"):
        agreement.top_agreement(RANKS, np.zeros(6), RANKS[:2])
