"""What is compared: cells that finished, and the groups of them that answer one question."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from ordinal_blast.record import Record, Split, TaskResult
from ordinal_blast.report import pairing


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

    def ids(self, cell: Cell) -> np.ndarray:
        """The test examples `[N]`, in order."""
        return cell.tested(self.stage).ids

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants compared here, in the order of the plan."""
        return tuple(dict.fromkeys(cell.variant for cell in self.cells))

    @property
    def seeds(self) -> dict[str, tuple[int, ...]]:
        """The seeds that each variant finished, ascending."""
        return {v: tuple(sorted(c.seed for c in self.cells if c.variant == v)) for v in self.variants}

    @property
    def common(self) -> tuple[int, ...]:
        """The seeds that every variant finished."""
        return pairing.common(self.seeds)

    @property
    def title(self) -> str:
        """For headings, such as `RNN · ICM`."""
        return f"{self.stage.upper()} · {self.task.upper()}"
