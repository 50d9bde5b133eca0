"""Which decision an objective's own rule is, and probabilities that undo class weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast import objectives

MEDIAN = ("binary_decomposition", "coral", "corn", "condor", "ecoc_distance", "all_threshold", "ordinal_focal")
MODE = ("cumulative_link", "stick_breaking", "squared_emd", "adjacent_category", "cross_entropy", "copoc")


@pytest.mark.parametrize(("name", "rule"), [*((n, "median") for n in MEDIAN), *((n, "mode") for n in MODE)])
def test_the_native_decision_has_a_name(name, rule):
    objective = objectives.get(name, num_classes=4)
    assert objective.decision() == objective.decision("native") == rule
    assert [objective.decision(r) for r in ("mode", "median", "mean")] == ["mode", "median", "mean"]
    outputs = np.sort(np.random.default_rng(0).normal(size=(50, objective.num_outputs)).astype(np.float32))
    if objective.family.layer != "ordered_thresholds" and objective.num_outputs == 3:
        outputs = outputs[:, ::-1]  # falling, as logits of "grade > k" that do not cross
    np.testing.assert_array_equal(objective.predict(outputs), objective.predict(outputs, rule=rule))


def test_fitted_and_rounded_decisions_say_so():
    def decision(name, **options):
        return objectives.get(name, num_classes=3, **options).decision()

    assert decision("expected_squared_error") == "mean"
    assert decision("regression") == "mean (rounded output)"
    assert decision("regression", error="absolute") == "median (rounded output)"
    assert decision("regression", error="huber") == "rounded output"
    assert decision("thresholded_regression") == "median (fitted cut points)"
    assert decision("thresholded_regression", criterion="squared") == "mean (fitted cut points)"
    with pytest.raises(ValueError, match="rule must be"):
        objectives.get("corn", num_classes=3).decision("guess")


def test_no_decision_is_called_native():
    for name in objectives.names():
        assert objectives.get(name, num_classes=3).decision().split(" ")[0] in ("mode", "median", "mean", "rounded")


def outputs_of(name, probs):
    """Outputs `[1, width]` that mean the probabilities."""
    above = np.cumsum(probs[::-1])[::-1][1:]
    return {
        "cross_entropy": np.log(probs),
        "corn": np.log(above / np.asarray(probs[:-1])),
        "binary_decomposition": np.log(above / (1 - above)),
        "cumulative_link": -np.log(above / (1 - above)),
    }[name][None, :].astype(np.float32)


@pytest.mark.parametrize("name", ["cross_entropy", "corn", "binary_decomposition", "cumulative_link"])
def test_class_weights_are_undone(name):
    """Grades .1 .38 .52 under inverse frequencies are estimated as .272 .336 .392: the median moves from A to B."""
    truth = np.array([0.10, 0.38, 0.52])
    weights = 1 / np.array([0.13, 0.40, 0.47])
    np.testing.assert_allclose(truth * weights / np.sum(truth * weights), [0.272, 0.336, 0.392], atol=5e-4)
    weights = np.array([0.272, 0.336, 0.392]) / truth
    objective = objectives.get(name, num_classes=3)
    outputs = outputs_of(name, [0.272, 0.336, 0.392])
    assert objective.predict(outputs, rule="median") == 1
    corrected = objective.corrected(weights)
    np.testing.assert_allclose(np.exp(corrected.log_probs(outputs))[0], truth, rtol=1e-5)
    assert corrected.predict(outputs, rule="median") == corrected.predict(outputs, rule="mode") == 2
    assert corrected.predict(outputs) == 2
    assert corrected.decision() == objective.decision()
    assert corrected.score(outputs) > objective.score(outputs)
    assert (corrected.num_outputs, corrected.family.layer) == (objective.num_outputs, objective.family.layer)
    assert corrected.loss(outputs, jnp.array([1])) == objective.loss(outputs, jnp.array([1]))
    assert hash(corrected) == hash(objective.corrected(tuple(weights)))


@pytest.mark.parametrize("name", ["cross_entropy", "ordinal_cross_entropy", "sord", "soft_qwk"])
def test_an_adjusted_loss_is_that_of_shifted_logits_and_decides_by_the_logits(name):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 2, (8, 3)).astype(np.float32), rng.integers(0, 3, 8)
    weights, shift = rng.uniform(0, 2, 8).astype(np.float32), np.log([0.1, 0.3, 0.6])
    objective = objectives.get(name, num_classes=3)
    adjusted = objective.adjusted(shift)
    shifted = logits + shift.astype(np.float32)
    np.testing.assert_allclose(
        adjusted.loss(logits, labels, weights), objective.loss(shifted, labels, weights), rtol=1e-6
    )
    np.testing.assert_array_equal(adjusted.log_probs(logits), objective.log_probs(logits))
    np.testing.assert_array_equal(adjusted.predict(logits), objective.predict(logits))
    assert hash(adjusted) == hash(objective.adjusted(tuple(shift))) != hash(objective)


def test_the_optimum_of_an_adjusted_cross_entropy_is_that_of_equally_common_grades():
    shares, likely = np.asarray([0.1, 0.3, 0.6]), np.asarray([0.5, 0.2, 0.3])  # P(y), P(x | y) of one x
    truth = shares * likely / np.sum(shares * likely)
    objective = objectives.get("cross_entropy", num_classes=3).adjusted(np.log(shares))
    balanced = np.log(likely / likely.sum())[None, :]
    outputs, labels = np.repeat(balanced, 3, axis=0).astype(np.float32), np.arange(3)
    slope = jax.grad(lambda z: jnp.sum(objective.losses(z, labels) * truth))(outputs)
    np.testing.assert_allclose(np.sum(slope, axis=0), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "shift", "message"),
    [
        ("corn", (0.0, 0.0, 0.0), "corn has no logit for every grade: its outputs are those of Conditional"),
        ("cross_entropy", (0.0, 0.0), "shift: 3 finite numbers are needed"),
        ("cross_entropy", (0.0, 0.0, -np.inf), "shift: 3 finite numbers are needed"),
    ],
)
def test_what_cannot_be_adjusted_is_refused(name, shift, message):
    with pytest.raises(ValueError, match=message):
        objectives.get(name, num_classes=3).adjusted(shift)


RULES = {
    "mode": lambda probs: probs.argmax(axis=1),
    "median": lambda probs: (probs.cumsum(axis=1)[:, :-1] < 0.5).sum(axis=1),
    "mean": lambda probs: np.floor(probs @ np.arange(3) + 0.5).astype(int),
}


@pytest.mark.parametrize("name", ["cross_entropy", "corn", "binary_decomposition", "cumulative_link"])
def test_rules_and_the_score_are_those_of_the_rescaled_probabilities(name):
    objective = objectives.get(name, num_classes=3)
    outputs = np.random.default_rng(1).normal(0, 2, (50, objective.num_outputs)).astype(np.float32)
    outputs = np.sort(outputs, axis=1)[:, ::-1] if name == "binary_decomposition" else outputs
    slope, offset = np.array([0.5, 1.5, 0.8]), np.array([0.3, -0.4, 0.1])
    powers = np.exp(np.asarray(objective.log_probs(outputs), np.float64)) ** slope * np.exp(offset)
    probs = powers / powers.sum(axis=1, keepdims=True)
    rescaled = objective.rescaled(slope, offset)
    np.testing.assert_allclose(np.exp(rescaled.log_probs(outputs)), probs, rtol=1e-4)
    for rule, decide in RULES.items():
        np.testing.assert_array_equal(rescaled.predict(outputs, rule=rule), decide(probs))
    np.testing.assert_array_equal(rescaled.predict(outputs), RULES[objective.decision()](probs))
    mean = probs @ np.arange(3)
    np.testing.assert_allclose(rescaled.score(outputs), np.log(mean / (2 - mean)), rtol=1e-3, atol=1e-4)
    assert rescaled.decision() == objective.decision()
    assert any((objective.predict(outputs, rule=rule) != rescaled.predict(outputs, rule=rule)).any() for rule in RULES)


def test_what_decides_by_the_outputs_themselves_stays_whatever_the_probabilities():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 60)
    outputs = (labels + rng.normal(0, 0.8, 60))[:, None].astype(np.float32)
    cut = objectives.get("thresholded_regression", num_classes=3).fit(outputs, labels)
    rounded = objectives.get("regression", num_classes=3).fit(outputs, labels)
    slope, offset = (3.0, 0.2, 1.0), (-2.0, 0.0, 2.0)
    for rule in ("native", "mode", "median", "mean"):
        np.testing.assert_array_equal(cut.rescaled(slope, offset).predict(outputs, rule), cut.predict(outputs, rule))
    scaled = rounded.rescaled(slope, offset)
    np.testing.assert_array_equal(scaled.predict(outputs), rounded.predict(outputs))
    np.testing.assert_array_equal(scaled.score(outputs), outputs[:, 0])
    np.testing.assert_array_equal(scaled.expected(outputs), outputs[:, 0])
    assert scaled.fitted == rounded.fitted
    probs = np.exp(np.asarray(scaled.log_probs(outputs), np.float64))
    for rule, decide in RULES.items():
        np.testing.assert_array_equal(scaled.predict(outputs, rule=rule), decide(probs))
    assert (scaled.predict(outputs, "median") != rounded.predict(outputs, "median")).any()


@pytest.mark.parametrize(
    ("slope", "offset"), [((1, 1), (0, 0, 0)), ((1, 1, 1), (0, np.inf, 0)), ((np.nan, 1, 1), (0, 0, 0))]
)
def test_a_rescaling_is_k_finite_numbers_each(slope, offset):
    with pytest.raises(ValueError, match="slope and offset: 3 finite numbers are needed"):
        objectives.get("cross_entropy", num_classes=3).rescaled(slope, offset)


def test_what_cannot_be_corrected_is_refused():
    with pytest.raises(ValueError, match="ordinal_cross_entropy is not strictly proper"):
        objectives.get("ordinal_cross_entropy", num_classes=3).corrected((1, 1, 1))
    for weights in ((1, 1), (1, 0, 1), (1, -1, 1), (1, float("nan"), 1)):
        with pytest.raises(ValueError, match="class_weights: 3 finite positive numbers"):
            objectives.get("cross_entropy", num_classes=3).corrected(weights)
