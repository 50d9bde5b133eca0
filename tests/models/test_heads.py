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
