"""Finished studies whose predictions are drawn, not trained, to time what comes after: going on, and a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from ordinal_blast import record, settings
from ordinal_blast.data import material, memory
from ordinal_blast.evaluation import metrics
from ordinal_blast.record import Model, Record, Split, TaskResult
from ordinal_blast.study import identity, plan, standing
from ordinal_blast.study.plan import Cell
from ordinal_blast.types import Task

_HELD_OUT = 100  # validation examples of a cell, which its grade sets are fitted on
_DEVICE = {"versions": {}, "device": "drawn, not trained"}


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A study of variants times seeds, tested on as many examples of K grades; patients have `shared` examples each."""

    variants: int
    seeds: int
    examples: int
    grades: int = 3
    shared: int = 1

    @property
    def asked(self) -> dict[str, Any]:
        """What `ablate` takes to go on with it; the data are a few rows of numbers."""
        labels, parts = np.arange(120) % self.grades, np.repeat(["train", "val", "test"], 40)
        rates = {f"rate-{v}": {"grader.optimizer.learning_rate": 1e-3 * (v + 1)} for v in range(self.variants)}
        return {
            "config": {"name": "drawn", "objective": "cross_entropy"},
            "variants": rates,
            "seeds": self.seeds,
            "data": {"x": np.ones((120, 1), np.float32), "y": labels, "split": parts},
        }


def write(of: Drawn, root: Path) -> None:
    """Write its work directory, in which every cell is finished."""
    asked = of.asked
    chosen = settings.override(settings.resolve(asked["config"], "drawn"), memory.save(root / "data", asked["data"]))
    grid = plan.of_variants("", asked["variants"].items(), chosen, of.seeds)
    opened = material.open(chosen.data, chosen.tasks)
    record.write_plan(root, standing.joined(grid, "drawn", root))
    code = {one.variant: identity.of_code(one.settings) for one in grid.cells[: of.variants]}
    for one in grid.cells:
        identified = {"variant": one.variant, "data": opened.identity, "code": code[one.variant]}
        record.write(record.folder_of(root, one.name), _record(of, one, grid.variants.index(one.variant), identified))


def _record(of: Drawn, cell: Cell, place: int, identified: Mapping[str, Any]) -> Record:
    task = Task("grade", tuple(f"grade {k}" for k in range(of.grades)))
    splits = {
        name: _split(task, name, size, of.shared, place, cell.seed)
        for name, size in (("val", _HELD_OUT), ("test", of.examples))
    }
    history = [{"epoch": e, "train_loss": 1 / e, "val_loss": 0.5, "val_qwk": 0.5} for e in (1, 2)]
    training = {"epochs": 2, "best_epoch": 1, "parameters": 1000, "seconds": 1.0, "history": history}
    sizes = {"train": 0, "val": _HELD_OUT, "test": of.examples}
    dataset = {"name": "drawn", "summary": "drawn", "licence": "none", "citation": "none", "split": "", "extras": {}}
    return Record(
        cell=cell.name,
        variant=cell.variant,
        seed=cell.seed,
        experiment="drawn",
        settings=settings.tree(cell.settings),
        identity=identified,
        objective={"name": "cross_entropy", "options": {}, "rule": "native", "correct_weights": False}
        | {"calibration": "none", "decides_by": "mode", "undone_weights": {}},
        class_weights="none",
        measures={},
        dataset={**dataset, "identity": identified["data"], "sizes": sizes},
        warnings=(),
        stages={},
        provenance={**_DEVICE, "settings": f"{place:04d}{cell.seed:04d}"},
        published={},
        models={"grader": Model("grader", splits, training, (1,), "float32", {task.name: {}})},
    )


def _split(task: Task, name: str, size: int, shared: int, place: int, seed: int) -> Split:
    """Labels that all cells share, and what is said of them: the truth and noise, the more the later the variant."""
    k, same = task.num_classes, np.random.default_rng([size])
    labels, hard = same.integers(0, k, size), same.standard_normal(size)  # some examples are hard for every model
    noise = np.random.default_rng([size, place, seed]).standard_normal(size)
    at = labels + (0.8 + 0.2 * place / (place + 5)) * (0.8 * hard + 0.6 * noise)
    outputs = (-1.2 * (at[:, None] - np.arange(k)) ** 2).astype(np.float32)
    probs = special.softmax(outputs.astype(np.float64), axis=1).astype(np.float32)
    mean = probs.astype(np.float64) @ np.arange(k) / (k - 1)
    grades = probs.argmax(axis=1).astype(np.int32)
    values = metrics.summary(labels, grades, num_classes=k, probs=probs)
    scores = special.logit(np.clip(mean, 1e-9, 1 - 1e-9)).astype(np.float32)
    weights = np.ones(size, np.float32)
    result = TaskResult(
        task, labels.astype(np.int32), weights, outputs, probs, grades, scores, values, values["log_loss"]
    )
    columns = {"group": np.array([f"patient-{i // shared:07d}" for i in range(size)])} if shared > 1 else {}
    return Split(name, np.array([f"{name}-{i:07d}" for i in range(size)]), columns, {task.name: result})
