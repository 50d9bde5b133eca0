"""Agreement of raters: values of R and of the literature, missing grades, and intervals by leaving examples out."""

import numpy as np
import pytest
from scipy import stats

from ordinal_blast.evaluation import concordance

NUMBER, RATER = np.arange(1, 41)[:, None], np.arange(1, 6)
SEEN = 1.4 * stats.norm.ppf((NUMBER - 0.5) / 40) + np.sin(7 * NUMBER * RATER) + 0.3 * (RATER - 3)
FULL = np.digitize(SEEN, [-1.2, 0.0, 1.0])
PART = np.where((NUMBER % 6 == RATER) | ((NUMBER % 5 == 0) & (RATER > 3)), -1, FULL)


def values(comparison):
    return comparison.values[:, 0]


def test_alpha_is_that_of_krippendorffs_example():
    """Four observers, twelve units, 1 to 5 (Krippendorff, 2011, example D): .743, .815 and .849."""
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
    alphas = values(concordance.alpha(np.transpose(observers) - 1, 5))
    np.testing.assert_allclose(alphas, [0.743, 0.815, 0.849], atol=5e-4)


def test_alpha_is_that_of_r_with_grades_missing_and_without():
    """R 4.2.2, kripp.alpha of irr, nominal, ordinal and interval, pairs divided by m - 1 with grades missing or not."""
    np.testing.assert_allclose(
        values(concordance.alpha(FULL, 4)), [0.2720163780, 0.6486185849, 0.6494195519], rtol=1e-9
    )
    np.testing.assert_allclose(
        values(concordance.alpha(PART, 4)), [0.2787382383, 0.6747336597, 0.6812167009], rtol=1e-9
    )


def test_intraclass_correlations_are_those_of_r():
    """R 4.2.2: ICC of psych, lmer = FALSE, and where grades are missing lm with expected sums of squares by traces."""
    np.testing.assert_allclose(values(concordance.icc(FULL)), [0.6540283874, 0.6582413129, 0.7009169364], rtol=1e-9)
    np.testing.assert_allclose(values(concordance.icc(PART)), [0.6845935402, 0.6924178371, 0.7355876095], rtol=1e-9)


@pytest.mark.parametrize(
    "of", [lambda a, cases=None: concordance.alpha(a, 4, cases=cases), concordance.icc], ids=["alpha", "icc"]
)
def test_the_spread_is_that_of_leaving_every_patient_out(of):
    patients = np.arange(40) // 3
    without = np.stack([values(of(PART[patients != patient])) for patient in range(14)], axis=1)
    gaps = without - without.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(of(PART, cases=patients).covariance, 13 / 14 * gaps @ gaps.T, rtol=1e-8)


def test_thousands_of_examples_tie_raters_together_as_few_do():
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(6000, 1)) + rng.normal(size=(6000, 5)) + np.linspace(-0.4, 0.4, 5)
    full = np.digitize(seen, [-1.0, 0.3])
    part = np.where(rng.random(full.shape) < 0.3, -1, full)
    patients = np.arange(6000) % 100
    of = concordance.icc(part, cases=patients)
    assert of.degenerate == ""
    np.testing.assert_allclose(values(of), values(concordance.icc(full, cases=patients)), atol=0.02)


def test_raters_whom_no_example_ties_together_have_no_interval():
    apart = np.asarray([[0, 1, -1, -1], [1, 2, -1, -1], [2, 2, -1, -1], [-1, -1, 0, 0], [-1, -1, 1, 2]])
    of = concordance.icc(apart)
    assert of.mean(1).degenerate == concordance.APART
    assert np.isfinite(of.values[0, 0])  # raters of their own for every example need no tie


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ([0, 1], r"integers \[N, R\] with R above 1, found int64 \(2,\)"),
        ([[0], [1]], r"with R above 1, found int64 \(2, 1\)"),
        ([[0.5, 1]], "found float64"),
        ([[0, 4], [1, 1]], "annotations run from 0 to 4: grades are 0 to 3, or -1"),
        ([[0, 1], [1, -1]], "graded examples of 2 units or more, found 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(annotations, message):
    with pytest.raises(ValueError, match=message):
        concordance.alpha(annotations, 4)
