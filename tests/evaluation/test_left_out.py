"""Humans and networks at the votes of the others: the equations as loops, and intervals whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ordinal_blast.evaluation import left_out, raters, simultaneous

CUTS = (-1.0, 0.2)


def draw(rng, embryos=55, annotators=9, seeds=3, spread=0.2):
    """Annotations `[N, R]` of nine who abstain now and then, and grades `[1, S, N]` of seeds that differ."""
    latent = rng.standard_normal(embryos)
    seen = (latent[:, None] + 0.8 * rng.standard_normal((embryos, annotators))) / np.hypot(1, 0.8)
    annotations = np.where(rng.random(seen.shape) < 0.3, -1, np.digitize(seen, CUTS))
    rho = np.tanh(np.arctanh(0.75) + spread * rng.standard_normal((seeds, 1)))
    shared = rng.standard_normal(embryos)
    noise = np.sqrt(0.7) * shared + np.sqrt(0.3) * rng.standard_normal((seeds, embryos))
    return annotations, np.digitize(rho * latent + np.sqrt(1 - rho**2) * noise, CUTS)[None]


@pytest.mark.parametrize("ties", raters.TIES)
def test_values_are_equations_4_and_5(ties):
    annotations, grades = draw(np.random.default_rng(0))
    one = left_out.compare(annotations, grades, ties, num_classes=3)
    assert one.values.shape == (2, 3)
    for seed in range(3):
        alone = raters.leave_one_out(annotations, grades[0, seed], ties)
        assert one.values[:, seed] == pytest.approx([alone.human, alone.model], rel=1e-12)
    assert one.units == alone.num_examples


def test_human_minus_network_has_the_variance_of_the_difference_of_the_examples():
    """With one seed it is the paired t of examples: mean and standard error of h - θ, on N - 1 degrees of freedom."""
    annotations, grades = draw(np.random.default_rng(1), seeds=1)
    alone = raters.leave_one_out(annotations, grades[0, 0], "median")
    gaps = (alone.human_by_example - alone.model_by_example)[np.isfinite(alone.human_by_example)]
    theirs = stats.ttest_1samp(gaps, 0.0)
    ours = left_out.compare(annotations, grades, "median", num_classes=3).difference(0, 1)
    assert (ours.estimate, ours.p_value) == pytest.approx((gaps.mean(), theirs.pvalue), rel=1e-9)
    assert ours.ci == pytest.approx(theirs.confidence_interval(0.95), rel=1e-9)


def test_seeds_add_the_variance_of_their_mean():
    annotations, grades = draw(np.random.default_rng(2), seeds=4)
    one = left_out.compare(annotations, grades, "share", num_classes=3)
    of = [raters.leave_one_out(annotations, seed, "share") for seed in grades[0]]
    human = of[0].human_by_example
    rows = np.stack([human, *(each.model_by_example for each in of)])[:, np.isfinite(human)]
    over = np.cov(rows) / rows.shape[1]
    between_seeds = over[1:, 1:][~np.eye(4, dtype=bool)].mean()
    cases = between_seeds + over[0, 0] - 2 * over[0, 1:].mean()
    variance = np.var([each.model for each in of], ddof=1) / 4 + max(cases, 0)
    assert one.difference(0, 1).standard_error == pytest.approx(np.sqrt(variance), rel=1e-9)
    own = one.mean(0, "examples")
    assert (own.estimate, own.standard_error) == pytest.approx((of[0].human, np.sqrt(over[0, 0])), rel=1e-9)


def test_patients_are_units_and_grades_beyond_those_given_are_never_right():
    annotations, grades = draw(np.random.default_rng(3), embryos=40)
    low = np.minimum(annotations, 1)
    one = left_out.compare(low, np.full_like(grades, 2), num_classes=3, cases=np.arange(40) // 2)
    assert one.units == 20
    assert one.values[1].tolist() == [0.0] * 3


def test_intervals_cover_over_new_embryos_and_seeds():
    """Of 300 studies, nominal .95; `left_out` says what 2,000 of a kind give."""
    rng = np.random.default_rng(4)
    many, grades = draw(rng, embryos=20_000, seeds=40)
    truth = left_out.compare(many, grades, "median", num_classes=3).values.mean(axis=1)
    misses = np.zeros(3)
    for _ in range(300):
        one = left_out.compare(*draw(rng), "median", num_classes=3)
        for place, (contrast, true, bounds) in enumerate(
            [
                (one.difference(0, 1), truth[0] - truth[1], None),
                (one.mean(0, "examples"), truth[0], (0, 1)),
                (one.mean(1), truth[1], (0, 1)),
            ]
        ):
            low, high = simultaneous.interval(contrast, bounds=bounds)
            misses[place] += not low <= true <= high
    assert 1 - misses / 300 == pytest.approx([0.95, 0.95, 0.95], abs=0.03)


def test_bad_grades_and_shapes_are_named():
    annotations, grades = draw(np.random.default_rng(5))
    with pytest.raises(ValueError, match=r"grades\[0\] = 3 is outside 0\.\.2"):
        left_out.compare(annotations, np.full_like(grades, 3), num_classes=3)
    with pytest.raises(ValueError, match="55 annotated examples but grades of 54"):
        left_out.compare(annotations, grades[..., 1:], num_classes=3)
    with pytest.raises(ValueError, match=r"grades must have shape \[V, S, N\], found \(55,\)"):
        left_out.compare(annotations, grades[0, 0], num_classes=3)
