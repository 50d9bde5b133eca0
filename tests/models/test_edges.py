"""Edge filters on images whose derivatives are known."""

import numpy as np
import pytest

from ordinal_blast.models import edges

ROWS, COLUMNS = np.indices((12, 14)).astype(np.float32)
INNER = (slice(1, -1), slice(1, -1))


def test_sobel_of_a_ramp_is_eight_times_its_slope():
    ramp = 3 * ROWS + 4 * COLUMNS
    np.testing.assert_allclose(np.asarray(edges.sobel(ramp))[INNER], 8 * 5, rtol=1e-5)


def test_laplace_of_a_parabola_is_its_second_derivative_and_of_a_ramp_nothing():
    np.testing.assert_allclose(np.asarray(edges.laplacian(-(COLUMNS**2) + ROWS))[INNER], 2, rtol=1e-4)
    np.testing.assert_allclose(np.asarray(edges.laplacian(3 * ROWS))[INNER], 0, atol=1e-4)


def test_the_difference_of_blurs_of_a_point_is_that_of_two_gaussians():
    point = np.zeros((41, 41), np.float32)
    point[20, 20] = 1
    lines = []
    for sigma, reach in ((1.0, 4), (1.6, 5)):
        line = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        lines.append(np.pad(line / line.sum(), 20 - reach))
    expected = np.abs(np.outer(lines[0], lines[0]) - np.outer(lines[1], lines[1]))
    np.testing.assert_allclose(edges.band(point), expected, atol=1e-7)


@pytest.mark.parametrize("name", edges.FILTERS)
def test_an_even_image_has_no_edges_nor_has_its_border(name):
    np.testing.assert_allclose(edges.FILTERS[name](np.full((9, 9), 80, np.uint8)), 0, atol=1e-4)
