"""Several raters beside the models: how near the average rater and each model are to the vote of the other raters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ordinal_blast.evaluation import left_out, raters, simultaneous
from ordinal_blast.evaluation.multireader import Comparison
from ordinal_blast.evaluation.raters import Others
from ordinal_blast.report import verdicts
from ordinal_blast.report.inference import Joint, Tested
from ordinal_blast.report.measures import LEVEL
from ordinal_blast.report.results import Group, Results, patients_in
from ordinal_blast.storage import digest
from ordinal_blast.types import RATERS

COLUMNS: tuple[str, ...] = (
    "stage",
    "task",
    "split",
    "ties",
    "variant",
    "human",
    "human_low",
    "human_high",
    "model",
    "model_low",
)
COLUMNS += ("model_high", "mean", "standard_error", "df", "low", "high", "p", "low_adjusted", "high_adjusted")
COLUMNS += ("p_adjusted", "comparisons", "basis", "seeds", "n", "units", "tied", "why")
HUMAN = "human"  # variant 0 of a comparison, and in its own words


@dataclasses.dataclass(frozen=True, eq=False)
class Annotated:
    """A stage on one task of a split that several raters graded: annotations int `[N, R]`, patients `[N]` or None.

    grades: int `[S, N]` of every variant, in the order of its `seeds`.
    """

    group: Group
    split: str
    annotations: np.ndarray
    patients: np.ndarray | None
    grades: dict[str, np.ndarray]

    def compared(self, variant: str, ties: str) -> Comparison:
        """The average rater, then the variant, at the votes of the other raters."""
        return left_out.compare(
            self.annotations,
            self.grades[variant][None],
            ties,
            num_classes=len(self.group.grades),
            cases=self.patients,
            confidence=LEVEL,
        )

    def others(self, ties: str) -> Others:
        """The votes of the other raters, example by example."""
        return raters.others(self.annotations, ties)  # type: ignore[arg-type]

    def units(self, chosen: np.ndarray) -> str:
        """A digest of the names of the chosen examples bool `[N]`, or of their patients; empty for fewer than two."""
        split = self.group.cells[0].record.models[self.group.stage].splits[self.split]
        names = np.unique((split.ids if self.patients is None else split.columns["group"])[chosen])
        return digest([str(name) for name in names]) if len(names) > 1 else ""


class _Row(NamedTuple):
    place: Annotated
    ties: str
    variant: str
    of: Others
    one: Comparison


def places(results: Results) -> Iterator[Annotated]:
    """Every stage and task of every split but train and val whose columns hold grades of several raters.

    Left out where cells differ in their examples, or fewer than two examples, or patients, have two raters.
    """
    for group in results.groups():
        splits = group.cells[0].record.models[group.stage].splits
        for name in (name for name in splits if name not in ("train", "val")):
            parts = [cell.record.models[group.stage].splits.get(name) for cell in group.cells]
            first, column = splits[name], RATERS + group.task
            if column not in first.columns or group.task not in first.tasks:
                continue
            if not all(part is not None and np.array_equal(part.ids, first.ids) for part in parts):
                continue
            patients = patients_in(first, np.ones(len(first.ids), bool))
            grades = {v: group.seeded(v, group.seeds[v], "grades", name) for v in group.variants}
            place = Annotated(group, name, first.columns[column], patients, grades)
            if place.units((place.annotations >= 0).sum(axis=1) > 1):
                yield place


def frame(results: Results) -> pd.DataFrame:
    """Raters and models at the vote of the other raters: one row per stage, task, split, rule for ties and variant.

    human and model are accuracies averaged over the `n` examples with a vote (Kragh et al., 2019, equations 4 and 5);
    mean is human minus model, over new examples and new seeds, not over new raters; adjusted over the variants and
    tasks of a stage, split and rule. tied: share of the left-out raters for whom the others' vote was tied.
    """
    families: dict[tuple[str, str, str], list[_Row]] = {}
    for place in places(results):
        for ties in raters.TIES:
            of = place.others(ties)
            if place.units(np.isfinite(of.human)):
                family = families.setdefault((place.group.stage, place.split, ties), [])
                family += [_Row(place, ties, variant, of, place.compared(variant, ties)) for variant in place.grades]
    rows = [row for family in families.values() for row in _rows(family)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(family: Sequence[_Row]) -> Iterator[dict[str, Any]]:
    tested = [_tested(row) for row in family]
    adjusted, size, _ = verdicts.adjust(tested)
    for (place, ties, variant, of, one), test, limits in zip(family, tested, adjusted, strict=True):
        human, model = one.mean(0, "examples"), one.mean(1)
        ends = [simultaneous.interval(mean, confidence=LEVEL, bounds=(0, 1)) for mean in (human, model)]
        yield {
            "stage": place.group.stage,
            "task": place.group.task,
            "split": place.split,
            "ties": ties,
            "variant": variant,
            "human": human.estimate,
            "human_low": ends[0][0],
            "human_high": ends[0][1],
            "model": model.estimate,
            "model_low": ends[1][0],
            "model_high": ends[1][1],
            **verdicts.difference(test, HUMAN, limits, size, (0.0, 1.0)),
            "basis": test.differences[HUMAN].basis,
            "seeds": one.seeds,
            "n": int(np.isfinite(of.human).sum()),
            "units": one.units,
            "tied": of.tied,
            "why": test.differences[HUMAN].degenerate,
        }


def _tested(row: _Row) -> Tested:
    """Human minus model; the rows of a comparison are the other way round, which no correlation knows of."""
    seeds = row.place.group.seeds[row.variant]
    joint = Joint((row.variant, HUMAN), seeds, row.one)
    units = row.place.units(np.isfinite(row.of.human))
    return Tested({HUMAN: row.one.difference(0, 1)}, {}, {HUMAN: seeds}, {}, (joint,), units)
