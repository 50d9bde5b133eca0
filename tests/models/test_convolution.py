import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.models.convolution import conv
from ordinal_blast.models.depthwise import depthwise_conv

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 7, 6, 3))
KERNEL = RNG.normal(size=(3, 3, 3, 4))
FILTERS = RNG.normal(size=(3, 3, 1, 3))

# (operator, its two forms, kernel, the same in numpy)
CASES = {
    "same": (conv, ("native", "patches"), {}, KERNEL, lambda p, x, k: p.conv(x, k)),
    "same, stride 2": (conv, ("native", "patches"), {"stride": 2}, KERNEL, lambda p, x, k: p.conv(x, k, 2)),
    "valid": (conv, ("native", "patches"), {"padding": "VALID"}, KERNEL, lambda p, x, k: p.conv(x, k, 1, "VALID")),
    "valid, stride 2": (
        conv,
        ("native", "patches"),
        {"stride": 2, "padding": "VALID"},
        KERNEL,
        lambda p, x, k: p.conv(x, k, 2, "VALID"),
    ),
    "1×1, stride 2": (conv, ("native", "patches"), {"stride": 2}, KERNEL[:1, :1], lambda p, x, k: p.conv(x, k, 2)),
    "depthwise": (depthwise_conv, ("grouped", "shifted"), {}, FILTERS, lambda p, x, k: p.depthwise(x, k)),
}


def values_and_gradients(case, form, x, kernel, cotangent):
    operator, _, options, _, _ = CASES[case]
    values, vjp = jax.vjp(lambda x, kernel: operator(x, kernel, form=form, **options), x, kernel)
    return values, *vjp(cotangent)


@pytest.mark.parametrize("case", CASES)
def test_both_forms_agree_with_numpy_and_with_each_other_in_their_gradients(case, plain):
    _, forms, _, kernel, reference = CASES[case]
    expected = reference(plain, IMAGES, kernel)
    cotangent = jnp.float32(np.random.default_rng(1).normal(size=expected.shape))
    native, other = (values_and_gradients(case, f, jnp.float32(IMAGES), jnp.float32(kernel), cotangent) for f in forms)
    for a, b in zip(native, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(native[0], expected, rtol=1e-5, atol=1e-5)


# 33 rows are more than the filters' gradient takes at once, and no multiple of a group of rows; 6 are one group.
@pytest.mark.parametrize("size", [(4, 14, 13, 3), (2, 33, 35, 3), (3, 6, 5, 3)])
@pytest.mark.parametrize("case", CASES)
def test_no_form_is_worse_than_the_other_beyond_round_off_of_float32(case, size):
    """Values and gradients of sums of up to some thousand products, against XLA's own in float64."""
    operator, forms, options, kernel, _ = CASES[case]
    rng = np.random.default_rng(3)
    x, kernel = (np.float64(np.float32(rng.normal(1, 1, shape))) for shape in (size, kernel.shape))
    outputs = jax.eval_shape(lambda x, kernel: operator(x, kernel, form=forms[0], **options), x, kernel)
    cotangent = rng.normal(size=outputs.shape).astype(np.float32)

    def of(form, dtype):
        return values_and_gradients(case, form, *(jnp.asarray(a, dtype) for a in (x, kernel, cotangent)))

    with jax.enable_x64(True):
        exact = of(forms[0], jnp.float64)
    for form in forms:
        for a, b in zip(of(form, jnp.float32), exact, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=3e-6 * np.abs(b).max())


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_bfloat16_add_up_in_float32(case):
    """A kernel's gradient is a sum of some thousand products: within the round-off of its inputs, not of the sum."""
    _, forms, options, kernel, _ = CASES[case]
    rng = np.random.default_rng(4)
    x, kernel = (jnp.asarray(rng.normal(1, 1, size), jnp.bfloat16) for size in ((2, 33, 20, 3), kernel.shape))
    outputs = jax.eval_shape(lambda: CASES[case][0](x, kernel, form=forms[1], **options))
    cotangent = jnp.asarray(rng.normal(1, 1, outputs.shape), jnp.bfloat16)
    half = values_and_gradients(case, forms[1], x, kernel, cotangent)[2]
    whole = values_and_gradients(case, forms[1], *(a.astype(jnp.float32) for a in (x, kernel, cotangent)))[2]
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), whole, rtol=1e-2)
