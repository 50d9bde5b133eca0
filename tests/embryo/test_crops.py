"""What the CNN sees of crops: the right frame and planes when still, all that may be drawn in training."""

from types import SimpleNamespace

import numpy as np
import pytest

from ordinal_blast.embryo.crops import Crop, Crops, CropSettings, cnn_view

PLANES, HOURS = (-60.0, -45.0, -30.0, 0.0, 30.0, 45.0, 60.0), 4
SECTION = {"start_hpi": 90.0, "stop_hpi": 93.0, "focal_planes": 1, "plane_um": 15.0}


def crops(section, shifts):
    """Two embryos whose pixels say slot and plane: 10 s + f."""
    said = 10 * np.arange(HOURS + shifts)[:, None] + np.arange(len(PLANES))
    pixels = np.broadcast_to(said[:, None, None, :], (2, HOURS + shifts, 1, 1, len(PLANES))).astype(np.uint8)
    areas = np.asarray([[0.1, 0.4, 0.2, 0.3, *[0.9] * shifts], [0.1, 0.1, 0.1, 0.2, *[0.9] * shifts]], np.float32)
    return Crops(pixels, areas, section.hours, PLANES, section.planes)


@pytest.mark.parametrize(("time", "slots"), [("tA", [5, 5]), ("tMEB", [1, 3]), ("91", [5, 5])])
def test_a_still_view_has_the_base_planes_at_the_time_of_the_cnn(time, slots):
    section = CropSettings(cnn_time=time, **SECTION)
    images = cnn_view(section, crops(section, 0 if time == "tMEB" else 3))(np.asarray([0, 1]), None)
    np.testing.assert_array_equal(images[:, 0, 0], [[10 * slot + plane for plane in (1, 3, 5)] for slot in slots])


@pytest.mark.parametrize(("time", "slots"), [("tA", {4, 5, 6}), ("tMEB", {1})])
def test_training_sees_every_focus_and_every_shift_of_the_time(time, slots):
    section = CropSettings(cnn_time=time, **SECTION)
    view = cnn_view(section, crops(section, 0 if time == "tMEB" else 3))
    images = view(np.zeros(200, int), np.random.default_rng(0))[:, 0, 0]
    assert set(images[:, 0] // 10) == slots
    # One step down, none, one step up of 15 µm; of two planes that are as near, the first.
    assert {tuple(image % 10) for image in images} == {(0, 2, 4), (1, 3, 5), (2, 3, 6)}


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
    def cropped(frames, planes, *, share, size):
        assert (planes, share, size) == ((-45.0, 0.0, 45.0), 0.8, 224)
        return frames, np.asarray([area])

    values = {"frame": np.zeros((1, 4, 4, 3), np.uint8), "cropper": SimpleNamespace(crops=cropped), "notes": ("a",)}
    seen = Crop("crops", CropSettings()).restore(None, None)(values)
    assert seen["notes"] == ("a", *notes)
    assert seen["images"] is values["frame"]


def test_hourly_frames_come_embryo_by_embryo_in_the_base_planes():
    section = CropSettings(**SECTION)
    images = crops(section, 3).hourly(np.asarray([0, 3, 4, 7]))
    np.testing.assert_array_equal(images[:, 0, 0], [[1, 3, 5], [31, 33, 35], [1, 3, 5], [31, 33, 35]])
