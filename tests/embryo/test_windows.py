"""Centre of mass, area and crops against direct numpy."""

import jax
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


@pytest.mark.parametrize("size", [16, 24, 50])
def test_resize_is_that_of_jax(size):
    images = jnp.asarray(np.random.default_rng(2).integers(0, 256, (2, 36, 28, 3), dtype=np.uint8))
    expected = jax.image.resize(images.astype(jnp.float32), (2, size, size, 3), "linear")
    np.testing.assert_allclose(resize(images, size), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("share", "size"), [(0.8, 11), (0.8, 40), (0.35, 30), (1.0, 20)])
def test_crop_is_that_of_jax_wherever_rounding_is_not_a_matter_of_the_last_bit(share, size):
    rng = np.random.default_rng(3)
    images = jnp.asarray(rng.integers(0, 256, (5, 50, 46, 3), dtype=np.uint8))
    centre = jnp.asarray(rng.uniform(0, 1, (5, 2)), jnp.float32)
    corner = jnp.clip(centre, share / 2, 1 - share / 2) - share / 2
    scale = jnp.asarray([size / (share * 50), size / (share * 46)])
    expected = np.stack(
        [
            jax.image.scale_and_translate(
                image.astype(jnp.float32), (size, size, 3), (0, 1), scale, -start * size / share, "linear"
            )
            for image, start in zip(images, corner, strict=True)
        ]
    )
    clear = np.abs(expected % 1 - 0.5) > 1e-3
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(np.asarray(crop(images, centre, share, size))[clear], np.round(expected)[clear])


def test_a_window_that_has_its_size_lies_at_whole_pixels_and_blurs_nothing():
    images = np.random.default_rng(0).integers(0, 256, (4, 20, 30, 2)).astype(np.uint8)[:, :, :20]
    centre = np.asarray([[0.5, 0.5], [0.1, 0.95], [0.53, 0.47], [0.52, 0.48]], np.float32)
    corners = [(2, 2), (0, 4), (3, 1), (2, 2)]  # of a window of 16: 20 c − 8 to the nearest, and inside
    expected = [image[top : top + 16, left : left + 16] for image, (top, left) in zip(images, corners, strict=True)]
    np.testing.assert_array_equal(crop(images, centre, 0.8, 16), expected)
