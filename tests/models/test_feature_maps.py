"""Grad-CAM against arithmetic, and the layers of networks as they show themselves."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.models import feature_maps
from ordinal_blast.models.networks import OfLinen
from ordinal_blast.models.xception import Xception

TINY = dict(stem=(4, 6), entry=(8, 8), middle=1, exit=(8, 10, 12, 6), stem_stride=1)


class Linear(nn.Module):
    """A convolution of 1 × 1 without bias, the mean over positions, a dense layer: all linear."""

    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(2, name="head")(nn.Conv(3, (1, 1), use_bias=False, name="maps")(x).mean((1, 2)))


def test_grad_cam_of_a_linear_network_is_its_weights_on_its_maps():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 5, 2)).astype(np.float32)
    mix, weights = rng.normal(size=(2, 3)), rng.normal(size=(3, 2))
    variables = {"params": {"maps": {"kernel": mix[None, None]}, "head": {"kernel": weights, "bias": np.zeros(2)}}}
    lies = feature_maps.grad_cam(Linear(), variables, x, "maps", lambda out: {"a": out[:, 0], "b": 3 * out[:, 1] ** 2})
    activation = x @ mix
    assert set(lies) == {"a", "b"}
    np.testing.assert_allclose(lies["a"], np.maximum(activation @ weights[:, 0] / 20, 0), rtol=1e-4, atol=1e-6)
    said = (activation.mean((1, 2)) @ weights)[:, 1]  # the derivative of its score is 6 times that
    expected = np.maximum(6 * said[:, None, None] * (activation @ weights[:, 1]) / 20, 0)
    np.testing.assert_allclose(lies["b"], expected, rtol=1e-4, atol=1e-5)
    assert (np.asarray(lies["a"]) == 0).any()


@pytest.fixture(scope="module")
def xception():
    x = jnp.asarray(np.random.default_rng(1).integers(0, 256, (2, 24, 24, 3)), jnp.uint8)
    variables = jax.jit(lambda: Xception(**TINY).init(jax.random.key(0), x, train=False))()
    return x, variables


def test_layer_by_layer_xception_says_the_same_and_shows_the_map_that_its_features_are_the_mean_of(xception):
    x, variables = xception
    fast = Xception(**TINY).apply(variables, x, train=False)
    features, maps = jax.jit(lambda v: feature_maps.observed(Xception(**TINY, inference="layers"), v, x))(variables)
    np.testing.assert_allclose(features, fast, rtol=1e-4, atol=1e-5)
    assert {path: one.shape[1:] for path, one in maps.items()} == {
        "FeatureMap_0": (20, 20, 6),
        "FeatureMap_1": (10, 10, 8),
        "FeatureMap_2": (5, 5, 8),
        "FeatureMap_3": (5, 5, 8),
        "FeatureMap_4": (3, 3, 10),
        "FeatureMap_5": (3, 3, 6),
    }
    np.testing.assert_allclose(maps["FeatureMap_5"].mean((1, 2)), features, rtol=1e-5, atol=1e-6)
    assert "FeatureMap_0" not in variables["params"]


def test_a_shift_of_a_map_moves_what_is_computed_from_it(xception):
    x, variables = xception
    network = Xception(**TINY, inference="layers")
    features, maps = feature_maps.observed(network, variables, x)
    shift = {"FeatureMap_5": jnp.ones(maps["FeatureMap_5"].shape)}
    moved, _ = feature_maps.observed(network, variables, x, shift)
    np.testing.assert_allclose(moved, features + 1, rtol=1e-5)


def test_a_linen_network_of_ones_own_shows_every_layer_in_order_and_its_first_filters():
    class Own(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            x = nn.relu(nn.Conv(4, (3, 3), name="z_first")(x))
            return nn.Conv(5, (3, 3), strides=2, name="a_second")(x).mean((1, 2))

    model, x = OfLinen(Own()), jnp.zeros((1, 8, 8, 3), jnp.uint8)
    variables = model.init(jax.random.key(0), x, train=False)
    _, maps = feature_maps.observed(model, variables, x)
    assert [(path, one.shape) for path, one in maps.items()] == [
        ("network/z_first", (1, 8, 8, 4)),
        ("network/a_second", (1, 4, 4, 5)),
    ]
    kernel = feature_maps.first_kernel(model, variables, x)
    np.testing.assert_array_equal(kernel, variables["params"]["network"]["z_first"]["kernel"])


def test_a_network_without_maps_shows_none():
    model, x = nn.Sequential([nn.Dense(3)]), jnp.ones((2, 4))

    class Flat(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return model.copy(name="flat")(x)

    variables = Flat().init(jax.random.key(0), x, train=False)
    assert feature_maps.observed(Flat(), variables, x)[1] == {}
    assert feature_maps.first_kernel(Flat(), variables, x) is None
