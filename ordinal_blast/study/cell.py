"""One cell of a study: a variant and a seed, from settings to the record of what was trained and measured."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ordinal_blast import parts, ranges, record
from ordinal_blast.data.material import Material
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.evaluation import metrics
from ordinal_blast.models import native
from ordinal_blast.objectives import Objective
from ordinal_blast.record import Examples, Model, Record, Split, TaskResult
from ordinal_blast.settings import Settings, SplitSettings, differences, leaves, resolve, tree
from ordinal_blast.storage import digest
from ordinal_blast.study import decisions, identity, recipe, timing
from ordinal_blast.study.plan import Cell
from ordinal_blast.study.recipe import Work
from ordinal_blast.training import parallel
from ordinal_blast.training.checkpoints import has_begun
from ordinal_blast.types import Predictions, Task

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "scipy")
Measure = Callable[..., float]
"""measure(labels `[N]`, grades `[N]`, *, num_classes, probs `[N, K]`) -> a number; `higher_is_better` unless False."""


def training_digest(settings: Settings, data: str) -> str:
    """The hash of everything that can change the training: cells that differ in the decision share one."""
    return digest([differences(settings, decision=False), data])


def claim(folder: Path, settings: Settings, identified: Mapping[str, Any], allow_changed_code: bool) -> list[str]:
    """Write what the cell is made of, or where its training has begun, check that it is what was written before.

    identified: the variant, the identity of its data, and the text of its code (see `identity.of_code`). Returns the
    source files whose text is another, where `allow_changed_code`. Raises UsageError that names the first
    setting, the data or the source files that differ, so that no directory mixes two.
    """
    begun = record.began(folder)
    if begun is None or not (record.finished(folder) or has_begun(folder)):
        record.begin(folder, tree(settings), identified)
        return []
    before, was = begun
    different, files = _differing(before, settings, folder), identity.differing(was["code"], identified["code"])
    for what, name in (("variant", "the variant"), ("data", "other data, of digest")):
        if was[what] != identified[what]:
            different.append(f"{name} {was[what]!r}, now it is {identified[what]!r}")
    if files and not allow_changed_code:
        names = f"{', '.join(files[:5])}{', ...' if len(files) > 5 else ''}"
        different.append(f"another text of {names} (--allow-changed-code goes on all the same)")
    if different:
        raise UsageError(f"{folder} was begun with {different[0]}: use another --workdir, or delete that folder")
    if files and not record.finished(folder):
        record.begin(folder, tree(settings), identified)
    return files


def _differing(before: Mapping[str, Any], settings: Settings, folder: Path) -> list[str]:
    """The settings, with their values, in which a folder was begun otherwise."""
    begun = resolve(before, str(folder))
    theirs, ours = differences(begun), differences(settings)
    return [
        f"{key}={_value(begun, theirs, key)}, now it is {_value(settings, ours, key)}"
        for key in sorted({*theirs, *ours})
        if theirs.get(key) != ours.get(key)
    ]


def _value(settings: Settings, stated: Mapping[str, Any], key: str) -> str:
    """A setting as it was stated, or its default; an option that was not is unset."""
    defaults = {leaf.key: leaf.value for leaf in leaves(settings)}
    return repr(stated[key]) if key in stated else repr(defaults[key]) if key in defaults else "unset"


class _Raw(NamedTuple):
    """What a model says of a split before anything is decided: labels, weights and raw outputs are per task."""

    ids: np.ndarray
    columns: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]
    weights: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]


class _Trained(NamedTuple):
    """What a cell is concluded from, trained by itself or taken from another: see `Record`."""

    models: Mapping[str, Model]  # without splits
    raw: Mapping[str, Mapping[str, _Raw]]  # per model and split
    facts: Mapping[str, Mapping[str, Any]]
    examples: Examples | None
    hardware: str


def open(cell: Cell, work: Work, folder: Path, root: Path) -> recipe.Opened:
    """The cell's chain, with all stages but the last, which other cells may share, built."""
    return recipe.Opened(recipe.stages(cell.settings), work, cell.settings.data.split, folder, root)


