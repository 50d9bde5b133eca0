"""Agreement with every package that holds one of these losses: values of theirs, recorded by parity/generate.py.

OURS is the table of conventions: what each recorded call is in ours. FAULTS is that of the calls that are wrong.
"""

from __future__ import annotations

import functools
import inspect
import json
import pathlib
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from objective_cases import CASES

from ordinal_blast import objectives
from ordinal_blast.objectives import soft_labels

pytestmark = pytest.mark.usefixtures("compile_quickly")  # the optimised code is checked by test_accuracy
GOLDEN = json.loads((pathlib.Path(__file__).parent / "parity" / "golden.json").read_text())
INPUTS = {int(k): {name: np.array(v) for name, v in given.items()} for k, given in GOLDEN["inputs"].items()}


def cuts(d):
    """theta - eta: thresholds minus the latent score."""
    return d["thresholds"][None, :] - d["eta"][:, None]


def link_probs(link):
    """Logits of a softmax loss whose peer has the probabilities of a cumulative link model in their place."""
    return lambda d: objectives.get("cumulative_link", num_classes=len(d["thresholds"]) + 1, link=link).log_probs(
        cuts(d)
    )


OUTPUTS = {
    "logits": lambda d: d["logits"],
    "questions": lambda d: d["questions"],
    "cuts": cuts,
    "minus cuts": lambda d: -cuts(d),
    "eta": lambda d: d["eta"][:, None],
    "position": lambda d: d["position"][:, None],
    "position and spread": lambda d: np.stack([d["position"], d["spread"]], axis=1),
    "logit link": link_probs("logit"),
    "probit link": link_probs("probit"),
    "condor": lambda d: objectives.get("condor", num_classes=d["questions"].shape[1] + 1).log_probs(d["questions"]),
}


class Ours(NamedTuple):
    """A peer's call in our terms: its value = times * our value, within rtol (default: of the peer's precision)."""

    objective: str
    outputs: str
    options: Mapping[str, Any] | Callable[[int], Mapping[str, Any]] = types.MappingProxyType({})
    times: Callable[[int], float] = lambda k: 1.0
    rtol: float | None = None


def importance(name: str, missing: int) -> Callable[[int], Mapping[str, Any]]:
    """The option `name` as weights 1/2, 1, 3/2, ..."""
    return lambda k: {name: tuple((i + 1) / 2 for i in range(k - missing))}


def priors(k: int) -> Mapping[str, Any]:
    means = tuple((i - (k - 1) / 2) / 2 for i in range(k))
    return {"means": means, "log_priors": tuple(-(i + 1) / 2 for i in range(k))}


def geometric(k: int) -> Mapping[str, Any]:
    return {"targets": soft_labels.geometric_targets(k, 0.25), "blend": 0.5}


DOUBLE, SINGLE = 1e-9, 1e-5  # of a value that the peer computed in that precision
EPSILON = 1e-6  # a peer adds 1e-9 ... 1e-7 inside its logarithms
MODIFIED = {"hinge": "hinge", "logistic": "logistic", "smooth_hinge": "smooth_hinge"}
MODIFIED["modified_least_squares"] = "squared_hinge"
LINKS = ("logit", "probit", "cloglog")

