"""What scores are to rank: "grade > k", or any binary column of the test examples, with every variant's scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ordinal_blast.evaluation import roc
from ordinal_blast.evaluation.validation import count_units
from ordinal_blast.report import pairing
from ordinal_blast.report.results import Group, patients_in


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

    def curve(self, variant: str) -> tuple[np.ndarray, np.ndarray]:
        """False and true positive rates `[P]`: the mean of the ROC curves of the variant's seeds.

        The area under it is the mean of theirs.
        """
        curves = [roc.curve(self.labels, scores)[:2] for scores in self.scores[variant].values()]
        grid = np.unique(np.concatenate([fpr for fpr, _ in curves]))
        return np.repeat(grid, 2), np.mean([_sides(grid, *curve) for curve in curves], axis=0).T.ravel()


def thresholds(group: Group) -> list[Ranking]:
    """One ranking per boundary between grades, "grade > k", scored by the log odds of the expected grade.

    Empty where cells were tested on different examples; a boundary with fewer than two examples, or patients, on a side
    is left out.
    """
    if not group.same_examples:
        return []
    truth = group.of(group.cells[0]).labels
    scores = _summed([group], group.known)
    rankings = (
        ranking(boundary(group, grade), truth[group.known] > k, scores, group.patients, group.planned)
        for k, grade in enumerate(group.grades[:-1])
    )
    return [ranking for ranking in rankings if ranking]


def boundary(group: Group, grade: str) -> str:
    """The name of the question whether an example is above `grade`."""
    return f"{group.task.upper()} > {grade}"


def binary(groups: Sequence[Group], column: str, name: str) -> Ranking | None:
    """A column of the test split (1, 0, or −1 where it is not known) ranked by the sum of the scores of these groups.

    groups: tasks of one stage. A variant that learnt the column itself, as a task of that name, ranks by that score
    alone; variants without one of the other tasks are left out else. None where the column is missing or has fewer than
    two examples (or patients) of a kind, or where cells were tested on different examples.
    """
    graded, own = ([group for group in groups if (group.task == column) is of_it] for of_it in (False, True))
    first, *others = (group.cells[0].tested(group.stage) for group in groups)
    if (
        not all(column in cell.tested(group.stage).columns for group in groups for cell in group.cells)
        or not all(group.same_examples for group in groups)
        or not all(np.array_equal(first.ids, other.ids) for other in others)
    ):
        return None
    known = first.columns[column] >= 0
    scores = {variant: of_seeds for part in (graded, own) if part for variant, of_seeds in _summed(part, known).items()}
    summed = " + ".join(group.task.upper() for group in graded)
    return ranking(
        f"{name}, by {' or, where that is learnt, '.join(filter(None, (summed, 'its own score' * len(own))))}",
        first.columns[column][known] == 1,
        scores,
        patients_in(first, known),
        groups[0].planned,
    )


def units(patients: np.ndarray) -> str:
    """How many patients or treatments examples come from, in words."""
    number = int(patients.max()) + 1
    return f"{number:,} {'patient or treatment' if number == 1 else 'patients or treatments'}"


def ranking(
    name: str,
    labels: np.ndarray,
    scores: dict[str, dict[int, np.ndarray]],
    patients: np.ndarray | None,
    planned: int,
) -> Ranking | None:
    """A question with its scores; None where a side has fewer than two examples, or all of one patient."""
    independent = np.arange(len(labels)) if patients is None else patients
    if min(count_units(independent[side]) for side in (labels, ~labels)) < 2:
        return None
    return Ranking(name, labels, scores, patients, planned)


def _summed(groups: Sequence[Group], known: np.ndarray) -> dict[str, dict[int, np.ndarray]]:
    """The groups' scores of the known examples, summed, of every variant and seed that has all of them."""
    everywhere = [variant for variant in groups[0].variants if all(variant in group.variants for group in groups)]
    seeds = {variant: pairing.common({g.task: g.seeds[variant] for g in groups}) for variant in everywhere}
    return {
        variant: {seed: sum(_scores(group, variant, seed) for group in groups)[known] for seed in common}
        for variant, common in seeds.items()
        if common
    }


def _scores(group: Group, variant: str, seed: int) -> np.ndarray:
    """The variant's scores with one seed, float64 `[N]`."""
    return group.of(group.by_seed[variant, seed]).scores.astype(np.float64)


def _sides(grid: np.ndarray, fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """A ROC curve at false positive rates `[P]` that hold its own: below and above its step there, `[2, P]`."""
    rates, first = np.unique(fpr, return_index=True)
    last = np.append(first[1:], len(fpr)) - 1
    place = np.searchsorted(rates, grid, "right") - 1
    after = np.minimum(place + 1, len(rates) - 1)
    share = (grid - rates[place]) / np.where(after > place, rates[after] - rates[place], 1)
    between = tpr[last[place]] + share * (tpr[first[after]] - tpr[last[place]])
    return np.stack([np.where(share == 0, tpr[first[place]], between), between])
