"""The model of studies: its truths against a large sample, and what is said of how they differ."""

import numpy as np
import pytest

from ordinal_blast.evaluation import metrics, roc
from ordinal_blast.evaluation.simulation import BETTER_ONE, SHARES, VARIANTS, VARIATIONS, Scenario, draw, truths


@pytest.mark.parametrize("scenario", [Scenario(3000, 2, "low", True, 5), Scenario(3000, 2, "high", False, 3, 0.1)])
def test_truths_are_the_means_of_many_large_studies(scenario):
    rng = np.random.default_rng(0)
    values = []
    for _ in range(40):
        drawn = draw(scenario, rng)
        tables = [metrics.confusion(drawn.labels, drawn.grades[v, 0], scenario.grades) for v in (0, BETTER_ONE)]
        of = [[getattr(metrics, name).of_counts(table) for name in ("qwk", "mae", "accuracy")] for table in tables]
        areas = [roc.auc(drawn.is_case, drawn.scores[v, 0]) for v in (0, BETTER_ONE)]
        values.append([[*row, area] for row, area in zip(of, areas, strict=True)])
    error = np.std(values, axis=0) / np.sqrt(40)
    truth = truths(scenario)
    for place, name in enumerate(("qwk", "mae", "accuracy", "auc")):
        assert truth[name].shape == (VARIANTS,)
        assert np.ptp(truth[name][:BETTER_ONE]) < 1e-14
        gaps = np.mean(values, axis=0)[:, place] - truth[name][[0, BETTER_ONE]]
        assert (np.abs(gaps) < 4 * error[:, place]).all()
    assert truth["qwk"][BETTER_ONE] > truth["qwk"][0] + 0.02


def test_errors_are_shared_as_said_and_grades_are_as_rare_as_said():
    scenario = Scenario(3000, 3, "low", False, 5, 0.1)
    drawn = draw(scenario, np.random.default_rng(0))
    assert drawn.patients is None
    assert np.bincount(drawn.labels) / 3000 == pytest.approx(np.array(SHARES[5]), abs=0.03)
    assert np.bincount(drawn.grades[0, 0]) / 3000 == pytest.approx(np.array(SHARES[5]), abs=0.03)
    assert drawn.is_case.mean() == pytest.approx(0.1, abs=0.02)
    assert drawn.scores.std(axis=2) == pytest.approx(np.ones((VARIANTS, 3)), abs=0.06)
    within = np.corrcoef(drawn.scores[0])[0, 1]
    between = np.corrcoef(drawn.scores[0, 0], drawn.scores[1, 1])[0, 1]
    of = VARIATIONS["low"]
    assert within == pytest.approx(0.64 + 0.36 * (1 - of.seed), abs=0.03)
    assert between == pytest.approx(0.64 + 0.36 * (1 - of.seed - of.variant), abs=0.03)


def test_examples_of_a_patient_are_alike():
    drawn = draw(Scenario(3000, 2, "low", True, 3), np.random.default_rng(0))
    same = drawn.patients[1:] == drawn.patients[:-1]
    pairs = np.corrcoef(drawn.scores[0, 0][:-1][same], drawn.scores[0, 0][1:][same])[0, 1]
    strangers = np.corrcoef(drawn.scores[0, 0][:-1][~same], drawn.scores[0, 0][1:][~same])[0, 1]
    assert pairs == pytest.approx(0.5, abs=0.05)
    assert strangers == pytest.approx(0, abs=0.12)
    assert np.bincount(drawn.patients)[:6].tolist() == [1, 2, 3, 4, 5, 6]


def test_seeds_differ_by_so_many_standard_errors():
    rng = np.random.default_rng(0)
    scenario = Scenario(400, 500, "high", False, 3)
    drawn = draw(scenario, rng)
    own = np.arctanh([np.corrcoef(drawn.scores[0, s], drawn.scores[1].mean(axis=0))[0, 1] for s in range(500)])
    assert np.std(own) > 1.5 / np.sqrt(400)


def test_few_cases_are_drawn_again():
    rng = np.random.default_rng(0)
    assert min(draw(Scenario(30, 1, "low", True, 3, 0.05), rng).is_case.sum() for _ in range(50)) >= 2
