"""Ranges: words and test say the same, and nothing that is no number passes as one."""

import math

import jax
import numpy as np
import pytest

from ordinal_blast import seeds
from ordinal_blast.errors import UsageError
from ordinal_blast.ranges import check, list_of, number, one_of, whole

NO_NUMBERS = (None, True, "3", (3,), math.nan, 1j)


@pytest.mark.parametrize(
    ("allowed", "inside", "outside", "words"),
    [
        (whole(1), (1, 10**9, np.int64(3)), (0, -1, 1.0, *NO_NUMBERS), "a whole number from 1 on"),
        (whole(0, 9), (0, 9), (-1, 10, *NO_NUMBERS), "a whole number from 0 to 9"),
        (number(above=0), (1e-9, 3, np.float32(2)), (0, -1.0, math.inf, *NO_NUMBERS), "a number above 0"),
        (number(least=0, below=1), (0, 0.99), (1, -0.01, *NO_NUMBERS), "a number of at least 0 and below 1"),
        (number(above=0, most=1), (1, 0.5), (0, 1.01, *NO_NUMBERS), "a number above 0 and of at most 1"),
        (one_of("a", "b"), ("a", "b"), ("c", "", None), "one of 'a', 'b'"),
        (list_of(whole(1), count=2), ((1, 2), [3, 4]), ((1,), (1, 0), 3), "2 values, each a whole number from 1 on"),
        (list_of(whole(1)), ((1,),), ((), "12"), "at least one value, each a whole number from 1 on"),
    ],
)
def test_what_is_inside_passes_and_what_is_outside_is_named(allowed, inside, outside, words):
    assert allowed.words == words
    for value in inside:
        check("a.setting", value, allowed)
    for value in outside:
        with pytest.raises(UsageError) as refused:
            check("a.setting", value, allowed)
        assert str(refused.value) == f"a.setting is {value!r}: it takes {words}"


def test_a_whole_number_that_no_float_is_near_is_no_number():
    assert number().holds(10**308)
    assert not number().holds(10**309)


def test_no_two_seeds_have_one_key():
    keys = [jax.random.key_data(seeds.key(seed)).tolist() for seed in (0, 1, 2**31, 2**32 - 1)]
    assert len(set(map(tuple, keys))) == 4


@pytest.mark.parametrize("seed", [-1, 2**32, 2**64, 0.0, "0", None])
def test_a_seed_that_would_share_the_key_of_another_is_refused(seed):
    with pytest.raises(UsageError, match=r"^cropper.seed is .*: it takes a whole number from 0 to 4294967295$"):
        seeds.key(seed, "cropper.seed")
