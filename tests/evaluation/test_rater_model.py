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


def test_the_parameters_are_those_that_r_finds():
    """R 4.2.2: optim(start, loss, method = "BFGS", control = list(maxit = 5000, reltol = 1e-16)).

    loss: minus the log likelihood, η summed over seq(-8, 8, .05), plus (sum(a^2) + sum((log(b) - mean(log(b)))^2)) / 2.
    """
    number, rater = np.arange(1, 61)[:, None], np.arange(1, 5)
    seen = np.asarray([0.8, 1.2, 1.6, 2.0]) * stats.norm.ppf((number - 0.5) / 60) + np.sin(7 * number * rater)
    votes = np.digitize(seen + np.asarray([-0.5, 0.2, 0.4, 0.0]), [-0.9, 0.5])
    votes[number % 7 == rater] = -1
    model = fit(votes, 3)
    np.testing.assert_allclose(model.cuts, [-1.26861603, 0.64626603], rtol=1e-5)
    np.testing.assert_allclose(model.bias, [-0.71708423, 0.14726213, 0.46396642, 0.10585584], rtol=1e-5)
    np.testing.assert_allclose(model.magnifier, [1.1564223, 1.6365512, 1.8319539, 3.3498675], rtol=1e-5)


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


def test_what_thirty_raters_say_of_an_example_is_what_r_integrates():
    """Their posterior is a fifth as wide as the nodes of a Gauss-Hermite rule of 31 nodes lie apart.

    R 4.2.2: integrate(f, -4, 4, rel.tol = 1e-12), f(z) = dnorm(z) times the chances of the votes and of a grade k of
    a rater with bias 0 and magnifier exp(mean(log(b))), over its sum for k = 0, 1, 2.
    """
    number = np.arange(1, 31)
    model = RaterModel(CUTS, 0.6 * np.sin(number), np.exp(0.5 + 0.4 * np.cos(2 * number)))
    votes = [np.where(0.1 * number > 0.5, 2, 1), 2 - (number % 5 == 0), number % 2]
    expected = [
        [0.001332347682, 0.188791825421, 0.809875826897],
        [0.002000077895, 0.226328340924, 0.771671581181],
        [0.44802395493, 0.53047700976, 0.02149903531],
    ]
    np.testing.assert_allclose(model.grades(np.stack(votes)), expected, rtol=1e-7)


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
