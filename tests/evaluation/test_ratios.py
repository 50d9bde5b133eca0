"""Shares of variants and seeds against sums written as loops, and against the measures that are such shares."""

from __future__ import annotations

import numpy as np
import pytest

from ordinal_blast.evaluation import multireader, ratios


def drawn(seed=0, shape=(2, 3, 60)):
    rng = np.random.default_rng(seed)
    wholes = rng.integers(0, 3, shape)
    return wholes * rng.uniform(size=shape), wholes, np.arange(shape[2]) // 2


@pytest.mark.parametrize("by_patient", [False, True])
def test_share_and_its_covariance_are_those_of_leaving_units_out(by_patient):
    parts, wholes, patients = drawn()
    units = patients if by_patient else np.arange(parts.shape[2])
    one = ratios.compare(parts, wholes, cases=patients if by_patient else None)
    flat = parts.reshape(6, -1), wholes.reshape(6, -1)
    without = np.array(
        [
            [row[units != unit].sum() / whole[units != unit].sum() for unit in np.unique(units)]
            for row, whole in zip(*flat, strict=True)
        ]
    )
    count = without.shape[1]
    assert one.values.ravel() == pytest.approx(flat[0].sum(axis=1) / flat[1].sum(axis=1), rel=1e-12)
    assert one.covariance == pytest.approx((count - 1) ** 2 / count * np.cov(without), rel=1e-9)
    assert one.units == count


def test_accuracy_is_the_share_that_is_right():
    rng = np.random.default_rng(1)
    labels, grades = rng.integers(0, 3, 80), rng.integers(0, 3, (2, 4, 80))
    patients = np.arange(80) // 3
    ours = ratios.compare(grades == labels, np.ones(80), cases=patients)
    theirs = multireader.measure("accuracy", labels, grades, num_classes=3, cases=patients)
    assert ours.difference(0, 1).ci == pytest.approx(theirs.difference(0, 1).ci, rel=1e-9)
    assert ours.mean(0).df == pytest.approx(theirs.mean(0).df, rel=1e-9)


def test_examples_of_no_whole_are_no_units():
    parts, wholes, _ = drawn()
    wholes[..., 40:] = parts[..., 40:] = 0
    alone, padded = ratios.compare(parts[..., :40], wholes[..., :40]), ratios.compare(parts, wholes)
    assert padded.units == alone.units == 40
    assert padded.mean(1) == alone.mean(1)


def test_a_seed_without_a_whole_has_no_interval():
    parts, wholes, _ = drawn()
    wholes[0, 1] = parts[0, 1] = 0
    assert ratios.compare(parts, wholes).difference(0, 1).degenerate == ratios.NO_WHOLE


def test_one_unit_and_other_shapes_are_refused():
    with pytest.raises(ValueError, match="2 units or more that it is of, found 1"):
        ratios.compare(np.ones((1, 1, 4)), [0, 1, 1, 0], cases=[0, 1, 1, 2])
    with pytest.raises(ValueError, match=r"parts must have shape \[V, S, N\], found \(4,\)"):
        ratios.compare(np.ones(4), np.ones(4))
