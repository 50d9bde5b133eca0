"""What the CNN sees of crops: the right frame and planes when still, all that may be drawn in training."""

from types import SimpleNamespace

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.embryo.crops import Crop, Crops, CropSettings, _cropped, cnn_view
from ordinal_blast.embryo.segmentation import CropFrames

PLANES, HOURS = (-60.0, -45.0, -30.0, 0.0, 30.0, 45.0, 60.0), 4
SECTION = {"start_hpi": 90.0, "stop_hpi": 93.0, "focal_planes": 1, "plane_um": 15.0}


def crops(section, shifts):
    """Two embryos whose pixels say slot and plane: 10 s + f."""
    said = 10 * np.arange(HOURS + shifts)[:, None] + np.arange(len(PLANES))
    pixels = np.broadcast_to(said[:, None, None, :], (2, HOURS + shifts, 1, 1, len(PLANES))).astype(np.uint8)
    areas = np.asarray([[0.1, 0.4, 0.2, 0.3, *[0.9] * shifts], [0.1, 0.1, 0.1, 0.2, *[0.9] * shifts]], np.float32)
    return Crops(pixels, areas, section.hours, PLANES, section.planes)


def test_a_still_view_has_the_base_planes_at_the_time_of_the_cnn():
    section = CropSettings(**SECTION)
    images = cnn_view(section, crops(section, 3))(np.asarray([0, 1]), None)
    np.testing.assert_array_equal(images[:, 0, 0], [[50 + plane for plane in (1, 3, 5)]] * 2)


def test_training_sees_every_focus_and_every_shift_of_the_time():
    section = CropSettings(**SECTION)
    view = cnn_view(section, crops(section, 3))
    images = view(np.zeros(200, int), np.random.default_rng(0))[:, 0, 0]
    assert set(images[:, 0] // 10) == {4, 5, 6}
    # One step down, none, one step up of 15 µm; of two planes that are as near, the first.
    assert {tuple(image % 10) for image in images} == {(0, 2, 4), (1, 3, 5), (2, 3, 6)}


class Finder:
    """Crops of one pixel, the frame's own, whose value over 100 is the embryo's area."""

    def crops(self, frames, planes, *, share, size, around):
        return frames[:, :size, :size], frames[:, 0, 0, 0] / 100


@pytest.mark.parametrize(
    ("time", "looked"),
    [
        # Embryo 0 is largest at 92 hpi, embryo 1 at 91; the frames are half an hour apart.
        ("tMEB", [[91.5, 92.0, 92.5], [90.5, 91.0, 91.5]]),
        ("tA", [[90.5, 91.0, 91.5], [92.5, 93.0, 93.0]]),
        ("91", [[90.5, 91.0, 91.5]] * 2),
    ],
)
def test_frames_are_shifted_around_the_time_that_the_cnn_looks_at(time, looked):
    hpi = np.arange(90, 93.5, 0.5)
    section = CropSettings(start_hpi=90.0, stop_hpi=93.0, size=1, cnn_time=time, planes=(0.0,))
    values = np.asarray([[10, 15, 20, 25, 60, 35, 30], [10, 15, 50, 25, 20, 15, 12]])  # one a frame, no two alike
    values = values + np.asarray([[0], [1]]) * 2
    frames = values[..., None, None, None].astype(np.uint8)
    made = _cropped(section, Finder(), frames, np.stack([hpi, hpi]), np.asarray([91.0, 93.0]), (0.0,))
    assert made.tmeb().tolist() == [2, 1]
    expected = [
        [row[np.argmin(np.abs(hpi - hour))] for hour in hours] for row, hours in zip(values, looked, strict=True)
    ]
    np.testing.assert_array_equal(made.pixels[:, 4:, 0, 0, 0], expected)
    np.testing.assert_array_equal(made.pixels[:, :4, 0, 0, 0], values[:, ::2])


@pytest.mark.parametrize(("around", "centre"), [("embryo", 0.25), ("mask", 0.75), ("centre", 0.5), ("frame", 0.5)])
def test_the_window_lies_where_it_is_said_to(around, centre):
    rows = np.arange(0, 160, 10, dtype=np.uint8)  # of 16 pixels: a pixel's value tells its row
    frame = np.broadcast_to(rows[None, :, None, None], (1, 16, 16, 1))
    mask = np.zeros((1, 16, 16, 1), np.uint8)
    mask[:, 11:13] = 1  # rows 11 and 12, whose middle is 12 of 16

    class Found(nn.Module):
        def __call__(self, x, *, train):
            upper = (jnp.arange(16) // 2 == 1) | (jnp.arange(16) // 2 == 2)  # rows 2 to 5, whose middle is 4
            return {"mask": jnp.broadcast_to(jnp.where(upper, 1.0, -1.0)[None, :, None], (len(x), 16, 16))}

    frames = np.concatenate([frame, mask], axis=-1) if around == "mask" else frame
    said = CropFrames(Found(), (0,), 16, 0.25, 4, around)(frames, train=False)
    start = 0 if around == "frame" else 16 * centre - 2
    step = 4 if around == "frame" else 1
    expected = 10 * (start + step * np.arange(4) + (step - 1) / 2)
    np.testing.assert_allclose(said["crops"][0, 1:3, 0, 0], expected[1:3], atol=0.6)
    assert said["crops"].shape == (1, 4, 4, 1)
    np.testing.assert_allclose(said["area"], 0.25, rtol=1e-6)


@pytest.mark.parametrize("shifts", [0, 3])
def test_maximum_expansion_is_that_of_the_hourly_frames_whatever_else_was_cropped(shifts):
    assert crops(CropSettings(**SECTION), shifts).tmeb().tolist() == [1, 3]


def test_a_page_is_shown_the_middle_of_several_planes():
    images = np.arange(2 * 3 * 3 * 5).reshape(2, 3, 3, 5)
    np.testing.assert_array_equal(Crop("crops", CropSettings()).show(images), images[..., 2:3])


@pytest.mark.parametrize(
    ("area", "notes"), [(0.0, ("the cropper finds no embryo: the middle of the frame is graded",)), (0.2, ())]
)
def test_a_frame_without_an_embryo_is_noted(area, notes):
    def cropped(frames, planes, *, share, size, around):
        assert (planes, share, size, around) == ((-45.0, 0.0, 45.0), 0.8, 224, "embryo")
        return frames, np.asarray([area])

    values = {"frame": np.zeros((1, 4, 4, 3), np.uint8), "cropper": SimpleNamespace(crops=cropped), "notes": ("a",)}
    seen = Crop("crops", CropSettings()).restore(None, None)(values)
    assert seen["notes"] == ("a", *notes)
    assert seen["images"] is values["frame"]


def test_hourly_frames_come_embryo_by_embryo_in_the_base_planes():
    section = CropSettings(**SECTION)
    images = crops(section, 3).hourly(np.asarray([0, 3, 4, 7]))
    np.testing.assert_array_equal(images[:, 0, 0], [[1, 3, 5], [31, 33, 35], [1, 3, 5], [31, 33, 35]])


def test_a_run_that_crops_by_true_masks_says_that_a_recording_has_none():
    def cropped(frames, planes, *, share, size, around):
        assert around == "embryo"
        return frames, np.asarray([0.2])

    values = {"frame": np.zeros((1, 4, 4, 3), np.uint8), "cropper": SimpleNamespace(crops=cropped), "notes": ()}
    (note,) = Crop("crops", CropSettings(around="mask")).restore(None, None)(values)["notes"]
    assert note == "it has no mask, which the run crops by: cropped around the embryo that the cropper finds"