OURS = {
    # The reference of the field for whatever it has; Poisson and binomial targets by scipy.
    "torch cross_entropy": Ours("cross_entropy", "logits"),
    # (1 - epsilon) on the label plus epsilon / K on every grade, the label included.
    "torch cross_entropy(label_smoothing=0.2)": Ours("label_smoothing", "logits", {"epsilon": 0.2}),
    "torch binary_cross_entropy_with_logits, summed over thresholds": Ours("binary_decomposition", "questions"),
    "torch mse_loss(sigmoid), mean over thresholds": Ours("ordinal_encoding_mse", "questions"),
    "torch StickBreakingTransform": Ours("stick_breaking", "questions"),
    "torch MSELoss": Ours("regression", "position"),
    "torch L1Loss": Ours("regression", "position", {"error": "absolute"}),
    "torch HuberLoss(delta=0.75)": Ours("regression", "position", {"error": "huber", "delta": 0.75}),
    "torch cross_entropy(scipy.stats.poisson, mean y + 0.5)": Ours("poisson_soft_labels", "logits"),
    "torch cross_entropy(scipy.stats.poisson, mean y + 1.0)": Ours("poisson_soft_labels", "logits", {"offset": 1.0}),
    "torch cross_entropy(scipy.stats.binom, p = (y + 1/2) / K)": Ours("binomial_soft_labels", "logits"),
    "torch cross_entropy(scipy.stats.beta)": Ours("beta_soft_labels", "logits"),
    "optax softmax_cross_entropy_with_integer_labels": Ours("cross_entropy", "logits"),
    "optax softmax_cross_entropy(smooth_labels(0.2))": Ours("label_smoothing", "logits", {"epsilon": 0.2}),
    # gamma is the same number; no alpha.
    "optax sigmoid_focal_loss(gamma=0.5), summed over thresholds": Ours("ordinal_focal", "questions", {"gamma": 0.5}),
    "optax sigmoid_focal_loss(gamma=2.0), summed over thresholds": Ours("ordinal_focal", "questions"),
    "scipy wasserstein_distance(softmax)": Ours("emd", "logits"),
    # alpha is our power.
    "dlordinal CDWCELoss(alpha=1.0)": Ours("ordinal_cross_entropy", "logits", rtol=EPSILON),
    "dlordinal CDWCELoss(alpha=1.5)": Ours("oll", "logits", rtol=EPSILON),
    "dlordinal CDWCELoss(alpha=5.0)": Ours("cdw_ce", "logits", rtol=EPSILON),
    "dlordinal CDWCELoss(alpha=2.0, margin=0.1)": Ours("cdw_ce", "logits", {"power": 2.0, "margin": 0.1}, rtol=EPSILON),
    "dlordinal EMDLoss": Ours("squared_emd", "logits"),
    "dlordinal WKLoss(linear)": Ours("soft_qwk", "logits", {"penalty": "linear"}),
    "dlordinal WKLoss(quadratic)": Ours("soft_qwk", "logits"),
    "dlordinal WKLoss(quadratic, use_logarithm, epsilon=1e-6)": Ours("soft_qwk", "logits", {"logarithm": True}),
    "dlordinal MCELoss": Ours("mce", "logits"),
    "dlordinal MCELoss(weight)": Ours("mce", "logits", importance("class_weights", 0)),
    "dlordinal MCEAndWKLoss(C=0.25)": Ours("mce_qwk", "logits", {"balance": 0.25}),
    "dlordinal SORDLoss(alpha=1.0)": Ours("sord", "logits"),
    "dlordinal SORDLoss(alpha=2.5)": Ours("sord", "logits", {"alpha": 2.5}),
    "dlordinal SLACELoss(alpha=1.0)": Ours("slace", "logits", rtol=EPSILON),
    "dlordinal SLACELoss(alpha=2.5)": Ours("slace", "logits", {"alpha": 2.5}, rtol=EPSILON),
    # eta, the share of the soft target, is our blend.
    "dlordinal ExponentialLoss(p=1.5, tau=2, eta=0.5)": Ours(
        "exponential_soft_labels", "logits", {"power": 1.5, "tau": 2.0, "blend": 0.5}
    ),
    "dlordinal BinomialLoss": Ours("binomial_soft_labels", "logits", {"chances": "liu"}),
    "dlordinal TriangularLoss(alpha2=0.05)": Ours("triangular_soft_labels", "logits"),
    "dlordinal TriangularLoss(alpha2=0.2)": Ours("triangular_soft_labels", "logits", {"alpha": 0.2}),
    # Recorded for K = 3: for most others its table rounds the shapes that our rule gives.
    "dlordinal BetaLoss": Ours("beta_soft_labels", "logits"),
    "dlordinal GeometricLoss(0.1)": Ours("geometric_soft_labels", "logits"),
    "dlordinal GeometricLoss(0.3)": Ours("geometric_soft_labels", "logits", {"alpha": 0.3}),
    "dlordinal CustomTargetsLoss(geometric 0.25, eta=0.5)": Ours("custom_soft_labels", "logits", geometric),
    # It sums over examples; all other losses of that package average.
    "dlordinal OrdinalECOCDistanceLoss": Ours("ecoc_distance", "questions"),
    "dlordinal ECOCOutputTransformer": Ours("ecoc_distance", "questions"),
    "dlordinal CORNLoss": Ours("corn_per_question", "questions"),
    **{f"dlordinal CLM({link})": Ours("cumulative_link", "cuts", {"link": link}) for link in LINKS},
    "dlordinal BinomialLayer": Ours("binomial_unimodal", "eta"),
    "dlordinal PoissonLayer(tau=1.0)": Ours("poisson_unimodal", "eta"),
    "dlordinal PoissonLayer(tau=0.5)": Ours("poisson_unimodal", "eta", {"tau": 0.5}),
    # It clamps the deviation from below where ours adds a floor: floor 0 is its moderate case.
    "dlordinal GaussianUncertaintyLayer": Ours("gaussian_uncertainty", "position and spread", {"floor": 0.0}),
    "dlordinal GaussianUncertaintyLossWrapper(nll, alpha=0.75)": Ours(
        "gaussian_uncertainty", "position and spread", {"floor": 0.0, "alpha": 0.75}
    ),
    "dlordinal cross_entropy(COPOC)": Ours("copoc", "logits"),
    "coral-pytorch coral_loss": Ours("coral", "questions"),
    "coral-pytorch coral_loss(importance_weights)": Ours("coral", "questions", importance("threshold_weights", 1)),
    "coral-pytorch proba_to_label(sigmoid)": Ours("coral", "questions"),
    # Over the questions asked, not the examples.
    "coral-pytorch corn_loss": Ours("corn_per_question", "questions"),
    "coral-pytorch corn_label_from_logits": Ours("corn", "questions"),
    "condor-pytorch condor_negloglikeloss": Ours("corn", "questions"),
    # It adds 1.2e-7 to 1 - P, in any precision.
    "condor-pytorch CondorOrdinalCrossEntropy": Ours("condor", "questions", rtol=2e-5),
    "condor-pytorch CondorOrdinalCrossEntropy(importance_weights)": Ours(
        "condor", "questions", importance("threshold_weights", 1), rtol=2e-5
    ),
    "condor-pytorch ordinal_softmax": Ours("condor", "questions"),
    "condor-pytorch logits_to_label": Ours("condor", "questions"),
    "condor-pytorch earth_movers_distance": Ours("emd", "condor"),
    "spacecutter LogisticCumulativeLink": Ours("cumulative_link", "cuts"),
    "spacecutter cumulative_link_loss": Ours("cumulative_link", "cuts"),
    **{
        f"deepordinal ordinal_loss({which}, {theirs})": Ours(f"{ours}_threshold", "cuts", {"penalty": penalty})
        for which, ours in (("all", "all"), ("immediate", "immediate"))
        for theirs, penalty in MODIFIED.items()
    },
    "deepordinal ordistic_loss": Ours("ordistic", "eta"),
    "deepordinal ordistic_loss(log_priors)": Ours("ordistic", "eta", priors),
    # A mean over thresholds too.
    "handy-nn OrdinalRegressionLoss": Ours("all_threshold", "cuts", times=lambda k: 1 / (k - 1)),
    "mord obj_margin(LogisticAT)": Ours("all_threshold", "cuts"),
    "mord obj_margin(LogisticIT)": Ours("immediate_threshold", "cuts"),
    "mord obj_margin(LogisticSE)": Ours("all_threshold", "cuts", {"power": 2.0}),
    "mord threshold_predict": Ours("all_threshold", "cuts"),
    "mord threshold_proba": Ours("binary_decomposition", "minus cuts"),
    "mord OrdinalRidge.predict": Ours("regression", "position"),
    **{
        f"statsmodels OrderedModel({link}).loglikeobs": Ours("cumulative_link", "cuts", {"link": link})
        for link in LINKS[:2]
    },
    **{f"statsmodels OrderedModel({link}).predict": Ours("cumulative_link", "cuts", {"link": link}) for link in LINKS},
    "jaxboost OLLObjective(alpha=1.0)": Ours("ordinal_cross_entropy", "logits"),
    "jaxboost OLLObjective(alpha=2.0)": Ours("oll", "logits", {"power": 2.0}),
    "jaxboost SORDObjective(alpha=1.0)": Ours("sord", "logits"),
    "jaxboost SORDObjective(alpha=2.0)": Ours("sord", "logits", {"alpha": 2.0}),
    "jaxboost SLACEObjective(alpha=1.0)": Ours("slace", "logits"),
    "jaxboost SLACEObjective(alpha=2.0)": Ours("slace", "logits", {"alpha": 2.0}),
    "jaxboost OrdinalObjective(logit)": Ours("cumulative_link", "cuts"),
    # Small probabilities are differences of numbers near 1 in float32.
    "jaxboost OrdinalObjective(probit)": Ours("cumulative_link", "cuts", {"link": "probit"}, rtol=2e-3),
    **{
        f"jaxboost OrdinalObjective({link}).predict": Ours("cumulative_link", "cuts", {"link": link})
        for link in LINKS[:2]
    },
    **{f"jaxboost SquaredCDFObjective({link})": Ours("squared_emd", f"{link} link") for link in LINKS[:2]},
    # "QWK" by name, the squared error of the expected grade by formula.
    **{f"jaxboost QWKOrdinalObjective({link})": Ours("expected_squared_error", f"{link} link") for link in LINKS[:2]},
    "ordinal-xai ordinal_weighted_ce(alpha=1)": Ours("ordinal_cross_entropy", "logits"),
    "ordinal-xai ordinal_weighted_ce(alpha=2)": Ours("ordinal_cross_entropy", "logits", {"power": 2.0}),
    # lamda is our strength, omega our margin.
    "unimodal CO2(lamda=0.01, omega=0.05)": Ours("co2", "logits"),
    "unimodal CO2(lamda=1.0, omega=0.25)": Ours("co2", "logits", {"strength": 1.0, "margin": 0.25}),
    "unimodal HO2(lamda=0.01, omega=0.05)": Ours("ho2", "logits", {"strength": 0.01}),
    "unimodal HO2(lamda=1.0, omega=0.25)": Ours("ho2", "logits", {"strength": 1.0, "margin": 0.25}),
    "unimodal UnimodalNet": Ours("unimodal_net", "logits"),
    "unimodal OrdinalLogLoss": Ours("oll", "logits", rtol=SINGLE),
    "unimodal CDW_CE": Ours("cdw_ce", "logits"),
    "unimodal OrdinalEncoding": Ours("binary_decomposition", "questions"),
    "unimodal NeuronStickBreaking": Ours("stick_breaking", "questions"),
    "unimodal BinomialUnimodal_CE": Ours("binomial_unimodal", "eta", rtol=SINGLE),
    "unimodal VS_SL(z_0, sqrt(softplus(z)))": Ours("vs_sl", "logits", {"shape": "absolute"}),
    # log p_k / p_{k+1} there, log p_{k+1} / p_k here.
    "unimodal ORD_ACL(-t)": Ours("adjacent_category", "questions"),
    "unimodal ORD_ACL(t_0 + cumsum(softplus(t)))": Ours("ord_acl", "questions"),
}

