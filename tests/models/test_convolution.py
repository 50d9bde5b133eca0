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


def test_pooling_ties_share_one_gradient():
    total = jax.grad(lambda x: convolution.max_pool(x, form="shifted").sum())(jnp.ones((1, 5, 5, 1))).sum()
    np.testing.assert_allclose(total, 9, rtol=1e-6)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match='"auto", "grouped" or "shifted"'):
        convolution.resolve("fast")
