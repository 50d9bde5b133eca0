"""Embryologist and network on one ROC: against pROC, and intervals over treatments and seeds whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from ordinal_blast.embryo.outcome_blocks import FINER, GROUPS, HUMAN
from ordinal_blast.evaluation import roc, simultaneous
from ordinal_blast.report import inference
from ordinal_blast.report.rankings import Ranking

OUTCOME = [1, 0, 0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 1]
BY_HUMAN = [2, 0, 1, 2, 1, 0, 1, 1, 0, 2, 2, 0, 1, 1, 0, 2, 1, 0, 0, 1, 2, 0, 1, 1, 0, 1, 2, 1, 0, 2]
BY_GROUPS = [1, 0, 1, 2, 2, 0, 0, 1, 0, 1, 2, 1, 1, 0, 0, 2, 2, 0, 1, 1, 1, 0, 0, 2, 0, 1, 1, 2, 1, 1]
FINE = [2.9, 0.4, 1.7, 3.2, 3.1, 0.6, 1.2, 1.9, 0.2, 2.0, 3.5, 1.4, 2.4, 0.9, 0.8]
FINE += [3.0, 2.6, 0.1, 1.8, 1.5, 2.7, 0.3, 1.1, 3.3, 0.5, 1.6, 2.1, 2.8, 1.3, 2.2]
PROC = {  # pROC 1.18.0, roc.test(method = "delong", paired = TRUE): difference, Z and standard error
    (GROUPS, HUMAN): (0.025462962963, 0.270445652897, 0.094151866337),
    (FINER, HUMAN): (0.148148148148, 2.067203871313, 0.071665959127),
    (FINER, GROUPS): (0.122685185185, 2.996479536158, 0.040943107972),
}


def question(outcome, human, groups, finer, treatments=None):
    """Human `[N]`, and both network scores `[S, N]`."""
    scores = {HUMAN: dict.fromkeys(range(len(groups)), np.asarray(human, float))}
    scores |= {name: dict(enumerate(np.asarray(of, float))) for name, of in {GROUPS: groups, FINER: finer}.items()}
    return Ranking("heartbeat", np.asarray(outcome) == 1, scores, treatments, len(groups))


@pytest.mark.parametrize("pair", PROC)
def test_one_training_is_compared_as_by_proc(pair):
    ranking = question(OUTCOME, BY_HUMAN, [BY_GROUPS], [FINE])
    contrast = inference.ranked(ranking, pair[1]).differences[pair[0]]
    difference, z, error = PROC[pair]
    assert (contrast.estimate, contrast.standard_error) == pytest.approx((difference, error), rel=1e-9)
    assert contrast.estimate / contrast.standard_error == pytest.approx(z, rel=1e-9)
    assert contrast.basis == "examples"


def test_seeds_that_agree_are_one_training():
    """The human stands beside every seed, which must not count him twice, nor make him surer."""
    alone = inference.ranked(question(OUTCOME, BY_HUMAN, [BY_GROUPS], [FINE]), HUMAN)
    four = inference.ranked(question(OUTCOME, BY_HUMAN, [BY_GROUPS] * 4, [FINE] * 4), HUMAN)
    for name in (GROUPS, FINER):
        one, other = alone.differences[name], four.differences[name]
        assert other.standard_error == pytest.approx(one.standard_error, rel=1e-9)
        assert other.ci == pytest.approx(one.ci, rel=1e-9)
    assert four.own[HUMAN].ci == pytest.approx(alone.own[HUMAN].ci, rel=1e-9)
    assert four.own[HUMAN].standard_error ** 2 == pytest.approx(roc.delong_variance(OUTCOME, BY_HUMAN), rel=1e-9)


def draw(rng, treatments, seeds=3, spread=0.2):
    """Embryos of treatments of one to three, their outcome, a human's groups, and a network's groups and score."""
    of = np.repeat(np.arange(treatments), rng.integers(1, 4, treatments))
    quality = np.sqrt(0.3) * rng.standard_normal(treatments)[of] + np.sqrt(0.7) * rng.standard_normal(len(of))
    outcome = quality + 1.5 * rng.standard_normal(len(of)) > 0.8
    human = np.digitize(quality + 0.9 * rng.standard_normal(len(of)), [-0.5, 0.7])
    noise = np.exp(spread * rng.standard_normal((seeds, 1)))
    shared, own = rng.standard_normal(len(of)), rng.standard_normal((seeds, len(of)))
    finer = quality + 0.8 * noise * (np.sqrt(0.6) * shared + np.sqrt(0.4) * own)
    return question(outcome, human, np.digitize(finer, [-0.5, 0.7]), finer, of)


def test_intervals_cover_over_new_treatments_and_seeds():
    """Of 300 studies of 140 treatments, nominal .95; the module's docstring has what 2,000 of them say."""
    rng = np.random.default_rng(11)
    large = draw(rng, 10_000, seeds=20)
    areas = {name: np.mean([roc.auc(large.labels, of) for of in by.values()]) for name, by in large.scores.items()}
    misses = dict.fromkeys([HUMAN, GROUPS, FINER, (GROUPS, HUMAN), (FINER, HUMAN)], 0)
    for _ in range(300):
        tested = inference.ranked(draw(rng, 140), HUMAN)
        for name in misses:
            if name in areas:
                low, high = simultaneous.interval(tested.own[name], bounds=(0, 1))
                truth = areas[name]
            else:
                low, high = simultaneous.interval(tested.differences[name[0]])
                truth = areas[name[0]] - areas[HUMAN]
            misses[name] += not low <= truth <= high
    covered = {name: 1 - count / 300 for name, count in misses.items()}
    assert min(covered.values()) >= 0.92, covered
    assert max(covered.values()) <= 0.99, covered