# No row of their own: the loss is that of `regression` and what is fitted on predictions nobody else's, and the loss of
# `adjacent_category` with another layer before it.
NO_PEER = {"thresholded_regression", "adjacent_category_shared"}


def call_of(row):
    return f"{row['peer']} {row['call']}"


def test_every_row_and_every_objective_is_in_the_table():
    assert set(map(call_of, GOLDEN["rows"])) == set(OURS)
    assert {ours.objective for ours in OURS.values()} == set(objectives.names()) - NO_PEER
    assert {row["peer"] for row in GOLDEN["rows"]} == set(GOLDEN["versions"])


@functools.cache
def objective_of(call, k):
    ours = OURS[call]
    return objectives.get(
        ours.objective, num_classes=k, **(ours.options(k) if callable(ours.options) else ours.options)
    )


QUANTITIES = {
    "losses": lambda objective, outputs, labels: objective.losses(outputs, labels),
    "mean": lambda objective, outputs, labels: objective.loss(outputs, labels),
    "sum": lambda objective, outputs, labels: jnp.sum(objective.losses(outputs, labels)),
    "probs": lambda objective, outputs, labels: jnp.exp(objective.log_probs(outputs)),
    "grades": lambda objective, outputs, labels: objective.predict(outputs),
}


@pytest.mark.parametrize("row", GOLDEN["rows"], ids=lambda row: f"{call_of(row)} K{row['num_classes']}")
def test_agreement(row):
    ours, k = OURS[call_of(row)], row["num_classes"]
    with jax.enable_x64(True):
        outputs, labels = OUTPUTS[ours.outputs](INPUTS[k]), INPUTS[k]["labels"]
        value = QUANTITIES[row["quantity"]](objective_of(call_of(row), k), jnp.asarray(outputs), labels)
    value = ours.times(k) * np.asarray(value)
    if row["quantity"] == "grades":
        np.testing.assert_array_equal(value, row["value"])
    else:
        rtol = ours.rtol or (SINGLE if row["single"] else DOUBLE)
        np.testing.assert_allclose(value, row["value"], rtol=rtol, atol=rtol / 1e3)


