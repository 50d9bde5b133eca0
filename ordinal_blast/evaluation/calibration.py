"""Calibration after training: class log-probabilities rescaled to fit validation labels.

Fit on validation examples only. A temperature keeps the order of the classes; scaling by class may change it.

What is scaled is what is given. A temperature does the same to logits and to log-probabilities, a slope for each class
does not: on logits it is the vector scaling of Guo et al. (2017), which depends on the constant that a row of logits
leaves open; on log-probabilities, all that most ordinal models have, it depends on the probabilities alone and is the
diagonal form of Dirichlet calibration (Kull et al., 2019).
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from ordinal_blast.evaluation.validation import as_floats, as_grades, as_num_classes, check_choice

SLOPES = (1e-3, 1e3)  # a sample that is separated perfectly has no finite optimum
OFFSETS = (-50.0, 50.0)


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Calibrated log-probabilities log softmax(slope * log p + offset), slope and offset `[K]`."""

    slope: np.ndarray
    offset: np.ndarray

    def apply(self, log_probs: ArrayLike) -> np.ndarray:
        """Calibrated log-probabilities float64 `[N, K]` of log-probabilities `[N, K]`."""
        return special.log_softmax(self.slope * _as_log_probs(log_probs, len(self.slope)) + self.offset, axis=1)


def _as_log_probs(log_probs: ArrayLike, num_classes: int) -> np.ndarray:
    log_probs = as_floats(log_probs, "log_probs")
    if log_probs.ndim != 2 or log_probs.shape[1] != num_classes:
        raise ValueError(f"log_probs must have shape [N, {num_classes}], found {log_probs.shape}")
    bad: np.ndarray = np.argwhere(np.isnan(log_probs) | (log_probs == np.inf))
    if len(bad):
        n, k = bad[0]
        raise ValueError(f"log_probs[{n}, {k}] = {log_probs[n, k]} is no log-probability")
    bad = np.flatnonzero(np.isneginf(log_probs).all(axis=1))
    if len(bad):
        raise ValueError(f"log_probs[{bad[0]}] gives every class probability 0")
    return log_probs


def fit(
    log_probs: ArrayLike, labels: ArrayLike, num_classes: int, method: Literal["temperature", "vector"] = "temperature"
) -> Scaling:
    """The scaling with the least log loss on labels `[N]` given log_probs `[N, K]`.

    "temperature": one slope 1 / T for all classes and no offset (Guo et al., 2017); "vector": a slope and an offset for
    each class, of the log-probabilities and not of logits: diagonal Dirichlet calibration (Kull et al., 2019). Slopes
    lie in 0.001..1000, offsets in -50..50. ValueError: bad labels or log_probs, a label with probability 0, or "vector"
    with a class absent from the labels.
    """
    check_choice(method, "method", ("temperature", "vector"))
    num_classes = as_num_classes(num_classes)
    labels, log_probs = as_grades(labels, num_classes), _as_log_probs(log_probs, num_classes)
    if len(labels) != len(log_probs):
        raise ValueError(f"{len(labels)} labels but {len(log_probs)} rows of log_probs: one row per label is needed")
    rows = np.arange(len(labels))
    bad = np.flatnonzero(np.isneginf(log_probs[rows, labels]))
    if len(bad):
        raise ValueError(f"log_probs[{bad[0]}] gives its label {labels[bad[0]]} probability 0: no scaling mends that")
    finite = np.where(np.isneginf(log_probs), 0, log_probs)
    onehot = labels[:, None] == np.arange(num_classes)

    def errors(slope: np.ndarray, offset: np.ndarray) -> tuple[float, np.ndarray]:
        calibrated = special.log_softmax(slope * log_probs + offset, axis=1)
        return float(-calibrated[rows, labels].mean()), (np.exp(calibrated) - onehot) / len(labels)

    if method == "temperature":

        def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, gap = errors(x, np.zeros(num_classes))
            return value, np.array([(gap * finite).sum()])

        start, bounds = np.ones(1), [SLOPES]
    else:
        absent = np.flatnonzero(~onehot.any(axis=0))
        if len(absent):
            raise ValueError(f"class {absent[0]} is absent from the labels: its slope and offset have no finite fit")

        def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, gap = errors(x[:num_classes], x[num_classes:])
            return value, np.concatenate([(gap * finite).sum(axis=0), gap.sum(axis=0)])

        start = np.concatenate([np.ones(num_classes), np.zeros(num_classes)])
        bounds = [SLOPES] * num_classes + [OFFSETS] * num_classes

    precise = {"ftol": 1e-14, "gtol": 1e-10}
    optimum = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=precise).x
    if method == "temperature":
        return Scaling(slope=np.repeat(optimum, num_classes), offset=np.zeros(num_classes))
    slope, offset = np.split(optimum, 2)
    # A constant added to every offset changes nothing: centre it, so that the answer is unique.
    return Scaling(slope=slope, offset=offset - offset.mean())
