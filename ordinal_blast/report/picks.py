"""Would the model pick the same one twice, and the right one? How groups, such as treatments, are ranked inside.

One is picked of a group, the highest score. What is compared are the rankings of a group over seeds, with those of the
reference, and with the grades or a binary outcome. Where no two examples share a group, there is nothing to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from ordinal_blast.evaluation import agreement, cohorts
from ordinal_blast.evaluation.agreement import Agreement
from ordinal_blast.report import pairing
from ordinal_blast.report.blocks import Block, Entry, Line, Part, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import MISSING, count, extent, interval, listed, number, quoted
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.rankings import same_examples
from ordinal_blast.report.results import Group

COLUMNS = ("stage", "task", "variant", "measure", "target", "estimate", "low", "high", "chance")
COLUMNS += ("groups", "examples", "seeds", "basis", "why")
HEADINGS = {
    "kendall_w": "Kendall’s W over seeds ↑",
    "rank_correlation": "Rank correlation of two seeds ↑",
    "top1": "Two seeds pick the same ↑",
    "top1_reference": "Picks as a seed of the reference",
    "critical_errors": "Picks the lowest {target} though a higher is there ↓",
    "c_index": "Right order by {target}, of pairs ↑",
}
Row = dict[str, str | float | int]


def frame(study: Study) -> pd.DataFrame:
    """One row per stage, task, variant and measure; empty where no two test examples share a group.

    task: one, or all of a stage (`icm + te`) by the sum of their scores. measure: kendall_w, rank_correlation and top1
    over seeds; top1_reference, of a seed and another one of the reference; critical_errors and c_index against the
    target, the grade of the task or a binary column. low and high: 95 %, of groups drawn anew, and of seeds too where
    basis says so. chance: what picks at random have. groups and examples: those that it rests on.
    """
    stages = {stage: [group for group in study.groups() if group.stage == stage] for stage in reversed(study.stages)}
    together = [groups for groups in stages.values() if len(groups) > 1]
    rows = [row for groups in (*([g] for g in study.groups()), *together) for row in _rows(study, groups)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def blocks(study: Study, group: Group, studio: Studio) -> list[Block]:
    """How one task ranks within groups: a sentence and a table; nothing where there are no groups."""
    return _blocks(study, group.stage, group.task, studio, "group", "example")


def together(study: Study, stage: str, studio: Studio, group: str, example: str) -> list[Block]:
    """The same of the sum of the scores of all tasks of a stage; group and example: what they are called."""
    groups = [one for one in study.groups() if one.stage == stage]
    return _blocks(study, stage, _joined(groups), studio, group, example) if len(groups) > 1 else []


def _joined(groups: Sequence[Group]) -> str:
    return " + ".join(group.task for group in groups)


def _rows(study: Study, groups: Sequence[Group]) -> Iterator[Row]:
    first = groups[0]
    split = first.cells[0].tested(first.stage)
    members = split.columns.get("group")
    if members is None or len(np.unique(members)) == len(members) or not all(map(same_examples, groups)):
        return
    if any(not np.array_equal(split.ids, group.ids(group.cells[0])) for group in groups):
        return
    scores = _scores(groups)
    targets = {name: column for name, column in split.columns.items() if _binary(column)}
    if len(groups) == 1:
        targets = {first.task: first.of(first.cells[0]).labels, **targets}
    for variant, by_seed in scores.items():
        place: Row = {"stage": first.stage, "task": _joined(groups), "variant": variant, "seeds": len(by_seed)}
        stacked = np.stack(list(by_seed.values()))
        for measure, value in _agreements(study, scores, variant, members):
            yield place | {"measure": measure, "target": "", **_of(value)}
        for target, labels in targets.items():
            known = labels >= 0
            telling = cohorts.contrasting(labels[known], members[known])
            inside = members[known][telling]
            if len(np.unique(inside)) < 2:
                continue
            rests_on: Row = {"target": target, "groups": len(np.unique(inside)), "examples": len(inside)}
            for measure, of in (("critical_errors", cohorts.critical_errors), ("c_index", cohorts.c_index)):
                mean = of(labels[known], stacked[None][..., known], members[known]).mean(0)
                chance = of(labels[known], np.zeros((1, 1, int(known.sum()))), members[known]).values
                low, high = np.clip(mean.ci, 0, 1)
                limits: Row = {"estimate": mean.estimate, "low": low, "high": high, "chance": float(chance[0, 0])}
                yield place | {"measure": measure, **rests_on, **limits, "basis": mean.basis, "why": mean.degenerate}


def _agreements(
    study: Study, scores: dict[str, dict[int, np.ndarray]], variant: str, members: np.ndarray
) -> Iterator[tuple[str, Agreement]]:
    """What needs no label: agreement over seeds, and with the reference."""
    stacked = np.stack(list(scores[variant].values()))
    if len(stacked) > 1:
        if np.ptp(stacked, axis=1).any():
            yield "kendall_w", agreement.kendalls_w(stacked, members)
            yield "rank_correlation", agreement.rank_correlation(stacked, members)
        yield "top1", agreement.top_agreement(stacked, members)
    if variant == study.reference or study.reference not in scores:
        return
    seeds = pairing.common({name: tuple(by_seed) for name, by_seed in scores.items()}, variant, study.reference)
    if len(seeds) > 1:
        mine, theirs = (np.stack([scores[name][seed] for seed in seeds]) for name in (variant, study.reference))
        yield "top1_reference", agreement.top_agreement(mine, members, theirs)


def _of(value: Agreement) -> Row:
    return {
        "estimate": value.estimate,
        "low": value.ci[0],
        "high": value.ci[1],
        "chance": value.chance,
        "groups": value.groups,
        "examples": value.examples,
        "basis": value.basis,
        "why": value.degenerate,
    }


def _scores(groups: Sequence[Group]) -> dict[str, dict[int, np.ndarray]]:
    """The summed scores `[N]` of every variant and seed that has all the groups."""
    sums: dict[str, dict[int, np.ndarray]] = {}
    for cell in groups[0].cells:
        if all(cell in group.cells for group in groups):
            parts = [group.of(cell).scores.astype(np.float64) for group in groups]
            sums.setdefault(cell.variant, {})[cell.seed] = np.sum(parts, axis=0)
    return sums


def _binary(column: np.ndarray) -> bool:
    """Whether a column is an outcome: 1 and 0, and −1 where it is not known."""
    return column.dtype.kind in "iu" and {0, 1} <= set(np.unique(column).tolist()) <= {-1, 0, 1}


def _blocks(study: Study, stage: str, task: str, studio: Studio, group: str, example: str) -> list[Block]:
    rows = study.agreement
    rows = rows[(rows["stage"] == stage) & (rows["task"] == task)]
    if not len(rows):
        return []
    same = _alike(study, stage, task)
    rows = rows[~rows["variant"].isin(list(same))]
    blocks: list[Block] = [Text(_sentence(study, rows, group, example))] if "top1" in set(rows["measure"]) else []
    blocks.append(_table(study, rows, studio, task, group, example))
    blocks += [
        Text(f"{quoted(variant)} has the scores of {quoted(other)}, and so its picks.", note=True)
        for variant, other in same.items()
    ]
    return [Part(f"Would it pick the same {example} twice?", blocks)]


def _alike(study: Study, stage: str, task: str) -> dict[str, str]:
    """Variants whose scores are those of an earlier one, as where they differ in their decision alone."""
    groups = [group for group in study.groups() if group.stage == stage]
    scores = _scores([group for group in groups if group.task == task] or groups)
    order = sorted(scores, key=lambda variant: variant != study.reference)
    same: dict[str, str] = {}
    for position, variant in enumerate(order):
        for other in order[:position]:
            if other not in same and scores[variant].keys() == scores[other].keys():
                if all(np.array_equal(row, scores[other][seed]) for seed, row in scores[variant].items()):
                    same[variant] = other
    return same


def _sentence(study: Study, rows: pd.DataFrame, group: str, example: str) -> str:
    """What another seed does to the pick of the reference, with its interval."""
    names = list(dict.fromkeys(rows["variant"]))
    variant = study.reference if study.reference in names else names[0]
    of = rows[(rows["measure"] == "top1") & (rows["variant"] == variant)].iloc[0]
    covers = "" if math.isnan(of["low"]) else f", 95 % interval {interval(of['low'], of['high'], sign=False)}"
    return (
        f"Two seeds of {quoted(variant)} pick the same {example} of a {group} {of['estimate']:.0%} of the time{covers}; "
        f"picks at random would {of['chance']:.0%}. "
    )


def _table(study: Study, rows: pd.DataFrame, studio: Studio, task: str, group: str, example: str) -> Table:
    kinds = [kind for kind in HEADINGS for _ in [0] if kind in set(rows["measure"])]
    columns = [
        (kind, target) for kind in kinds for target in dict.fromkeys(rows.loc[rows["measure"] == kind, "target"])
    ]
    values = {(row.variant, row.measure, row.target): row for row in rows.itertuples()}

    def entry(variant: str, kind: str, target: str) -> Entry:
        row = values.get((variant, kind, target))
        if row is None:
            return Entry("reference" if kind == "top1_reference" and variant == study.reference else MISSING)
        return Entry(number(row.estimate), row.why or interval(row.low, row.high, sign=False))

    variants = list(dict.fromkeys(rows["variant"]))
    lines = {variant: [entry(variant, *column) for column in columns] for variant in variants}
    first = {column: next(values[v, *column] for v in variants if (v, *column) in values) for column in columns}
    chance = Line("at random", [Entry(number(row.chance)) for row in first.values()], aside=True)
    headings = [HEADINGS[kind].format(target=_named(target, task)) for kind, target in columns]
    return studio.table(_caption(rows, task, group, example), headings, lines, chance)


def _named(target: str, task: str) -> str:
    return "grade" if target == task else target.replace("_", " ")


def _caption(rows: pd.DataFrame, task: str, group: str, example: str) -> str:
    seeds = extent(rows["seeds"])
    of = rows.drop_duplicates("target").set_index("target")
    rests_on = [
        f"{count(row['groups'], group)} with {row['examples']:,} {example}s"
        if not target
        else f"for {_named(target, task)} {count(row['groups'], group)} in which it differs"
        for target, row in of.iterrows()
    ]
    covers = {
        "seeds and examples": f"{group}s and seeds drawn anew",
        "examples": f"{group}s drawn anew, with these seeds",
    }
    by_basis = rows.drop_duplicates(["measure", "basis"]).groupby("basis", sort=False)["measure"].agg(list)
    if len(by_basis) == 1:
        limits = covers[by_basis.index[0]]
    else:
        limits = f"{covers['examples']}, for agreement; {covers['seeds and examples']}, for {example}s in order"
    return (
        f"Within {group}s of two {example}s or more, by the score of {task.upper()}; {seeds} "
        f"{'seed' if seeds == '1' else 'seeds'}; {'; '.join(rests_on)}. 95 % intervals, not adjusted, of {limits}. "
        "W of few seeds is high by chance, the correlation is not."
    )
