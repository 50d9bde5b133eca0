"""What a study holds: its plan, its finished cells, and those that failed or are missing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ordinal_blast.report import pairing


@dataclasses.dataclass(frozen=True)
class Cell:
    """One finished cell: one variant trained with one seed; `predictions` by `{model}/{split}/{task}/{field}`."""

    name: str
    variant: str
    seed: int
    result: Mapping[str, Any]
    predictions: Mapping[str, np.ndarray]

    @property
    def data(self) -> str:
        """The identity of the data that the cell was made of: examples, labels, groups."""
        return self.result["identity"]["data"]

    def of_test(self, model: str, task: str, field: str) -> np.ndarray:
        """One array `[N, ...]` of the test split."""
        return self.predictions[f"{model}/test/{task}/{field}"]

    def tested(self, model: str, task: str) -> bool:
        """Whether this cell's `model` was tested on `task`."""
        return f"{model}/test/{task}/ids" in self.predictions


@dataclasses.dataclass(frozen=True)
class Group:
    """One model on one task: the level at which variants are compared. `grades` are named worst first.

    `rows` are its test rows and `cells` the cells they come from: not every variant need have every model and task.
    planned: how many seeds each variant was to have.
    """

    model: str
    task: str
    grades: tuple[str, ...]
    rows: pd.DataFrame
    cells: tuple[Cell, ...]
    planned: int

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
        return f"{self.model.upper()} · {self.task.upper()}"


@dataclasses.dataclass(frozen=True)
class Study:
    """One run directory, or several that may stand in one table.

    `failed` maps a cell to its error; `missing` lists cells without any outcome; `apart` says why other run directories
    of the same report stand in other chapters.
    """

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
    def variants(self) -> tuple[str, ...]:
        """Variants with a finished cell, in the order of the plan."""
        finished = {cell.variant for cell in self.cells}
        return tuple(variant for variant in self.plan["variants"] if variant in finished)

    @property
    def rivals(self) -> tuple[str, ...]:
        """The finished variants other than the reference."""
        return tuple(variant for variant in self.variants if variant != self.reference)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds with a finished cell, ascending."""
        return tuple(sorted({cell.seed for cell in self.cells}))

    @property
    def models(self) -> tuple[str, ...]:
        """Models in the order in which they were trained: the last one is the whole system."""
        return tuple(dict.fromkeys(row["model"] for cell in self.cells for row in cell.result["rows"]))

    def tasks(self, model: str) -> tuple[str, ...]:
        """Tasks that `model` was tested on."""
        return tuple(
            dict.fromkeys(
                row["task"]
                for cell in self.cells
                for row in cell.result["rows"]
                if row["model"] == model and row["split"] == "test"
            )
        )

    def groups(self) -> list[Group]:
        """Every model and task with test rows, the whole system first."""
        table = rows(self)
        names = {
            (row["model"], row["task"]): tuple(row["grades"]) for cell in self.cells for row in cell.result["rows"]
        }
        return [
            Group(
                model,
                task,
                names[model, task],
                table[(table["model"] == model) & (table["task"] == task) & (table["split"] == "test")],
                tuple(cell for cell in self.cells if cell.tested(model, task)),
                len(self.plan["seeds"]),
            )
            for model in reversed(self.models)
            for task in self.tasks(model)
        ]


def rows(*studies: Study) -> pd.DataFrame:
    """All result rows in long form, one per cell, model, task and split; one column per metric, NaN where undefined."""
    return pd.DataFrame(
        [
            {
                "experiment": cell.result["experiment"],
                "cell": cell.name,
                "variant": cell.variant,
                "objective": cell.result["objective"]["name"],
                "rule": cell.result["objective"]["decides_by"],
                "seed": cell.seed,
                "model": row["model"],
                "task": row["task"],
                "split": row["split"],
                "n": row["n"],
                "num_classes": row["num_classes"],
                "loss": _finite(row["loss"]),
                **{key: _finite(value) for key, value in row["metrics"].items()},
                "config_sha": cell.result["provenance"]["config_sha"],
            }
            for study in studies
            for cell in study.cells
            for row in cell.result["rows"]
        ]
    )


def _finite(value: float | None) -> float:
    """NaN for everything that is no number to compute with."""
    return float(value) if value is not None and math.isfinite(value) else math.nan
