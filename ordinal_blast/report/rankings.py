"""How well seed-averaged scores rank: ROC of "grade > k" and of outcome, compared by DeLong's test."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ordinal_blast.evaluation import roc
from ordinal_blast.report.results import Cell, Group, Study

TEST = "test"


@dataclasses.dataclass(frozen=True)
class Ranking:
    """One binary question of the test examples, `labels` bool `[N]`, and each variant's score `[N]` for it."""

    name: str
    labels: np.ndarray
    scores: dict[str, np.ndarray]
    clusters: int | None

    @property
    def clustered(self) -> bool:
        """Whether examples share patients or treatments, so that they are not independent."""
        return self.clusters is not None and self.clusters < len(self.labels)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """AUC of one variant; its difference to the reference, DeLong's p and Holm's (NaN for the reference itself)."""

    variant: str
    auc: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float


def same_examples(study: Study, model: str, task: str) -> bool:
    """Whether every cell was tested on the same examples with the same labels: only then may scores be averaged."""
    first, *others = [_ordered(cell, model, task) for cell in study.cells]
    return all(all(np.array_equal(a, b) for a, b in zip(first[:2], other[:2], strict=True)) for other in others)


def thresholds(study: Study, group: Group) -> list[Ranking]:
    """One ranking per boundary between grades, "grade > k", scored by the expected grade averaged over seeds."""
    if not same_examples(study, group.model, group.task):
        return []
    _, truth, _ = _ordered(study.cells[0], group.model, group.task)
    known = truth >= 0
    scores = _averaged(study, group.model, (group.task,))
    clusters = _clusters(study, group.model, group.task, known)
    return [
        _ranking(f"{group.task.upper()} > {grade}", truth > k, known, scores, clusters)
        for k, grade in enumerate(group.grades[:-1])
        if len(np.unique(truth[known] > k)) == 2
    ]


def outcome(study: Study, model: str) -> Ranking | None:
    """Fetal heartbeat ranked by the sum of the tasks' expected grades; None where no outcome of both kinds is known."""
    key = f"{model}/{TEST}/fetal_heartbeat"
    tasks = study.tasks(model)
    if not all(key in cell.predictions for cell in study.cells) or not all(
        same_examples(study, model, task) for task in tasks
    ):
        return None
    first = study.cells[0]
    heartbeat = first.predictions[key][_order(first, model, tasks[0])]
    known = heartbeat >= 0
    if len(np.unique(heartbeat[known])) != 2:
        return None
    name = f"fetal heartbeat, by {' + '.join(task.upper() for task in tasks)}"
    return _ranking(
        name, heartbeat == 1, known, _averaged(study, model, tasks), _clusters(study, model, tasks[0], known)
    )


def compare(ranking: Ranking, reference: str) -> list[Comparison]:
    """AUC of every variant, and DeLong's paired test against the reference with Holm's adjustment over variants."""
    tests = {
        variant: roc.delong_test(ranking.labels, scores, ranking.scores[reference])
        for variant, scores in ranking.scores.items()
        if reference in ranking.scores and variant != reference
    }
    adjusted = dict(zip(tests, holm(np.array([test.p_value for test in tests.values()])), strict=True))
    return [
        Comparison(
            variant,
            float(roc.auc(ranking.labels, scores)),
            *(
                (float(test.difference), *map(float, test.ci), float(test.p_value), float(adjusted[variant]))
                if (test := tests.get(variant))
                else (math.nan,) * 5
            ),
        )
        for variant, scores in ranking.scores.items()
    ]


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment (Holm, 1979): p_(i) becomes max over j <= i of min(1, (m − j + 1) p_(j))."""
    order = np.argsort(p_values)
    stepped = np.maximum.accumulate(np.minimum(1.0, np.arange(len(p_values), 0, -1) * p_values[order]))
    adjusted = np.empty_like(stepped)
    adjusted[order] = stepped
    return adjusted


def _order(cell: Cell, model: str, task: str) -> np.ndarray:
    return np.argsort(cell.predictions[f"{model}/{TEST}/{task}/ids"], kind="stable")


def _ordered(cell: Cell, model: str, task: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, labels and scores `[N]` of the test split, sorted by id."""
    order = _order(cell, model, task)
    ids, truth, scores = (cell.predictions[f"{model}/{TEST}/{task}/{key}"] for key in ("ids", "labels", "scores"))
    return ids[order], truth[order], scores[order]


def _averaged(study: Study, model: str, tasks: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Per variant, the mean over its seeds of the tasks' summed expected grades, float64 `[N]`, sorted by id."""
    return {
        variant: np.mean(
            [
                sum(_ordered(cell, model, task)[2].astype(np.float64) for task in tasks)
                for cell in study.cells
                if cell.variant == variant
            ],
            axis=0,
        )
        for variant in study.variants
    }


def _clusters(study: Study, model: str, task: str, known: np.ndarray) -> int | None:
    cell = study.cells[0]
    groups = cell.predictions.get(f"{model}/{TEST}/groups")
    return None if groups is None else len(np.unique(groups[_order(cell, model, task)][known]))


def _ranking(
    name: str, positive: np.ndarray, known: np.ndarray, scores: dict[str, np.ndarray], clusters: int | None
) -> Ranking:
    return Ranking(name, positive[known], {variant: values[known] for variant, values in scores.items()}, clusters)
