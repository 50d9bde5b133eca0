import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.models import MLP, count_parameters
from ordinal_blast.models.dropout import dropout_mask

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
KEYS = jax.random.split(jax.random.key(3), 6)


def test_the_defaults_have_300_300_units():
    variables = jax.eval_shape(lambda: MLP().init(jax.random.key(0), jnp.zeros((1, 10)), train=False))
    # 10·300 + 300·300 weights, and two batch normalisations of four vectors, two of them trained.
    assert count_parameters(variables) == (94_200, 95_400)


def test_layers_are_dense_activation_dropout_normalisation(plain):
    model = MLP(widths=(5, 3), dropout=0.5)
    variables = plain.randomise(model, X, 1)
    got, _ = model.apply(plain.as_float32(variables), X, train=True, keys=KEYS, mutable=["batch_stats"])
    x = X
    for index, width in ((1, 5), (2, 3)):
        x = x @ variables["params"][f"dense{index}"]["kernel"]
        x = np.where(x > 0, x, 0.01 * x) * np.asarray(dropout_mask(KEYS, f"dropout{index}", 0.5, (width,)))
        stats = {"mean": x.mean(0), "var": x.var(0)}
        x = plain.batch_norm(x, variables["params"][f"bn{index}"], stats)
    np.testing.assert_allclose(got, x, rtol=1e-4, atol=1e-5)


def test_without_normalisation_the_dense_layers_have_a_bias(plain):
    model = MLP(widths=(5,), activation="tanh", batch_norm=False)
    variables = plain.randomise(model, X, 2)
    dense = variables["params"]["dense1"]
    got = model.apply(plain.as_float32(variables), X, train=False)
    np.testing.assert_allclose(got, np.tanh(X @ dense["kernel"] + dense["bias"]), rtol=1e-5, atol=1e-6)