FAULTS = {
    "dlordinal CDWCELoss": ("ordinal_cross_entropy", {}),
    "jaxboost OLLObjective": ("ordinal_cross_entropy", {}),
    "unimodal CDW_CE": ("ordinal_cross_entropy", {}),
    "dlordinal SLACELoss": ("slace", {}),
    "condor CondorOrdinalCrossEntropy": ("condor", {}),
    "spacecutter cumulative_link_loss": ("cumulative_link", {}),
    **{f"dlordinal CLM({link})": ("cumulative_link", {"link": link}) for link in LINKS},
    "jaxboost OrdinalObjective(logit)": ("cumulative_link", {}),
    "dlordinal GaussianUncertaintyLayer": ("gaussian_uncertainty", {"floor": 0.0, "alpha": 1.0}),
    "dlordinal BetaLoss(params_set)": ("beta_soft_labels", {}),
    "dlordinal PoissonLoss": ("poisson_soft_labels", {"offset": 1.0}),
    "handy-nn OrdinalRegressionLoss.predict_probas": ("cumulative_link", {}),
    "unimodal ORD_ACL": ("ord_acl", {}),
}
STEP = mp.mpf(10) ** -20


@functools.cache
def graded(objective):
    return jax.jit(jax.value_and_grad(objective.loss))


