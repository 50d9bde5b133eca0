import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.models.pointwise import pointwise_conv


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (7, 5)])
def test_values_and_gradients_are_those_of_the_products_in_numpy(shape):
    rng = np.random.default_rng(0)
    x, kernel, cotangent = (rng.normal(size=size) for size in (shape, (5, 6), (*shape[:-1], 6)))
    values, vjp = jax.vjp(pointwise_conv, jnp.float32(x), jnp.float32(kernel))
    by_x, by_kernel = vjp(jnp.float32(cotangent))
    np.testing.assert_allclose(values, x @ kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(by_x, cotangent @ kernel.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(by_kernel, x.reshape(-1, 5).T @ cotangent.reshape(-1, 6), rtol=1e-5, atol=1e-6)
