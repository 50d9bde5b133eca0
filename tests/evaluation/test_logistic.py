"""The line of log-odds against a general minimiser, and where there is none."""

import numpy as np
import pytest
from scipy import optimize

from ordinal_blast.evaluation import logistic


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e4])
def test_the_line_has_the_greatest_likelihood(scale):
    rng = np.random.default_rng(0)
    scores = scale * (rng.normal(size=80) + 3)
    outcome = rng.random(80) < 1 / (1 + np.exp(-(scores / scale - 3.4)))

    def loss(line):
        return np.logaddexp(0, np.where(outcome, -1, 1) * (line[0] + line[1] * scores / scale)).sum()

    best = optimize.minimize(loss, [0, 0], method="BFGS", options={"gtol": 1e-9}).x
    assert logistic.fit(scores, outcome) == pytest.approx((best[0], best[1] / scale), rel=1e-5)


def test_two_values_have_the_rates_that_were_seen():
    scores, outcome = np.repeat([0, 2], [10, 5]), np.array([1] * 3 + [0] * 7 + [1] * 4 + [0])
    intercept, slope = logistic.fit(scores, outcome)
    rates = 1 / (1 + np.exp(-(intercept + slope * np.array([0, 2]))))
    np.testing.assert_allclose(rates, [0.3, 0.8], rtol=1e-9)


@pytest.mark.parametrize(
    ("scores", "outcome"),
    [([1, 1, 1], [0, 1, 0]), ([0, 1, 2], [0, 0, 1]), ([0, 1, 2], [1, 1, 1]), ([2, 1, 0], [0, 0, 1])],
)
def test_there_is_none_where_scores_say_nothing_or_everything(scores, outcome):
    assert np.isnan(logistic.fit(scores, outcome)).all()
