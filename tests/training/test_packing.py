"""A tree as one array of bytes: back exactly, and never as another tree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.training import packing

TREE = {
    "weights": jnp.asarray([[1.5, -0.0, jnp.nan], [jnp.inf, 1e-38, 3.0]], jnp.float32),
    "narrow": jnp.asarray([1.0, 2.5, -3.0], jnp.bfloat16),
    "step": jnp.int32(7),
    "nothing": jnp.zeros((0, 4)),
    "flags": np.asarray([True, False, True]),
    "key": jax.random.key(3),
}


def test_every_type_of_leaf_comes_back_to_the_bit():
    packed = packing.pack(TREE)
    assert [leaf.dtype for leaf in packed.values()] == [np.uint8]
    back = packing.unpack(packed, jax.tree.map(jnp.zeros_like, {**TREE, "key": 0}) | {"key": jax.random.key(0)})
    assert jax.random.key_data(back.pop("key")).tolist() == jax.random.key_data(TREE["key"]).tolist()
    for name, leaf in back.items():
        assert (leaf.dtype, leaf.shape) == (TREE[name].dtype, TREE[name].shape)
        assert np.asarray(leaf).tobytes() == np.asarray(TREE[name]).tobytes()


def test_the_shape_of_the_bytes_is_known_before_they_are_read():
    ((name, packed),) = packing.pack(TREE).items()
    (expected,) = packing.packed_like(TREE).items()
    assert (name, packed.shape, packed.dtype) == (expected[0], expected[1].shape, expected[1].dtype)
    assert packed.size == 6 * 4 + 3 * 2 + 4 + 3 + 2 * 4


@pytest.mark.parametrize(
    "other", [{"weights": jnp.zeros((3, 2))}, {"kernel": jnp.zeros((2, 3))}, {"weights": jnp.zeros((2, 3), jnp.int32)}]
)
def test_the_bytes_of_one_tree_are_refused_for_another_of_the_same_size(other):
    with pytest.raises(KeyError):
        packing.unpack(packing.pack({"weights": jnp.zeros((2, 3))}), other)
