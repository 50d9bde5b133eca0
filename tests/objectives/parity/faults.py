"""Where peers are wrong: what each says of one example, in the terms of our outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import condor_pytorch
import coral_pytorch.dataset
import handy_nn
import jaxboost.objective.ordinal as jaxboost
import numpy as np
import spacecutter.losses
import torch
from dlordinal import losses
from layers import beta_shapes, clm, gaussian, spacecutter_link
from torch.nn.functional import softplus


def fault(call: str, reason: str, outputs: list[float], label: int, compute: Callable[..., Any]) -> dict[str, Any]:
    """What a call says, and its gradient where it has one, of one example: compute(outputs [1, width], labels [1])."""
    leaf = torch.tensor([outputs], dtype=torch.float32, requires_grad=True)
    value = compute(leaf, torch.tensor([label]))
    slope = None
    if isinstance(value, tuple):
        value, slope = value
    elif torch.is_tensor(value) and value.requires_grad:
        value.sum().backward()
        slope = leaf.grad[0].tolist()
    value = np.ravel(value.detach() if torch.is_tensor(value) else value)[0]
    value, slope = finite(value), None if slope is None else [finite(v) for v in slope]
    return {"call": call, "reason": reason, "outputs": outputs, "label": label, "value": value, "gradient": slope}


def finite(value: float) -> float | str:
    """A number that JSON has, or the name of one that it has not."""
    return float(value) if np.isfinite(value) else str(float(value))


def faults(unimodal: ModuleType) -> Iterator[dict[str, Any]]:
    """Wrong values, in the terms of our outputs."""

    def cdw(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return losses.CDWCELoss(z.shape[1], alpha=1.0)(z, y)

    moderate = [1.0, 0.0, -1.0, -2.0, -3.0]
    for shift, reason in (
        (90, "exp of unshifted logits overflows"),
        (-30, "1e-8 in the logarithms outweighs exp of shifted logits"),
        (-50, "1e-8 in the logarithms outweighs exp of shifted logits"),
    ):
        yield fault("dlordinal CDWCELoss", reason, [v + shift for v in moderate], 2, cdw)
    yield fault("dlordinal CDWCELoss", "no gradient once the rest rounds away", [0.0, 0.0, 20.0, 0.0, 0.0], 0, cdw)

    def oll(z: torch.Tensor, y: torch.Tensor) -> tuple[float, list[float]]:
        objective, given = jaxboost.OLLObjective(z.shape[1]), z.detach().numpy()
        return objective.loss(given, y.numpy())[0], objective.gradient(given, y.numpy())[0].tolist()

    yield fault("jaxboost OLLObjective", "1 - p is clipped at 1e-10", [0.0, 0.0, 40.0, 0.0, 0.0], 0, oll)

    def naive(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return unimodal.CDW_CE(z.shape[1], 1)(z, y)

    for label, reason in ((2, "0 log 0 for the certain and right"), (0, "log 0 for the certain and wrong")):
        yield fault("unimodal CDW_CE", reason, [0.0, 0.0, 20.0, 0.0, 0.0], label, naive)

    def slace(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return losses.SLACELoss(1.0, z.shape[1])(z, y)

    yield fault(
        "dlordinal SLACELoss", "1e-9 in the logarithm: no more than 20.7, no gradient", [0.0, 0.0, 60.0], 0, slace
    )

    def condor(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        levels = coral_pytorch.dataset.levels_from_labelbatch(y, t.shape[1] + 1)
        return condor_pytorch.losses.CondorOrdinalCrossEntropy(t, levels, reduction=None)

    for gap in (20.0, 200.0):
        yield fault(
            "condor CondorOrdinalCrossEntropy", "1e-7 in log(1 - P): no more than 15.9 each", [gap] * 4, 0, condor
        )

    def link_loss(cuts: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, list[float]]:
        link = spacecutter_link(cuts[0].detach().clone())
        value = spacecutter.losses.cumulative_link_loss(link(torch.zeros(1, 1)), y[:, None], reduction="none")
        value.sum().backward()
        return value.detach(), link.cutpoints.grad.tolist()

    yield fault("spacecutter cumulative_link_loss", "clamped at 1e-15: 34.5", [-61.0, -60.0, -59.0], 0, link_loss)

    for link, cuts, label in (
        ("logit", [29.0, 30.0, 31.0], 2),
        ("probit", [9.0, 10.0, 11.0], 2),
        ("probit", [-11.0, -10.0, -9.0], 0),
        ("cloglog", [9.0, 10.0, 11.0], 1),
    ):

        def minus_log(cuts: torch.Tensor, y: torch.Tensor, link: str = link) -> torch.Tensor:
            return -torch.log(clm(link, cuts[0].detach()).float()(torch.zeros(1))[0, y]).detach()

        yield fault(f"dlordinal CLM({link})", "probabilities by subtraction round to 0", cuts, label, minus_log)

    def logit_loss(cuts: torch.Tensor, y: torch.Tensor) -> float:
        model = jaxboost.OrdinalObjective(cuts.shape[1] + 1, "logit", cuts[0].detach().numpy())
        return model.loss(np.zeros(1), y.numpy())[0]

    yield fault(
        "jaxboost OrdinalObjective(logit)", "probability clipped at 1e-10: 23", [-31.0, -30.0, -29.0], 0, logit_loss
    )

    def uncertain(pair: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return -torch.log(gaussian(3).float()(pair)[0][range(1), y]).detach()

    yield fault("dlordinal GaussianUncertaintyLayer", "densities underflow: a row of zeros", [50.0, 0.0], 0, uncertain)

    def poisson(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return losses.PoissonLoss(torch.nn.CrossEntropyLoss(), z.shape[1])(z, y)

    reason = "softmax of a Poisson's masses, which is nearly uniform, in place of the masses"
    yield fault("dlordinal PoissonLoss", reason, [0.0, 3.0, 0.0, -3.0, -6.0], 0, poisson)

    def beta(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        shapes = [[a, b, 1.0] for a, b in beta_shapes(z.shape[1]).tolist()]
        return losses.BetaLoss(torch.nn.CrossEntropyLoss(), z.shape[1], {z.shape[1]: shapes})(z, y)

    reason = "2F1 by scipy loses all digits for large shapes that are not whole"
    yield fault("dlordinal BetaLoss(params_set)", reason, [0.5 * c for c in range(10)], 6, beta)

    def handy(cuts: torch.Tensor, y: torch.Tensor) -> float:
        loss = handy_nn.OrdinalRegressionLoss(cuts.shape[1] + 1)
        loss.thresholds.data = cuts[0].detach()
        return float(-torch.log(loss.predict_probas(torch.zeros(1, 1))[0, y]).detach())

    reason = "differences of P(y > k) as if they were P(y <= k): a negative probability"
    yield fault("handy-nn OrdinalRegressionLoss.predict_probas", reason, [-1.0, 0.0, 1.0], 1, handy)

    def unordered(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        steps = torch.cat([t[:, :1], torch.sqrt(softplus(t[:, 1:]))], 1)
        return -torch.log(unimodal.ORD_ACL(t.shape[1] + 1).to_proba(steps)[range(1), y]).detach()

    yield fault("unimodal ORD_ACL", "computes the ordered logits and uses the others", [-1.0, 2.0, 0.5], 3, unordered)
