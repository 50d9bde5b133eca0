import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.models import LSTM, count_parameters
from ordinal_blast.models.dropout import dropout_mask
from ordinal_blast.models.lstm import hard_sigmoid

BATCH, FRAMES, FEATURES, UNITS = 4, 6, 5, 3
KEYS = jax.random.split(jax.random.key(7), BATCH)
X = np.random.default_rng(0).normal(size=(BATCH, FRAMES, FEATURES)).astype(np.float32)
# Sequences of 6, 4, 1 and 0 frames; the second has an all-zero frame inside, which is no padding.
PADDED = X * (np.arange(FRAMES) < np.array([[6], [4], [1], [0]]))[..., None]
PADDED[1, 2] = 0


def reference(params, x, lengths, input_mask, state_mask):
    """One frame, one gate and one example at a time, in float64."""

    def gate(z):
        return np.clip(0.2 * z + 0.5, 0, 1)

    kernel, recurrent, bias = (np.float64(params[name]) for name in ("kernel", "recurrent_kernel", "bias"))
    outputs = []
    for example, length in enumerate(lengths):
        h, c = np.zeros(UNITS), np.zeros(UNITS)
        for frame in x[example, :length]:
            i, f, g, o = (
                (frame * input_mask[example, k]) @ kernel[:, k]
                + (h * state_mask[example, k]) @ recurrent[:, k]
                + bias[k]
                for k in range(4)
            )
            c = gate(f) * c + gate(i) * np.tanh(g)
            h = gate(o) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs)


@pytest.fixture(scope="module")
def variables():
    variables = LSTM(UNITS).init(jax.random.key(0), X, train=False)
    rng = np.random.default_rng(1)
    # Large values reach both flat ends of the hard sigmoid.
    return jax.tree.map(lambda leaf: np.float32(rng.normal(size=leaf.shape)), variables)


def test_the_defaults_are_the_published_network():
    variables = jax.eval_shape(lambda: LSTM().init(jax.random.key(0), jnp.zeros((1, 30, 2048)), train=False))
    assert count_parameters(variables) == (540_928, 540_928)


@pytest.mark.parametrize("masking", [False, True])
@pytest.mark.parametrize("train", [False, True])
def test_values_are_those_of_a_plain_loop(variables, masking, train):
    model = LSTM(UNITS, dropout=0.4, recurrent_dropout=0.3, masking=masking)
    got = model.apply(variables, PADDED, train=train, keys=KEYS)
    input_mask, state_mask = np.ones((BATCH, 4, FEATURES)), np.ones((BATCH, 4, UNITS))
    if train:
        input_mask = np.float64(dropout_mask(KEYS, "input", 0.4, (4, FEATURES)))
        state_mask = np.float64(dropout_mask(KEYS, "state", 0.3, (4, UNITS)))
    lengths = (6, 4, 1, 0) if masking else (FRAMES,) * BATCH
    expected = reference(variables["params"], PADDED, lengths, input_mask, state_mask)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_gradients_are_the_differences_of_a_plain_loop(variables):
    model = LSTM(UNITS, dropout=0.4, recurrent_dropout=0.3, masking=True)
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(BATCH, UNITS))
    masks = [np.float64(dropout_mask(KEYS, "input", 0.4, (4, FEATURES)))]
    masks.append(np.float64(dropout_mask(KEYS, "state", 0.3, (4, UNITS))))

    def loss(variables, x):
        return (model.apply(variables, x, train=True, keys=KEYS) * np.float32(weights)).sum()

    def moved(params, x, name, way):
        values = {key: np.float64(value) for key, value in params.items()} | {"x": np.float64(x)}
        values[name] = values[name] + way
        return (reference(values, values.pop("x"), (6, 4, 1, 0), *masks) * weights).sum()

    gradients, dx = jax.grad(loss, argnums=(0, 1))(variables, PADDED)
    params = variables["params"]
    for name, gradient in (*gradients["params"].items(), ("x", dx)):
        way = rng.normal(size=gradient.shape)
        if name == "x":
            way = way * (PADDED != 0)  # padding stays padding
        slope = (moved(params, PADDED, name, 1e-6 * way) - moved(params, PADDED, name, -1e-6 * way)) / 2e-6
        np.testing.assert_allclose((np.asarray(gradient) * way).sum(), slope, rtol=1e-4, err_msg=name)


def test_training_without_keys_drops_nothing(variables):
    model = LSTM(UNITS)
    np.testing.assert_array_equal(
        model.apply(variables, X, train=True), model.apply(variables, X, train=False, keys=KEYS)
    )


def test_initial_values_are_those_of_keras():
    params = LSTM(8).init(jax.random.key(0), np.zeros((1, 2, 5)), train=False)["params"]
    np.testing.assert_array_equal(params["bias"], np.eye(4)[1][:, None] * np.ones(8))
    recurrent = params["recurrent_kernel"].reshape(8, 32)
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(8), atol=1e-5)
    limit = np.sqrt(6 / (5 + 32))
    assert 0.9 * limit < np.abs(params["kernel"]).max() <= limit


def test_the_gate_is_that_of_keras_2():
    np.testing.assert_allclose(hard_sigmoid(jnp.array([-3.0, -2.5, 0, 1, 2.5, 3])), [0, 0, 0.5, 0.7, 1, 1], rtol=1e-6)


def test_bfloat16_stays_near_float32(variables):
    half = LSTM(UNITS, dtype=jnp.bfloat16).apply(variables, X, train=False)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), LSTM(UNITS).apply(variables, X, train=False), atol=0.03)