@pytest.mark.parametrize("fault", GOLDEN["faults"], ids=lambda fault: f"{fault['call']} {fault['outputs']}")
def test_where_a_peer_is_wrong(fault):
    """Value and gradient: ours in float32 is that of 100-digit arithmetic; the peer's, in one of them, is far off."""
    name, chosen = FAULTS[fault["call"]]
    width, family = len(fault["outputs"]), objectives.get(name, num_classes=3).spec.family
    objective = objectives.get(name, num_classes=3 if family.width else width - family.extra, **chosen)

    reference = CASES[name].reference
    accepted = inspect.signature(reference).parameters
    options = {
        key: v for key, v in (objective.options | {"num_classes": objective.num_classes}).items() if key in accepted
    }
    exact = functools.partial(reference, y=fault["label"], **options)
    at = [mp.mpf(v) for v in fault["outputs"]]
    value = float(exact(at))
    gradient = [
        float((exact([*at[:j], v + STEP, *at[j + 1 :]]) - exact([*at[:j], v - STEP, *at[j + 1 :]])) / (2 * STEP))
        for j, v in enumerate(at)
    ]
    outputs, labels = jnp.asarray([fault["outputs"]], jnp.float32), jnp.asarray([fault["label"]])
    loss, slope = graded(objective)(outputs, labels)
    np.testing.assert_allclose(loss, value, rtol=CASES[name].rtol)
    np.testing.assert_allclose(slope[0], gradient, rtol=CASES[name].rtol, atol=1e-6 * max(map(abs, gradient)))

    theirs = np.array([float(v) for v in (fault["value"], *(fault["gradient"] or []))])
    truth = np.array([value, *gradient][: len(theirs)])
    assert not np.allclose(theirs, truth, rtol=0.1, atol=0.01)
