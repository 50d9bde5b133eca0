"""How sure a prediction is of itself, what of that an ensemble explains, and what holding back buys."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from ordinal_blast.evaluation.validation import as_floats, as_num_classes, as_probs, as_scores, check_choice


def ordinal(probs: ArrayLike, num_classes: int) -> np.ndarray:
    """Σ_k C_k (1 - C_k) of the cumulative probabilities C, `[N]`, 0 (sure) to (K-1)/4 (half at either end).

    The ranked probability score that a calibrated model expects of itself; grades far apart count for more.
    """
    return _ordinal(as_probs(probs, as_num_classes(num_classes)))


def entropy(probs: ArrayLike, num_classes: int) -> np.ndarray:
    """-Σ_k p_k log p_k in nats, `[N]`, 0 to log K; blind to the order of the grades."""
    return _entropy(as_probs(probs, as_num_classes(num_classes)))


def variance(probs: ArrayLike, num_classes: int) -> np.ndarray:
    """Variance of the grade, `[N]`, 0 to ((K-1)/2)²."""
    return _variance(as_probs(probs, as_num_classes(num_classes)))


def _ordinal(probs: np.ndarray) -> np.ndarray:
    cumulative = np.clip(np.cumsum(probs, axis=-1)[..., :-1], 0, 1)
    return (cumulative * (1 - cumulative)).sum(axis=-1)


def _entropy(probs: np.ndarray) -> np.ndarray:
    return special.entr(probs).sum(axis=-1)


def _variance(probs: np.ndarray) -> np.ndarray:
    grades = np.arange(probs.shape[-1])
    mean = probs @ grades
    return (probs * (grades - mean[..., None]) ** 2).sum(axis=-1)


MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "ordinal": _ordinal,
    "entropy": _entropy,
    "variance": _variance,
}


@dataclasses.dataclass(frozen=True)
class Split:
    """Uncertainty of the mean of several models, `[N]`: total = aleatoric + epistemic.

    aleatoric: the mean of what each model is unsure of, which more models cannot mend; epistemic: their disagreement.
    """

    total: np.ndarray
    aleatoric: np.ndarray
    epistemic: np.ndarray


def split(probs: ArrayLike, num_classes: int, measure: str = "ordinal") -> Split:
    """The uncertainty of an ensemble's probabilities `[S, N, K]` by "ordinal", "entropy" or "variance".

    All three are concave, so that epistemic is 0 or more (Depeweg et al., 2018). ValueError for another measure.
    """
    check_choice(measure, "measure", MEASURES)
    models = as_floats(probs, "probs")
    if models.ndim != 3 or not len(models):
        raise ValueError(f"probs must have shape [S, N, {num_classes}], found {models.shape}")
    models = np.stack([as_probs(one, as_num_classes(num_classes)) for one in models])
    total, aleatoric = MEASURES[measure](models.mean(axis=0)), MEASURES[measure](models).mean(axis=0)
    return Split(total, aleatoric, np.maximum(total - aleatoric, 0))


@dataclasses.dataclass(frozen=True)
class RiskCoverage:
    """Mean loss of the share `coverage` of examples that are surest, `[N]` each; area: its mean over coverages."""

    coverage: np.ndarray
    risk: np.ndarray
    area: float

    def at(self, coverage: np.ndarray) -> np.ndarray:
        """The risk where so many are kept, between examples by interpolation; coverage in (0, 1]."""
        return np.interp(coverage, self.coverage, self.risk)


def risk_coverage(losses: ArrayLike, uncertainty: ArrayLike) -> RiskCoverage:
    """Risk of losses `[N]` when the examples of least uncertainty `[N]` are kept (Geifman & El-Yaniv, 2017).

    Examples that tie are kept in random order, and the risk is its mean over these orders. Area under the curve
    (AURC): as the losses; that of an uncertainty that says nothing is the mean loss.
    """
    losses = as_floats(losses, "losses")
    if losses.ndim != 1 or not len(losses):
        raise ValueError(f"losses must be a non-empty vector [N], found shape {losses.shape}")
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        raise ValueError(f"losses[{bad[0]}] = {losses[bad[0]]} is not finite")
    _, places = np.unique(as_scores(uncertainty, len(losses), "uncertainty"), return_inverse=True)
    block = (np.bincount(places, losses) / np.bincount(places))[np.sort(places)]
    kept = np.arange(1, len(losses) + 1)
    risk = np.cumsum(block) / kept
    return RiskCoverage(kept / len(losses), risk, float(risk.mean()))
