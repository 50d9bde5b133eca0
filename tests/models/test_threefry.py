import jax
import numpy as np
import pytest

from ordinal_blast.models.threefry import fold_in_bits


@pytest.mark.parametrize("kind", ["threefry2x32", "rbg"])
def test_bits_are_those_of_jax(kind):
    keys = jax.random.split(jax.random.key(5, impl=kind), 3)
    for data in (0, 7, 2**32 - 1):
        # All keys at once: "rbg" gives a key other bits beside others than alone.
        expected = jax.vmap(lambda key, data=data: jax.random.bits(jax.random.fold_in(key, data), (37,)))(keys)
        np.testing.assert_array_equal(jax.jit(fold_in_bits, static_argnums=(1, 2))(keys, data, 37), expected)
