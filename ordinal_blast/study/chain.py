"""The chain of one cell: from the dataset through cropper, CNN and LSTM (or one model alone) to raw outputs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ordinal_blast.data import catalog, store
from ordinal_blast.data.batches import Examples, View, fixed, inverse_frequency
from ordinal_blast.data.store import Dataset
from ordinal_blast.errors import UsageError
from ordinal_blast.evaluation import metrics
from ordinal_blast.models.grader import count_parameters
from ordinal_blast.objectives import Objective
from ordinal_blast.study import problems, stages, timelapse
from ordinal_blast.study.configuration import plain
from ordinal_blast.study.session import Session
from ordinal_blast.training import loop, parallel
from ordinal_blast.training.problem import Problem
from ordinal_blast.types import Task

CHAINS = (("cnn",), ("mlp",), ("cropper", "cnn"), ("cropper", "cnn", "rnn"))
_EXTRAS = ("group", "clinic", "instrument", "fetal_heartbeat")


@dataclasses.dataclass(frozen=True)
class Material:
    """An open dataset, the tasks that are graded, and the rows of each split that have a label for at least one."""

    dataset: Dataset
    tasks: tuple[Task, ...]
    splits: Mapping[str, np.ndarray]
    everything: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Link:
    """One trained model of the chain: raw outputs per split and task, and how training went."""

    name: str
    examples: Mapping[str, Examples]
    outputs: Mapping[str, Mapping[str, np.ndarray]]
    training: Mapping[str, Any]


def material(config: Any) -> Material:
    """Open the dataset of a configuration, building it first where needed; raises UserError or UsageError."""
    dataset = store.open_dataset(catalog.prepare(config.data))
    known = {task.name: task for task in dataset.tasks}
    for name in config.tasks:
        if name not in known:
            raise UsageError(f"tasks has {name}: {dataset.name} has {', '.join(known)}")
    tasks = tuple(known[name] for name in config.tasks)
    everything = catalog.divide(dataset, config.data.split)
    labelled = np.any([dataset.columns[f"label/{task.name}"] >= 0 for task in tasks], axis=0)
    return Material(dataset, tasks, {name: rows[labelled[rows]] for name, rows in everything.items()}, everything)


def run(config: Any, given: Material, folder: Path, root: Path, session: Session) -> tuple[list[Link], dict[str, Any]]:
    """Train every link of `config.chain`, the last in `folder`, what cells can share under `root`/stages.

    Returns the grading links in order, and facts about the other stages. Raises UsageError for a chain that the
    dataset cannot feed.
    """
    chain = tuple(config.chain)
    if chain not in CHAINS:
        raise UsageError(f"chain is {chain}: choose from {', '.join(map(str, CHAINS))}")
    bound = problems.bind(config.objective, given.tasks)
    if "cropper" not in chain:
        column = {"cnn": "image", "mlp": "features"}[chain[0]]
        if column not in given.dataset.columns:
            raise UsageError(f"chain is {chain}, but {given.dataset.name} has no {column} column")
        inputs, facts = given.dataset.columns[column], {}
        if chain == ("mlp",) and config.mlp.standardize:
            inputs, facts = _standardized(inputs, given.splits["train"])
        views = {name: _rows(inputs, rows) for name, rows in given.splits.items()}
        return [_train(config, chain[0], given, bound, views, folder, session)[0]], facts
    if "frames" not in given.dataset.columns:
        raise UsageError(f"chain is {chain}, but {given.dataset.name} has no frames: use ('cnn',)")
    cropper = timelapse.cropper_stage(config, given.dataset, given.everything, root, session)
    crops = timelapse.crops_stage(config, given.dataset, cropper, root, session)
    facts = {folder.name.rsplit("-", 1)[0]: _facts(folder) for folder in (cropper, crops.folder)}
    views = {name: timelapse.cnn_view(config, crops, rows) for name, rows in given.splits.items()}
    if chain[-1] == "cnn":
        return [_train(config, "cnn", given, bound, views, folder, session)[0]], facts
    key = {
        "crops": crops.folder.name,
        "split": plain(config.data.split),
        "tasks": list(config.tasks),
        "objective": {name: plain(config.objective[name]) for name in ("name", "options")},
        "class_weights": config.class_weights,
        "cnn": plain(config.cnn),
        "seed": config.seed,
    }
    trained: list[Any] = []
    stage = stages.stage(
        root,
        "cnn",
        key,
        lambda place: (trained.append(_train(config, "cnn", given, bound, views, place, session)), {})[1],
    )
    cnn, problem, fitted = trained[0] if trained else _train(config, "cnn", given, bound, views, stage, session)
    sequences = timelapse.sequences_stage(config, crops, problem, fitted.variables, stage.name, root, session)
    views = {name: _rows(sequences, rows) for name, rows in given.splits.items()}
    return [cnn, _train(config, "rnn", given, bound, views, folder, session)[0]], {**facts, "cnn": _facts(stage)}


def _facts(folder: Path) -> dict[str, Any]:
    return {"folder": folder.name, **stages.facts(folder)}


def _standardized(features: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Features `[N, D]` less the mean of the training rows, over their s.d. (1 for a constant column, which becomes 0).

    The mean and s.d. are returned as facts too: they are part of the model.
    """
    mean, spread = features[train].mean(axis=0, dtype=np.float64), features[train].std(axis=0, dtype=np.float64)
    spread = np.where(spread > 0, spread, 1.0)
    facts = {"standardized": {"mean": mean.tolist(), "sd": spread.tolist()}}
    return ((features - mean) / spread).astype(np.float32), facts


