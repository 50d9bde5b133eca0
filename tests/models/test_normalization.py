import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.models import native
from ordinal_blast.models.normalization import BatchNorm

WIDTHS = [bits for bits in (128, 256, 512) if bits <= native.vector_bits()] or [128]
X = np.random.default_rng(0).normal(2, 3, (8, 3, 3, 2)).astype(np.float32)


def apply(layer, variables, x, mask=None):
    return layer.apply(variables, x, train=True, mask=mask, mutable=["batch_stats"])


@pytest.fixture
def variables():
    variables = BatchNorm().init(jax.random.key(0), X, train=True)
    return {**variables, "params": {"scale": jnp.array([2.0, 0.5]), "bias": jnp.array([1.0, -1.0])}}


def test_training_normalises_by_the_batch_and_moves_the_running_statistics(variables):
    y, updates = apply(BatchNorm(momentum=0.9, epsilon=0.1), variables, X)
    mean, var = X.mean((0, 1, 2), dtype=np.float64), X.var((0, 1, 2), dtype=np.float64)
    np.testing.assert_allclose(y, (X - mean) / np.sqrt(var + 0.1) * [2, 0.5] + [1, -1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(updates["batch_stats"]["mean"], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(updates["batch_stats"]["var"], 0.9 + 0.1 * var, rtol=1e-5)


@pytest.mark.parametrize(("mean", "sd"), [(3000.0, 1.0), (-3e4, 0.1), (1.0, 1e-3)])
def test_a_mean_far_from_zero_costs_no_digits(mean, sd):
    x = np.random.default_rng(3).normal(mean, sd, (512, 1)).astype(np.float32)
    layer = BatchNorm(epsilon=0.0)
    y, updates = apply(layer, layer.init(jax.random.key(0), x, train=True), x)
    expected = (x - x.mean(dtype=np.float64)) / x.std(dtype=np.float64)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=6e-8 * abs(mean) / sd)
    np.testing.assert_allclose(updates["batch_stats"]["var"], 0.99 + 0.01 * x.var(dtype=np.float64), rtol=1e-6)


def test_a_mean_far_from_zero_costs_no_digits_over_four_devices():
    x = np.random.default_rng(3).normal(3000, 1, (64, 2)).astype(np.float32)
    layer = BatchNorm(axis_name="batch", epsilon=0.0)
    variables = layer.init(jax.random.key(0), x, train=True)
    mask = np.arange(64) % 5 != 0
    y, _ = jax.pmap(lambda x, mask: apply(layer, variables, x, mask), "batch")(x.reshape(4, 16, 2), mask.reshape(4, 16))
    kept = np.asarray(y).reshape(64, 2)[mask]
    np.testing.assert_allclose(kept.mean(0, dtype=np.float64), 0, atol=3e-4)  # the mean itself has 2.4e-4 to a step
    np.testing.assert_allclose(kept.std(0, dtype=np.float64), 1, rtol=1e-5)


def test_evaluation_uses_the_running_statistics_only(variables):
    variables["batch_stats"] = {"mean": jnp.array([1.0, 2.0]), "var": jnp.array([4.0, 9.0])}
    y = BatchNorm(epsilon=0.0).apply(variables, X, train=False)
    np.testing.assert_allclose(y, (X - [1, 2]) / [2, 3] * [2, 0.5] + [1, -1], rtol=1e-5, atol=1e-6)


def test_initialisation_leaves_the_running_statistics_alone(variables):
    np.testing.assert_array_equal(variables["batch_stats"]["mean"], np.zeros(2))
    np.testing.assert_array_equal(variables["batch_stats"]["var"], np.ones(2))


def test_masked_rows_are_as_good_as_removed(variables):
    mask = np.array([1, 1, 0, 1, 0, 1, 1, 0], bool)
    padded = np.where(mask[:, None, None, None], X, 1e3)
    y, updates = apply(BatchNorm(), variables, padded, mask)
    expected, expected_updates = apply(BatchNorm(), variables, X[mask])
    np.testing.assert_allclose(y[mask], expected, rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), updates, expected_updates)


@pytest.mark.parametrize("mask", [None, np.array([1, 1, 1, 0, 1, 1, 0, 0], bool)])
def test_four_devices_match_the_global_batch_even_where_one_holds_only_padding(variables, mask):
    synchronised = BatchNorm(axis_name="batch")
    target = np.random.default_rng(1).normal(size=X.shape).astype(np.float32)

    def loss(layer):
        def function(params, x, target, mask):
            y, updates = apply(layer, {**variables, "params": params}, x, mask)
            return (y * target).sum(), (y, updates["batch_stats"])

        return function

    def on_one_device(params, batch):
        gradient, (y, stats) = jax.grad(loss(synchronised), argnums=(0, 1), has_aux=True)(params, *batch)
        return jax.lax.psum(gradient[0], "batch"), gradient[1], y, stats

    devices = jax.pmap(on_one_device, "batch", in_axes=(None, 0), out_axes=(None, 0, 0, None))
    split = tuple(None if value is None else value.reshape(4, 2, *value.shape[1:]) for value in (X, target, mask))
    params_gradient, x_gradient, y, stats = devices(variables["params"], split)
    (expected_params, expected_x), (expected_y, expected_stats) = jax.grad(
        loss(BatchNorm()), argnums=(0, 1), has_aux=True
    )(variables["params"], X, target, mask)
    got = params_gradient, x_gradient.reshape(X.shape), y.reshape(X.shape), stats
    expected = expected_params, expected_x, expected_y, expected_stats
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5), got, expected)


