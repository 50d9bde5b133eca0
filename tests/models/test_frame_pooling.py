"""Networks that know no order of frames: their sums in plain numpy, padding, dropout."""

import jax
import numpy as np
import pytest

from ordinal_blast.errors import UsageError
from ordinal_blast.models import networks
from ordinal_blast.models.dropout import dropout_mask
from ordinal_blast.models.frame_pooling import AttentionPooling, MeanPooling
from ordinal_blast.settings import NetworkSettings

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 4)).astype(np.float32)
X[1, 2:] = 0  # two frames, then padding
X[2] = 0  # no frame at all


def variables(model):
    """Random values in place of every initial one, so that none is special."""
    drawn = model.init(jax.random.key(0), X, train=False)
    return jax.tree.map(lambda leaf: RNG.normal(size=leaf.shape).astype(np.float32), drawn)


def frames_of(params, x):
    return np.maximum(x @ params["frame"]["kernel"] + params["frame"]["bias"], 0)


def test_the_mean_is_that_of_the_frames_that_are_there():
    model = MeanPooling(units=3)
    chosen = variables(model)
    frames = frames_of(chosen["params"], X)
    expected = np.stack([frames[0].mean(0), frames[1, :2].mean(0), np.zeros(3)])
    np.testing.assert_allclose(model.apply(chosen, X, train=False), expected, rtol=1e-5, atol=1e-6)


def test_attention_weighs_frames_by_the_softmax_of_their_scores():
    model = AttentionPooling(units=3, hidden=2)
    chosen = variables(model)
    params = chosen["params"]
    scores = (np.tanh(X @ params["look"]["kernel"]) @ params["weigh"]["kernel"])[..., 0].astype(np.float64)
    frames = frames_of(params, X)
    got = model.apply(chosen, X, train=False)
    for row, length in enumerate((5, 2)):
        weights = np.exp(scores[row, :length]) / np.exp(scores[row, :length]).sum()
        np.testing.assert_allclose(got[row], weights @ frames[row, :length], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(got[2], 0)


def test_attention_begins_as_the_mean():
    model = AttentionPooling(units=3)
    drawn = model.init(jax.random.key(1), X, train=False)
    mean = MeanPooling(units=3).apply({"params": {"frame": drawn["params"]["frame"]}}, X, train=False)
    np.testing.assert_allclose(model.apply(drawn, X, train=False), mean, rtol=1e-6)


@pytest.mark.parametrize("model", [MeanPooling(units=3), AttentionPooling(units=3, hidden=2)])
def test_the_order_of_frames_changes_nothing_and_gradients_of_empty_rows_are_finite(model):
    chosen = variables(model)
    order = RNG.permutation(5)
    forth, back = (model.apply(chosen, x, train=False) for x in (X, X[:, order]))
    np.testing.assert_allclose(forth, back, rtol=1e-4, atol=1e-6)
    gradients = jax.grad(lambda v: model.apply(v, X, train=False).sum())(chosen)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_dropout_is_drawn_once_a_sequence():
    model, keys = MeanPooling(units=3, dropout=0.4), jax.random.split(jax.random.key(3), 3)
    chosen = variables(model)
    masked = X * np.asarray(dropout_mask(keys, "input", 0.4, (1, 4)))
    got = model.apply(chosen, X, train=True, keys=keys)
    whole = frames_of(chosen["params"], masked)
    np.testing.assert_allclose(got[0], whole[0].mean(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"), [("mean", {"units": 0}), ("attention", {"hidden": 0}), ("mean", {"dropout": 1.0})]
)
def test_numbers_that_mean_nothing_are_refused(name, options):
    (option,) = options
    with pytest.raises(UsageError, match=f"^rnn.network.options.{option} is "):
        networks.make(NetworkSettings(name, options), "rnn.network")
