"""Centre of mass, area and crops against direct numpy."""

import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.embryo.windows import area_and_centre, crop, resize


def test_area_and_centre_of_a_rectangle():
    logits = np.full((2, 10, 20), -3.0, np.float32)
    logits[0, 2:6, 5:15] = 1.0
    area, centre = area_and_centre(jnp.asarray(logits))
    np.testing.assert_allclose(area, [40 / 200, 0], rtol=1e-6)
    np.testing.assert_allclose(centre, [[4 / 10, 10 / 20], [0.5, 0.5]], rtol=1e-5)  # an empty mask: the middle


@pytest.mark.parametrize(("centre", "corner"), [((0.5, 0.5), (2, 2)), ((0.0, 1.0), (0, 4)), ((0.6, 0.4), (3, 1))])
def test_crop_without_scaling_is_a_slice(centre, corner):
    images = np.random.default_rng(0).integers(0, 256, (1, 10, 10, 2), dtype=np.uint8)
    got = crop(jnp.asarray(images), jnp.asarray([centre]), 0.6, 6)
    top, left = corner
    np.testing.assert_array_equal(got, images[:, top : top + 6, left : left + 6])


def test_crop_halves_by_averaging_with_a_triangle():
    images = np.zeros((1, 8, 8, 1), np.uint8)
    images[:, :, :4] = 200
    got = np.asarray(crop(jnp.asarray(images), jnp.asarray([[0.5, 0.5]]), 1.0, 4))[0, 0, :, 0]
    np.testing.assert_array_equal(got, [200, 175, 25, 0])  # weights 1 3 3 1 over 8


def test_resize_to_the_same_size_changes_nothing():
    images = np.random.default_rng(1).integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(jnp.asarray(images), 6), images)
