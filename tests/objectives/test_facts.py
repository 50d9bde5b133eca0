"""Every fact of the table of objectives, checked by numbers: what optima tell of the truth, and how many peaks are.

The expected loss of several truths at once is minimised over everything outputs can be, in float64.
"""

import functools
import importlib.util
import itertools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from ordinal_blast import objectives

pytestmark = pytest.mark.usefixtures("compile_quickly")  # the optimised code is checked by test_accuracy
TABLE = {row["name"]: row for row in objectives.table()}
GRADES = np.arange(3)
# Log-concave, unimodal and not, with two peaks; no mode, median or rounded mean of them is a close call.
TRUTHS = np.array(
    [
        [0.05, 0.90, 0.05],
        [0.10, 0.38, 0.52],
        [0.62, 0.20, 0.18],
        [0.12, 0.22, 0.66],
        [0.60, 0.10, 0.30],
        [0.37, 0.19, 0.44],
        [0.42, 0.26, 0.32],
    ]
)
LOG_CONCAVE = TRUTHS[:, 1] ** 2 >= TRUTHS[:, 0] * TRUTHS[:, 2]
UNIMODAL = TRUTHS[:, 1] >= TRUTHS[:, [0, 2]].min(axis=1)
AMONG = {"": np.full(len(TRUTHS), True), "unimodal": UNIMODAL, "log-concave": LOG_CONCAVE}
DECISIONS = {
    "mode": TRUTHS.argmax(axis=1),
    "median": np.argmax(np.cumsum(TRUTHS, axis=1) > 0.5, axis=1),
    "rounded mean": np.round(TRUTHS @ GRADES).astype(int),
}


def ordered(free):
    """Cut points in order: the first and softplus steps."""
    return jnp.concatenate([free[:, :1], free[:, :1] + jnp.cumsum(jax.nn.softplus(free[:, 1:]), axis=1)], axis=1)


@functools.cache
def optimum(name, **options):
    return _optimum(name, tuple(options.items()))


@functools.cache
def _optimum(name, options):
    """(objective, outputs `[T, width]`) of least expected loss, one row for each truth."""
    objective = objectives.get(name, num_classes=3, **dict(options))
    shape = (len(TRUTHS), objective.num_outputs)
    outputs_of = ordered if objective.family.layer == "ordered_thresholds" else lambda free: free
    labels, weights = np.tile(GRADES, len(TRUTHS)), TRUTHS.ravel()

    @jax.jit
    @jax.value_and_grad
    def risk(free):
        return len(TRUTHS) * objective.loss(jnp.repeat(outputs_of(free.reshape(shape)), 3, axis=0), labels, weights)

    def descend(start):
        found = scipy.optimize.minimize(
            lambda free: tuple(np.asarray(part, np.float64) for part in risk(free)),
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 600, "maxfun": 1200, "maxcor": 30, "ftol": 1e-15, "gtol": 1e-10},
        )
        return np.asarray(outputs_of(jnp.asarray(found.x).reshape(shape)))

    rng = np.random.default_rng(0)
    with jax.enable_x64():
        if objective.spec.batch_coupled or objective.family.layer != "dense" or not objective.unimodal:
            return objective, descend(0.1 * rng.normal(size=len(TRUTHS) * objective.num_outputs))
        # |g| has kinks, where a descent can stop: for each truth the best of several starts.
        tries = [descend(2 * rng.normal(size=len(TRUTHS) * objective.num_outputs)) for _ in range(4)]
        risks = [np.asarray(objective.losses(outputs, TRUTHS)) for outputs in tries]
        return objective, np.stack(tries)[np.argmin(risks, axis=0), np.arange(len(TRUTHS))]


def probabilities(objective, outputs):
    with jax.enable_x64():
        return np.exp(np.asarray(objective.log_probs(outputs)))


VARIANTS = [
    *((name, {}) for name in TABLE),
    ("ordinal_cross_entropy", {"power": 0.0}),
    ("ordinal_cross_entropy", {"power": 2.0}),
    ("all_threshold", {"penalty": "hinge"}),
    ("all_threshold", {"penalty": "squared_hinge", "power": 2.0}),
    ("all_threshold", {"power": 2.0}),
    ("immediate_threshold", {"penalty": "smooth_hinge"}),
    ("cumulative_link", {"link": "probit"}),
    ("corn", {"threshold_weights": (0.5, 3.0)}),
    ("condor", {"threshold_weights": (0.5, 3.0)}),
    ("coral", {"threshold_weights": (0.0, 1.0)}),
    ("mce", {"class_weights": (1.0, 5.0, 2.0)}),
    ("mce_qwk", {"balance": 0.0}),
    ("sord", {"blend": 0.0}),
    ("co2", {"strength": 0.0}),
    ("label_smoothing", {"epsilon": 0.0}),
    ("ordinal_focal", {"gamma": 0.0}),
    ("regression", {"error": "absolute"}),
    ("binomial_unimodal", {"tau": 0.5}),
    ("gaussian_uncertainty", {"alpha": 0.5}),
    ("ordistic", {"log_priors": (0.0, 1.0, -2.0)}),
    ("vs_sl", {"shape": "absolute"}),
]


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_proper_losses_and_no_others_find_the_truth(name, options):
    objective, outputs = optimum(name, **options)
    error = np.abs(probabilities(objective, outputs) - TRUTHS).max(axis=1)
    among = AMONG[objective.spec.truths]
    if objective.estimates == "distribution":
        assert np.all(error[among] < 5e-4), error
        assert np.all(error[~among] > 1e-3), error
        assert objective.proper == among.all()
    else:
        assert not objective.proper
        assert np.any(error > 1e-3), error


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_what_the_optimum_tells_of_the_truth(name, options):
    objective, outputs = optimum(name, **options)
    among = AMONG[objective.spec.truths]
    if objective.estimates == "mean":
        with jax.enable_x64():
            np.testing.assert_allclose(objective.expected(outputs), TRUTHS @ GRADES, atol=2e-3)
    elif objective.estimates in DECISIONS:
        np.testing.assert_array_equal(objective.predict(outputs)[among], DECISIONS[objective.estimates][among])


