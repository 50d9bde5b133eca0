import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast.models import LSTM, MLP, GradingNetwork, Xception, count_parameters
from ordinal_blast.objectives import get

HEADS = (("icm", get("cross_entropy", num_classes=3)), ("te", get("cross_entropy", num_classes=2)))
X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)


@pytest.mark.parametrize(("backbone", "inputs", "head"), [(Xception(), (224, 224, 3), 6147), (LSTM(), (30, 2048), 195)])
def test_a_head_of_three_outputs_has_the_published_size(backbone, inputs, head):
    model = GradingNetwork(backbone, (("icm", HEADS[0][1]), ("te", HEADS[0][1])))
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, *inputs)), train=False))["params"]
    sizes = [count_parameters({"params": params[name]})[0] for name in ("icm_head", "te_head")]
    assert sizes == [head, head]


def test_every_task_reads_the_same_features():
    model = GradingNetwork(MLP(widths=(5,), dtype=jnp.bfloat16), HEADS)
    hash(model)
    variables = model.init(jax.random.key(0), X, train=False)
    outputs = model.apply(variables, X, train=False)
    features = np.asarray(model.apply(variables, X, method="features"), np.float32)
    assert features.shape == (8, 5)
    assert set(outputs) == {"icm", "te"}
    for task, values in outputs.items():
        head = jax.tree.map(np.asarray, variables["params"][f"{task}_head"])
        assert values.dtype == jnp.float32
        np.testing.assert_allclose(values, features @ head["kernel"] + head["bias"], rtol=1e-5, atol=1e-6)


def test_four_devices_train_as_one_with_padding_and_dropout():
    mask = np.array([1, 1, 1, 1, 1, 0, 0, 0], bool)
    keys = jax.random.split(jax.random.key(1), 8)
    model = GradingNetwork(MLP(widths=(5, 4), dropout=0.5, axis_name="batch"), HEADS)
    variables = model.init(jax.random.key(0), X, train=True, keys=keys, mask=mask)

    def forward(model):
        return lambda x, keys, mask: model.apply(variables, x, train=True, keys=keys, mask=mask, mutable="batch_stats")

    split = X.reshape(4, 2, 4), keys.reshape(4, 2), mask.reshape(4, 2)
    four, stats = jax.pmap(forward(model), "batch", out_axes=(0, None))(*split)
    one, expected = forward(model.clone(backbone=model.backbone.clone(axis_name=None)))(X, keys, mask)
    for task in one:
        np.testing.assert_allclose(four[task].reshape(one[task].shape)[mask], one[task][mask], rtol=1e-4, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), stats, expected)