def train(
    cell: Cell, experiment: str, identified: Mapping[str, Any], work: Work, folder: Path, opened: recipe.Opened
) -> None:
    """Train the last stage of the cell's chain and write its record."""
    settings = cell.settings
    finished = opened.finish(settings.report.examples)
    if not finished.graded:
        raise UsageError(f"chain is {settings.chain}, and none of these graded: add a stage that does, such as grader")
    raw = {
        name: {
            split: _Raw(part.ids, part.extras, part.labels, part.weights, graded.outputs[split])
            for split, part in graded.examples.items()
        }
        for name, graded in finished.graded.items()
    }
    models = {
        name: Model(name, {}, graded.training, graded.inputs, graded.dtype, {})
        for name, graded in finished.graded.items()
    }
    first, shown = next(iter(raw.values()))["test"], finished.shown
    examples = None if shown is None else Examples(shown, first.ids[: len(shown)])
    trained = _Trained(models, raw, finished.facts, examples, parallel.hardware(work.session.devices))
    concluded = _concluded(cell, experiment, identified, work, trained)
    if settings.report.timed and cell.seed == 0:
        chain, times = recipe.stages(settings), settings.report.timed
        facts = timing.timed(chain, finished.places, concluded, times)
        concluded = dataclasses.replace(concluded, stages=facts)
    record.write(folder, concluded)


def redecide(
    cell: Cell, experiment: str, identified: Mapping[str, Any], work: Work, folder: Path, trained: Path
) -> None:
    """Write a cell that differs from the finished cell `trained` in the decision alone, without training."""
    before = record.read(trained)
    raw = {
        name: {
            split: _Raw(
                part.ids,
                part.columns,
                {task: result.labels for task, result in part.tasks.items()},
                {task: result.weights for task, result in part.tasks.items()},
                {task: result.outputs for task, result in part.tasks.items()},
            )
            for split, part in model.splits.items()
        }
        for name, model in before.models.items()
    }
    elsewhere = {"shared_in": os.path.relpath(trained.parent, folder.parent)} if trained.parent != folder.parent else {}
    models = {
        name: dataclasses.replace(
            model,
            training={key: value for key, value in model.training.items() if key != "shared_in"}
            | {"shared_with": before.cell, **elsewhere},
        )
        for name, model in before.models.items()
    }
    shared = _Trained(models, raw, before.stages, before.examples, before.provenance["device"])
    record.write(folder, _concluded(cell, experiment, identified, work, shared))


def _concluded(cell: Cell, experiment: str, identified: Mapping[str, Any], work: Work, trained: _Trained) -> Record:
    """Fit the decisions on the training outputs, calibrate on those of validation, decide, measure."""
    settings, objective, material = cell.settings, cell.settings.objective, work.material
    undone = decisions.undone(objective, settings.class_weights, material)
    deciding = decisions.corrected(work.bound, undone)
    measures = _measures(settings.measures)
    models = {}
    for name, raw in trained.raw.items():
        train, val, selected = raw["train"], raw["val"], trained.models[name].training.get("epochs", 1) > 1
        ready = {
            task: one.fit(train.outputs[task], train.labels[task], train.weights[task])
            for task, one in deciding.items()
        }
        bound = {
            task: {**one.fitted, **decisions.calibrate(objective, one, val.outputs[task], val.labels[task], selected)}
            for task, one in ready.items()
        }
        fitted = decisions.calibrated(ready, bound)
        results = {
            task.name: _results(f"{cell.name}: {name}", task, fitted[task.name], objective.rule, raw, measures)
            for task in material.tasks
        }
        splits = {
            split: Split(
                split, part.ids, part.columns, {name: of[split] for name, of in results.items() if split in of}
            )
            for split, part in raw.items()
        }
        models[name] = dataclasses.replace(trained.models[name], splits=splits, fitted=bound)
    first = next(iter(deciding.values()))
    return Record(
        cell=cell.name,
        variant=cell.variant,
        seed=cell.seed,
        experiment=experiment,
        settings=tree(settings),
        identity=identified,
        objective={
            "name": objective.name,
            "options": dict(objective.options),
            "rule": objective.rule,
            "correct_weights": objective.correct_weights,
            "adjust_loss": objective.adjust_loss,
            "adjust_decision": objective.adjust_decision,
            "calibration": objective.calibration,
            "decides_by": decisions.decides_by(first, objective.rule),  # whatever the task
            "undone_weights": undone,
        },
        class_weights=settings.class_weights,
        measures={_short(name): _higher(measure) for name, measure in measures.items()},
        dataset=_dataset(material, settings.data.split),
        warnings=tuple(material.warnings),
        stages=trained.facts,
        provenance={
            "versions": _versions(),
            "device": trained.hardware,
            "settings": digest(differences(settings)),
        },
        published=dict(settings.report.published),
        models=models,
        examples=trained.examples,
    )


