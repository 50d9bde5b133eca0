"""What a run directory holds: its plan, its finished cells, and those that failed or are missing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ordinal_blast.storage import read_json

SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Cell:
    """One finished cell: one variant trained with one seed; `predictions` by `{model}/{split}/{task}/{field}`."""

    name: str
    variant: str
    seed: int
    result: Mapping[str, Any]
    predictions: Mapping[str, np.ndarray]

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
    """

    model: str
    task: str
    grades: tuple[str, ...]
    rows: pd.DataFrame
    cells: tuple[Cell, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants compared here, in the order of the plan."""
        return tuple(dict.fromkeys(cell.variant for cell in self.cells))

    @property
    def title(self) -> str:
        """For headings, such as `RNN · ICM`."""
        return f"{self.model.upper()} · {self.task.upper()}"


@dataclasses.dataclass(frozen=True)
class Study:
    """One run directory. `failed` maps a cell to its error; `missing` lists cells without any outcome."""

    plan: Mapping[str, Any]
    cells: tuple[Cell, ...]
    failed: Mapping[str, str]
    missing: tuple[str, ...]

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
            )
            for model in reversed(self.models)
            for task in self.tasks(model)
        ]


def load(run_dir: Path) -> Study:
    """Read a run directory as its runner left it, finished or not.

    Raises:
        FileNotFoundError: no `plan.json`, or a finished cell without its predictions.
        ValueError: a file of another schema.
    """
    run_dir = Path(run_dir)
    path = run_dir / "plan.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: give the work directory of `ordinal-blast ablate` or `train`")
    plan = _read(path)
    cells, failed, missing = [], {}, []
    for name in plan["cells"]:
        folder = run_dir / "cells" / name
        if (folder / "result.json").is_file():
            cells.append(_cell(folder, name))
        elif (folder / "error.txt").is_file():
            failed[name] = (folder / "error.txt").read_text(encoding="utf-8", errors="replace").strip()
        else:
            missing.append(name)
    order = {variant: position for position, variant in enumerate(plan["variants"])}
    unplanned = sorted({cell.variant for cell in cells} - set(order))
    if unplanned:
        raise ValueError(f"{path} does not list the variants {unplanned} found in cells/: plan and cells disagree")
    cells.sort(key=lambda cell: (order[cell.variant], cell.seed, cell.name))
    return Study(plan, tuple(cells), failed, tuple(missing))


def rows(study: Study) -> pd.DataFrame:
    """All result rows in long form, one per cell, model, task and split; one column per metric."""
    return pd.DataFrame(
        [
            {
                "experiment": cell.result["experiment"],
                "cell": cell.name,
                "variant": cell.variant,
                "objective": cell.result["objective"]["name"],
                "rule": cell.result["objective"]["rule"],
                "seed": cell.seed,
                "model": row["model"],
                "task": row["task"],
                "split": row["split"],
                "n": row["n"],
                "num_classes": row["num_classes"],
                "loss": row["loss"],
                **{key: np.nan if value is None else float(value) for key, value in row["metrics"].items()},
                "config_sha": cell.result["provenance"]["config_sha"],
            }
            for cell in study.cells
            for row in cell.result["rows"]
        ]
    )


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if content.get("schema") != SCHEMA:
        raise ValueError(f"{path} has schema {content.get('schema')}, this version reads {SCHEMA}: run the cell again")
    return content


def _cell(folder: Path, name: str) -> Cell:
    result = _read(folder / "result.json")
    path = folder / "predictions.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing although the cell is finished: run the cell again")
    with np.load(path, allow_pickle=False) as archive:
        predictions = {key: archive[key] for key in archive.files}
    return Cell(name, result["variant"], int(result["seed"]), result, predictions)
