"""The model of raters: its integrals, its gradient by differences, and what it finds of known raters."""

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from ordinal_blast.evaluation import rater_model, raters
from ordinal_blast.evaluation.rater_model import RaterModel, fit

CUTS = np.asarray([-1.5, 0.7])


def panel(seed, count, size, sparse=0.3):
    """Grades, and the biases and magnifiers of those who gave them."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=count)
    bias = rng.normal(0, 0.6, size)
    bias -= bias.mean()
    magnifier = np.exp(rng.normal(0.5, 0.4, size))
    seen = bias + magnifier * quality[:, None] + rng.normal(size=(count, size))
    votes = np.digitize(seen, CUTS)
    votes[rng.random(votes.shape) < sparse] = -1
    typical = np.digitize(np.exp(np.log(magnifier).mean()) * quality, CUTS)
    return votes, bias, magnifier, typical


def test_biases_magnifiers_and_cut_points_are_found_again():
    votes, bias, magnifier, truth = panel(0, 1500, 6)
    model = fit(votes, 3)
    np.testing.assert_allclose(model.cuts, CUTS, atol=0.15)
    np.testing.assert_allclose(model.bias, bias, atol=0.15)
    np.testing.assert_allclose(model.magnifier, magnifier, rtol=0.12)
    modelled, voted = model.grades(votes).argmax(axis=1), raters.vote(votes, "median")
    assert np.mean(modelled == truth) > np.mean(voted == truth) + 0.02


def test_what_votes_say_of_an_example_is_the_integral_over_its_quality():
    model = RaterModel(CUTS, np.asarray([0.4, -0.2]), np.asarray([0.8, 2.0]))
    typical = np.sqrt(0.8 * 2.0)

    def chance(grade, bias, magnifier, quality):
        ends = np.concatenate([[-np.inf], CUTS, [np.inf]]) - bias - magnifier * quality
        return stats.norm.cdf(ends[grade + 1]) - stats.norm.cdf(ends[grade])

    def joint(quality, grade):
        of_raters = chance(2, 0.4, 0.8, quality) * chance(1, -0.2, 2.0, quality)
        return of_raters * chance(grade, 0.0, typical, quality) * stats.norm.pdf(quality)

    parts = np.asarray([integrate.quad(joint, -9, 9, args=(grade,))[0] for grade in range(3)])
    got = model.grades([[2, 1], [-1, -1]])
    np.testing.assert_allclose(got[0], parts / parts.sum(), rtol=1e-4)
    spread = np.sqrt(1 + typical**2)  # of a typical rater's impression of anything
    np.testing.assert_allclose(got[1], np.diff(stats.norm.cdf([-np.inf, *CUTS / spread, np.inf])), atol=1e-3)


def test_the_gradient_is_that_of_finite_differences(monkeypatch):
    votes, *_ = panel(1, 60, 3)
    seen = {}

    def minimize(loss, start, **options):
        seen.update(loss=loss, start=start)
        return optimize.OptimizeResult(x=start)

    monkeypatch.setattr(rater_model.optimize, "minimize", minimize)
    fit(votes, 3)
    point = seen["start"] + np.random.default_rng(2).normal(0, 0.3, len(seen["start"]))
    gradient = seen["loss"](point)[1]
    for place, step in enumerate(1e-5 * np.eye(len(point))):
        difference = (seen["loss"](point + step)[0] - seen["loss"](point - step)[0]) / 2e-5
        assert gradient[place] == pytest.approx(difference, rel=1e-5, abs=1e-5)


def test_two_grades_and_unanimous_raters_have_a_model_too():
    model = fit([[0, 0, 0], [1, 1, 1], [1, 1, 1], [0, 0, -1]], 2)
    got = model.grades([[0, 0, 0], [1, 1, 1]])
    assert np.isfinite(got).all()
    assert got[0, 0] > 0.7 < got[1, 1]


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        ([[0.0, 1.0]], "annotations must be integers"),
        ([0, 1], "annotations must be integers"),
        ([[0, 3]], "annotations run from 0 to 3: grades are 0 to 2, or -1"),
        ([[0, -1], [-1, 2]], "no example was graded by two raters"),
    ],
)
def test_what_is_no_panel_is_refused(votes, message):
    with pytest.raises(ValueError, match=message):
        fit(votes, 3)


def test_other_raters_than_those_that_were_fitted_are_refused():
    model = fit([[0, 1], [1, 2], [2, 2]], 3)
    with pytest.raises(ValueError, match="annotations have 3 raters, and 2 were fitted"):
        model.grades([[0, 1, 2]])
