"""How well scores averaged over seeds rank: ROC of "grade > k" and of outcome, compared by DeLong's test."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from ordinal_blast.evaluation import roc
from ordinal_blast.evaluation.multiplicity import holm
from ordinal_blast.evaluation.validation import as_members
from ordinal_blast.report import pairing
from ordinal_blast.report.results import Cell, Group


@dataclasses.dataclass(frozen=True)
class Ranking:
    """One binary question of the test examples, `labels` bool `[N]`, and each variant's score `[N]` for it per seed.

    clusters `[N]`: whom each example comes from, where several come from one patient or treatment, else None.
    planned: how many seeds each variant was to have.
    """

    name: str
    labels: np.ndarray
    scores: dict[str, dict[int, np.ndarray]]
    clusters: np.ndarray | None
    planned: int

    def paired(self, variant: str, reference: str) -> tuple[int, ...]:
        """The seeds that are averaged for a variant: those the reference finished too; its own where there are none."""
        common = pairing.common(self.scores, variant, reference) if reference in self.scores else ()
        return common or tuple(self.scores[variant])

    def average(self, variant: str, seeds: Sequence[int]) -> np.ndarray:
        """The variant's score averaged over these seeds, float64 `[N]`."""
        return np.mean([self.scores[variant][seed] for seed in seeds], axis=0, dtype=np.float64)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """AUC of one variant; its difference to the reference, DeLong's p and Holm's (NaN for the reference itself).

    All over the same seeds, those that both finished; NaN too where there are none. degenerate: empty, or why there is
    no test: the difference does not vary with the examples at all.
    """

    variant: str
    seeds: int
    auc: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    degenerate: str


def same_examples(group: Group) -> bool:
    """Whether every cell was tested on the same examples of the same data: only then may scores be averaged.

    Hold-outs name their rows alike, and stratified ones even label them alike: the identity of the data tells.
    """
    if len({cell.data for cell in group.cells}) > 1:
        return False
    first, *others = (by_id(cell, group.model, group.task, "ids", "labels") for cell in group.cells)
    return all(np.array_equal(a, b) for other in others for a, b in zip(first, other, strict=True))


def thresholds(group: Group) -> list[Ranking]:
    """One ranking per boundary between grades, "grade > k", scored by the log odds of the expected grade.

    Empty where cells were tested on different examples; a boundary with fewer than two examples, or patients, on a side
    is left out.
    """
    if not same_examples(group):
        return []
    (truth,) = by_id(group.cells[0], group.model, group.task, "labels")
    rankings = (
        _ranking(boundary(group, grade), truth > k, truth >= 0, [group]) for k, grade in enumerate(group.grades[:-1])
    )
    return [ranking for ranking in rankings if ranking]


def boundary(group: Group, grade: str) -> str:
    """The name of the question whether an example is above `grade`."""
    return f"{group.task.upper()} > {grade}"


def outcome(groups: Sequence[Group]) -> Ranking | None:
    """Fetal heartbeat ranked by the sum of the scores of one model's tasks.

    None where the outcome is not known, has fewer than two examples (or patients) of a kind, or where cells were tested
    on different examples. Variants without one of the tasks are left out.
    """
    model, first = groups[0].model, groups[0].cells[0]
    key = f"{model}/test/fetal_heartbeat"
    ids = [by_id(group.cells[0], model, group.task, "ids")[0] for group in groups]
    if (
        not all(key in cell.predictions for group in groups for cell in group.cells)
        or not all(map(same_examples, groups))
        or not all(np.array_equal(ids[0], other) for other in ids)
    ):
        return None
    heartbeat = first.predictions[key][_order(first, model, groups[0].task)]
    name = f"fetal heartbeat, by {' + '.join(group.task.upper() for group in groups)}"
    return _ranking(name, heartbeat == 1, heartbeat >= 0, groups)


def compare(ranking: Ranking, reference: str) -> list[Comparison]:
    """AUC of every variant, and DeLong's paired test against the reference with Holm's adjustment over variants.

    Scores are averaged over the seeds that variant and reference both finished: a mean over more seeds ranks better.
    Where examples are clustered it is Obuchowski's (1997) form of the test.
    """
    seeds = {variant: ranking.paired(variant, reference) for variant in ranking.scores}
    averages = {variant: ranking.average(variant, each) for variant, each in seeds.items()}
    tests = {
        variant: roc.delong_test(
            ranking.labels, averages[variant], ranking.average(reference, common), clusters=ranking.clusters
        )
        for variant in ranking.scores
        if variant != reference
        and reference in ranking.scores
        and (common := pairing.common(ranking.scores, variant, reference))
    }
    adjusted = dict(zip(tests, holm([test.p_value for test in tests.values()]), strict=True))
    return [
        Comparison(
            variant,
            len(seeds[variant]),
            float(roc.auc(ranking.labels, averages[variant])),
            *(
                (test.difference, *test.ci, test.p_value, float(adjusted[variant]), test.degenerate)
                if (test := tests.get(variant))
                else (*(math.nan,) * 5, "")
            ),
        )
        for variant in ranking.scores
    ]


def patients_of(group: Group, known: np.ndarray | None = None) -> np.ndarray | None:
    """The patient or treatment `[N]` of each known test example, sorted by id; None where each has its own.

    known: bool, by id; left out, the examples with a label.
    """
    cell = group.cells[0]
    names = cell.predictions.get(f"{group.model}/test/groups")
    if names is None:
        return None
    known = by_id(cell, group.model, group.task, "labels")[0] >= 0 if known is None else known
    patients = as_members(names[_order(cell, group.model, group.task)][known], int(known.sum()), "groups")
    return patients if len(patients) and patients.max() + 1 < len(patients) else None


def units(patients: np.ndarray) -> str:
    """How many patients or treatments examples come from, in words."""
    number = int(patients.max()) + 1
    return f"{number:,} {'patient or treatment' if number == 1 else 'patients or treatments'}"


def _order(cell: Cell, model: str, task: str) -> np.ndarray:
    return np.argsort(cell.of_test(model, task, "ids"), kind="stable")


def by_id(cell: Cell, model: str, task: str, *fields: str) -> list[np.ndarray]:
    """Fields `[N]` of the test split, sorted by id."""
    order = _order(cell, model, task)
    return [cell.of_test(model, task, field)[order] for field in fields]


def _ranking(name: str, positive: np.ndarray, known: np.ndarray, groups: Sequence[Group]) -> Ranking | None:
    """Known examples ranked by the groups' summed scores; None where a side has fewer than two, or of one patient."""
    labels = positive[known]
    clusters = patients_of(groups[0], known)
    independent = np.arange(len(labels)) if clusters is None else clusters
    if min(len(np.unique(independent[side])) for side in (labels, ~labels)) < 2:
        return None
    everywhere = [variant for variant in groups[0].variants if all(variant in group.variants for group in groups)]
    seeds = {variant: pairing.common({g.task: g.seeds[variant] for g in groups}) for variant in everywhere}
    scores = {
        variant: {seed: sum(_scores(group, variant, seed) for group in groups)[known] for seed in each}
        for variant, each in seeds.items()
        if each
    }
    return Ranking(name, labels, scores, clusters, groups[0].planned)


def _scores(group: Group, variant: str, seed: int) -> np.ndarray:
    """The variant's expected grade with one seed, float64 `[N]`, sorted by id."""
    cell = next(cell for cell in group.cells if (cell.variant, cell.seed) == (variant, seed))
    return by_id(cell, group.model, group.task, "scores")[0].astype(np.float64)
