"""Example frames of any shape, depth and number of channels become pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from ordinal_blast.report import examples


def shown(frame):
    with Image.open(io.BytesIO(examples._png(frame))) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 28])
def test_the_middle_channel_is_shown_where_there_are_not_three(channels):
    frame = np.random.default_rng(channels).integers(0, 256, (28, 56, channels), dtype=np.uint8)
    np.testing.assert_array_equal(shown(frame), frame[..., channels // 2])


def test_colour_and_frames_without_channels_are_shown_as_they_are():
    frame = np.random.default_rng(0).integers(0, 256, (28, 56, 3), dtype=np.uint8)
    np.testing.assert_array_equal(shown(frame), frame)
    np.testing.assert_array_equal(shown(frame[..., 0]), frame[..., 0])


@pytest.mark.parametrize("top", [65535, 4095, 1.0])
def test_other_depths_are_shown_over_their_own_range(top):
    ramp = np.arange(256).reshape(16, 16, 1) * (top / 255)
    frame = ramp.astype(np.float32) if top == 1.0 else np.round(ramp).astype(np.uint16)
    np.testing.assert_array_equal(shown(frame), np.arange(256).reshape(16, 16))
    assert shown(np.full((4, 4, 1), np.nan)).max() == 0


def test_a_sliver_keeps_a_pixel():
    assert shown(np.zeros((1, 5000, 3), np.uint8)).shape == (1, examples.LARGEST, 3)
