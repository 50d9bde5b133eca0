"""How many examples DeLong's test needs: the formula against quadrature, against itself and against simulation."""

import math

import pytest
from scipy import integrate, stats

from ordinal_blast.evaluation import power


@pytest.mark.parametrize(("a", "b", "rho"), [(0.66, 0.64, 0.5), (0.8, 0.55, -0.3), (0.9, 0.9, 0.9)])
def test_the_unit_variance_is_that_of_placements_by_quadrature(a, b, rho):
    means = math.sqrt(2) * stats.norm.ppf([a, b])

    def expected(function):  # over two correlated cases
        def inner(x, z):
            y = rho * x + math.sqrt(1 - rho**2) * z
            placed = stats.norm.cdf([x + means[0], y + means[1]])
            return function(*placed) * stats.norm.pdf(x) * stats.norm.pdf(z)

        return integrate.dblquad(inner, -8, 8, -8, 8, epsabs=1e-7)[0]

    wanted = expected(lambda p, q: (p - q) ** 2) - (a - b) ** 2
    assert power._unit(a, b, rho) == pytest.approx(wanted, rel=1e-4)


def test_the_sample_size_is_the_smallest_with_that_power():
    count = power.delong_sample_size(0.7, 0.64, case_share=0.3, correlation=0.5, power=0.9, level=0.01)
    reached = [
        power.delong_power(0.7, 0.64, round(n * 0.3), round(n * 0.7), correlation=0.5, level=0.01)
        for n in (count - 10, count + 10)
    ]
    assert reached[0] < 0.9 < reached[1]
    assert power.delong_power(0.7, 0.7, 100, 200, correlation=0.5) == pytest.approx(0.05, rel=1e-9)
    assert power.delong_power(0.6, 0.7, 80, 90, correlation=0.2) == power.delong_power(
        0.7, 0.6, 80, 90, correlation=0.2
    )


def test_areas_that_any_example_tells_apart_need_two_cases_and_two_controls():
    assert power.delong_sample_size(1e-9, 1 - 1e-9, case_share=0.125, correlation=0.5) == 16


def test_simulated_studies_reject_as_often_as_the_formula_says():
    formula = power.delong_power(0.75, 0.65, 87, 200, correlation=0.5)
    seen = power.delong_power_simulated(0.75, 0.65, 87, 200, correlation=0.5, studies=1000)
    assert abs(seen - formula) < 3.5 * math.sqrt(formula * (1 - formula) / 1000)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"auc_a": 1.0}, "auc_a must lie between 0 and 1"),
        ({"auc_b": math.nan}, "auc_b must be a finite number"),
        ({"correlation": 1.0}, "correlation must lie between -1 and 1"),
        ({"level": 0.0}, "level must lie between 0 and 1"),
        ({"power": 1.0}, "power must lie between 0 and 1"),
        ({"power": 1e-9}, r"power must be above the level, 0.05, with which equal areas are rejected, found 1e-09"),
        ({"case_share": 1.0}, "case_share must lie between 0 and 1"),
        ({"auc_b": 0.66}, "auc_a and auc_b are both 0.66: no number of examples tells them apart"),
        ({"auc_b": 0.66 - 1e-9}, r"more than 1e\+09 examples are needed"),
    ],
)
def test_what_cannot_be_asked_is_refused(changes, message):
    asked = {"auc_a": 0.66, "auc_b": 0.64, "case_share": 0.3, "correlation": 0.5} | changes
    with pytest.raises(ValueError, match=message):
        power.delong_sample_size(asked.pop("auc_a"), asked.pop("auc_b"), **asked)


@pytest.mark.parametrize("sizes", [(1, 10), (10, 1), (2.5, 10)])
def test_sides_of_fewer_than_two_are_refused(sizes):
    for function in (power.delong_power, power.delong_power_simulated):
        with pytest.raises(ValueError, match=r"cases|controls"):
            function(0.66, 0.64, *sizes, correlation=0.5)
