"""A tree of arrays as one array of bytes: Orbax takes a millisecond for a leaf, however small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.storage import digest


def pack(tree: Any) -> dict[str, np.ndarray]:
    """The bytes of all leaves in order, uint8 `[N]`, under a name made of the structure, shapes and types."""
    content = b"".join(np.asarray(_plain(leaf)).tobytes() for leaf in jax.tree.leaves(tree))
    return {_layout(tree): np.frombuffer(content, np.uint8)}


def packed_like(tree: Any) -> dict[str, jax.ShapeDtypeStruct]:
    """The shape and type of what `pack` makes of a tree like this one."""
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in map(_plain, jax.tree.leaves(tree)))
    return {_layout(tree): jax.ShapeDtypeStruct((size,), np.uint8)}


def unpack(packed: Mapping[str, Any], like: Any) -> Any:
    """The tree that was packed; `like` has its structure, shapes and types. KeyError for another tree's."""
    content, place, leaves = np.asarray(packed[_layout(like)]), 0, []
    for leaf in jax.tree.leaves(like):
        plain = _plain(leaf)
        end = place + plain.size * plain.dtype.itemsize
        value = jnp.asarray(content[place:end].view(plain.dtype).reshape(plain.shape))
        leaves.append(jax.random.wrap_key_data(value, impl=jax.random.key_impl(leaf)) if plain is not leaf else value)
        place = end
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _plain(leaf: Any) -> Any:
    """The leaf, or the numbers of a typed key."""
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def _layout(tree: Any) -> str:
    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    return digest([[jax.tree_util.keystr(path), list(leaf.shape), str(leaf.dtype)] for path, leaf in paths])
