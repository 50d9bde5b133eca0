"""The chain of one cell: from the dataset through cropper, CNN and LSTM (or one model alone) to raw outputs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ordinal_blast.data import catalog, store
from ordinal_blast.data.batches import Examples, View, fixed, inverse_frequency
from ordinal_blast.data.store import Dataset
from ordinal_blast.embryo import crops as timelapse
from ordinal_blast.errors import UsageError
from ordinal_blast.evaluation import metrics
from ordinal_blast.models.grader import count_parameters
from ordinal_blast.objectives import Objective
from ordinal_blast.study import identity, limits, problems, stages
from ordinal_blast.study.configuration import plain
from ordinal_blast.study.session import Session
from ordinal_blast.training import loop, parallel
from ordinal_blast.training.problem import Problem
from ordinal_blast.training.selection import Monitor
from ordinal_blast.types import Task

_EXTRAS = ("group", "clinic", "instrument", "fetal_heartbeat")


@dataclasses.dataclass(frozen=True)
class Material:
    """An open dataset, the tasks that are graded, and the rows of each split that have a label for at least one.

    everything: all rows of each split. warnings: sentences about what the splits lack.
    """

    dataset: Dataset
    tasks: tuple[Task, ...]
    splits: Mapping[str, np.ndarray]
    everything: Mapping[str, np.ndarray]
    warnings: tuple[str, ...]

    @functools.cached_property
    def identity(self) -> str:
        """12 hex digits of the data."""
        return identity.of_data(self.dataset)


@dataclasses.dataclass(frozen=True)
class Link:
    """One trained model of the chain, with its raw outputs per split and task."""

    name: str
    examples: Mapping[str, Examples]
    outputs: Mapping[str, Mapping[str, np.ndarray]]
    fitted: loop.Fitted

    @property
    def training(self) -> dict[str, Any]:
        """How training went, ready for JSON."""
        return {
            "model": self.name,
            "epochs": len(self.fitted.history),
            "best_epoch": self.fitted.best_epoch,
            "parameters": count_parameters(self.fitted.variables)[0],
            "seconds": round(self.fitted.seconds, 3),
            "history": list(self.fitted.history),
        }


def material(config: Any) -> Material:
    """Open the dataset of a configuration, building it first where needed; raises UserError or UsageError."""
    dataset = store.open_dataset(catalog.prepare(config.data))
    tasks = catalog.graded(dataset, config.tasks)
    everything = catalog.divide(dataset, config.data.split)
    splits = catalog.labelled(dataset, everything, tasks)
    return Material(dataset, tasks, splits, everything, tuple(catalog.absent_grades(dataset, splits, tasks)))


def class_weights(config: Any, given: Material, task: Task) -> np.ndarray:
    """What each grade of a task weighs in training, float32 `[K]`, by the frequencies of the training set alone."""
    if config.class_weights == "none":
        return np.ones(task.num_classes, np.float32)
    train = given.dataset.columns[f"label/{task.name}"][given.splits["train"]]
    return inverse_frequency(train, task.num_classes)


def undone(config: Any, given: Material) -> dict[str, list[float]]:
    """The class weights `[K]` of each task that its decision undoes; none unless `objective.correct_weights`."""
    if not config.objective.correct_weights or config.class_weights == "none":
        return {}
    return {task.name: class_weights(config, given, task).tolist() for task in given.tasks}


def decisions(bound: Mapping[str, Objective], undone: Mapping[str, Sequence[float]]) -> dict[str, Objective]:
    """The objectives that decide: those that trained, without the class weights that are to be undone.

    Raises UsageError for a loss whose class weights cannot be undone.
    """
    try:
        return {task: each.corrected(undone[task]) if task in undone else each for task, each in bound.items()}
    except ValueError as error:
        raise UsageError(f"objective.correct_weights: {error}") from error


def check(config: Any, given: Material) -> None:
    """Raise UsageError for a configuration that cannot be trained on its data, before any work."""
    chain = tuple(config.chain)
    if "cropper" not in chain:
        _column(chain, given)
    elif "frames" not in given.dataset.columns:
        raise UsageError(f"chain is {chain}, but {given.dataset.name} has no frames: use ('cnn',)")
    decisions(problems.bind(config.objective, given.tasks), undone(config, given))


def run(config: Any, given: Material, folder: Path, root: Path, session: Session) -> tuple[list[Link], dict[str, Any]]:
    """Train every link of `config.chain`, the last in `folder`, what cells can share under `root`/stages.

    Returns the grading links in order, and facts about the other stages.
    """
    chain = tuple(config.chain)
    trainer = _Trainer(config, given, problems.bind(config.objective, given.tasks), session)
    if "cropper" not in chain:
        inputs, facts = _inputs(config, chain, given)
        return [trainer.train(chain[0], _views(given, inputs), folder)], facts
    cropper = timelapse.cropper_stage(config, given.dataset, given.everything, root, session)
    crops = timelapse.crops_stage(config, given.dataset, cropper, root, session)
    facts = {"cropper": _facts(cropper), "crops": _facts(crops.folder)}
    views = {name: timelapse.cnn_view(config, crops, rows) for name, rows in given.splits.items()}
    if chain[-1] == "cnn":
        return [trainer.train("cnn", views, folder)], facts
    key = {
        "crops": crops.folder.name,
        "split": plain(config.data.split),
        "tasks": list(config.tasks),
        "objective": {name: plain(config.objective[name]) for name in ("name", "options")},
        "class_weights": config.class_weights,
        "cnn": plain(config.cnn),
        "seed": config.seed,
        "code": identity.of_code(config),
    }
    shared = stages.stage(
        root, "cnn", key, lambda place: {"seconds": trainer.fit("cnn", trainer.examples(views), place).seconds}
    )
    cnn = trainer.train("cnn", views, shared)  # trained just now or in an earlier cell: it is read
    sequences = timelapse.sequences_stage(
        config, crops, trainer.problem("cnn"), cnn.fitted.variables, shared.name, root, session
    )
    return [cnn, trainer.train("rnn", _views(given, sequences), folder)], {**facts, "cnn": _facts(shared)}


@dataclasses.dataclass(frozen=True)
class _Trainer:
    """Trains any link of the chain in the same way."""

    config: Any
    given: Material
    bound: Mapping[str, Objective]
    session: Session

    def problem(self, link: str) -> Problem:
        return problems.grading(link, self.config[link], self.bound)

    def fit(self, link: str, examples: Mapping[str, Examples], folder: Path) -> loop.Fitted:
        """Train in `folder`, or read what was trained there."""
        val = examples["val"]

        def measure(outputs: Mapping[str, np.ndarray]) -> dict[str, float]:
            measured = [_agreement(self.bound[task], outputs[task], val.labels[task]) for task in self.bound]
            return {key: float(np.mean([each[key] for each in measured])) for key in problems.MEASURES}

        schedule, count = problems.schedule(link, self.config[link].training), len(examples["train"])
        if schedule.batch_size > count:
            told = f"batch_size is {schedule.batch_size}, so every step takes all {count} training examples"
            self.session.progress.say(f"  {link}: {told}")
        return loop.fit(
            self.problem(link),
            examples["train"],
            val,
            schedule,
            seed=self.config.seed,
            directory=folder,
            devices=self.session.devices,
            name=f"{self.config.objective.name}, seed {self.config.seed}, {link}",
            monitor=Monitor(problems.MEASURES, measure),
            report=self.session.progress.epoch(link),
        )

    def train(self, link: str, views: Mapping[str, View], folder: Path) -> Link:
        """Train in `folder`, then look at every split with the model that was kept."""
        problem, examples = self.problem(link), self.examples(views)
        fitted = self.fit(link, examples, folder)
        size, devices = self.config[link].training.batch_size, self.session.devices
        outputs = {
            name: parallel.predict(problem, fitted.variables, split.inputs, len(split), size, devices)
            for name, split in examples.items()
        }
        return Link(link, examples, outputs, fitted)

    def examples(self, views: Mapping[str, View]) -> dict[str, Examples]:
        """Inputs, labels and weights of each split; class weights come from the training set alone."""
        columns, splits = self.given.dataset.columns, self.given.splits
        weight = {task.name: class_weights(self.config, self.given, task) for task in self.given.tasks}
        result = {}
        for name, rows in splits.items():
            labels = {task: columns[f"label/{task}"][rows].astype(np.int32) for task in weight}
            weights = {task: weight[task][values.clip(0)] * (values >= 0) for task, values in labels.items()}
            extras = {extra: columns[extra][rows] for extra in _EXTRAS if extra in columns}
            result[name] = Examples(columns["id"][rows], views[name], labels, weights, extras)
        return result


def _facts(folder: Path) -> dict[str, Any]:
    return {"folder": folder.name, **stages.facts(folder)}


def _inputs(config: Any, chain: tuple[str, ...], given: Material) -> tuple[Any, dict[str, Any]]:
    """The column that a model alone reads, and facts about what was done to it."""
    column = _column(chain, given)
    inputs = given.dataset.columns[column]
    if column == "features" and config.mlp.standardize:
        return _standardized(inputs, given.splits["train"])
    return inputs, {}


def _column(chain: tuple[str, ...], given: Material) -> str:
    """The name of the column that a model alone reads; raises UsageError where the dataset has none."""
    column = limits.ALONE[chain[0]]
    if column not in given.dataset.columns:
        raise UsageError(f"chain is {chain}, but {given.dataset.name} has no {column} column")
    return column


def _views(given: Material, inputs: Any) -> dict[str, View]:
    """The view of each split's rows of one array."""
    return {name: _rows(inputs, rows) for name, rows in given.splits.items()}


def _standardized(features: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Features `[N, D]` less the mean of the training rows, over their s.d. (1 for a constant column, which becomes 0).

    The mean and s.d. are returned as facts too: they are part of the model.
    """
    mean, spread = features[train].mean(axis=0, dtype=np.float64), features[train].std(axis=0, dtype=np.float64)
    spread = np.where(spread > 0, spread, 1.0)
    facts = {"standardized": {"mean": mean.tolist(), "sd": spread.tolist()}}
    return standardize(features, facts), facts


def standardize(features: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray:
    """Features float32 `[N, D]` as the model reads them, by the facts of its run."""
    if "standardized" not in facts:
        return features
    by = facts["standardized"]
    return ((features - np.asarray(by["mean"])) / np.asarray(by["sd"])).astype(np.float32)


def _rows(array: Any, rows: np.ndarray) -> View:
    """The view of these rows of one array."""
    if isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        return fixed(array[rows])
    return lambda indices, rng: array[rows[indices]]


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
