"""Grouped splits share no group, cover everything once, and keep their shares."""

import numpy as np
import pytest

from ordinal_blast.data import splits
from ordinal_blast.data.splits import grouped, split_off, split_off_groups, with_validation
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


def test_a_split_goes_by_its_usual_names_in_any_letters():
    usual = {
        "train": ["train", " Training "],
        "val": ["val", "VALID", "validation", "dev"],
        "test": ["Test", "testing"],
        "": ["", "held out", "tests", "trainval"],
    }
    for name, texts in usual.items():
        assert {splits.named(text) for text in texts} == {name}


def test_a_seed_divides_as_it_always_did():
    parts = grouped(np.repeat(np.arange(10), 2), (0.6, 0.2, 0.2), 3)
    assert {name: rows.tolist() for name, rows in parts.items()} == {
        "train": [0, 1, 2, 3, 4, 5, 8, 9, 12, 13, 18, 19],
        "val": [10, 11, 14, 15],
        "test": [6, 7, 16, 17],
    }
    kept, chosen = split_off(np.tile([0, 1, 2], 6), 0.25, (1, 2))
    assert (kept.tolist(), chosen.tolist()) == ([0, 1, 3, 4, 5, 6, 10, 11, 13, 14, 15, 16, 17], [2, 7, 8, 9, 12])


@pytest.mark.parametrize(
    ("groups", "stratified", "val"),
    [
        (None, True, [6, 7, 8]),
        (None, False, [8, 14, 15]),
        (np.arange(18) // 2, True, [4, 5, 12, 13]),
    ],
)
def test_validation_comes_from_the_training_rows_wherever_they_stand(groups, stratified, val):
    labels, rows = np.tile([0, 1, 2], 6), {"train": np.arange(4, 16), "test": np.arange(4)}
    parts = with_validation(rows, labels, groups, 0.25, (5, 0), stratified=stratified)
    assert {name: part.tolist() for name, part in parts.items()} == {
        "train": [row for row in range(4, 16) if row not in val],
        "val": val,
        "test": [0, 1, 2, 3],
    }
    assert with_validation(parts, labels, groups, 0.25, (5, 0), stratified=stratified) is parts
    for share in (0.0, 1.0, "x"):
        with pytest.raises(UsageError, match=r"^data\.options\.val_share is "):
            with_validation(rows, labels, groups, share, (5, 0), stratified=stratified)


def test_what_is_unseen_is_in_the_test_set_alone_and_the_test_set_is_as_before():
    rows = {"train": np.arange(0, 6), "val": np.arange(6, 9), "test": np.arange(9, 12)}
    unseen = np.asarray([True, False, False] * 4)
    kept = splits.without(rows, unseen)
    np.testing.assert_array_equal(kept["train"], [1, 2, 4, 5])
    np.testing.assert_array_equal(kept["val"], [7, 8])
    np.testing.assert_array_equal(kept["test"], rows["test"])
    with pytest.raises(UsageError, match=r"data.split.unseen leaves the val set empty"):
        splits.without(rows, np.arange(12) >= 6)


def test_whole_groups_are_dealt_so_that_every_set_gets_its_share_of_every_grade():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 400, 1000)
    labels = np.stack([rng.choice(4, 1000, p=(0.02, 0.18, 0.5, 0.3)), rng.choice(3, 1000) - 1], axis=1)
    parts = splits.stratified(groups, labels, (0.6, 0.2, 0.2), 0)
    kinds = [set(groups[rows]) for rows in parts.values()]
    assert sum(map(len, kinds)) == len(set(groups))
    np.testing.assert_array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(1000))
    for name, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        assert abs(len(parts[name]) / 1000 - share) < 0.02
        for grade in range(4):
            there, of_all = (np.sum(of == grade) for of in (labels[parts[name], 0], labels[:, 0]))
            assert abs(there - share * of_all) <= 8, (name, grade)
    again = splits.stratified(groups, labels, (0.6, 0.2, 0.2), 1)
    assert set(again["test"]) != set(parts["test"])


@pytest.mark.parametrize("seed", range(5))
def test_a_grade_of_three_groups_is_in_every_set(seed):
    groups, labels = np.arange(60), np.ones((60, 1), int)
    labels[[4, 17, 33]] = 0
    parts = splits.stratified(groups, labels, (0.8, 0.1, 0.1), seed)
    assert [int(np.sum(labels[rows] == 0)) for rows in parts.values()] == [1, 1, 1]
    assert [len(rows) for rows in parts.values()] == [46, 7, 7]


def test_groups_of_earlier_sets_are_counted_with_their_examples():
    groups = np.array(["a", "a", "b", "c", "b", "d", "a", "a"])
    rows = {"train": np.arange(3), "val": np.array([3, 4]), "test": np.array([5, 6, 7])}
    assert splits.shared(rows, groups) == [("val", 2, 1, 1), ("test", 2, 1, 2)]


def test_no_set_is_left_without_a_group_where_there_are_three():
    parts = splits.stratified(
        np.array([0, 0, 1, 1, 2, 2]), np.array([[2], [1], [2], [-1], [1], [0]]), (0.4, 0.3, 0.3), 0
    )
    assert [len(rows) for rows in parts.values()] == [2, 2, 2]
    with pytest.raises(UsageError, match="leaves the test set empty: 2 groups are too few"):
        splits.stratified(np.array([0, 1]), np.array([[0], [1]]), (0.4, 0.3, 0.3), 0)
