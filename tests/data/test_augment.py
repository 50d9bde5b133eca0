"""Random views: exact where the geometry is exact, the same for image and mask."""

import jax
import numpy as np
import pytest

from ordinal_blast.data import augment
from ordinal_blast.errors import UsageError
from ordinal_blast.settings import AugmentSettings

KEYS = jax.random.split(jax.random.key(0), 40)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 2), dtype=np.uint8)


def still(**changes):
    return augment.make(AugmentSettings("affine", changes), "cnn.augment")


def test_affine_without_motion_is_the_identity():
    np.testing.assert_array_equal(still()(KEYS, IMAGES), IMAGES)


def test_affine_flips_about_half_the_images_left_to_right():
    flipped = np.asarray(still(flip_horizontal=True)(KEYS, IMAGES))
    same = (flipped == IMAGES).all((1, 2, 3))
    mirrored = (flipped == IMAGES[:, :, ::-1]).all((1, 2, 3))
    assert (same ^ mirrored).all()
    assert 10 <= mirrored.sum() <= 30


def test_affine_zoom_of_two_doubles_the_middle():
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None, None], (8, 8, 1))[None]
    zoomed = still(zoom=(2.0, 2.0))(KEYS[:1], ramp)
    np.testing.assert_allclose(zoomed[0, :, 4, 0], 1.75 + np.arange(8) / 2, rtol=1e-5)


def test_affine_rotation_stays_within_its_limit():
    line = np.zeros((40, 33, 33, 1), np.float32)
    line[:, 16] = 100.0
    turned = np.asarray(still(rotation=15.0)(KEYS, line))[..., 0]
    right = (turned[:, :, 31] * np.arange(33)).sum(1) / turned[:, :, 31].sum(1) - 16
    angles = np.rad2deg(np.arctan2(right, 15))
    assert (np.abs(angles) < 16).all()
    assert angles.std() > 5


def test_quarter_gives_each_of_the_eight_views_of_the_square():
    image = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1)
    views = np.asarray(augment.Quarter()(jax.random.split(jax.random.key(1), 200), np.repeat(image, 200, axis=0)))
    square = image[0, ..., 0]
    expected = {np.rot90(m, k).tobytes() for m in (square, square.T) for k in range(4)}
    assert {view[..., 0].tobytes() for view in views} == expected


def test_an_unknown_view_is_refused():
    with pytest.raises(
        UsageError, match=r"^cnn.augment.name is 'quater' \(did you mean quarter\?\): there are affine, none"
    ):
        augment.make(AugmentSettings("quater"), "cnn.augment")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("rotation", -1.0),
        ("rotation", float("nan")),
        ("shift", 1.5),
        ("zoom", (0.0, 1.0)),
        ("zoom", (1.2, 0.8)),
        ("zoom", (1.0,)),
        ("zoom", 1.1),
        ("flip_vertical", "no"),
    ],
)
def test_a_view_that_means_nothing_is_refused(option, value):
    with pytest.raises(UsageError, match=rf"^cnn.augment.options.{option} is .*: it takes "):
        still(**{option: value})


def test_quarter_turns_of_images_that_are_not_square_are_refused():
    with pytest.raises(UsageError, match=r"augment.name is quarter, but the images are 6×8 pixels"):
        augment.Quarter()(KEYS[:1], np.zeros((1, 6, 8, 1), np.uint8))
