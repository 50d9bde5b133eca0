"""Rates, probabilities and picks of embryologist and network, against loops over embryos and treatments."""

import numpy as np
import pytest

from ordinal_blast.embryo import outcome_worth
from ordinal_blast.embryo.outcome_blocks import FINER, GROUPS, HUMAN
from ordinal_blast.evaluation import logistic
from ordinal_blast.report.rankings import Ranking


def drawn(seed, treatments=40, seeds=2):
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(treatments), rng.integers(1, 5, treatments))
    quality = rng.normal(size=len(of))
    outcome = quality + rng.normal(size=len(of)) > 0.3
    human = np.digitize(quality + rng.normal(size=len(of)), [-0.5, 0.7]).astype(float)
    finer = {s: quality + 0.7 * rng.normal(size=len(of)) for s in range(seeds)}
    groups = {s: np.digitize(x, [-0.4, 0.8]).astype(float) for s, x in finer.items()}
    scores = {HUMAN: dict.fromkeys(range(seeds), human), GROUPS: groups, FINER: finer}
    return Ranking("heartbeat", outcome, scores, of, seeds)


def test_rates_are_the_shares_of_each_group():
    one = drawn(0)
    rates = outcome_worth.rates(one)
    for k, name in enumerate(("poor", "good", "top")):
        human = one.scores[HUMAN][0]
        assert rates[name].mean(0).estimate == pytest.approx(one.labels[human == k].mean(), rel=1e-12)
        network = np.mean([one.labels[grades == k].mean() for grades in one.scores[GROUPS].values()])
        assert rates[name].mean(1).estimate == pytest.approx(network, rel=1e-12)


def test_the_interval_of_a_rate_is_that_of_leaving_treatments_out():
    one = drawn(1)
    inside = one.scores[HUMAN][0] == 1
    anybody = np.any([grades == 1 for grades in (*one.scores[HUMAN].values(), *one.scores[GROUPS].values())], axis=0)
    names = np.unique(one.clusters[anybody])
    without = np.array([one.labels[inside & (one.clusters != name)].mean() for name in names])
    error = np.sqrt((len(names) - 1) / len(names) * ((without - without.mean()) ** 2).sum())
    assert outcome_worth.rates(one)["good"].mean(0, "examples").standard_error == pytest.approx(error, rel=1e-9)


def test_probabilities_are_fitted_on_other_embryos_for_each_seed():
    before, one = drawn(2), drawn(3)
    probs = outcome_worth.probabilities(before, one)
    assert probs.shape == (3, 2, len(one.labels))
    for g, grader in enumerate(outcome_worth.GRADERS):
        for s in range(2):
            intercept, slope = logistic.fit(before.scores[grader][s], before.labels)
            expected = 1 / (1 + np.exp(-(intercept + slope * one.scores[grader][s])))
            np.testing.assert_allclose(probs[g, s], expected, rtol=1e-12)
    apart = Ranking(before.name, before.scores[HUMAN][0] > 1, before.scores, before.clusters, 2)
    assert outcome_worth.probabilities(apart, one) is None  # separated: no line is the best


def test_the_first_choice_of_a_treatment_is_right_as_often_as_counted_by_hand():
    one = drawn(4)
    shares, random = {grader: [] for grader in outcome_worth.GRADERS}, []
    for name in np.unique(one.clusters):
        at = one.clusters == name
        if 0 < one.labels[at].sum() < at.sum():
            random.append(one.labels[at].mean())
            for grader, by_seed in one.scores.items():
                best = [one.labels[at][scores[at] == scores[at].max()].mean() for scores in by_seed.values()]
                shares[grader].append(np.mean(best))
    compared = outcome_worth.picked(one)
    for g, grader in enumerate(outcome_worth.GRADERS):
        assert compared.mean(g).estimate == pytest.approx(np.mean(shares[grader]), rel=1e-12)
    assert outcome_worth.at_random(one) == pytest.approx(np.mean(random), rel=1e-12)
    assert compared.units == len(random) > outcome_worth.FEW
    gap = np.mean(shares[FINER]) - np.mean(shares[HUMAN])
    assert compared.difference(2, 0).estimate == pytest.approx(gap, rel=1e-12)


def test_too_few_treatments_say_nothing_of_picks():
    assert outcome_worth.picked(drawn(5, treatments=8)) is None