def test_the_numbers_of_one_parameter_and_of_the_shared_slope():
    """Truth .05 .90 .05 is .25 .50 .25 to a binomial; no one-parameter family finds it."""
    objective, outputs = optimum("binomial_unimodal")
    np.testing.assert_allclose(probabilities(objective, outputs)[0], [0.25, 0.5, 0.25], atol=1e-4)
    for name in ("poisson_unimodal", "ordistic"):
        objective, outputs = optimum(name)
        assert abs(probabilities(objective, outputs)[0, 1] - 0.9) > 0.1


def peaks(objective, count=3000):
    """The most peaks that probabilities of random outputs have."""
    rng = np.random.default_rng(1)
    outputs = rng.normal(size=(count, objective.num_outputs)) * rng.choice([0.3, 2, 6], size=(count, 1))
    if objective.family.layer == "ordered_thresholds":
        outputs = np.sort(outputs, axis=1)
    with jax.enable_x64():
        log_probs = np.asarray(objective.log_probs(outputs))
    climbs = np.diff(log_probs, axis=1) > 1e-9
    falls = np.diff(log_probs, axis=1) < -1e-9
    return 1 + int(np.any(np.maximum.accumulate(falls, axis=1) & climbs))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in TABLE),
        ("cumulative_link", {"link": "probit"}),
        ("ordistic", {"log_priors": (0.0, -3.0, 0.0, -3.0, 0.0)}),
        ("ordistic", {"means": (-1.0, 0.0, 0.1, 2.0, 7.0)}),
        ("binomial_unimodal", {"tau": 5.0}),
        ("vs_sl", {"shape": "absolute"}),
    ],
    ids=str,
)
def test_unimodal_families_and_no_others_have_one_peak(name, options):
    fitted = {"spread": 4.0} if "regression" in name else {}
    objective = objectives.get(name, num_classes=5, fitted=fitted, **options)
    assert objective.unimodal == (peaks(objective) == 1)


@pytest.mark.parametrize(
    ("link", "expected"), [("logit", [0.047, 0.428, 0.025, 0.5]), ("probit", [0.001, 0.459, 0.040, 0.5])]
)
def test_a_cumulative_link_model_has_two_peaks_at_uneven_cuts(link, expected):
    objective = objectives.get("cumulative_link", num_classes=4, link=link)
    np.testing.assert_allclose(np.exp(objective.log_probs(np.array([[-3, -0.1, 0]])))[0], expected, atol=5e-4)


def test_equal_losses_are_said_to_be():
    """At default options two objectives of one kind of layer are the same up to a factor where the table says so."""
    rng = np.random.default_rng(5)
    outputs, labels = {}, np.arange(12) % 4
    for width, layer in {(o.num_outputs, o.family.layer) for o in (objectives.get(n, num_classes=4) for n in TABLE)}:
        drawn = rng.normal(size=(12, width)).astype(np.float32)
        outputs[width, layer] = np.sort(drawn, axis=1) if layer == "ordered_thresholds" else drawn
    values, places = {}, {}
    for name in TABLE:
        objective = objectives.get(name, num_classes=4)
        if not objective.spec.batch_coupled:
            places[name] = (objective.num_outputs, objective.family.layer)
            values[name] = np.asarray(jax.jit(objective.losses)(outputs[places[name]], labels), np.float64)
    equal = {
        frozenset(pair)
        for pair in itertools.combinations(values, 2)
        if places[pair[0]] == places[pair[1]] and np.ptp(values[pair[0]] / values[pair[1]]) < 1e-4
    }
    said = {frozenset((row["name"], row["same_as"])) for row in TABLE.values() if row["same_as"]}
    assert equal == said | {frozenset(("regression", "thresholded_regression"))}  # the same loss, decided otherwise
    np.testing.assert_allclose(values["ecoc_distance"], 3 * values["ordinal_encoding_mse"], rtol=1e-5)


def test_the_loss_of_all_thresholds_is_that_of_coral():
    """Both rows say the same of it."""
    outputs, labels = np.sort(np.random.default_rng(0).normal(size=(12, 3))).astype(np.float32), np.arange(12) % 4
    threshold, coral = (objectives.get(name, num_classes=4) for name in ("all_threshold", "coral"))
    np.testing.assert_allclose(threshold.losses(outputs, labels), coral.losses(-outputs, labels), rtol=1e-6)
    np.testing.assert_allclose(threshold.log_probs(outputs), coral.log_probs(-outputs), rtol=1e-5, atol=1e-6)
    for fact in ("estimates", "proper", "decision", "unimodal"):
        assert TABLE["all_threshold"][fact] == TABLE["coral"][fact]


def test_the_ablation_of_every_objective_trains_no_loss_twice():
    path = pathlib.Path(__file__).parents[2] / "ablations" / "every.py"
    spec = importlib.util.spec_from_file_location("every", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tried = [overrides["objective.name"] for _, overrides in module.variants()]
    assert tried[0] == "cross_entropy"
    assert len(tried) == len(set(tried))
    assert set(tried) == {name for name, row in TABLE.items() if not row["same_as"]}
