import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.models import convolution

FORMS = ("grouped", "shifted")
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 7, 6, 3))
KERNEL = RNG.normal(size=(3, 3, 3, 4))
FILTERS = RNG.normal(size=(3, 3, 1, 3))

CASES = {
    "same": (lambda form: lambda x, k: convolution.conv(x, k, form=form), KERNEL, lambda p, x, k: p.conv(x, k)),
    "valid, stride 2": (
        lambda form: lambda x, k: convolution.conv(x, k, stride=2, padding="VALID", form=form),
        KERNEL,
        lambda p, x, k: p.conv(x, k, 2, "VALID"),
    ),
    "1×1, stride 2": (
        lambda form: lambda x, k: convolution.conv(x, k, stride=2, form=form),
        KERNEL[:1, :1],
        lambda p, x, k: p.conv(x, k, 2),
    ),
    "depthwise": (
        lambda form: lambda x, k: convolution.depthwise_conv(x, k, form=form),
        FILTERS,
        lambda p, x, k: p.depthwise(x, k),
    ),
    "max pool": (
        lambda form: lambda x, k: convolution.max_pool(x, form=form) * k,
        np.ones((1, 1, 1, 1)),
        lambda p, x, k: p.max_pool(x),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_both_forms_agree_with_numpy_and_with_each_other_in_their_gradients(case, plain):
    make, kernel, reference = CASES[case]
    expected = reference(plain, IMAGES, kernel)
    x, kernel = jnp.float32(IMAGES), jnp.float32(kernel)
    cotangent = jnp.float32(np.random.default_rng(1).normal(size=expected.shape))
    gradients = {}
    for form in FORMS:
        values, vjp = jax.vjp(make(form), x, kernel)
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)
        gradients[form] = vjp(cotangent)
    for grouped, shifted in zip(gradients["grouped"], gradients["shifted"], strict=True):
        np.testing.assert_allclose(shifted, grouped, rtol=1e-5, atol=1e-5)


def test_pooling_ties_have_one_gradient():
    total = jax.grad(lambda x: convolution.max_pool(x, form="shifted").sum())(jnp.ones((1, 5, 5, 1))).sum()
    np.testing.assert_allclose(total, 9, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 5, 5, 1), (2, 7, 6, 3), (3, 8, 8, 2)])
def test_of_equal_maxima_the_first_takes_the_gradient_in_both_forms(shape):
    rng = np.random.default_rng(2)
    x = rng.integers(0, 3, shape).astype(np.float64)  # nearly every window has a tie
    height, width = (-(-length // 2) for length in shape[1:3])
    cotangent = rng.integers(-4, 5, (shape[0], height, width, shape[3])).astype(np.float64)
    expected = np.zeros(shape)
    above, left = (max((-(-n // 2) - 1) * 2 + 3 - n, 0) // 2 for n in shape[1:3])
    for b, i, j, c in np.ndindex(cotangent.shape):
        rows = range(max(2 * i - above, 0), min(2 * i - above + 3, shape[1]))
        columns = range(max(2 * j - left, 0), min(2 * j - left + 3, shape[2]))
        first = max(((row, column) for row in rows for column in columns), key=lambda at: x[b, *at, c])
        expected[b, *first, c] += cotangent[b, i, j, c]
    for form in FORMS:
        _, vjp = jax.vjp(lambda x, form=form: convolution.max_pool(x, form=form), jnp.float32(x))
        np.testing.assert_array_equal(vjp(jnp.float32(cotangent))[0], expected)


def test_a_window_with_nan_has_no_maximum_in_either_form():
    x = IMAGES.astype(np.float32).copy()
    x[0, 2, 2], x[1, 6, 0] = np.nan, np.nan
    shifted, grouped = (np.isnan(convolution.max_pool(x, form=form)) for form in ("shifted", "grouped"))
    assert shifted.any()
    np.testing.assert_array_equal(shifted, grouped)


@pytest.mark.parametrize("case", [name for name in CASES if name != "max pool"])
def test_no_form_is_worse_than_the_other_beyond_round_off_of_float32(case):
    """Values and gradients of sums of some hundred products, against float64."""
    make, kernel, _ = CASES[case]
    rng = np.random.default_rng(3)
    x, kernel = (np.float64(np.float32(rng.normal(1, 1, size))) for size in ((4, 14, 13, 3), kernel.shape))
    cotangent = rng.normal(size=jax.eval_shape(make("grouped"), x, kernel).shape).astype(np.float32)

    def of(form, dtype):
        values, vjp = jax.vjp(make(form), jnp.asarray(x, dtype), jnp.asarray(kernel, dtype))
        return values, *vjp(jnp.asarray(cotangent, dtype))

    with jax.enable_x64(True):
        exact = of("grouped", jnp.float64)
        for a, b in zip(of("shifted", jnp.float64), exact, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    for form in FORMS:
        for a, b in zip(of(form, jnp.float32), exact, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * np.abs(b).max())


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match='"auto", "grouped" or "shifted"'):
        convolution.resolve("fast")
