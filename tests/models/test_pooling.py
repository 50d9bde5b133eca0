import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.models import native
from ordinal_blast.models.pooling import max_pool

FORMS = ("windowed", "shifted", *(("native",) if native.available() else ()))
WIDTHS = [bits for bits in (128, 256, 512) if bits <= native.vector_bits()]
WINDOWS = (2, 3)
SIZES = [(1, 1, 1, 1), (0, 4, 4, 2), (1, 4, 5, 35), (1, 5, 5, 1), (2, 2, 3, 2), (2, 7, 6, 3), (3, 8, 8, 2)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("size", SIZES)
def test_values_are_the_largest_of_every_window(size, window, form, plain):
    x = np.random.default_rng(0).normal(size=size).astype(np.float32)
    np.testing.assert_array_equal(max_pool(jnp.asarray(x), window, form=form), plain.max_pool(x, window))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("size", SIZES)
def test_of_equal_maxima_the_first_takes_the_gradient(size, window, form):
    rng = np.random.default_rng(2)
    x = rng.integers(0, 3, size).astype(np.float64)  # nearly every window has a tie
    height, width = (-(-length // 2) for length in size[1:3])
    cotangent = rng.integers(-4, 5, (size[0], height, width, size[3])).astype(np.float64)
    expected = np.zeros(size)
    above, left = (max((-(-n // 2) - 1) * 2 + window - n, 0) // 2 for n in size[1:3])
    for b, i, j, c in np.ndindex(cotangent.shape):
        rows = range(max(2 * i - above, 0), min(2 * i - above + window, size[1]))
        columns = range(max(2 * j - left, 0), min(2 * j - left + window, size[2]))
        first = max(((row, column) for row in rows for column in columns), key=lambda at: x[b, *at, c])
        expected[b, *first, c] += cotangent[b, i, j, c]
    _, vjp = jax.vjp(lambda x: max_pool(x, window, form=form), jnp.float32(x))
    np.testing.assert_array_equal(vjp(jnp.float32(cotangent))[0], expected)


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("window", WINDOWS)
def test_every_width_of_vectors_finds_the_same_places(window, bits):
    x = jnp.float32(np.random.default_rng(3).integers(0, 3, (2, 7, 6, 35)))
    pads = tuple(jax.lax.padtype_to_pads((7, 6), (window, window), (2, 2), "SAME"))
    y, pull = jax.vjp(lambda x: max_pool(x, window, form="shifted"), x)
    got, index = native.max_pool(x, window, pads, bits=bits)
    np.testing.assert_array_equal(got, y)
    gradient = native.max_pool_gradient(y, index, (7, 6), window, pads, bits=bits)
    np.testing.assert_array_equal(gradient, pull(y)[0])


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_with_nan_has_no_maximum_in_any_form(window):
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 19)).astype(np.float32)
    x[0, 2, 2], x[1, 6, 0] = np.nan, np.nan
    first, *others = (np.isnan(max_pool(jnp.asarray(x), window, form=form)) for form in FORMS)
    assert first.any()
    for other in others:
        np.testing.assert_array_equal(first, other)
