"""How groups, such as treatments, are ranked inside: over seeds, beside the reference, and against what is known.

One example is picked of a group, the highest score. Where no two examples share a group, there is nothing to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from ordinal_blast.evaluation import agreement, cohorts, simultaneous
from ordinal_blast.evaluation.agreement import Agreement
from ordinal_blast.evaluation.validation import count_units
from ordinal_blast.report import pairing
from ordinal_blast.report.results import Group, Results

COLUMNS = ("stage", "task", "variant", "measure", "target", "estimate", "low", "high", "chance", "groups", "examples")
COLUMNS += ("seeds", "basis", "why")
FEW = 10  # groups with different labels below which an interval over them is too sure
_AGAINST = {"critical_errors": cohorts.critical_errors, "c_index": cohorts.c_index}
Row = dict[str, str | float | int]
Scores = Mapping[str, Mapping[int, np.ndarray]]


def frame(results: Results) -> pd.DataFrame:
    """One row per stage, task, variant and measure; empty where no two test examples share a group.

    task: one, or all of a stage by the sum of their scores, `icm + te`. measure: kendall_w, rank_correlation and top1,
    over seeds; top1_reference, of a seed and another seed of the reference; critical_errors and c_index, against the
    target: the grade of the task, or a binary column. low and high: 95 %, of new groups with these seeds ("examples")
    or of both. chance: what picks at random have. groups and examples: what it rests on. why: there is no interval.
    """
    rows = []
    for stage in reversed(results.stages):
        groups = [group for group in results.groups() if group.stage == stage]
        for chosen in [[group] for group in groups] + [groups] * (len(groups) > 1):
            rows += _rows(results, chosen)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def joined(groups: Sequence[Group]) -> str:
    """The name of all tasks of a stage together."""
    return " + ".join(group.task for group in groups)


def summed(groups: Sequence[Group]) -> dict[str, dict[int, np.ndarray]]:
    """The scores `[N]` of every variant and seed that has all these tasks of a stage, summed over them."""
    sums: dict[str, dict[int, np.ndarray]] = {}
    for cell in groups[0].cells:
        if all(cell in group.cells for group in groups):
            parts = [group.of(cell).scores.astype(np.float64) for group in groups]
            sums.setdefault(cell.variant, {})[cell.seed] = np.sum(parts, axis=0)
    return sums


def _rows(results: Results, groups: Sequence[Group]) -> Iterator[Row]:
    first = groups[0]
    split = first.cells[0].tested(first.stage)
    members = np.unique(split.columns.get("group", split.ids), return_inverse=True)[1]
    alike = all(group.same_examples for group in groups) and all(
        np.array_equal(split.ids, one.ids(one.cells[0])) for one in groups
    )
    if not alike or members.max() + 1 == len(members):
        return
    targets = {first.task: first.of(first.cells[0]).labels} if len(groups) == 1 else {}
    targets |= {name: column for name, column in split.columns.items() if _binary(column)}
    scores = summed(groups)
    for variant, by_seed in scores.items():
        place: Row = {"stage": first.stage, "task": joined(groups), "variant": variant, "seeds": len(by_seed)}
        for measure, value in _over_seeds(scores, variant, results.reference, members):
            yield place | {"measure": measure, "target": "", **_fields(value)}
        for target, labels in targets.items():
            for row in _against(labels, np.stack(list(by_seed.values())), members):
                yield place | {"target": target, **row}


def _over_seeds(scores: Scores, variant: str, reference: str, members: np.ndarray) -> Iterator[tuple[str, Agreement]]:
    """What needs no label: agreement over seeds, and with other seeds of the reference."""
    rows = np.stack(list(scores[variant].values()))
    if len(rows) > 1:
        if any(cohorts.contrasting(row, members).any() for row in rows):  # one that scores all alike ranks nothing
            yield "kendall_w", agreement.kendalls_w(rows, members)
            yield "rank_correlation", agreement.rank_correlation(rows, members)
        yield "top1", agreement.top_agreement(rows, members)
    if variant != reference and reference in scores:
        common = pairing.common({name: tuple(scores[name]) for name in (variant, reference)})
        if len(common) > 1:
            mine, theirs = (np.stack([scores[name][seed] for seed in common]) for name in (variant, reference))
            yield "top1_reference", agreement.top_agreement(mine, members, theirs)


def _fields(of: Agreement) -> Row:
    limits: Row = {"estimate": of.estimate, "low": of.ci[0], "high": of.ci[1], "chance": of.chance}
    return limits | {"groups": of.groups, "examples": of.examples, "basis": of.basis, "why": of.degenerate}


def _against(labels: np.ndarray, scores: np.ndarray, members: np.ndarray) -> Iterator[Row]:
    """Critical errors and c-index of scores `[S, N]`; nothing where fewer than two groups have different labels."""
    known = labels >= 0
    labels, scores, members = labels[known], scores[None, :, known], members[known]
    inside = members[cohorts.contrasting(labels, members)] if len(labels) else members
    count = count_units(inside)
    if count < 2:
        return
    for measure, of in _AGAINST.items():
        mean = of(labels, scores, members).mean(0)
        (chance,) = of(labels, np.zeros((1, 1, len(labels))), members).values.flat  # scores that are all alike
        low, high = simultaneous.interval(mean, bounds=(0, 1)) if count >= FEW else (math.nan, math.nan)
        why = mean.degenerate if count >= FEW else "too few for an interval"
        limits: Row = {"estimate": mean.estimate, "low": low, "high": high, "chance": float(chance)}
        rests: Row = {"groups": count, "examples": len(inside), "basis": mean.basis, "why": why}
        yield {"measure": measure, **limits, **rests}


def _binary(column: np.ndarray) -> bool:
    """Whether a column is an outcome: 1 and 0, and −1 where it is not known."""
    return column.dtype.kind in "iu" and {0, 1} <= set(np.unique(column).tolist()) <= {-1, 0, 1}
