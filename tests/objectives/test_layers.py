"""Last layers: shapes, parameter counts and what they compute."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast import objectives
from ordinal_blast.errors import UserError


def layer_of(name, num_outputs):
    """The layer of an objective of K - 1 outputs."""
    return objectives.get(name, num_classes=num_outputs + 1).layer("last")


def test_dense_is_linens_dense():
    features = jax.random.normal(jax.random.key(0), (4, 64), jnp.bfloat16)
    outputs, variables = (
        objectives.get("cross_entropy", num_classes=3).layer().init_with_output(jax.random.key(1), features)
    )
    expected = nn.Dense(3).apply(variables, features)
    assert outputs.dtype == jnp.float32
    np.testing.assert_array_equal(outputs, expected)
    assert sum(p.size for p in jax.tree.leaves(variables)) == 64 * 3 + 3


@pytest.mark.parametrize("name", objectives.names())
def test_every_objective_reads_what_its_layer_makes(name):
    objective = objectives.get(name, num_classes=4)
    features = jax.random.normal(jax.random.key(0), (6, 8))
    layer = objective.layer("icm_head")
    assert layer.name == "icm_head"
    outputs = layer.init_with_output(jax.random.key(1), features)[0]
    assert outputs.shape == (6, objective.num_outputs)
    assert np.isfinite(objective.loss(outputs, np.arange(6) % 4))


def test_corrected_and_fitted_objectives_keep_their_layer():
    assert type(objectives.get("coral", num_classes=3).corrected((1, 2, 3)).layer()).__name__ == "SharedSlope"


def test_a_family_may_name_a_layer_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "last.py").write_text("import flax.linen as nn\nclass Two(nn.Module):\n    num_outputs: int\n")

    @dataclasses.dataclass(frozen=True)
    class Own(objectives.families.Softmax):
        layer = "last.py:Two"

    own = objectives.Objective("own", objectives.cross_entropy, Own(3))
    monkeypatch.chdir(tmp_path)
    assert type(own.layer()).__name__ == "Two"
    monkeypatch.setattr(Own, "layer", "conv")
    with pytest.raises(UserError, match="layer is 'conv': there are dense, ordered_thresholds, shared_slope"):
        own.layer()


def test_shared_slope_differs_by_its_biases_only():
    features = jax.random.normal(jax.random.key(0), (6, 8))
    last = layer_of("coral", 4)
    outputs, variables = last.init_with_output(jax.random.key(1), features)
    np.testing.assert_allclose(outputs[0] - outputs[0, 0], np.arange(0, -4, -1) / 4, atol=1e-6)
    np.testing.assert_allclose(outputs - outputs[:, :1], np.tile(np.arange(0, -4, -1) / 4, (6, 1)), atol=1e-6)
    assert sum(p.size for p in jax.tree.leaves(variables)) == 8 + 4


@pytest.mark.parametrize("num_outputs", [1, 2, 5])
def test_ordered_thresholds_stay_in_order(num_outputs):
    features = jax.random.normal(jax.random.key(0), (6, 8))
    last = layer_of("cumulative_link", num_outputs)
    outputs, variables = last.init_with_output(jax.random.key(1), features)
    np.testing.assert_allclose(np.diff(outputs, axis=1), 1, rtol=1e-5)  # one apart around 0
    cuts = last.apply(variables, jnp.zeros((1, 8)))
    np.testing.assert_allclose(cuts.mean(), 0, atol=1e-6)
    wild = jax.tree.map(lambda p: p - 100, variables)
    assert np.all(np.diff(last.apply(wild, jnp.zeros((1, 8))), axis=1) > 0)
    assert sum(p.size for p in jax.tree.leaves(variables)) == 8 + num_outputs
