import numpy as np
import pytest

from ordinal_blast.bench import growth


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_exponent_is_that_of_the_larger_half(power):
    sizes = [1, 2, 4, 8]
    costs = [5.0, 5.0, *(np.array([4.0, 8.0]) ** power)]
    assert growth.fitted(sizes, costs) == pytest.approx(power)


def test_two_sizes_are_enough():
    assert growth.fitted([10, 100], [2.0, 200.0]) == pytest.approx(2.0)
