"""Frame selection: nearest frames, tMEB, sequences; against plain arithmetic."""

import numpy as np

from ordinal_blast.embryo import timelapse


def test_hours_holds_both_ends():
    np.testing.assert_array_equal(timelapse.hours(90, 93, 1), [90, 91, 92, 93])


def test_nearest_takes_the_earlier_frame_on_a_tie():
    hpi = np.asarray([90.0, 90.25, 91.0])
    np.testing.assert_array_equal(timelapse.nearest(hpi, np.asarray([80.0, 90.125, 90.2, 90.7, 99.0])), [0, 0, 1, 2, 2])


def test_nearest_of_a_single_frame():
    np.testing.assert_array_equal(timelapse.nearest(np.asarray([100.0]), np.asarray([90.0, 110.0])), [0, 0])


def test_maximum_expansion_ignores_early_frames_and_takes_the_first_of_equals():
    area = np.asarray([[9, 1, 5, 5], [9, 7, 2, 3]])
    np.testing.assert_array_equal(timelapse.maximum_expansion(area, np.asarray([89.0, 90, 91, 92])), [2, 1])


def test_sequences_end_at_tmeb_and_are_padded_at_the_end():
    taken = timelapse.sequences(np.asarray([1, 6]), 4)
    np.testing.assert_array_equal(taken, [[0, 1, -1, -1], [3, 4, 5, 6]])
    taken = timelapse.sequences(np.asarray([1, 6]), 4, backwards=True)
    np.testing.assert_array_equal(taken, [[1, 0, -1, -1], [6, 5, 4, 3]])


def test_frames_lie_where_the_sequences_have_them_and_zeros_elsewhere():
    frames = np.asarray([[10, 1], [11, 2], [12, 3]], np.uint8)
    placed = timelapse.placed(frames, np.asarray([[0, 1, -1], [4, -1, -1]]))
    np.testing.assert_array_equal(placed, [[[10, 1], [11, 2], [0, 0]], [[12, 3], [0, 0], [0, 0]]])
    assert placed.dtype == np.uint8


def test_planes_beyond_the_recorded_ones_repeat_the_last():
    assert timelapse.plane_indices((-45, 0, 45), (-60, -45, 15, 60)) == (0, 0, 1, 2)
