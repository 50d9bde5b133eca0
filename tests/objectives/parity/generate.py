"""Golden values of the ordinal losses that other packages hold: writes golden.json, which test_parity.py reads.

Run by hand where the extra `parity` is installed; the tests need none of the peers:

    python tests/objectives/parity/generate.py LOSSES

LOSSES: `losses.py` of github.com/rpmcruz/unimodal-ordinal-regression at commit 3744d5a, which is not on an index.

Everything here is in the terms of the peer that computes it; what it is in ours is the table of test_parity.py. A row
holds the value of one call on the inputs of one K: a number for each example, a mean, a sum, class probabilities or
grades. Single precision is recorded as such: some peers have no other. A fault holds what a peer says of one example
where it is wrong.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import pathlib
from collections.abc import Iterator
from importlib import metadata
from types import ModuleType
from typing import Any, NamedTuple

import condor_pytorch
import coral_pytorch.dataset
import coral_pytorch.losses
import deepordinal.torch
import handy_nn
import jaxboost.objective.ordinal as jaxboost
import mord
import mord.threshold_based
import numpy as np
import optax
import scipy.stats
import spacecutter.losses
import torch
from dlordinal import losses, output_layers
from dlordinal.soft_labelling import get_geometric_soft_labels
from dlordinal.wrappers.obd_ecoc import ECOCOutputTransformer
from faults import faults
from layers import beta_shapes, clm, gaussian, identity, spacecutter_link
from ordinal_xai.utils.evaluation_metrics import ordinal_weighted_ce
from statsmodels.miscmodels.ordinal_model import OrderedModel
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, softplus

GRADES = (3, 10)
EXAMPLES = 12
INSTALLED = (
    "condor-pytorch",
    "coral-pytorch",
    "deepordinal",
    "dlordinal",
    "handy-nn",
    "jaxboost",
    "mord",
    "optax",
    "ordinal-xai",
    "scipy",
    "spacecutter",
    "statsmodels",
    "torch",
)
LINKS = ("logit", "probit", "cloglog")
Row = tuple[str, str, Any]


class Inputs(NamedTuple):
    """What all peers are asked about, for one K; multiples of 1/64, exact in any precision."""

    logits: torch.Tensor  # [N, K]
    questions: torch.Tensor  # [N, K-1], logits of "above k", in no order
    thresholds: torch.Tensor  # [K-1], increasing
    eta: torch.Tensor  # [N], latent scores
    spread: torch.Tensor  # [N], what goes with a latent score where there are two outputs
    position: torch.Tensor  # [N], on the scale of grades
    labels: torch.Tensor  # [N], every grade among them

    @property
    def num_classes(self) -> int:
        return self.logits.shape[1]

    @property
    def levels(self) -> torch.Tensor:
        """[y > k], `[N, K-1]`."""
        return coral_pytorch.dataset.levels_from_labelbatch(self.labels, self.num_classes, dtype=torch.float64)

    @property
    def cuts(self) -> torch.Tensor:
        """theta - eta, `[N, K-1]`."""
        return self.thresholds[None, :] - self.eta[:, None]


def draw(num_classes: int) -> Inputs:
    rng = np.random.default_rng(num_classes)

    def normal(scale: float, *shape: int) -> torch.Tensor:
        return torch.tensor(np.round(64 * scale * rng.normal(size=shape)) / 64)

    steps = np.round(64 * rng.uniform(0.3, 1.5, size=num_classes - 1)) / 64
    return Inputs(
        logits=normal(2, EXAMPLES, num_classes),
        questions=normal(2, EXAMPLES, num_classes - 1),
        thresholds=torch.tensor(np.cumsum(steps) - steps.sum() // 2),
        eta=normal(1.5, EXAMPLES),
        spread=torch.abs(normal(1, EXAMPLES)),
        position=torch.tensor((np.round(64 * rng.uniform(-1, num_classes, size=EXAMPLES)) + 0.5) / 64),  # no ties
        labels=torch.tensor(rng.permutation(np.arange(EXAMPLES) % num_classes)),
    )


def importance(count: int) -> torch.Tensor:
    """Weights 1/2, 1, 3/2, ... of thresholds or classes."""
    return torch.arange(1, count + 1) / 2


def torch_rows(d: Inputs) -> Iterator[Row]:
    z, y, t = d.logits, d.labels, d.questions
    yield "cross_entropy", "losses", cross_entropy(z, y, reduction="none")
    yield "cross_entropy(label_smoothing=0.2)", "losses", cross_entropy(z, y, reduction="none", label_smoothing=0.2)
    parts = binary_cross_entropy_with_logits(t, d.levels, reduction="none")
    yield "binary_cross_entropy_with_logits, summed over thresholds", "losses", parts.sum(1)
    yield "mse_loss(sigmoid), mean over thresholds", "losses", ((torch.sigmoid(t) - d.levels) ** 2).mean(1)
    broken = torch.distributions.transforms.StickBreakingTransform()
    left = torch.arange(
        d.num_classes - 1, 0, -1, dtype=torch.float64
    )  # the transform subtracts log(left), so that 0 breaks evenly
    yield "StickBreakingTransform", "probs", broken(t + torch.log(left)[None, :])
    target = y.to(torch.float64)
    for name in ("MSELoss", "L1Loss"):
        yield name, "losses", getattr(torch.nn, name)(reduction="none")(d.position, target)
    yield "HuberLoss(delta=0.75)", "losses", torch.nn.HuberLoss(reduction="none", delta=0.75)(d.position, target)
    for offset in (0.5, 1.0):
        masses = scipy.stats.poisson.pmf(np.arange(d.num_classes)[None, :], y.numpy()[:, None] + offset)
        soft = torch.tensor(masses / masses.sum(1, keepdims=True))
        yield (
            f"cross_entropy(scipy.stats.poisson, mean y + {offset})",
            "losses",
            cross_entropy(z, soft, reduction="none"),
        )
    centred = scipy.stats.binom.pmf(
        np.arange(d.num_classes)[None, :], d.num_classes - 1, ((y.numpy() + 0.5) / d.num_classes)[:, None]
    )
    soft = torch.tensor(centred)
    yield "cross_entropy(scipy.stats.binom, p = (y + 1/2) / K)", "losses", cross_entropy(z, soft, reduction="none")
    edges = np.linspace(0, 1, d.num_classes + 1)
    shapes = beta_shapes(d.num_classes)[y.numpy()]
    soft = torch.tensor(np.diff(scipy.stats.beta.cdf(edges[None, :], shapes[:, :1], shapes[:, 1:]), axis=1))
    yield "cross_entropy(scipy.stats.beta)", "losses", cross_entropy(z, soft, reduction="none")


def optax_rows(d: Inputs) -> Iterator[Row]:
    z, y = d.logits.numpy().astype(np.float32), d.labels.numpy()
    yield "softmax_cross_entropy_with_integer_labels", "losses", optax.softmax_cross_entropy_with_integer_labels(z, y)
    smooth = optax.smooth_labels(np.eye(d.num_classes, dtype=np.float32)[y], 0.2)
    yield "softmax_cross_entropy(smooth_labels(0.2))", "losses", optax.softmax_cross_entropy(z, smooth)
    t, b = d.questions.numpy().astype(np.float32), d.levels.numpy().astype(np.float32)
    for gamma in (0.5, 2.0):
        parts = optax.sigmoid_focal_loss(t, b, gamma=gamma)
        yield f"sigmoid_focal_loss(gamma={gamma}), summed over thresholds", "losses", parts.sum(axis=1)


def scipy_rows(d: Inputs) -> Iterator[Row]:
    grades, probs = np.arange(d.num_classes), torch.softmax(d.logits, 1).numpy()
    moved = [scipy.stats.wasserstein_distance(grades, [y], p) for p, y in zip(probs, d.labels.numpy(), strict=True)]
    yield "wasserstein_distance(softmax)", "losses", np.array(moved)


def dlordinal_rows(d: Inputs) -> Iterator[Row]:
    k, z, y, t = d.num_classes, d.logits, d.labels, d.questions
    single = z.float()
    for alpha in (1.0, 1.5, 5.0):
        yield f"CDWCELoss(alpha={alpha})", "mean", losses.CDWCELoss(k, alpha=alpha)(z, y)
    yield "CDWCELoss(alpha=2.0, margin=0.1)", "mean", losses.CDWCELoss(k, alpha=2.0, margin=0.1)(z, y)
    yield "EMDLoss", "mean", losses.EMDLoss(k)(z, y)
    for kind in ("linear", "quadratic"):
        yield f"WKLoss({kind})", "mean", losses.WKLoss(k, kind, use_logits=True)(single, y)
    logarithm = losses.WKLoss(k, use_logits=True, use_logarithm=True, epsilon=1e-6)
    yield "WKLoss(quadratic, use_logarithm, epsilon=1e-6)", "mean", logarithm(single, y)
    yield "MCELoss", "mean", losses.MCELoss(k, use_logits=True)(z, y)
    weight = importance(k)
    yield "MCELoss(weight)", "mean", losses.MCELoss(k, weight=weight, use_logits=True)(z, y)
    yield "MCEAndWKLoss(C=0.25)", "mean", losses.MCEAndWKLoss(k, C=0.25, use_logits=True)(single, y)
    for alpha in (1.0, 2.5):
        yield f"SORDLoss(alpha={alpha})", "mean", losses.SORDLoss(alpha, k, y)(z, y)
        yield f"SLACELoss(alpha={alpha})", "mean", losses.SLACELoss(alpha, k)(z, y)
    base = torch.nn.CrossEntropyLoss(reduction="none")
    yield "ExponentialLoss(p=1.5, tau=2, eta=0.5)", "losses", losses.ExponentialLoss(base, k, 1.5, 2.0, 0.5)(single, y)
    yield "BinomialLoss", "losses", losses.BinomialLoss(base, k)(single, y)
    for alpha in (0.05, 0.2):
        yield f"TriangularLoss(alpha2={alpha})", "losses", losses.TriangularLoss(base, k, alpha)(single, y)
    if k == 3:  # for 10 its table rounds the shapes
        yield "BetaLoss", "losses", losses.BetaLoss(base, k)(single, y)
    for alpha in (0.1, 0.3):
        yield f"GeometricLoss({alpha})", "losses", losses.GeometricLoss(base, k, alpha)(single, y)
    rows = torch.tensor(get_geometric_soft_labels(k, 0.25))
    yield "CustomTargetsLoss(geometric 0.25, eta=0.5)", "losses", losses.CustomTargetsLoss(base, rows, 0.5)(single, y)
    yield "OrdinalECOCDistanceLoss", "sum", losses.OrdinalECOCDistanceLoss(k)(torch.sigmoid(t), y)
    yield "ECOCOutputTransformer", "grades", ECOCOutputTransformer(k).double().labels(torch.sigmoid(t))
    yield "CORNLoss", "mean", losses.CORNLoss(k)(t, y)
    for link in LINKS:
        yield f"CLM({link})", "probs", clm(link, d.thresholds)(d.eta)
    eta = d.eta[:, None]
    yield "BinomialLayer", "probs", identity(output_layers.BinomialLayer(in_features=1, num_classes=k))(eta)
    for tau in (1.0, 0.5):
        layer = identity(output_layers.PoissonLayer(in_features=1, num_classes=k, learn_tau=False))
        layer.log_tau = torch.log(torch.tensor(tau, dtype=torch.float64))
        yield f"PoissonLayer(tau={tau})", "probs", layer(eta)
    pair = torch.stack([d.position, d.spread], 1)
    probs, sigma = gaussian(k)(pair)
    yield "GaussianUncertaintyLayer", "probs", probs
    wrapped = losses.GaussianUncertaintyLossWrapper(lambda p, label: -torch.log(p[range(len(p)), label]).mean(), 0.75)
    yield "GaussianUncertaintyLossWrapper(nll, alpha=0.75)", "mean", wrapped((probs, sigma), y)
    yield "cross_entropy(COPOC)", "losses", cross_entropy(output_layers.COPOC()(z), y, reduction="none")


def coral_rows(d: Inputs) -> Iterator[Row]:
    t, y, k = d.questions, d.labels, d.num_classes
    weights = importance(k - 1)
    yield "coral_loss", "losses", coral_pytorch.losses.coral_loss(t, d.levels, reduction=None)
    weighed = coral_pytorch.losses.coral_loss(t, d.levels, importance_weights=weights, reduction=None)
    yield "coral_loss(importance_weights)", "losses", weighed
    yield "proba_to_label(sigmoid)", "grades", coral_pytorch.dataset.proba_to_label(torch.sigmoid(t))
    yield "corn_loss", "mean", coral_pytorch.losses.corn_loss(t, y, k)
    yield "corn_label_from_logits", "grades", coral_pytorch.dataset.corn_label_from_logits(t)


def condor_rows(d: Inputs) -> Iterator[Row]:
    t, levels = d.questions, d.levels
    yield "condor_negloglikeloss", "losses", condor_pytorch.losses.condor_negloglikeloss(t, levels, reduction=None)
    weights = importance(d.num_classes - 1)
    for call, option in (("", None), ("(importance_weights)", weights)):
        value = condor_pytorch.losses.CondorOrdinalCrossEntropy(t, levels, importance_weights=option, reduction=None)
        yield f"CondorOrdinalCrossEntropy{call}", "losses", value
    yield "ordinal_softmax", "probs", condor_pytorch.activations.ordinal_softmax(t)
    yield "logits_to_label", "grades", condor_pytorch.dataset.logits_to_label(t)
    moved = condor_pytorch.metrics.earth_movers_distance(t, levels, reduction=None)
    yield "earth_movers_distance", "losses", moved


def spacecutter_rows(d: Inputs) -> Iterator[Row]:
    probs = spacecutter_link(d.thresholds)(d.eta[:, None])
    yield "LogisticCumulativeLink", "probs", probs
    value = spacecutter.losses.cumulative_link_loss(probs, d.labels[:, None], reduction="none")
    yield "cumulative_link_loss", "losses", value[:, 0]


def deepordinal_rows(d: Inputs) -> Iterator[Row]:
    for construction in ("all", "immediate"):
        for penalty in ("logistic", "hinge", "smooth_hinge", "modified_least_squares"):
            value = deepordinal.torch.ordinal_loss(d.eta, d.labels, d.thresholds, construction, penalty)
            yield f"ordinal_loss({construction}, {penalty})", "mean", value
    means = torch.arange(d.num_classes, dtype=torch.float64) - (d.num_classes - 1) / 2
    yield "ordistic_loss", "mean", deepordinal.torch.ordistic_loss(d.eta, d.labels, means)
    priors = -importance(d.num_classes).double()
    yield "ordistic_loss(log_priors)", "mean", deepordinal.torch.ordistic_loss(d.eta, d.labels, means * 0.5, priors)


def handy_rows(d: Inputs) -> Iterator[Row]:
    loss = handy_nn.OrdinalRegressionLoss(d.num_classes)
    loss.thresholds.data = d.thresholds.float()
    yield "OrdinalRegressionLoss", "mean", loss(d.eta[:, None].float(), d.labels)


def mord_rows(d: Inputs) -> Iterator[Row]:
    k, y = d.num_classes, d.labels.numpy()
    theta = d.thresholds.numpy()
    grades, features = np.arange(k), d.eta.numpy()[:, None]
    beside = np.abs(grades[:, None] - np.arange(k - 1)[None, :] - 0.5) < 1
    steps = {
        "LogisticAT": np.ones((k, k - 1)),
        "LogisticIT": beside.astype(float),
        "LogisticSE": np.abs(np.diff((grades[:, None] - grades[None, :]) ** 2, axis=1)).astype(float),
    }
    for name, weights in steps.items():
        parameters = np.concatenate([[1.0], theta])  # slope, thresholds; no penalty on the slope
        value = mord.threshold_based.obj_margin(parameters, features, y, 0.0, k, weights, np.eye(k - 1), None)
        yield f"obj_margin({name})", "sum", np.float64(value)
    yield "threshold_predict", "grades", mord.threshold_based.threshold_predict(features, np.ones(1), theta)
    yield "threshold_proba", "probs", mord.threshold_based.threshold_proba(features, np.ones(1), theta)
    ridge = mord.OrdinalRidge()
    ridge.coef_, ridge.intercept_ = np.ones(1), 0.0
    ridge.unique_y_ = grades
    yield "OrdinalRidge.predict", "grades", ridge.predict(d.position.numpy()[:, None])


def statsmodels_rows(d: Inputs) -> Iterator[Row]:
    theta = d.thresholds.numpy()
    parameters = np.concatenate([[1.0, theta[0]], np.log(np.diff(theta))])
    for link, distribution in zip(LINKS, ("logit", "probit", scipy.stats.gumbel_l), strict=True):
        model = OrderedModel(d.labels.numpy(), d.eta.numpy()[:, None], distr=distribution)
        if link != "cloglog":  # its probabilities by subtraction round to 0 here
            yield f"OrderedModel({link}).loglikeobs", "losses", -np.asarray(model.loglikeobs(parameters))
        yield f"OrderedModel({link}).predict", "probs", np.asarray(model.predict(parameters, d.eta.numpy()[:, None]))


def jaxboost_rows(d: Inputs) -> Iterator[Row]:
    k, y = d.num_classes, d.labels.numpy()
    z, eta, theta = d.logits.numpy(), d.eta.numpy(), d.thresholds.numpy()
    for alpha in (1.0, 2.0):
        yield f"OLLObjective(alpha={alpha})", "losses", jaxboost.OLLObjective(k, alpha).loss(z, y).astype(np.float32)
        yield f"SORDObjective(alpha={alpha})", "losses", jaxboost.SORDObjective(k, alpha).loss(z, y).astype(np.float32)
        value = jaxboost.SLACEObjective(k, alpha).loss(z, y).astype(np.float32)
        yield f"SLACEObjective(alpha={alpha})", "losses", value
    for link in ("logit", "probit"):
        model = jaxboost.OrdinalObjective(k, link, theta)
        yield f"OrdinalObjective({link})", "losses", model.loss(eta, y).astype(np.float32)
        yield f"OrdinalObjective({link}).predict", "grades", model.predict(eta)
        value = jaxboost.SquaredCDFObjective(k, link, thresholds=theta).loss(eta, y)
        yield f"SquaredCDFObjective({link})", "losses", value.astype(np.float32)
        value = jaxboost.QWKOrdinalObjective(k, link, thresholds=theta).loss(eta, y)
        yield f"QWKOrdinalObjective({link})", "losses", value.astype(np.float32)


def ordinal_xai_rows(d: Inputs) -> Iterator[Row]:
    probs = torch.softmax(d.logits, 1).numpy()
    for alpha in (1, 2):
        value = ordinal_weighted_ce(d.labels.numpy(), probs, alpha, zero_indexed=True)
        yield f"ordinal_weighted_ce(alpha={alpha})", "mean", np.float64(value)


def unimodal_rows(unimodal: ModuleType, d: Inputs) -> Iterator[Row]:
    k, z, y, t = d.num_classes, d.logits, d.labels, d.questions
    single = z.float()
    for strength, margin in ((0.01, 0.05), (1.0, 0.25)):
        options = f"lamda={strength}, omega={margin}"
        yield f"CO2({options})", "losses", unimodal.CO2(k, strength, margin)(single, y)
        yield f"HO2({options})", "losses", unimodal.HO2(k, strength, margin)(single, y)
    yield "UnimodalNet", "losses", unimodal.UnimodalNet(k)(z, y)
    yield "OrdinalLogLoss", "losses", unimodal.OrdinalLogLoss(k)(z, y)
    yield "CDW_CE", "losses", unimodal.CDW_CE(k)(z, y)
    yield "OrdinalEncoding", "losses", unimodal.OrdinalEncoding(k)(t, y)
    yield "NeuronStickBreaking", "probs", unimodal.NeuronStickBreaking(k).to_proba(t)
    yield "BinomialUnimodal_CE", "losses", unimodal.BinomialUnimodal_CE(k)(d.eta[:, None], y)
    # It orders by squares, z_0 + sum z_j^2; roots of softplus make these the steps of ours.
    roots = torch.cat([z[:, :1], torch.sqrt(softplus(z[:, 1:]))], 1)
    yield "VS_SL(z_0, sqrt(softplus(z)))", "probs", unimodal.VS_SL(k).to_proba(roots)
    # It computes an order and does not use it: what it is given are the adjacent-category logits themselves, negated.
    yield "ORD_ACL(-t)", "probs", unimodal.ORD_ACL(k).to_proba(-t)
    ordered = torch.cumsum(torch.cat([t[:, :1], softplus(t[:, 1:])], 1), 1)
    yield "ORD_ACL(t_0 + cumsum(softplus(t)))", "probs", unimodal.ORD_ACL(k).to_proba(ordered)


def plain(value: Any) -> Any:
    """JSON-ready numbers: 9 digits of single precision, 13 of double."""
    value = value.detach().numpy() if torch.is_tensor(value) else np.asarray(value)
    if np.issubdtype(value.dtype, np.integer):
        return value.tolist()
    digits = 9 if value.dtype == np.float32 else 13
    rounded = np.vectorize(lambda v: float(f"{v:.{digits}g}"))(value.astype(np.float64))
    return rounded.tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("losses", type=pathlib.Path, help="losses.py of unimodal-ordinal-regression, 3744d5a")
    spec = importlib.util.spec_from_file_location("unimodal", parser.parse_args().losses)
    unimodal = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unimodal)

    peers = {
        "torch": torch_rows,
        "optax": optax_rows,
        "scipy": scipy_rows,
        "dlordinal": dlordinal_rows,
        "coral-pytorch": coral_rows,
        "condor-pytorch": condor_rows,
        "spacecutter": spacecutter_rows,
        "deepordinal": deepordinal_rows,
        "handy-nn": handy_rows,
        "mord": mord_rows,
        "statsmodels": statsmodels_rows,
        "jaxboost": jaxboost_rows,
        "ordinal-xai": ordinal_xai_rows,
        "unimodal": lambda d: unimodal_rows(unimodal, d),
    }
    inputs = {k: draw(k) for k in GRADES}
    rows = []
    for peer, ask in peers.items():
        for k, d in inputs.items():
            for call, quantity, value in ask(d):
                single = str(getattr(value, "dtype", "")).endswith("float32")
                facts = {"peer": peer, "call": call, "num_classes": k, "quantity": quantity}
                rows.append(facts | {"single": single, "value": plain(value)})
    versions = {name: metadata.version(name) for name in INSTALLED} | {"unimodal": "3744d5a"}
    parts = {
        "versions": json.dumps(versions),
        "inputs": json.dumps({k: {f: v.tolist() for f, v in d._asdict().items()} for k, d in inputs.items()}),
        "rows": "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]",
        "faults": "[\n" + ",\n".join(map(json.dumps, faults(unimodal))) + "\n]",
    }
    text = "{\n" + ",\n".join(f'"{key}": {value}' for key, value in parts.items()) + "\n}\n"
    (pathlib.Path(__file__).parent / "golden.json").write_text(text)


if __name__ == "__main__":
    main()
