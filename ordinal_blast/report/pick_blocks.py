"""How groups are ranked inside, on the page: would it pick the same one twice?"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from ordinal_blast.report import picks
from ordinal_blast.report.blocks import Block, Entry, Line, Part, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import MISSING, count, extent, interval, number, quoted
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.results import Group

HEADINGS = {
    "top1": "Same pick twice ↑",
    "top1_reference": "As the reference",
    "kendall_w": "Kendall’s W ↑",
    "critical_errors": "Lowest {target} ↓",
    "c_index": "Pairs by {target} ↑",
}


def blocks(study: Study, group: Group, studio: Studio) -> list[Block]:
    """How one task ranks within groups; nothing where no two test examples share a group."""
    return _blocks(study, [group], studio, "group", "example", "Would it pick the same one twice?")


def together(study: Study, stage: str, studio: Studio, group: str, example: str) -> list[Block]:
    """The same by the sum of the scores of all tasks of a stage; group and example: what they are called."""
    groups = [one for one in study.groups() if one.stage == stage]
    title = f"{stage.upper()}: would it pick the same {example} twice?"
    return _blocks(study, groups, studio, group, example, title) if len(groups) > 1 else []


def _blocks(study: Study, groups: list[Group], studio: Studio, group: str, example: str, title: str) -> list[Block]:
    rows, task = study.agreement, picks.joined(groups)
    rows = rows[(rows["stage"] == groups[0].stage) & (rows["task"] == task)]
    if not len(rows):
        return []
    same = _same(study, groups)
    rows = rows[~rows["variant"].isin(list(same))]
    few = rows["groups"] < picks.FEW
    scarce, rows = rows[few & (rows["target"] != "")].drop_duplicates("target"), rows[~few | (rows["target"] == "")]
    if not len(rows):
        return []
    shown: list[Block] = [Text(_sentence(study, rows, group, example))] if (rows["measure"] == "top1").any() else []
    shown.append(_table(study, rows, studio, task, group, example))
    if notes := _notes(rows, example):
        shown.append(Text(notes, note=True))
    shown += [
        Text(f"{quoted(variant)} has the scores of {quoted(other)}, and so its picks.", note=True)
        for variant, other in same.items()
    ]
    shown += [
        Text(f"{_named(row.target, task).capitalize()} differs in {count(row.groups, group)}: too few.", note=True)
        for row in scarce.itertuples()
    ]
    return [Part(title, shown)]


def _same(study: Study, groups: list[Group]) -> dict[str, str]:
    """Variants with the very scores of another, the reference first: those that differ in their decision alone."""
    scores = picks.summed(groups)
    kept: list[str] = []
    same: dict[str, str] = {}
    for variant in sorted(scores, key=lambda name: name != study.reference):
        rows = scores[variant]
        twins = (v for v in kept if scores[v].keys() == rows.keys() and _equal(scores[v], rows))
        if twin := next(twins, None):
            same[variant] = twin
        else:
            kept.append(variant)
    return same


def _equal(one: dict[int, np.ndarray], other: dict[int, np.ndarray]) -> bool:
    return all(np.array_equal(one[seed], other[seed]) for seed in one)


def _sentence(study: Study, rows: pd.DataFrame, group: str, example: str) -> str:
    """What another seed does to the picks of the subject, or the reference, with its interval."""
    top = rows[rows["measure"] == "top1"].set_index("variant")
    variant = next((name for name in (study.subject, study.reference) if name in top.index), top.index[0])
    of = top.loc[variant]
    covers = "" if math.isnan(of["low"]) else f" (95 % interval {_percent(of['low'])} to {_percent(of['high'])})"
    return (
        f"Two seeds of {quoted(variant)} pick the same {example} of a {group} in {_percent(of['estimate'])} of "
        f"{count(of['groups'], group)}{covers}; picks at random would in {_percent(of['chance'])}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _table(study: Study, rows: pd.DataFrame, studio: Studio, task: str, group: str, example: str) -> Table:
    values = {(row.variant, row.measure, row.target): row for row in rows.itertuples()}
    variants = [variant for variant in study.variants if variant in set(rows["variant"])]
    columns = [
        (measure, target) for measure in HEADINGS for target in rows.loc[rows["measure"] == measure, "target"].unique()
    ]

    def entry(variant: str, measure: str, target: str) -> Entry:
        row = values.get((variant, measure, target))
        if row is None:
            return Entry("reference" if (measure, variant) == ("top1_reference", study.reference) else MISSING)
        return Entry(number(row.estimate), row.why or interval(row.low, row.high, sign=False))

    lines = {variant: [entry(variant, *column) for column in columns] for variant in variants}
    first = [next(values[v, *column] for v in variants if (v, *column) in values) for column in columns]
    chance = Line("at random", [Entry(number(row.chance)) for row in first], aside=True)
    headings = [HEADINGS[measure].format(target=_named(target, task)) for measure, target in columns]
    return studio.table(_caption(rows, task, group, example), headings, lines, chance)


def _caption(rows: pd.DataFrame, task: str, group: str, example: str) -> str:
    seeds = extent(rows["seeds"])
    parts = [f"Within {group}s, by the score of {task.upper()}; {seeds} {'seed' if seeds == '1' else 'seeds'}"]
    for row in rows.drop_duplicates("target").itertuples():
        if row.target:
            parts.append(f"{count(row.groups, group)} with different {_named(row.target, task)}s")
        else:
            parts.append(f"{count(row.groups, group)} of two {example}s or more, {row.examples:,} {example}s")
    return f"{'; '.join(parts)}. {_covers(rows, group)}"


def _covers(rows: pd.DataFrame, group: str) -> str:
    """What the intervals allow for."""
    words = {"seeds and examples": f"new seeds and new {group}s", "examples": f"new {group}s with these seeds"}
    over_seeds, others = (rows[chosen]["basis"].unique() for chosen in (rows["target"] == "", rows["target"] != ""))
    kinds = [(words[basis[0]], of) for basis, of in ((over_seeds, "agreement"), (others, "the rest")) if len(basis)]
    if len({covered for covered, _ in kinds}) == 1:
        return f"95 % intervals, not adjusted, allow for {kinds[0][0]}."
    return f"95 % intervals, not adjusted, allow for {' and '.join(f'{what} ({of})' for what, of in kinds)}."


def _notes(rows: pd.DataFrame, example: str) -> str:
    """What a reader might take wrongly."""
    measures, seeds = set(rows["measure"]), rows["seeds"].min()
    notes = f"W is {1 / seeds:.2g} by chance with {seeds} seeds." if "kendall_w" in measures else ""
    if "top1_reference" in measures:
        notes += " As the reference: one seed picks the same as another seed of the reference."
    if "critical_errors" in measures:
        notes += f" Lowest: the {example} picked has the lowest value, although a higher is there."
    if "c_index" in measures:
        notes += " Pairs: share of those with different values that scores put in order."
    return notes.strip()


def _named(target: str, task: str) -> str:
    return "grade" if target == task else target.replace("_", " ")
