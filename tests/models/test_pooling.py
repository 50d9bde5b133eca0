import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.models.pooling import max_pool

FORMS = ("windowed", "shifted")
SIZES = [(1, 1, 1, 1), (1, 5, 5, 1), (2, 2, 3, 2), (2, 7, 6, 3), (3, 8, 8, 2)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", SIZES)
def test_values_are_the_largest_of_every_window(size, form, plain):
    x = np.random.default_rng(0).normal(size=size).astype(np.float32)
    np.testing.assert_array_equal(max_pool(jnp.asarray(x), form=form), plain.max_pool(x))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", SIZES)
def test_of_equal_maxima_the_first_takes_the_gradient(size, form):
    rng = np.random.default_rng(2)
    x = rng.integers(0, 3, size).astype(np.float64)  # nearly every window has a tie
    height, width = (-(-length // 2) for length in size[1:3])
    cotangent = rng.integers(-4, 5, (size[0], height, width, size[3])).astype(np.float64)
    expected = np.zeros(size)
    above, left = (max((-(-n // 2) - 1) * 2 + 3 - n, 0) // 2 for n in size[1:3])
    for b, i, j, c in np.ndindex(cotangent.shape):
        rows = range(max(2 * i - above, 0), min(2 * i - above + 3, size[1]))
        columns = range(max(2 * j - left, 0), min(2 * j - left + 3, size[2]))
        first = max(((row, column) for row in rows for column in columns), key=lambda at: x[b, *at, c])
        expected[b, *first, c] += cotangent[b, i, j, c]
    _, vjp = jax.vjp(lambda x: max_pool(x, form=form), jnp.float32(x))
    np.testing.assert_array_equal(vjp(jnp.float32(cotangent))[0], expected)


def test_a_window_with_nan_has_no_maximum_in_either_form():
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype(np.float32)
    x[0, 2, 2], x[1, 6, 0] = np.nan, np.nan
    shifted, windowed = (np.isnan(max_pool(jnp.asarray(x), form=form)) for form in ("shifted", "windowed"))
    assert shifted.any()
    np.testing.assert_array_equal(shifted, windowed)
