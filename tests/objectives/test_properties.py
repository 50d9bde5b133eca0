"""What must hold for every objective: each test is a property, its rows are all objectives."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from objective_cases import BOTH, CASES, FLIP, NEGATE, SHIFT

from ordinal_blast import objectives

pytestmark = pytest.mark.usefixtures("compile_quickly")  # the optimised code is checked by test_accuracy
K = 4
NAMES = objectives.names()
TABLE = {row["name"]: row for row in objectives.table()}
# Of module scope: all tests of one objective run in a row and share what they compiled.
everywhere = pytest.mark.parametrize("name", NAMES, scope="module")


@functools.cache
def jitted(objective):
    """Loss of an objective, compiled once for all tests: it is hashable for this."""
    return jax.jit(objective.loss)


@functools.cache
def sloped(objective):
    """Loss and its gradient, compiled once."""
    return jax.jit(jax.value_and_grad(objective.loss))


def draw(objective, count=24, seed=3, scale=2.0):
    """Outputs `[count, width]` the layer of the objective could make, and labels `[count]` of every grade."""
    rng = np.random.default_rng(seed)
    outputs = (scale * rng.normal(size=(count, objective.num_outputs))).astype(np.float32)
    if objective.family.layer == "ordered_thresholds":
        outputs = np.sort(outputs, axis=1)
    return outputs, rng.permutation(np.arange(count) % objective.num_classes)


@everywhere
def test_weights_masks_and_compilation(name):
    """Weights repeat, zero weights remove whatever the row holds, and jit and half precision change nothing."""
    objective = objectives.get(name, num_classes=K)
    outputs, labels = draw(objective)
    count = len(labels)
    counts = np.random.default_rng(5).multinomial(count, np.full(count, 1 / count))
    weights = counts.astype(np.float32)
    hidden_outputs, hidden_labels = outputs.copy(), labels.copy()
    hidden_outputs[weights == 0], hidden_labels[weights == 0] = np.nan, -1

    compiled = sloped(objective)
    value, slope = compiled(outputs, labels, weights)
    hidden_value, hidden_slope = compiled(hidden_outputs, hidden_labels, weights)
    assert value == hidden_value
    np.testing.assert_array_equal(slope, hidden_slope)
    assert not np.any(slope[weights == 0])

    ones = np.ones_like(weights)
    repeated = compiled(np.repeat(outputs, counts, axis=0), np.repeat(labels, counts), ones)[0]
    np.testing.assert_allclose(value, repeated, rtol=2e-6)
    np.testing.assert_allclose(value, compiled(outputs, labels, 3 * weights)[0], rtol=2e-6)

    assert compiled(outputs, labels, 0 * weights)[0] == 0
    assert not np.any(compiled(hidden_outputs, hidden_labels, 0 * weights)[1])
    assert np.isnan(compiled(outputs, np.full_like(labels, -1), ones)[0])
    assert np.isnan(compiled(outputs, np.full_like(labels, K), ones)[0])

    half = outputs.astype(jnp.bfloat16)
    eager = objective.loss(half, labels, weights)
    assert eager.dtype == jnp.float32
    np.testing.assert_allclose(eager, compiled(half.astype(np.float32), labels, weights)[0], rtol=1e-6)


@everywhere
def test_per_example_losses(name):
    """losses is what loss averages, and one example is as good as a batch; a batch-coupled loss refuses."""
    objective = objectives.get(name, num_classes=K)
    outputs, labels = draw(objective)
    if objective.spec.batch_coupled:
        with pytest.raises(ValueError, match="whole batch"):
            objective.losses(outputs, labels)
        return

    def evaluate(outputs, labels):
        alone = jax.vmap(lambda row, label: objective.losses(row[None, :], label[None])[0])(outputs, labels)
        return objective.losses(outputs, labels), alone

    losses, alone = jax.device_get(jax.jit(evaluate)(outputs, labels))
    assert losses.shape == (len(labels),)
    assert np.all(losses >= 0)
    np.testing.assert_allclose(jitted(objective)(outputs, labels), np.mean(losses, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(alone, losses, rtol=1e-6, atol=1e-7)


@everywhere
def test_four_devices_are_one(name):
    """With outputs, labels and weights gathered, the gradient each device takes adds up to that of the whole batch."""
    objective = objectives.get(name, num_classes=K)
    outputs, labels = draw(objective)
    weights = np.linspace(0, 2, len(labels), dtype=np.float32)
    expected, slope = sloped(objective)(outputs, labels, weights)

    def shard(outputs, labels, weights):
        def loss(outputs):
            everything = jax.tree.map(lambda x: jax.lax.all_gather(x, "batch", tiled=True), (outputs, labels, weights))
            return objective.loss(*everything)

        return jax.value_and_grad(loss)(outputs)

    parts = [x.reshape(4, 6, *x.shape[1:]) for x in (outputs, labels, weights)]
    values, slopes = jax.pmap(shard, axis_name="batch")(*parts)
    np.testing.assert_allclose(values, np.full(4, expected), rtol=1e-6)
    # Each device's copy of the loss sends its gradient to every shard: four times the gradient of one loss.
    np.testing.assert_allclose(np.reshape(slopes, outputs.shape) / 4, slope, rtol=1e-5, atol=1e-7)


@everywhere
def test_probabilities_and_decisions(name):
    """log_probs is a distribution, and every rule decides what it says of it."""
    objective = objectives.get(name, num_classes=K)
    outputs = np.concatenate([draw(objective, scale=s)[0] for s in (1, 10, 1e3)])
    rules = ("native", "mode", "median", "mean")

    @jax.jit
    def evaluate(outputs):
        decided = {rule: objective.predict(outputs, rule=rule) for rule in rules}
        return objective.log_probs(outputs), objective.score(outputs), objective.expected(outputs), decided

    log_probs, score, mean, decided = jax.device_get(evaluate(outputs))
    assert log_probs.shape == (len(outputs), K)
    assert np.all(np.isfinite(log_probs))
    probs = np.exp(log_probs.astype(np.float64))
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-6)
    for grades in decided.values():
        assert grades.shape == (len(outputs),)
        assert np.issubdtype(grades.dtype, np.integer)
        assert grades.min() >= 0
        assert grades.max() < K
    expected = probs @ np.arange(K)
    np.testing.assert_array_equal(decided["mode"], probs.argmax(axis=1))
    clear = np.min(np.abs(np.cumsum(probs, axis=1) - 0.5), axis=1) > 1e-6
    np.testing.assert_array_equal(decided["median"][clear], np.argmax(np.cumsum(probs, axis=1) >= 0.5, axis=1)[clear])
    clear = np.abs(expected % 1 - 0.5) > 1e-6
    np.testing.assert_array_equal(decided["mean"][clear], np.round(expected)[clear])
    if objective.family.width == 1 and "cuts" in dir(objective.family):
        np.testing.assert_array_equal(score, outputs[:, 0])
        np.testing.assert_array_equal(mean, outputs[:, 0])
    else:
        np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-5)
        reached, left = (
            np.logaddexp.reduce(log_probs.astype(np.float64)[:, kept] + np.log(parts), axis=1)
            for kept, parts in ((slice(1, None), np.arange(1, K)), (slice(None, -1), np.arange(K - 1, 0, -1)))
        )
        np.testing.assert_allclose(score, reached - left, rtol=1e-5, atol=1e-5)
    if objective.unimodal:
        signs = np.sign(np.diff(log_probs, axis=1))
        assert not np.any(np.maximum.accumulate(signs < 0, axis=1) & (signs > 0))


@pytest.mark.parametrize("name", [row["name"] for row in TABLE.values() if row["family"] == "Softmax"])
def test_shift_of_a_softmax(name):
    objective = objectives.get(name, num_classes=K)
    outputs, labels = draw(objective)
    outputs = np.round(outputs * 64) / 64  # so that a shift by a whole number is exact
    for shift in (-50, 50):
        loss = jitted(objective)
        np.testing.assert_allclose(loss(outputs + np.float32(shift), labels), loss(outputs, labels), rtol=1e-6)


def mirrored(outputs, kind):
    return {FLIP: outputs[:, ::-1], NEGATE: -outputs, BOTH: -outputs[:, ::-1], SHIFT: K - 1 - outputs}[kind]


@everywhere
def test_reversal_of_the_grades(name):
    """Grades named from the other end give the same loss, or a different one where the loss has a direction."""
    objective = objectives.get(name, num_classes=K)
    outputs, labels = draw(objective)
    loss = jitted(objective)
    kind = CASES[name].mirror
    if kind:
        turned = mirrored(outputs, kind)
        np.testing.assert_allclose(loss(turned, K - 1 - labels), loss(outputs, labels), rtol=2e-6)
        log_probs = jax.jit(objective.log_probs)
        np.testing.assert_allclose(log_probs(turned)[:, ::-1], log_probs(outputs), rtol=1e-5, atol=1e-5)
    else:
        kind = {1: NEGATE, K: FLIP}.get(objective.num_outputs, BOTH)
        assert abs(loss(mirrored(outputs, kind), K - 1 - labels) / loss(outputs, labels) - 1) > 1e-4


@everywhere
def test_two_grades(name):
    """With K = 2 most objectives are binary cross-entropy of one logit."""
    kind = CASES[name].binary
    objective = objectives.get(name, num_classes=2)
    outputs, labels = draw(objective)
    logit = outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs[:, 0]
    logit = logit.astype(np.float64) * (-1 if kind in ("threshold", "negated logit") else 1)
    expected = np.mean(np.logaddexp(0, np.where(labels == 1, -logit, logit)))
    loss = float(jitted(objective)(outputs, labels))
    if kind:
        # A question-wise mean of one question, or a distance of one grade: the same thing.
        np.testing.assert_allclose(loss, expected, rtol=2e-6)
    else:
        assert abs(loss / expected - 1) > 1e-4


@pytest.mark.parametrize("name", [n for n in NAMES if CASES[n].certain or TABLE[n]["family"] == "Softmax"])
def test_certain_and_right(name):
    """A certain, right prediction costs nothing, unless the target itself is spread."""
    objective = objectives.get(name, num_classes=K)
    grades = np.arange(24) % K
    certain = {
        "Softmax": 200.0 * np.eye(K)[grades],
        "Regression": grades[:, None],
        "CutRegression": grades[:, None],
        "Thresholds": 200.0 * (np.arange(K - 1)[None, :] - grades[:, None] + 0.5),
        "CumulativeLink": 200.0 * (np.arange(K - 1)[None, :] - grades[:, None] + 0.5),
        "StickBreaking": 200.0 * np.where(np.arange(K - 1)[None, :] < grades[:, None], -1, 1),
        "OrderedAdjacentCategory": np.insert(np.full((24, K - 2), 200.0), 0, 100 - 200 * grades, axis=1),
    }.get(type(objective.family).__name__, 200.0 * np.where(np.arange(K - 1)[None, :] < grades[:, None], 1, -1))
    loss = float(jitted(objective)(certain.astype(np.float32), grades))
    assert abs(loss) < 1e-30 if CASES[name].certain else loss > 1e-4
    np.testing.assert_array_equal(objective.predict(certain.astype(np.float32)), grades)


@everywhere
def test_soft_labels(name):
    """A certain soft label is the grade it is certain of; objectives without a meaning for soft labels refuse."""
    objective = objectives.get(name, num_classes=K)
    outputs, labels = draw(objective)
    soft = np.eye(K, dtype=np.float32)[labels]
    if objective.spec.soft_labels:
        np.testing.assert_allclose(jitted(objective)(outputs, soft), jitted(objective)(outputs, labels), rtol=2e-6)
        with pytest.raises(ValueError, match="4 grades"):
            objective.loss(outputs, soft[:, 1:])
    else:
        with pytest.raises(ValueError, match="not distributions"):
            objective.loss(outputs, soft)


@everywhere
def test_wrong_shapes_and_options(name):
    objective = objectives.get(name, num_classes=K)
    outputs, labels = draw(objective)
    function = getattr(objectives, name)
    with pytest.raises(ValueError, match=f"{name}: outputs must be"):
        objective.loss(np.concatenate([outputs, outputs], axis=1), labels)
    with pytest.raises(ValueError, match="labels must be int"):
        function(outputs, labels.astype(np.float32), num_classes=K)
    with pytest.raises(ValueError, match="23 labels"):
        function(outputs, labels[1:], num_classes=K)
    with pytest.raises(ValueError, match="weights must be"):
        objective.loss(outputs, labels, np.ones((24, 1)))
    with pytest.raises(ValueError, match="outputs must be"):
        objective.log_probs(outputs[:, :, None])
    with pytest.raises(ValueError, match="rule must be"):
        objective.predict(outputs, rule="guess")
    with pytest.raises(ValueError, match="has no option colour"):
        objectives.get(name, num_classes=K, colour="red")
    with pytest.raises(ValueError, match="at least 2"):
        objectives.get(name, num_classes=1)


@everywhere
def test_binding(name):
    """An objective is hashable, equal to its like, and bound again from what it fitted."""
    objective = objectives.get(name, num_classes=K)
    assert objective == objectives.get(name, num_classes=K, **objective.options)
    assert hash(objective) == hash(objectives.get(name, num_classes=K))
    assert dataclasses.replace(objective, name="other") != objective
    outputs, labels = draw(objective)
    fitted = objective.fit(outputs, labels)
    assert (fitted is objective) == (not fitted.fitted)
    assert objectives.get(name, num_classes=K, fitted=fitted.fitted) == fitted
    with pytest.raises(ValueError, match="not"):
        objectives.get(name, num_classes=K, fitted={"nonsense": 1.0})


def test_the_table_has_every_fact():
    rows = objectives.table()
    assert tuple(row["name"] for row in rows) == NAMES
    for row in rows:
        assert row["cites"]
        assert row["loss"].endswith(".")
        assert row["estimates"] in ("", "distribution", "mode", "median", "mean", "rounded mean")
        assert row["decision"] != "native"
        objective = objectives.get(row["name"], num_classes=7)
        assert objective.num_outputs == {"K": 7, "K-1": 6, "1": 1, "2": 2}[row["outputs"]]