@pytest.mark.skipif(not native.available(), reason="installed without its native kernels")
class TestKernels:
    @pytest.mark.parametrize("bits", WIDTHS)
    @pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 5, 7, 3), (2, 40, 60, 21), (4, 6, 6, 64), (0, 3, 3, 4)])
    def test_sums_are_those_of_float64(self, shape, bits):
        rng = np.random.default_rng(1)
        x, g, mean = (rng.normal(3, 1, size).astype(np.float32) for size in (shape, shape, shape[-1:]))
        valid = np.arange(shape[0]) % 3 != 1
        for rows, kept in ((None, x), (np.float32(valid), x[valid])):
            kept = np.float64(kept.reshape(-1, shape[-1]))
            center = kept.mean(0) if len(kept) else np.zeros(shape[-1])
            got = native.moments(x, rows, bits=bits)
            np.testing.assert_allclose(got, [center, np.square(kept - center).sum(0)], rtol=2e-6, atol=1e-6)
        wide = np.float64(g), np.float64(g) * (np.float64(x) - mean)
        expected = [values.sum((0, 1, 2)) for values in wide]
        scale = [np.abs(values).sum((0, 1, 2)) for values in wide]
        error = np.abs(np.asarray(native.products(x, g, mean, bits=bits)) - expected)
        assert (error <= 1e-6 * np.asarray(scale)).all()

    @pytest.mark.parametrize("mask", [None, np.array([True, False, True, True])])
    def test_values_and_gradients_are_those_of_xla_in_float64(self, mask):
        rng = np.random.default_rng(2)
        x, way = rng.normal(30, 1, (4, 9, 7, 19)), rng.normal(size=(4, 9, 7, 19))
        way = way if mask is None else way * mask[:, None, None, None]  # as of padding, which counts for nothing
        params = {"scale": rng.normal(1, 0.3, 19), "bias": rng.normal(size=19)}

        def of(form, dtype):
            layer = BatchNorm(form=form, dtype=dtype)
            stats = {"mean": jnp.zeros(19, dtype), "var": jnp.ones(19, dtype)}

            def total(params, x):
                y, updates = apply(layer, {"params": params, "batch_stats": stats}, x, mask)
                return (jnp.sin(y) * jnp.asarray(way, dtype)).sum(), updates

            arguments = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), (params, x))
            return jax.tree.leaves(jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))(*arguments))

        with jax.enable_x64(True):
            exact = of("xla", jnp.float64)
        for got, expected in zip(of("native", jnp.float32), exact, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())

    def test_four_devices_of_which_one_has_padding_alone_normalise_as_one(self):
        x = np.random.default_rng(3).normal(3, 1, (8, 4, 5, 3)).astype(np.float32)
        mask = np.array([True, True, False, False, True, False, True, True])
        one, four = BatchNorm(form="native"), BatchNorm(form="native", axis_name="batch")
        variables = one.init(jax.random.key(0), x, train=True)

        def total(layer):
            def of(x, mask):
                y = apply(layer, variables, x, mask)[0]
                return (jnp.sin(y) * mask.reshape(-1, 1, 1, 1)).sum()

            return jax.value_and_grad(of)

        value, gradient = total(one)(x, mask)
        values, gradients = jax.pmap(total(four), "batch")(x.reshape(4, 2, 4, 5, 3), mask.reshape(4, 2))
        np.testing.assert_allclose(values.sum(), value, rtol=1e-5)
        np.testing.assert_allclose(gradients.reshape(x.shape), gradient, rtol=1e-4, atol=1e-6)

    def test_a_mean_far_from_zero_costs_no_digits(self):
        x = np.random.default_rng(3).normal(3000, 1, (8, 8, 8, 2)).astype(np.float32)
        layer = BatchNorm(epsilon=0.0, form="native")
        y, updates = apply(layer, layer.init(jax.random.key(0), x, train=True), x)
        expected = (x - x.mean((0, 1, 2), dtype=np.float64)) / x.std((0, 1, 2), dtype=np.float64)
        np.testing.assert_allclose(y, expected, rtol=1e-3, atol=2e-4)
        np.testing.assert_allclose(
            updates["batch_stats"]["var"], 0.99 + 0.01 * x.var((0, 1, 2), dtype=np.float64), rtol=1e-6
        )
