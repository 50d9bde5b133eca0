"""What the CNN sees of crops: the right frame and planes when still, all that may be drawn in training."""

import dataclasses
import os
from types import SimpleNamespace

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.embryo import crops, shelf
from ordinal_blast.embryo.crops import Crop, Crops, CropSettings, cnn_view
from ordinal_blast.embryo.footage import Recorded
from ordinal_blast.embryo.segmentation import CropFrames
from ordinal_blast.errors import UserError

PLANES, HOURS = (-60.0, -45.0, -30.0, 0.0, 30.0, 45.0, 60.0), 4
SECTION = {"start_hpi": 90.0, "stop_hpi": 93.0, "focal_planes": 1, "plane_um": 15.0}
HALVES = np.arange(90, 93.1, 0.5, dtype=np.float32)


def cropper(areas):
    """Crops that are the frames; the area of a frame is that of the recorded frame that its pixels name."""

    def cropped(frames, planes, *, share, size, around):
        assert (share, size) == (0.8, 224)
        return frames, np.asarray([areas[frame[0, 0, 0] // 10] for frame in frames], np.float32)

    return SimpleNamespace(crops=cropped)


def seen(section, times=(None, None)):
    """Crops of two embryos recorded every half hour, whose pixels name frame t and plane f: 10 t + f."""
    named = (10 * np.arange(len(HALVES))[:, None] + np.arange(len(PLANES)))[:, None, None, :].astype(np.uint8)
    footage = Recorded(np.stack([named, named]), np.stack([HALVES, HALVES]), PLANES)
    areas = ([0.1, 0, 0.4, 0, 0.2, 0, 0.3], [0.1, 0.9, 0.1, 0, 0.1, 0, 0.2])
    looked = [crops._look(section, footage, cropper(a), row, times[row]) for row, a in enumerate(areas)]
    place = crops._place(section, PLANES)

    def pixels(rows, slots, planes):
        records = place[slots[:, None], planes]
        assert (records >= 0).all()
        of_each = zip((looked[row].images for row in rows), records, strict=True)
        return np.stack([np.stack([images[record] for record in mine], axis=-1) for images, mine in of_each])

    return Crops(pixels, np.stack([one.areas for one in looked]), section.hours, PLANES, section.planes)


@pytest.mark.parametrize(("times", "frames"), [((91.5, 92.0), [3, 4]), ((None, None), [2, 6])])
def test_a_still_view_has_the_base_planes_at_the_time_of_the_cnn_or_at_maximum_expansion(times, frames):
    section = CropSettings(**SECTION)
    images = cnn_view(section, seen(section, times))(np.asarray([0, 1]), None)
    np.testing.assert_array_equal(images[:, 0, 0], [[10 * frame + plane for plane in (1, 3, 5)] for frame in frames])


@pytest.mark.parametrize("time", [91.0, None])
def test_training_sees_every_focus_and_every_shift_of_the_time(time):
    section = CropSettings(**SECTION)
    view = cnn_view(section, seen(section, (time, time)))
    images = view(np.zeros(200, int), np.random.default_rng(0))[:, 0, 0]
    assert set(images[:, 0] // 10) == {1, 2, 3}
    # One step down, none, one step up of 15 µm; of two planes that are as near, the first.
    assert {tuple(image % 10) for image in images} == {(0, 2, 4), (1, 3, 5), (2, 3, 6)}


def test_maximum_expansion_is_that_of_the_hourly_frames_whatever_else_was_cropped():
    assert seen(CropSettings(**SECTION), (90.5, 90.5)).tmeb().tolist() == [1, 3]  # not of 90.5 hpi


def test_hourly_frames_come_embryo_by_embryo_in_the_base_planes_alone():
    section = CropSettings(**SECTION)
    images = seen(section).hourly(np.asarray([0, 3, 4, 7]))
    np.testing.assert_array_equal(images[:, 0, 0], [[1, 3, 5], [61, 63, 65], [1, 3, 5], [61, 63, 65]])
    # 4 hours of 3 planes, and 3 times of all 7.
    assert crops._place(section, PLANES).max() + 1 == 4 * 3 + 3 * 7


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

    values = {"frame": np.zeros((1, 4, 4, 3), np.uint8), "corner": (0, 0), "notes": ("a",)}
    values["cropper"] = SimpleNamespace(crops=cropped)
    looked = Crop("crops", CropSettings()).restore(None, None)(values)
    assert looked["notes"] == ("a", *notes)
    assert looked["images"] is values["frame"]


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


def test_a_run_that_crops_by_true_masks_says_that_a_recording_has_none():
    def cropped(frames, planes, *, share, size, around):
        assert around == "embryo"
        return frames, np.asarray([0.2])

    values = {"frame": np.zeros((1, 4, 4, 3), np.uint8), "corner": (0, 0), "notes": ()}
    values["cropper"] = SimpleNamespace(crops=cropped)
    (note,) = Crop("crops", CropSettings(around="mask")).restore(None, None)(values)["notes"]
    assert note == "it has no mask, which the run crops by: cropped around the embryo that the cropper finds"


@pytest.fixture
def stored(tmp_path):
    """Five embryos of three images of 6 x 6 random pixels in files of two embryos, and the images `[5, 3, 6, 6]`."""
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 6, 6)).astype(np.uint8)
    files = tuple(tmp_path / f"{n}.array_record" for n in range(3))
    for n, file in enumerate(files):
        shelf.write(file, (image for embryo in images[2 * n : 2 * n + 2] for image in embryo))
    place = np.asarray([[0, -1], [1, 2]])
    return shelf.Shelf(
        files, 2, place, 6, lambda image, row, slot, plane: image ^ (16 * row + 4 * slot + plane)
    ), images


@pytest.mark.parametrize("most", [0, 5 * 3 * 36], ids=["read", "held"])
def test_an_image_on_the_shelf_is_the_one_that_was_put_there_as_it_is_finished(stored, most):
    kept, images = stored
    kept = shelf.held(kept, 5, most)
    rows = np.asarray([3, 0, 1, 4, 2])
    for _ in range(2):
        first = kept(rows, np.zeros(5, int), np.zeros((5, 1), int))
        np.testing.assert_array_equal(first[..., 0], images[rows, 0] ^ (16 * rows[:, None, None]).astype(np.uint8))
        both = kept(rows, np.ones(5, int), np.repeat([[1, 0]], 5, axis=0))
        for row, image in zip(rows, both, strict=True):
            expected = np.stack([images[row, 2] ^ (16 * row + 5), images[row, 1] ^ (16 * row + 4)], axis=-1)
            np.testing.assert_array_equal(image, expected)


def test_crops_that_are_held_are_read_once_and_the_longest_unused_give_way(stored):
    kept, _ = stored
    calls = []
    counted = dataclasses.replace(kept, finish=lambda image, *where: calls.append(where) or image)
    size = 5 * 3 * 36
    for again in range(2):
        shelf.held(counted, 5, size)(np.asarray([0, 1]), np.asarray([0, 0]), np.zeros((2, 1), int))
        assert len(calls) == 2, again
    times = kept.files[0].stat()
    for changed, reads in ((10**9, 3), (0, 4)):  # other files in its place, which leave no room for the first
        os.utime(kept.files[0], ns=(times.st_atime_ns, times.st_mtime_ns + changed))
        shelf.held(counted, 5, size)(np.asarray([0]), np.asarray([0]), np.zeros((1, 1), int))
        assert len(calls) == reads
    assert shelf.held(counted, 5, size - 1) is counted


def test_a_damaged_shelf_is_refused_by_the_name_of_its_file(stored):
    kept, _ = stored
    content = bytearray(kept.files[2].read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    kept.files[2].write_bytes(content)
    with pytest.raises(UserError, match=r"2.array_record is damaged .*delete .* and run the same command again"):
        kept(np.asarray([4]), np.asarray([1]), np.asarray([[1]]))


def test_a_shelf_that_lacks_a_file_is_refused_with_what_to_do(stored):
    kept, _ = stored
    kept.files[1].unlink()
    with pytest.raises(UserError, match=r"1.array_record.*: delete .* and run the same command again"):
        shelf.held(kept, 5, 1 << 20)


def test_a_disk_that_refuses_crops_is_told_with_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*absent/0.array_record: .*; free space and run the same c"):
        shelf.write(tmp_path / "absent" / "0.array_record", iter(np.zeros((1, 6, 6), np.uint8)))
