"""Recordings are checked before anything looks at them: arrays, types, shapes, order and unit of the hours."""

import os

import numpy as np
import pytest

from ordinal_blast.embryo import recordings
from ordinal_blast.errors import UserError

GOOD = {
    "frames": np.arange(3 * 4 * 4 * 2, dtype=np.uint8).reshape(3, 4, 4, 2),
    "hpi": np.asarray([96.0, 107.0, 118.0]),
    "planes": np.asarray([-15.0, 15.0]),
}


@pytest.fixture
def saved(tmp_path):
    """`saved(name=array)`: the path of a good recording but for these arrays; None leaves one out."""

    def save(**changes):
        path = tmp_path / "embryo.npz"
        np.savez(path, **{name: array for name, array in (GOOD | changes).items() if array is not None})
        return path

    return save


def test_a_recording_is_read_as_it_was_written(saved):
    found = recordings.read(saved(tA=np.asarray(110.1)))
    np.testing.assert_array_equal(found.frames, GOOD["frames"])
    np.testing.assert_array_equal(found.hpi, GOOD["hpi"].astype(np.float32))
    assert found.planes == (-15.0, 15.0)
    assert found.assessed == float(np.float32(110.1))
    assert recordings.read(saved(hpi=np.asarray([96, 107, 118]))).assessed is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"planes": None}, "lacks planes: it holds frames, hpi"),
        ({"frames": GOOD["frames"].astype(np.uint16)}, r"frames must be uint8 \[T, H, W, F\] .* not uint16"),
        ({"frames": GOOD["frames"][0]}, r"not uint8 \[4, 4, 2\]"),
        ({"hpi": GOOD["hpi"][:2]}, "with one of 2 hpi a frame"),
        ({"planes": np.zeros(3)}, "one of 3 planes a channel"),
        ({"frames": GOOD["frames"][:0], "hpi": GOOD["hpi"][:0]}, r"is empty: its frames are \[0, 4, 4, 2\]"),
        ({"frames": GOOD["frames"][:, :0]}, r"is empty: its frames are \[3, 0, 4, 2\]"),
        ({"hpi": np.asarray([96.0, np.nan, 118.0])}, "entry 1 of hpi is nan: give a finite number"),
        ({"hpi": np.asarray([96.0, 107.0, np.inf])}, "entry 2 of hpi is inf"),
        ({"hpi": GOOD["hpi"][::-1]}, "hpi must increase from frame to frame, and frame 1 has 107 after 118"),
        ({"hpi": np.asarray([96.0, 96.0, 118.0])}, "frame 1 has 96 after 96"),
        ({"hpi": GOOD["hpi"] * 3600}, r"hpi runs from 345600 to 424800, .* give hours, not minutes or seconds"),
        ({"hpi": GOOD["hpi"] * 60}, "not minutes or seconds"),
        ({"hpi": GOOD["hpi"] - 100}, "hpi runs from -4 to 18"),
        ({"hpi": np.asarray(["96", "107", "118"])}, "hpi must be a list of numbers, not <U3"),
        ({"hpi": GOOD["hpi"].astype(complex)}, "hpi must be a list of numbers, not complex128"),
        ({"hpi": np.asarray(96.0)}, r"hpi must be a list of numbers, not float64 \[\]"),
        ({"planes": np.asarray([0.0, np.nan])}, "entry 1 of planes is nan"),
        ({"frames": np.asarray([None, 1])}, "pickled"),
        ({"tA": np.asarray(110.0 * 3600)}, "tA runs from 396000"),
        ({"tA": np.asarray([110.0, 111.0])}, "tA must be one hour, not 2 numbers"),
        ({"tA": np.asarray("noon")}, "tA must be a list of numbers"),
    ],
)
def test_a_bad_recording_is_refused_in_one_line_that_names_it(saved, changes, why):
    path = saved(**changes)
    with pytest.raises(UserError, match=why) as refused:
        recordings.read(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_recording_is_refused_without_waiting(tmp_path, saved):
    for name, make in (
        ("empty.npz", lambda path: path.touch()),
        ("folder.npz", lambda path: path.mkdir()),
        ("pipe.npz", os.mkfifo),
        ("loop.npz", lambda path: path.symlink_to(path)),
        ("absent.npz", lambda path: None),
        ("text.npz", lambda path: path.write_text("no archive")),
        ("torn.npz", lambda path: path.write_bytes(saved().read_bytes()[:300])),
    ):
        make(tmp_path / name)
        with pytest.raises(UserError, match=f"cannot read .*{name}"):
            recordings.read(tmp_path / name)
