"""What the literature's losses are to one another, and what their optima estimate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ordinal_blast import objectives
from ordinal_blast.objectives import soft_labels

K = 5
RNG = np.random.default_rng(11)
LOGITS = (3 * RNG.normal(size=(40, K))).astype(np.float32)
STEPS = (3 * RNG.normal(size=(40, K - 1))).astype(np.float32)
LABELS = np.arange(40) % K
APART = np.abs(np.subtract.outer(range(K), range(K)))
PROBS = np.exp(LOGITS.astype(np.float64))
PROBS /= PROBS.sum(axis=1, keepdims=True)


def losses(name, outputs, labels=LABELS, **options):
    return np.asarray(jax.jit(objectives.get(name, num_classes=K, **options).losses)(outputs, labels))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("oll", {"power": 1.0}), ("ordinal_cross_entropy", {})),
        (("cdw_ce", {"power": 2.0, "margin": 0.1}), ("ordinal_cross_entropy", {"power": 2.0, "margin": 0.1})),
        (("sord", {"alpha": 0.5}), ("exponential_soft_labels", {"power": 1.0, "tau": 2.0})),
        (("sord", {"blend": 0.0}), ("cross_entropy", {})),
        (("label_smoothing", {"epsilon": 0.0}), ("cross_entropy", {})),
        (("custom_soft_labels", {}), ("cross_entropy", {})),
        (
            ("ordinal_cross_entropy", {"distance_matrix": np.abs(np.subtract.outer(range(K), range(K)))}),
            ("oll", {"power": 1}),
        ),
    ],
)
def test_equal_losses_of_logits(one, other):
    np.testing.assert_allclose(losses(one[0], LOGITS, **one[1]), losses(other[0], LOGITS, **other[1]), rtol=1e-6)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("coral", STEPS), ("binary_decomposition", STEPS)),
        (("all_threshold", -STEPS), ("binary_decomposition", STEPS)),
        (("stick_breaking", -STEPS), ("corn", STEPS)),
        (("ordinal_focal", STEPS, {"gamma": 0.0}), ("binary_decomposition", STEPS)),
        (("ordinal_encoding_mse", STEPS), ("ecoc_distance", STEPS, {"threshold_weights": (0.25,) * 4})),
    ],
)
def test_equal_losses_of_thresholds(one, other):
    left, right = (losses(*case[:2], **(case[2] if len(case) > 2 else {})) for case in (one, other))
    np.testing.assert_allclose(left, right, rtol=1e-6)


def test_emd_is_the_expected_absolute_error():
    np.testing.assert_allclose(losses("emd", LOGITS), np.sum(PROBS * APART[LABELS], axis=1), rtol=1e-6)


def test_squared_emd_is_the_ranked_probability_score():
    cumulative = np.cumsum(PROBS, axis=1) - (np.arange(K)[None, :] >= LABELS[:, None])
    np.testing.assert_allclose(losses("squared_emd", LOGITS), np.sum(cumulative**2, axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["corn", "stick_breaking", "cumulative_link", "adjacent_category", "binomial_unimodal"]
)
def test_likelihood_losses_are_minus_log_probs(name):
    objective = objectives.get(name, num_classes=K)
    outputs = np.sort(LOGITS, axis=1)[:, : objective.num_outputs]
    expected = -np.take_along_axis(np.asarray(objective.log_probs(outputs)), LABELS[:, None], axis=1)[:, 0]
    np.testing.assert_allclose(losses(name, outputs), expected, rtol=2e-6)


def test_ordered_cumulative_logits_need_no_repair():
    """P(y > k) are the sigmoids themselves where they do not cross, and never negative where they do."""
    objective = objectives.get("binary_decomposition", num_classes=K)
    ordered = -np.sort(-STEPS, axis=1)
    exceed = np.pad(1 / (1 + np.exp(-ordered.astype(np.float64))), ((0, 0), (1, 1)), constant_values=((0, 0), (1, 0)))
    np.testing.assert_allclose(
        objective.log_probs(ordered), np.log(exceed[:, :-1] - exceed[:, 1:]), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_array_equal(objective.predict(ordered), objective.predict(ordered, rule="median"))
    crossing = objective.log_probs(np.array([[-1.0, 1.0, 0.0, -3.0]], np.float32))
    assert np.all(np.isfinite(crossing))


def test_nearest_code_word():
    objective = objectives.get("ecoc_distance", num_classes=K)
    answers = 1 / (1 + np.exp(-STEPS.astype(np.float64)))
    words = np.arange(K - 1)[None, :] < np.arange(K)[:, None]
    distance = np.sum((answers[:, None, :] - words[None, :, :]) ** 2, axis=2)
    np.testing.assert_array_equal(objective.predict(STEPS), distance.argmin(axis=1))


@pytest.mark.parametrize(("power", "rule"), [(1.0, "median"), (2.0, "mean")])
def test_what_ordinal_cross_entropy_estimates(power, rule):
    """Its optimum is max(0, 1 - w_c / lambda), w_c the expected error of saying c: the best c is the most probable."""
    rng = np.random.default_rng(2)
    truth = rng.dirichlet(np.ones(4), size=12).astype(np.float32)
    objective = objectives.get("ordinal_cross_entropy", num_classes=4, power=power)

    @jax.jit
    def descend(logits):
        slope = jax.grad(lambda z: jnp.sum(objective.losses(z, truth)))
        return jax.lax.fori_loop(0, 3000, lambda _, z: z - slope(z), logits)

    optimum = np.asarray(descend(jnp.zeros((12, 4))))
    grades = np.arange(4)
    expected = {
        "median": np.argmax(np.cumsum(truth, axis=1) >= 0.5, axis=1),
        "mean": np.round(truth @ grades).astype(int),
    }[rule]
    np.testing.assert_array_equal(objective.predict(optimum), expected)
    if power == 1.0:  # the worked example: q = (.6, .3, .1) -> (.583, .417, 0)
        three = objectives.get("ordinal_cross_entropy", num_classes=3)
        risk = np.array([0.5, 0.7, 1.5])
        optimum = np.array([[7 / 12, 5 / 12, 1e-9]], np.float32)
        slope = jax.grad(lambda z: three.losses(z, np.array([[0.6, 0.3, 0.1]], np.float32))[0])(jnp.log(optimum))
        np.testing.assert_allclose(slope, 0, atol=1e-6)
        np.testing.assert_allclose(1 - risk[:2] / 1.2, optimum[0, :2], rtol=1e-6)


TARGETS = {
    "sord": soft_labels.sord_targets,
    "exponential": soft_labels.exponential_targets,
    "binomial": soft_labels.binomial_targets,
    "poisson": soft_labels.poisson_targets,
    "triangular": soft_labels.triangular_targets,
    "beta": soft_labels.beta_targets,
    "geometric": soft_labels.geometric_targets,
}


@pytest.mark.parametrize("num_classes", [2, 3, 5, 10, 30])
@pytest.mark.parametrize("name", TARGETS)
def test_targets_are_distributions_around_the_label(name, num_classes):
    targets = TARGETS[name](num_classes)
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-12)
    assert targets.min() >= 0
    np.testing.assert_array_equal(targets.argmax(axis=1), np.arange(num_classes))


def test_published_rows_of_targets():
    """Triangular: Vargas et al. 2023 for K = 5, alpha 0.01. Beta: exact for the integer shapes (1, 4) and (4, 4)."""
    triangular = soft_labels.triangular_targets(5, alpha=0.01)
    np.testing.assert_allclose(triangular[0, :2], [0.98845494, 0.01154505], atol=1e-8)
    np.testing.assert_allclose(triangular[-1, -2:], [0.00505524, 0.99494475], atol=1e-8)
    beta = soft_labels.beta_targets(3)
    np.testing.assert_allclose(beta[0], [1 - (2 / 3) ** 4, (2 / 3) ** 4 - (1 / 3) ** 4, (1 / 3) ** 4], rtol=1e-12)
    np.testing.assert_allclose(beta[1], [0.1732967540, 0.6534064918, 0.1732967540], atol=1e-9)
    liu = soft_labels.binomial_targets(10, chances="liu")
    assert np.any(liu.argmax(axis=1) != np.arange(10))  # the trap that "centred" avoids


def own_loss(logits, labels, *, scale=2.0):
    """A user's own loss, by name from outside."""
    return scale * objectives.cross_entropy(logits, labels)


@objectives.objective(objectives.families.Cumulative, cites=("here",))
def own_thresholds(logits, labels):
    """A user's own loss with another family."""
    return objectives.binary_decomposition(logits, labels)


def test_a_loss_from_outside(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "somebodys_losses", sys.modules[__name__])
    plain = objectives.get("somebodys_losses:own_loss", num_classes=K, scale=3.0)
    assert plain.num_outputs == K
    assert plain.options == {"scale": 3.0}
    np.testing.assert_allclose(plain.losses(LOGITS, LABELS), 3 * losses("cross_entropy", LOGITS), rtol=1e-6)
    own = objectives.get("somebodys_losses:own_thresholds", num_classes=K)
    assert own.num_outputs == K - 1
    np.testing.assert_allclose(own.losses(STEPS, LABELS), losses("binary_decomposition", STEPS), rtol=1e-6)
    with pytest.raises(ValueError, match="somebodys_losses has no nothing to call"):
        objectives.get("somebodys_losses:nothing", num_classes=K)
    with pytest.raises(ValueError, match=r"objective is 'crossentropy' \(did you mean "):
        objectives.get("crossentropy", num_classes=K)
