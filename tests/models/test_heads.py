"""Last layers: shapes, parameter counts and what they compute."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.models.heads import make_head


def test_dense_is_linens_dense():
    features = jax.random.normal(jax.random.key(0), (4, 64), jnp.bfloat16)
    outputs, variables = make_head("dense", 3, "icm").init_with_output(jax.random.key(1), features)
    expected = nn.Dense(3).apply(variables, features)
    assert outputs.dtype == jnp.float32
    np.testing.assert_array_equal(outputs, expected)
    assert sum(p.size for p in jax.tree.leaves(variables)) == 64 * 3 + 3


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="dense"):
        make_head("conv", 3)


def test_shared_slope_differs_by_its_biases_only():
    features = jax.random.normal(jax.random.key(0), (6, 8))
    head = make_head("shared_slope", 4)
    outputs, variables = head.init_with_output(jax.random.key(1), features)
    np.testing.assert_allclose(outputs[0] - outputs[0, 0], np.arange(0, -4, -1) / 4, atol=1e-6)
    np.testing.assert_allclose(outputs - outputs[:, :1], np.tile(np.arange(0, -4, -1) / 4, (6, 1)), atol=1e-6)
    assert sum(p.size for p in jax.tree.leaves(variables)) == 8 + 4


@pytest.mark.parametrize("num_outputs", [1, 2, 5])
def test_ordered_thresholds_stay_in_order(num_outputs):
    features = jax.random.normal(jax.random.key(0), (6, 8))
    head = make_head("ordered_thresholds", num_outputs)
    outputs, variables = head.init_with_output(jax.random.key(1), features)
    np.testing.assert_allclose(np.diff(outputs, axis=1), 1, rtol=1e-5)  # one apart around 0
    cuts = head.apply(variables, jnp.zeros((1, 8)))
    np.testing.assert_allclose(cuts.mean(), 0, atol=1e-6)
    wild = jax.tree.map(lambda p: p - 100, variables)
    assert np.all(np.diff(head.apply(wild, jnp.zeros((1, 8))), axis=1) > 0)
    assert sum(p.size for p in jax.tree.leaves(variables)) == 8 + num_outputs
