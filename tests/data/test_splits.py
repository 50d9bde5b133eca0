"""Grouped splits share no group, cover everything once, and keep their shares."""

import numpy as np
import pytest

from ordinal_blast.data.splits import grouped, split_off_groups
from ordinal_blast.errors import UsageError


def test_groups_are_never_divided_and_shares_hold():
    groups = np.random.default_rng(0).integers(0, 1500, 4000)
    parts = grouped(groups, (0.8, 0.1, 0.1), seed=3)
    together = np.concatenate(list(parts.values()))
    np.testing.assert_array_equal(np.sort(together), np.arange(4000))
    kinds = {name: set(groups[rows]) for name, rows in parts.items()}
    assert not kinds["train"] & kinds["val"]
    assert not kinds["train"] & kinds["test"]
    assert not kinds["val"] & kinds["test"]
    np.testing.assert_allclose(
        [len(parts[name]) / 4000 for name in ("train", "val", "test")], [0.8, 0.1, 0.1], atol=0.005
    )


def test_the_seed_decides():
    groups = np.arange(50)
    first, again, other = (grouped(groups, (0.6, 0.2, 0.2), seed)["test"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


@pytest.mark.parametrize(
    "fractions",
    [
        (0.8, 0.1),
        (0.8, 0.1, 0.2),
        (1.0, 0.0, 0.0),
        (1.2, -0.1, -0.1),
        (0.8, 0.1, float("nan")),
        ("0.8", "0.1", "0.1"),
        0.8,
        None,
    ],
)
def test_bad_shares_are_refused(fractions):
    with pytest.raises(UsageError, match="sum to 1"):
        grouped(np.arange(10), fractions, 0)


def test_too_few_groups_are_refused():
    with pytest.raises(UsageError, match="groups are too few"):
        grouped(np.zeros(10, int), (0.8, 0.1, 0.1), 0)


@pytest.mark.parametrize("seed", [-1, 0.5, "0", None])
def test_a_seed_that_is_no_whole_number_from_0_on_is_refused(seed):
    with pytest.raises(UsageError, match=r"data.split.seed is"):
        grouped(np.arange(50), (0.8, 0.1, 0.1), seed)


def test_splitting_off_groups_takes_whole_ones_of_every_stratum_alike():
    groups = np.repeat(np.arange(40), 3)
    strata = np.repeat([0, 1], [90, 30])
    order = np.random.default_rng(0).permutation(120)
    kept, chosen = split_off_groups(groups[order], strata[order], 0.25, (0, 0))
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, chosen])), np.arange(120))
    assert not set(groups[order][kept]) & set(groups[order][chosen])
    assert len(chosen) == 30
    assert abs(strata[order][chosen].sum() - 7.5) <= 3
