"""What is compared: cells that finished, the groups of them that answer one question, and what is asked of them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ordinal_blast.evaluation.validation import as_members
from ordinal_blast.record import Record, Split, TaskResult
from ordinal_blast.report import pairing
from ordinal_blast.storage import digest

PLACE = ("variant", "seed", "stage", "task", "split")
_NAMED = (*PLACE[:1], *PLACE[2:], "experiment", "reference", "objective", "rule", "measure", "question")
_WHOLE = ("seed", "seeds", "n", "num_classes", "label", "grade", "units", "comparisons")


@dataclasses.dataclass(frozen=True, eq=False)
class Cell:
    """One finished cell, under the names that it and its variant have in this study; every split is in order of ids."""

    name: str
    variant: str
    record: Record

    @property
    def seed(self) -> int:
        """The seed that it was trained with."""
        return self.record.seed

    @property
    def data(self) -> str:
        """The identity of the data that the cell was made of: examples, labels, groups."""
        return self.record.identity["data"]

    def tested(self, stage: str) -> Split:
        """The test split of a stage; one without tasks where the cell has no such stage."""
        model = self.record.models.get(stage)
        empty = Split("test", np.array([], str), {}, {})
        return model.splits.get("test", empty) if model else empty


def patients_in(split: Split, kept: np.ndarray) -> np.ndarray | None:
    """The patient or treatment `[N]` of each example of a split that is kept; None where each has its own."""
    if "group" not in split.columns or not kept.any():
        return None
    patients = as_members(split.columns["group"][kept], int(kept.sum()), "group")
    return patients if patients.max() + 1 < len(patients) else None


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one is other or np.array_equal(one, other)


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """One stage on one task: the level at which variants are compared. `grades` are named worst first.

    `rows` are its test rows and `cells` the cells they come from: not every variant need have every stage and task.
    planned: how many seeds each variant was to have.
    """

    stage: str
    task: str
    grades: tuple[str, ...]
    rows: pd.DataFrame
    cells: tuple[Cell, ...]
    planned: int

    def of(self, cell: Cell) -> TaskResult:
        """What the cell says of the test split, in the order of ids."""
        return cell.tested(self.stage).tasks[self.task]

    def seeded(self, variant: str, seeds: Sequence[int], field: str, split: str = "test") -> np.ndarray:
        """An array of `TaskResult` of the variant's cells with these seeds, `[S, N, ...]`."""
        cells = (self.by_seed[variant, seed] for seed in seeds)
        return np.stack(
            [getattr(cell.record.models[self.stage].splits[split].tasks[self.task], field) for cell in cells]
        )

    def ids(self, cell: Cell) -> np.ndarray:
        """The test examples `[N]`, in order."""
        return cell.tested(self.stage).ids

    @functools.cached_property
    def by_seed(self) -> dict[tuple[str, int], Cell]:
        """The cell of each variant and seed."""
        return {(cell.variant, cell.seed): cell for cell in self.cells}

    @functools.cached_property
    def same_examples(self) -> bool:
        """Whether every cell was tested on the same examples of the same data: only then may scores be compared.

        Hold-outs name their rows alike, and stratified ones even label them alike: the identity of the data tells.
        """
        if len({cell.data for cell in self.cells}) > 1:
            return False
        ids, labels = self.ids(self.cells[0]), self.of(self.cells[0]).labels
        return all(_equal(self.ids(cell), ids) and _equal(self.of(cell).labels, labels) for cell in self.cells[1:])

    @functools.cached_property
    def known(self) -> np.ndarray:
        """Which test examples of the first cell have a label, bool `[N]`."""
        return self.of(self.cells[0]).labels >= 0

    @functools.cached_property
    def patients(self) -> np.ndarray | None:
        """The patient or treatment of each test example with a label, int `[n]`; None where each has its own."""
        return patients_in(self.cells[0].tested(self.stage), self.known)

    @functools.cached_property
    def units(self) -> str:
        """A digest of the names of what is drawn: test examples with a label or, where they share them, patients."""
        split = self.cells[0].tested(self.stage)
        if self.patients is None:
            return digest(split.ids[self.known].tolist())
        first = np.unique(self.patients, return_index=True)[1]
        return digest([str(name) for name in split.columns["group"][self.known][first]])

    def within(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of a frame of the study that are of this stage and task."""
        return frame[(frame["stage"] == self.stage) & (frame["task"] == self.task)]

    @functools.cached_property
    def variants(self) -> tuple[str, ...]:
        """The variants compared here, in the order of the plan."""
        return tuple(dict.fromkeys(cell.variant for cell in self.cells))

    @functools.cached_property
    def seeds(self) -> dict[str, tuple[int, ...]]:
        """The seeds that each variant finished, ascending."""
        seeds: dict[str, list[int]] = {}
        for cell in self.cells:
            seeds.setdefault(cell.variant, []).append(cell.seed)
        return {variant: tuple(sorted(finished)) for variant, finished in seeds.items()}

    @functools.cached_property
    def common(self) -> tuple[int, ...]:
        """The seeds that every variant finished."""
        return pairing.common(self.seeds)

    @property
    def title(self) -> str:
        """For headings, such as `RNN · ICM`."""
        return f"{self.stage.upper()} · {self.task.upper()}"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Results:
    """The cells of one run directory, or of several that may stand in one table, and their scores.

    `failed` maps a cell to its error; `missing` lists cells without any outcome; `apart` says why other run directories
    of the same report stand in other chapters.
    """

    folders: tuple[Path, ...]
    plan: Mapping[str, Any]
    cells: tuple[Cell, ...]
    failed: Mapping[str, str]
    missing: tuple[str, ...]
    apart: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """The variant that all others are compared with."""
        return self.plan["reference"]

    @property
    def subject(self) -> str:
        """The variant that the question is about; empty where all are looked at alike."""
        return self.plan["subject"]

    @property
    def primary(self) -> tuple[tuple[str, str], ...]:
        """The measures that answer the question, as (measure, task); task "" stands for every task."""
        return tuple((measure, task) for measure, task in self.plan["primary"])

    @property
    def equivalence(self) -> float | None:
        """How large a difference of a primary measure may be and still not matter; None where none is declared."""
        return self.plan["equivalence"]

    @property
    def otherwise(self) -> dict[str, list[str]]:
        """What is asked otherwise than the ablation declared, by the option of `report` that asks it; mostly empty."""
        before = self.plan.get("declared", self.plan)
        words = {
            "reference": [self.reference],
            "subject": [self.subject] if self.subject else [],
            "primary": [f"{measure}:{task}" if task else measure for measure, task in self.primary],
            "equivalence": [f"{self.equivalence}"],
        }
        return {name: said for name, said in words.items() if self.plan[name] != before[name]}

    @property
    def families(self) -> dict[str, tuple[str, ...]]:
        """Variants that belong together, by the name of their family."""
        return {name: tuple(variants) for name, variants in self.plan["families"].items()}

    @functools.cached_property
    def variants(self) -> tuple[str, ...]:
        """Variants with a finished cell, in the order of the plan."""
        finished = {cell.variant for cell in self.cells}
        return tuple(variant for variant in self.plan["variants"] if variant in finished)

    @property
    def rivals(self) -> tuple[str, ...]:
        """The finished variants other than the reference."""
        return tuple(variant for variant in self.variants if variant != self.reference)

    @functools.cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds with a finished cell, ascending."""
        return tuple(sorted({cell.seed for cell in self.cells}))

    @functools.cached_property
    def stages(self) -> tuple[str, ...]:
        """Trained stages in the order that every cell has them in: the last one is the whole system."""
        orders = list(dict.fromkeys(tuple(cell.record.models) for cell in self.cells))
        left, placed = list(dict.fromkeys(name for order in orders for name in order)), []
        before = {name: {e for order in orders if name in order for e in order[: order.index(name)]} for name in left}
        while left:
            first = next((name for name in left if not before[name] & {*left}), left[0])
            placed.append(first)
            left.remove(first)
        return tuple(placed)

    def tasks(self, stage: str) -> tuple[str, ...]:
        """Tasks that `stage` was tested on."""
        return tuple(dict.fromkeys(name for cell in self.cells for name in cell.tested(stage).tasks))

    @functools.cached_property
    def _groups(self) -> tuple[Group, ...]:
        return tuple(self._group(stage, task) for stage in reversed(self.stages) for task in self.tasks(stage))

    def groups(self) -> list[Group]:
        """Every stage and task with test rows, the whole system first."""
        return list(self._groups)

    @property
    def scores(self) -> pd.DataFrame:
        """One row per cell, stage, task and split: one column per measure, NaN where it is undefined."""
        return self._scores.copy()

    @functools.cached_property
    def _scores(self) -> pd.DataFrame:
        rows = [
            {
                "experiment": cell.record.experiment,
                "cell": cell.name,
                "variant": cell.variant,
                "objective": cell.record.objective["name"],
                "rule": cell.record.objective["decides_by"],
                "seed": cell.seed,
                "stage": model.name,
                "task": result.task.name,
                "split": split.name,
                "n": result.n,
                "num_classes": result.task.num_classes,
                "loss": result.loss,
                **result.measures,
                "settings": cell.record.provenance["settings"],
            }
            for cell in self.cells
            for model, split, result in cell.record.results()
        ]
        return self.typed(pd.DataFrame(rows), ("experiment", "cell", "variant", "objective", "rule", *PLACE[1:]))

    def _group(self, stage: str, task: str) -> Group:
        rows = self._scores
        cells = tuple(cell for cell in self.cells if task in cell.tested(stage).tasks)
        return Group(
            stage,
            task,
            cells[-1].tested(stage).tasks[task].task.grades,
            rows[(rows["stage"] == stage) & (rows["task"] == task) & (rows["split"] == "test")],
            cells,
            len(self.plan["seeds"]),
        )

    def typed(self, frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
        """The frame with names as categories, in the order of the plan or of their appearance.

        columns: those that come first, and are there where there is no row.
        """
        frame = frame.reindex(columns=list(dict.fromkeys([*columns, *frame.columns])))
        order = {"variant": self.variants, "reference": self.plan["variants"], "stage": self.stages}
        types = {name: pd.CategoricalDtype(order.get(name, frame[name].unique())) for name in _NAMED if name in frame}
        return frame.astype(types | {name: np.int64 for name in _WHOLE if name in frame})
