import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.models import native
from ordinal_blast.models.convolution import conv, upsampled_conv
from ordinal_blast.models.depthwise import depthwise_conv

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 7, 6, 3))
KERNEL = RNG.normal(size=(3, 3, 3, 4))
EVEN = RNG.normal(size=(2, 2, 3, 5))
FILTERS = RNG.normal(size=(3, 3, 1, 3))
DENSE = ("xla", "patches", *(("native",) if native.available() else ()))
FILTERED = ("grouped", "shifted", *(("native",) if native.available() else ()))


def upsampled(x, kernel, form):
    return upsampled_conv(x, kernel, jnp.zeros(kernel.shape[-1], x.dtype), form=form)


def strided(stride, padding="SAME"):
    return lambda x, kernel, form: conv(x, kernel, stride=stride, padding=padding, form=form)


# (operator, its forms, kernel, the same in numpy)
CASES = {
    "same": (strided(1), DENSE, KERNEL, lambda p, x, k: p.conv(x, k)),
    "same, even": (strided(1), DENSE, EVEN, lambda p, x, k: p.conv(x, k)),
    "same, stride 2": (strided(2), DENSE, KERNEL, lambda p, x, k: p.conv(x, k, 2)),
    "valid": (strided(1, "VALID"), DENSE, KERNEL, lambda p, x, k: p.conv(x, k, 1, "VALID")),
    "valid, stride 2": (strided(2, "VALID"), DENSE, KERNEL, lambda p, x, k: p.conv(x, k, 2, "VALID")),
    "1×1, stride 2": (strided(2), DENSE, KERNEL[:1, :1], lambda p, x, k: p.conv(x, k, 2)),
    "upsampled": (upsampled, DENSE, EVEN, lambda p, x, k: p.conv(np.kron(x, np.ones((1, 2, 2, 1))), k)),
    "depthwise": (
        lambda x, kernel, form: depthwise_conv(x, kernel, form=form),
        FILTERED,
        FILTERS,
        lambda p, x, k: p.depthwise(x, k),
    ),
}


def values_and_gradients(case, form, x, kernel, cotangent):
    operator = CASES[case][0]
    values, vjp = jax.vjp(lambda x, kernel: operator(x, kernel, form), x, kernel)
    return values, *vjp(cotangent)


@pytest.mark.parametrize("case", CASES)
def test_all_forms_agree_with_numpy_and_with_one_another_in_their_gradients(case, plain):
    _, forms, kernel, reference = CASES[case]
    expected = reference(plain, IMAGES, kernel)
    cotangent = jnp.float32(np.random.default_rng(1).normal(size=expected.shape))
    first, *others = (values_and_gradients(case, f, jnp.float32(IMAGES), jnp.float32(kernel), cotangent) for f in forms)
    np.testing.assert_allclose(first[0], expected, rtol=1e-5, atol=1e-5)
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


# 33 rows are more than the filters' gradient takes at once, and no multiple of a group of rows; 6 are one group.
@pytest.mark.parametrize("size", [(4, 14, 13, 3), (2, 33, 35, 3), (3, 6, 5, 3)])
@pytest.mark.parametrize("case", CASES)
def test_no_form_is_worse_than_another_beyond_round_off_of_float32(case, size):
    """Values and gradients of sums of up to some thousand products, against XLA's own in float64."""
    operator, forms, kernel, _ = CASES[case]
    rng = np.random.default_rng(3)
    x, kernel = (np.float64(np.float32(rng.normal(1, 1, shape))) for shape in (size, kernel.shape))
    outputs = jax.eval_shape(lambda x, kernel: operator(x, kernel, forms[0]), x, kernel)
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
    operator, forms, kernel, _ = CASES[case]
    rng = np.random.default_rng(4)
    x, kernel = (jnp.asarray(rng.normal(1, 1, size), jnp.bfloat16) for size in ((2, 33, 20, 3), kernel.shape))
    outputs = jax.eval_shape(lambda: operator(x, kernel, forms[1]))
    cotangent = jnp.asarray(rng.normal(1, 1, outputs.shape), jnp.bfloat16)
    half = values_and_gradients(case, forms[1], x, kernel, cotangent)[2]
    whole = values_and_gradients(case, forms[1], *(a.astype(jnp.float32) for a in (x, kernel, cotangent)))[2]
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), whole, rtol=1e-2)


@pytest.mark.parametrize("form", DENSE)
@pytest.mark.parametrize("size", [1, 3])
def test_a_bias_is_added_and_receives_the_sum_of_the_cotangent(form, size):
    x, kernel, bias = jnp.float32(IMAGES), jnp.float32(KERNEL[:size, :size]), jnp.float32(RNG.normal(size=4))
    cotangent = jnp.float32(RNG.normal(size=(2, 7, 6, 4)))
    value, pull = jax.vjp(lambda bias: conv(x, kernel, bias, form=form), bias)
    np.testing.assert_allclose(value, conv(x, kernel, form=form) + bias.reshape(1, 1, 1, 4), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(pull(cotangent)[0], cotangent.sum((0, 1, 2)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_what_kernels_cannot_is_computed_by_patches_on_a_cpu(dtype):
    with jax.enable_x64(True):
        x, kernel = jnp.asarray(IMAGES, dtype), jnp.asarray(KERNEL, dtype)
        np.testing.assert_array_equal(conv(x, kernel), conv(x, kernel, form="patches"))
        with pytest.raises(ValueError, match=r'dense "native" is for float32 .* use "auto"'):
            conv(x, kernel, form="native")
