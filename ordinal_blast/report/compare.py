"""One study as pandas frames: what the page is made from, and what a notebook asks for."""

from __future__ import annotations

import dataclasses
import functools
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ordinal_blast.errors import UsageError
from ordinal_blast.record import Split, TaskResult
from ordinal_blast.report import measures
from ordinal_blast.report.results import Cell, Group

_NAMED = ("experiment", "variant", "reference", "objective", "rule", "stage", "task", "split", "measure")
_PLACE = ("variant", "seed", "stage", "task", "split")
_WHOLE = ("seed", "seeds", "n", "num_classes", "label", "grade")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Study:
    """One run directory, or several that may stand in one table.

    `failed` maps a cell to its error; `missing` lists cells without any outcome; `apart` says why other run directories
    of the same report stand in other chapters.
    """

    folders: tuple[Path, ...]
    plan: Mapping[str, Any]
    cells: tuple[Cell, ...]
    failed: Mapping[str, str]
    missing: tuple[str, ...]
    apart: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """One line: a notebook shows it."""
        count = len(self.plan["variants"])
        variants = f"{count} variant{'s' * (count > 1)}, reference {self.reference}"
        cells = f"{len(self.cells)} of {len(self.plan['cells'])} cells finished"
        return f"<Study {self.plan['experiment']}: {variants}; {cells}; {', '.join(map(str, self.folders))}>"

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
    def stages(self) -> tuple[str, ...]:
        """Trained stages in order: the last one is the whole system."""
        return tuple(dict.fromkeys(name for cell in self.cells for name in cell.record.models))

    def tasks(self, stage: str) -> tuple[str, ...]:
        """Tasks that `stage` was tested on."""
        return tuple(dict.fromkeys(name for cell in self.cells for name in cell.tested(stage).tasks))

    def groups(self) -> list[Group]:
        """Every stage and task with test rows, the whole system first."""
        return [self._group(stage, task) for stage in reversed(self.stages) for task in self.tasks(stage)]

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
        return self._typed(pd.DataFrame(rows), ("experiment", "cell", "variant", "objective", "rule", *_PLACE[1:]))

    @property
    def differences(self) -> pd.DataFrame:
        """Every other variant minus the reference, one row per stage, task and measure, over seeds that both finished.

        `low` and `high` bound the 95 % interval of `test` and `p` is its p value, NaN where there is none; `adjusted`
        says whether for the number of comparisons.
        """
        rows = [
            {
                "stage": group.stage,
                "task": group.task,
                "measure": measure.key,
                "higher_is_better": measure.higher,
                "variant": gap.variant,
                "reference": self.reference,
                "mean": gap.mean,
                "low": gap.low,
                "high": gap.high,
                "seeds": len(gap.values),
                "test": gap.test,
                "p": gap.p,
                "adjusted": False,
            }
            for group in self.groups()
            for measure in (*measures.primary(group), *measures.secondary(group))
            for gap in measures.differences(group, self.reference, measure)
        ]
        return self._typed(pd.DataFrame(rows), ("stage", "task", "measure", "variant", "reference", "seeds"))

    def predictions(
        self,
        *,
        variant: str | None = None,
        seed: int | None = None,
        stage: str | None = None,
        task: str | None = None,
        split: str = "test",
    ) -> pd.DataFrame:
        """One row per example of a split, for every variant, seed, stage and task, or those that are named.

        `label` (−1 where missing) and `grade`, the decision, count grades from the worst, 0; `score` ranks; `p_NAME` is
        the probability of the grade NAME. What travels along with the examples comes last. Raises UsageError for a name
        that the study does not have.
        """
        asked = {"variant": variant, "seed": seed, "stage": stage, "task": task, "split": split}
        asked = {name: value for name, value in asked.items() if value is not None}
        for name, value in asked.items():
            there = self._scores[name].unique().tolist()
            if value not in there:
                raise UsageError(f"no {name} is {value!r}: there are {', '.join(map(str, there)) or 'none'}")
        frames = []
        for cell in self.cells:
            for model, part, result in cell.record.results():
                place = dict(
                    zip(_PLACE, (cell.variant, cell.seed, model.name, result.task.name, part.name), strict=True)
                )
                if asked.items() <= place.items():
                    frames.append(_examples(place, part, result))
        return self._typed(pd.concat(frames or [pd.DataFrame()], ignore_index=True), (*_PLACE, "id", "label", "grade"))

    def report(self, out: Path | str) -> Path:
        """Write the report to the folder `out`; returns the path of its page."""
        from ordinal_blast.report import page  # a page is made from studies

        command = shlex.join(["ordinal-blast", "report", *map(str, self.folders), "--out", str(out)])
        return page.write([self], Path(out), command)

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

    def _typed(self, frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
        """The frame with names as categories, in the order of the plan or of their appearance.

        columns: those that come first, and are there where there is no row.
        """
        frame = frame.reindex(columns=list(dict.fromkeys([*columns, *frame.columns])))
        order = {"variant": self.variants, "reference": self.variants, "stage": self.stages}
        types = {name: pd.CategoricalDtype(order.get(name, frame[name].unique())) for name in _NAMED if name in frame}
        return frame.astype(types | {name: np.int64 for name in _WHOLE if name in frame})


def _examples(place: Mapping[str, Any], split: Split, result: TaskResult) -> pd.DataFrame:
    columns = dict(
        place, id=split.ids, label=result.labels, grade=result.grades, score=result.scores.astype(np.float64)
    )
    columns |= {f"p_{grade}": result.probs[:, k].astype(np.float64) for k, grade in enumerate(result.task.grades)}
    travel = {f"{name}_column" if name in columns else name: column for name, column in split.columns.items()}
    return pd.DataFrame(columns | travel)