def check(settings: Settings, material: Material) -> None:
    """Raise UsageError for a calibration that has nothing to be fitted on, and a rule or a measure of one's own that
    fails for labels of the test set and any predictions: found out after training, it would have cost the training.
    """
    decisions.check_calibration(settings.objective, material)
    measures, rng = _measures(settings.measures), np.random.default_rng(0)
    for task in material.tasks:
        labels = material.dataset.columns[f"label/{task.name}"][material.splits["test"]]
        probs = rng.dirichlet(np.ones(task.num_classes), len(labels))
        grades = decisions.by_rule(settings.objective.rule, probs)
        if measures:
            _measured(task, labels, probs.argmax(axis=1) if grades is None else grades, probs, measures)


def _measures(names: Sequence[str]) -> dict[str, Measure]:
    """The measures of one's own; raises UsageError for one whose `higher_is_better` is neither True nor False."""
    measures = {name: parts.find("measures", name, {}) for name in names}
    for name, measure in measures.items():
        ranges.check(f"{name}.higher_is_better", _higher(measure), ranges.FLAG)
    return measures


def _higher(measure: Measure) -> bool:
    return getattr(measure, "higher_is_better", True)


def _results(
    where: str,
    task: Task,
    objective: Objective,
    rule: str,
    raw: Mapping[str, _Raw],
    measures: Mapping[str, Measure],
) -> dict[str, TaskResult]:
    """What a fitted objective says of a task in each split that has a label of it, measured where there is one.

    All examples are decided in one call, and the loss of a split is that of all with weight 0 in the others.
    """
    name = task.name
    raw = {split: part for split, part in raw.items() if name in part.labels and (part.labels[name] >= 0).any()}
    starts = np.cumsum([0, *(len(part.ids) for part in raw.values())])
    outputs, labels, weights = (
        np.concatenate([getattr(part, field)[name] for part in raw.values()])
        for field in ("outputs", "labels", "weights")
    )
    if not np.isfinite(outputs).all():
        raise UserError(f"{where} gives outputs that are not finite; lower the learning rate")
    said = decisions.decide(objective, rule, outputs)
    masks = np.repeat(np.eye(len(raw), dtype=weights.dtype), np.diff(starts), axis=1)
    losses = decisions.losses(objective, outputs, labels, masks * weights)
    results = {}
    for split, loss, *span in zip(raw, losses.tolist(), starts, starts[1:], strict=False):
        part = slice(*span)
        here = Predictions(said.outputs[part], said.probs[part], said.grades[part], said.scores[part])
        measured = _measured(task, labels[part], here.grades, here.probs, measures)
        results[split] = TaskResult(task, labels[part], weights[part], *here, measured, loss)
    return results


def _measured(
    task: Task, labels: np.ndarray, grades: np.ndarray, probs: np.ndarray, measures: Mapping[str, Measure]
) -> dict[str, float]:
    kept = labels >= 0
    known = labels[kept], grades[kept]
    values = metrics.summary(*known, num_classes=task.num_classes, probs=probs[kept])
    for name, measure in measures.items():
        if _short(name) in values:
            raise UsageError(f"measures has {name}, and there is a measure {_short(name)} already: name it otherwise")
        own = map(decisions.untouchable, (*known, probs[kept]))
        with parts.blamed(f"the measure {name} raised"):
            values[_short(name)] = float(measure(next(own), next(own), num_classes=task.num_classes, probs=next(own)))
    return values


def _short(name: str) -> str:
    return name.rpartition(":")[2]


def _dataset(material: Material, split: SplitSettings) -> dict[str, Any]:
    dataset = material.dataset
    official = split.by == "official"
    rule = "as published with the dataset" if official else f"by {split.by}, shares {tuple(split.fractions)}"
    rule += f"; trained without {', '.join(split.unseen)}" if split.unseen else ""
    return {
        "name": dataset.name,
        "summary": dataset.summary,
        "licence": dataset.licence,
        "citation": dataset.citation,
        "identity": dataset.identity,
        "split": rule,
        "extras": dict(dataset.extras),
        "sizes": {name: len(rows) for name, rows in material.splits.items()},
    }


@functools.cache
def _versions() -> dict[str, str]:
    """Reading them from disk would take a twentieth of a small cell."""
    packages = {name: importlib.metadata.version(name) for name in _PACKAGES}
    bits = native.vector_bits()
    kernels = {"native kernels": f"{bits} bits"} if bits else {}
    return {"python": platform.python_version(), **identity.version(), **packages, **kernels}
