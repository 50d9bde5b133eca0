import zlib

import jax
import numpy as np
import pytest

from ordinal_blast.models.dropout import Dropout, dropout_mask

KEYS = jax.random.split(jax.random.key(0), 8)


def test_masks_keep_the_stated_share_and_the_mean():
    mask = np.asarray(dropout_mask(KEYS, "here", 0.25, (100, 100)))
    np.testing.assert_array_equal(np.unique(mask), np.float32([0, 1 / 0.75]))
    # The standard error of the kept share over 80,000 draws is .0015.
    assert abs((mask > 0).mean() - 0.75) < 0.005


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.7])
def test_masks_are_the_draws_of_jax(rate):
    salt = zlib.crc32(b"here")
    kept = [jax.random.bernoulli(jax.random.fold_in(key, salt), 1 - rate, (5, 33)) for key in KEYS]
    np.testing.assert_array_equal(dropout_mask(KEYS, "here", rate, (5, 33)), np.array(kept) / np.float32(1 - rate))


def test_masks_belong_to_the_example_not_to_its_place_in_the_batch():
    mask = dropout_mask(KEYS, "here", 0.5, (16,))
    np.testing.assert_array_equal(dropout_mask(KEYS[5:7], "here", 0.5, (16,)), mask[5:7])
    assert (dropout_mask(KEYS, "there", 0.5, (16,)) != mask).any()
    assert (mask[0] != mask[1]).any()


def test_four_devices_draw_the_same_as_one():
    x = np.ones((8, 16), np.float32)
    layer = Dropout(0.5)
    one = layer.apply({}, x, train=True, keys=KEYS)
    four = jax.pmap(lambda x, keys: layer.apply({}, x, train=True, keys=keys))(x.reshape(4, 2, 16), KEYS.reshape(4, 2))
    np.testing.assert_array_equal(four.reshape(8, 16), one)
    assert 0 < (np.asarray(one) == 0).mean() < 1


@pytest.mark.parametrize(
    ("rate", "train", "keys"), [(0.5, False, KEYS), (0.5, True, None), (0.0, True, KEYS)], ids=["eval", "keyless", "0"]
)
def test_nothing_is_dropped(rate, train, keys):
    x = np.ones((8, 3), np.float32)
    np.testing.assert_array_equal(Dropout(rate).apply({}, x, train=train, keys=keys), x)
