import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.models.same_conv import same_conv, upsampled_conv

RNG = np.random.default_rng(0)
# Three images are one group of one; four of 32×64 are one of four; each of 96×96 is more than a group holds.
SHAPES = [(3, 5, 7), (4, 32, 64), (2, 96, 96)]


def plain_kernel_gradient(x, cotangent, size):
    """Every tap by itself, in float64."""
    height, width = x.shape[1:3]
    x = np.pad(np.float64(x), ((0, 0), *2 * [((size - 1) // 2, size // 2)], (0, 0)))
    taps = [[x[:, i : i + height, j : j + width] for j in range(size)] for i in range(size)]
    return np.array([[np.tensordot(tap, cotangent, ((0, 1, 2), (0, 1, 2))) for tap in row] for row in taps])


@pytest.mark.parametrize("form", ["native", "product"])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES[:2])
def test_gradients_are_those_of_every_tap(plain, shape, size, form):
    x, cotangent = RNG.normal(size=(*shape, 3)), RNG.normal(size=(*shape, 2))
    kernel, way = RNG.normal(size=(size, size, 3, 2)), RNG.normal(size=(*shape, 3))
    single = [np.float32(values) for values in (x, kernel, cotangent)]
    value, pull = jax.vjp(lambda x, kernel: same_conv(x, kernel, form=form), *single[:2])
    by_x, by_kernel = pull(single[2])
    np.testing.assert_allclose(value, plain.conv(x, kernel), rtol=1e-4, atol=1e-5)
    expected = plain_kernel_gradient(x, cotangent, size)
    np.testing.assert_allclose(by_kernel, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    # It is linear in x: along any way, what the result changes is what the gradient says.
    np.testing.assert_allclose((by_x * way).sum(), (plain.conv(way, kernel) * cotangent).sum(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("form", ["native", "product"])
def test_an_upsampled_map_is_convolved_as_if_it_were_repeated(plain, form):
    x, kernel, cotangent = RNG.normal(size=(2, 3, 5, 4)), RNG.normal(size=(2, 2, 4, 3)), RNG.normal(size=(2, 6, 10, 3))
    value, pull = jax.vjp(lambda x, kernel: upsampled_conv(x, kernel, form=form), np.float32(x), np.float32(kernel))
    repeated = np.kron(x, np.ones((1, 2, 2, 1)))
    np.testing.assert_allclose(value, plain.conv(repeated, kernel), rtol=1e-4, atol=1e-5)
    by_x, by_kernel = pull(np.float32(cotangent))
    np.testing.assert_allclose(by_kernel, plain_kernel_gradient(repeated, cotangent, 2), rtol=1e-4, atol=1e-4)
    way = RNG.normal(size=x.shape)
    along = (plain.conv(np.kron(way, np.ones((1, 2, 2, 1))), kernel) * cotangent).sum()
    np.testing.assert_allclose((by_x * way).sum(), along, rtol=1e-4)


def test_a_map_larger_than_a_group_gives_the_gradient_of_xla():
    x, cotangent = (np.float32(RNG.normal(size=(*SHAPES[2], 2))) for _ in range(2))
    kernel = np.float32(RNG.normal(size=(3, 3, 2, 2)))
    native, product = (
        jax.vjp(lambda kernel, form=form: same_conv(x, kernel, form=form), kernel)[1](cotangent)[0]
        for form in ("native", "product")
    )
    np.testing.assert_allclose(product, native, rtol=1e-4, atol=1e-4 * np.abs(native).max())


def test_bfloat16_adds_up_in_float32():
    x, cotangent = (np.float32(RNG.normal(size=(*SHAPES[1], 2))) for _ in range(2))
    kernel = np.float32(RNG.normal(size=(3, 3, 2, 2)))
    half = [jnp.asarray(values, jnp.bfloat16) for values in (x, kernel, cotangent)]
    by_x, by_kernel = jax.vjp(lambda x, kernel: same_conv(x, kernel, form="product"), *half[:2])[1](half[2])
    assert by_x.dtype == by_kernel.dtype == jnp.bfloat16
    expected = plain_kernel_gradient(np.float32(half[0]), np.float32(half[2]), 3)
    np.testing.assert_allclose(np.float32(by_kernel), expected, atol=0.01 * np.abs(expected).max())
