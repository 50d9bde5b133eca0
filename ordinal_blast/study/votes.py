"""What is learnt of examples that several raters graded: their vote, the distribution of votes, a model of the raters.

The grades of a task are the column `rater_TASK`, int `[N, R]`, -1 where a rater gave none. Only training and the choice
of an epoch see them: every variant is measured against the labels of the data set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from ordinal_blast.data.batches import Examples
from ordinal_blast.errors import UsageError
from ordinal_blast.evaluation import rater_model, raters
from ordinal_blast.study import decisions
from ordinal_blast.study.recipe import Work
from ordinal_blast.types import RATERS

SOFT = ("distribution", "raters")  # kinds that are learnt as distributions over grades


def check(work: Work) -> None:
    """Raise UsageError where there are no votes to learn from, or a loss that takes no distributions of them."""
    kind, material = work.goal.learns_from, work.material
    for task, objective in work.bound.items() if kind != "labels" else ():
        votes = material.dataset.columns.get(f"{RATERS}{task}")
        several = votes is not None and (np.asarray(votes[material.splits["train"]]) >= 0).sum(axis=1) > 1
        if not np.any(several):
            raise UsageError(
                f"learns_from is {kind}, and no training example of {material.dataset.name} has grades of {task} by "
                f"several raters (a column {RATERS}{task}): learn from labels"
            )
        if kind in SOFT and not objective.spec.soft_labels:
            raise UsageError(
                f"learns_from is {kind}, and {objective.name} takes grades alone, no distributions: learn from majority"
            )


def taught(examples: Mapping[str, Examples], work: Work) -> Mapping[str, Examples]:
    """The training and validation examples with what is learnt as their labels, int `[N]` or float32 `[N, K]`.

    Examples that nobody graded beside their label keep it. A model of raters is fitted to the training set alone.
    """
    kind, material = work.goal.learns_from, work.material
    if kind == "labels":
        return examples
    labels: dict[str, dict[str, np.ndarray]] = {"train": {}, "val": {}}
    weights: dict[str, dict[str, np.ndarray]] = {"train": {}, "val": {}}
    for task in material.tasks:
        name, count = task.name, task.num_classes
        column = material.dataset.columns[f"{RATERS}{name}"]
        votes = {split: np.asarray(column[material.splits[split]]) for split in labels}
        model = rater_model.fit(votes["train"], count) if kind == "raters" else None
        by_grade = decisions.class_weights(work.goal.class_weights, material, task)
        for split in labels:
            shares = _shares(votes[split], count, kind, model)
            voted = (votes[split] >= 0).any(axis=1, keepdims=True)
            learnt = np.where(voted, shares, examples[split].labels[name][:, None] == np.arange(count))
            weights[split][name] = (learnt @ by_grade).astype(np.float32)
            hard = np.where(learnt.any(axis=1), learnt.argmax(axis=1), -1).astype(np.int32)
            labels[split][name] = learnt.astype(np.float32) if kind in SOFT else hard
    return {
        split: dataclasses.replace(examples[split], labels=labels[split], weights=weights[split]) for split in labels
    }


def _shares(votes: np.ndarray, num_classes: int, kind: str, model: rater_model.RaterModel | None) -> np.ndarray:
    """What votes `[N, R]` teach, a distribution over grades `[N, K]`."""
    if model is not None:
        return model.grades(votes)
    grades = np.arange(num_classes)
    if kind == "majority":
        return (raters.vote(votes, "median")[:, None] == grades).astype(np.float64)
    counts = (votes[:, :, None] == grades).sum(axis=1)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