def _rows(array: Any, rows: np.ndarray) -> View:
    """The view of these rows of one array."""
    if isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        return fixed(array[rows])
    return lambda indices, rng: array[rows[indices]]


def _examples(config: Any, given: Material, views: Mapping[str, View]) -> dict[str, Examples]:
    """Inputs, labels and weights of each split; class weights come from the training set alone."""
    columns = given.dataset.columns
    if config.class_weights not in ("inverse_frequency", "none"):
        raise UsageError(f"class_weights is {config.class_weights}: choose inverse_frequency or none")
    weight = {}
    for task in given.tasks:
        train = columns[f"label/{task.name}"][given.splits["train"]]
        balanced = config.class_weights == "inverse_frequency"
        weight[task.name] = (
            inverse_frequency(train, task.num_classes) if balanced else np.ones(task.num_classes, np.float32)
        )
    result = {}
    for name, rows in given.splits.items():
        labels = {task.name: columns[f"label/{task.name}"][rows].astype(np.int32) for task in given.tasks}
        weights = {t: (weight[t][values.clip(0)] * (values >= 0)).astype(np.float32) for t, values in labels.items()}
        extras = {extra: columns[extra][rows] for extra in _EXTRAS if extra in columns}
        result[name] = Examples(columns["id"][rows], views[name], labels, weights, extras)
    return result


def _train(
    config: Any,
    link: str,
    given: Material,
    bound: Mapping[str, Objective],
    views: Mapping[str, View],
    folder: Path,
    session: Session,
) -> tuple[Link, Problem, loop.Fitted]:
    section = config[link]
    problem = problems.grading(link, section, bound)
    examples = _examples(config, given, views)
    val = examples["val"]

    def monitor(outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
        measured = [_agreement(bound[task], outputs[task], val.labels[task]) for task in bound]
        return {key: float(np.mean([each[key] for each in measured])) for key in measured[0]}

    fitted = loop.fit(
        problem,
        examples["train"],
        val,
        problems.schedule(section.training),
        seed=config.seed,
        directory=folder,
        devices=session.devices,
        name=f"{config.objective.name}, seed {config.seed}, {link}",
        monitor=monitor,
        report=session.progress.epoch(link),
    )
    outputs = {
        name: parallel.predict(
            problem,
            fitted.variables,
            split.inputs,
            len(split),
            section.training.batch_size,
            session.devices,
        )
        for name, split in examples.items()
    }
    training = {
        "model": link,
        "epochs": len(fitted.history),
        "best_epoch": fitted.best_epoch,
        "parameters": count_parameters(fitted.variables)[0],
        "seconds": round(fitted.seconds, 3),
        "history": list(fitted.history),
    }
    return Link(link, examples, outputs, training), problem, fitted


def _agreement(objective: Objective, outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """QWK, MAE and RMSE of the objective's own decision, before anything is fitted, on what has a label."""
    kept, classes = labels >= 0, objective.num_classes
    pair = labels[kept], np.asarray(_decision(objective)(outputs[kept]))
    return {
        "val_qwk": metrics.qwk(*pair, classes),
        "val_mae": metrics.mae(*pair, classes),
        "val_rmse": metrics.rmse(*pair, classes),
    }


@functools.lru_cache(maxsize=32)
def _decision(objective: Objective) -> Any:
    return jax.jit(objective.predict)
