"""Batches: every draw once, whatever the seed, and what cannot be dealt refused at once."""

import jax
import numpy as np
import pytest

from ordinal_blast.data import batches
from ordinal_blast.data.batches import Examples
from ordinal_blast.errors import UsageError

LABELS = np.asarray([0, 0, 0, 0, 1, 2, -1])


def examples(view=lambda indices, rng: indices):
    count = len(LABELS)
    return Examples(np.arange(count), view, {"grade": LABELS}, {"grade": np.ones(count, np.float32)})


def dealt(**changes):
    options = {"size": 3, "first": 0, "last": 3, "seed": 0, "threads": 0} | changes
    given = options.pop("examples", examples())
    return [[batch.inputs for batch in steps] for _, steps in batches.epochs(given, **options)]


def test_every_example_appears_at_most_once_an_epoch_and_a_later_start_sees_the_same():
    epochs = dealt()
    for steps in epochs:
        assert len(set(np.concatenate(steps).tolist())) == 6
    np.testing.assert_array_equal(dealt(first=1), epochs[1:])


def test_a_batch_larger_than_the_set_is_the_set():
    for steps in dealt(size=100):
        np.testing.assert_array_equal(np.sort(np.concatenate(steps)), np.arange(7))


def test_balanced_batches_have_every_grade_alike_and_no_missing_label():
    grades = [LABELS[batch] for steps in dealt(balance="grade") for batch in steps]
    assert len(grades) == 3 * 4
    np.testing.assert_array_equal(np.sort(grades, axis=1), np.tile([0, 1, 2], (12, 1)))


def test_the_random_views_of_a_batch_do_not_repeat_the_draws_of_the_order():
    drawn = examples(lambda indices, rng: rng.integers(0, 2**60, 4))
    views = np.concatenate([np.concatenate(steps) for steps in dealt(examples=drawn)])
    orders = [np.random.default_rng((0, epoch)).integers(0, 2**60, 4) for epoch in range(3)]
    assert not np.intersect1d(views, orders).size
    assert len(set(views.tolist())) == len(views)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5])
def test_a_seed_outside_the_range_is_refused_at_once(seed):
    with pytest.raises(UsageError, match=r"seed is .*: it takes a whole number from 0 to 4294967295"):
        batches.epochs(examples(), size=3, first=0, last=1, seed=seed, threads=0)


def test_a_balance_that_is_no_task_is_refused_at_once():
    with pytest.raises(UsageError, match=r"training.balance is 'stage': it takes one of '', 'grade'"):
        batches.epochs(examples(), size=3, first=0, last=1, seed=0, threads=0, balance="stage")


@pytest.mark.parametrize("balance", ["", "grade"])
@pytest.mark.parametrize("kind", ["fixed", "rows", "drawn"])
def test_blocks_are_the_same_batches_several_in_one(kind, balance):
    numbers = np.random.default_rng(3).normal(size=(80, 4)).astype(np.float32)
    rows = np.random.default_rng(4).permutation(80)[:50]

    def drawn(indices, rng):
        return numbers[indices] + (0 if rng is None else rng.normal(size=(len(indices), 4)).astype(np.float32))

    view = {
        "fixed": batches.fixed(numbers[rows]),
        "rows": batches.of_rows(batches.fixed(numbers), rows),
        "drawn": batches.of_rows(drawn, rows),
    }[kind]
    labels = {"grade": rows % 3}
    examples = Examples(rows.astype(str), view, labels, {"grade": (rows / 80).astype(np.float32)})
    like = dict(size=8, first=1, last=4, seed=2, balance=balance)
    one_by_one = [list(steps) for _, steps in batches.epochs(examples, threads=0, **like)]
    for (epoch, blocks), expected in zip(batches.blocks(examples, steps=4, **like), one_by_one, strict=True):
        taken = list(blocks)
        assert {len(block.index) for block in taken[:-1]} == {4}
        assert 1 <= epoch < 4
        for leaf, of in zip(
            jax.tree.leaves(jax.tree.map(lambda *leaves: np.concatenate(leaves), *taken)),
            jax.tree.leaves(jax.tree.map(lambda *leaves: np.stack(leaves), *expected)),
            strict=True,
        ):
            np.testing.assert_array_equal(leaf, of)
