"""How often intervals and tests of models that are trained once go wrong, by the ways that are taken and others."""

from __future__ import annotations

import numpy as np
from scipy import stats

from ordinal_blast.evaluation import bootstrap, metrics, roc, significance
from ordinal_blast.evaluation.validity_report import LEVEL, Tally

RESAMPLES = 1000
SHARES = np.array([0.5, 0.3, 0.2])  # of grades
NOISE = np.array([0.7, 0.25, 0.05])  # share of examples graded so far off


def measure(studies: int) -> Tally:
    """Of each question the share of studies that go wrong, by another way and by the one taken here."""
    return {
        "AUC of .95, 30 examples: what is its own value?": _area(studies),
        **_bootstrapped(studies),
        "two data sets, 3 equal methods: do they differ?": _ranks(),
    }


def _area(studies: int) -> dict[str, float]:
    rng, shift = np.random.default_rng(0), np.sqrt(2) * stats.norm.ppf(0.95)
    wrong = {"wald": 0, "logit": 0}
    labels = np.repeat([0, 1], 15)
    for _ in range(studies):
        scores = rng.standard_normal(30) + shift * labels
        for method in wrong:
            low, high = roc.auc_ci(labels, scores, method=method)  # type: ignore[arg-type]
            wrong[method] += not low <= 0.95 <= high
    return {"Wald’s interval": wrong["wald"] / studies, "logit, Newcombe’s with few": wrong["logit"] / studies}


def _joint() -> np.ndarray:
    """Probabilities of label and grade, `[3, 3]`."""
    gaps = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    noise = NOISE[gaps]
    return SHARES[:, None] * noise / noise.sum(axis=1, keepdims=True)


def _bootstrapped(studies: int) -> Tally:
    rng, joint = np.random.default_rng(1), _joint()
    names = ("accuracy", "qwk", "balanced_accuracy", "amae", "mmae")
    truth = {name: float(getattr(metrics, name).of_counts(joint)) for name in names}
    wrong = {name: [0, 0] for name in names}
    for seed in range(studies):
        labels, grades = np.divmod(rng.choice(9, 50, p=joint.ravel()), 3)
        here = bootstrap.summary_intervals(labels, grades, 3, seed=seed, resamples=RESAMPLES)
        there = _stratified(labels, grades, np.random.default_rng(seed))
        for name in names:
            wrong[name][0] += not there[name][0] <= truth[name] <= there[name][1]
            wrong[name][1] += not here[name].low <= truth[name] <= here[name].high
    return {
        f"{name}, 50 examples: what is its own value?": {
            "bootstrap within each label": wrong[name][0] / studies,
            "bootstrap of examples": np.nan if name in bootstrap.NO_INTERVAL else wrong[name][1] / studies,
        }
        for name in names
    }


def _stratified(labels: np.ndarray, grades: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Percentile limits of every metric of counts where examples are drawn within each label."""
    tables = np.zeros((RESAMPLES, 3, 3))
    for label in np.unique(labels):
        shares = np.bincount(grades[labels == label], minlength=3)
        tables[:, label] = rng.multinomial(shares.sum(), shares / shares.sum(), RESAMPLES)
    ends = [LEVEL / 2, 1 - LEVEL / 2]
    return {metric.__name__: np.nanquantile(metric.of_counts(tables), ends) for metric in metrics.COUNT_METRICS}


def _ranks() -> dict[str, float]:
    """Both data sets rank three methods alike in one of six pairs of orders."""
    orders = np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]], float)
    tests = [significance.friedman(np.stack([orders[0], other]), higher_is_better=True) for other in orders]
    return {
        "Friedman’s F": float(np.mean([test.f > stats.f.isf(LEVEL, *test.df) for test in tests])),
        "permutations of ranks": float(np.mean([test.p_value < LEVEL for test in tests])),
    }
