import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.models import UNet, count_parameters

SMALL = UNet(widths=(2, 3, 4))
IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 8, 12, 3)).astype(np.float32)


def test_the_defaults_are_the_published_cropper():
    variables = jax.eval_shape(lambda: UNet().init(jax.random.key(0), jnp.zeros((1, 64, 64, 3)), train=False))
    assert count_parameters(variables) == (467_809, 469_089)


def test_values_are_those_of_table_a9_written_out_in_numpy(plain):
    variables = plain.randomise(SMALL, IMAGES, 1)
    params, stats = variables["params"], variables["batch_stats"]

    def conv(x, name):
        return plain.conv(x, params[name]["kernel"]) + params[name]["bias"]

    def block(x, name):
        for index in (1, 2):
            bn = f"{name}_bn{index}"
            x = plain.batch_norm(plain.relu(conv(x, f"{name}_conv{index}")), params[bn], stats[bn])
        return x

    def expand(x, skip, name):
        x = conv(np.kron(x, np.ones((1, 2, 2, 1))), f"{name}_up")
        return block(np.concatenate([skip, x], -1), name)

    first = block(IMAGES, "contraction1")
    second = block(plain.max_pool(first, 2), "contraction2")
    x = block(plain.max_pool(second, 2), "bottleneck")
    x = expand(expand(x, second, "expansion1"), first, "expansion2")
    got = jax.jit(lambda v: SMALL.apply(v, IMAGES, train=False))(plain.as_float32(variables))
    np.testing.assert_allclose(got, conv(x, "logits")[..., 0], rtol=1e-4, atol=1e-5)


def test_sizes_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="divide by 4"):
        jax.eval_shape(lambda: UNet().init(jax.random.key(0), jnp.zeros((1, 30, 32, 3)), train=False))
