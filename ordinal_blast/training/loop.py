"""The plain loop around the pure step: epochs, validation, selection, one line of metrics an epoch."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ordinal_blast.data import batches
from ordinal_blast.data.batches import Examples
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.settings import TrainingSettings
from ordinal_blast.training import checkpoints, parallel, step
from ordinal_blast.training.journal import Journal
from ordinal_blast.training.problem import Problem
from ordinal_blast.training.selection import NO_MEASURES, Line, Monitor, check_selection
from ordinal_blast.types import Batch

Variables = Any
"""`params` and `batch_stats` of a model."""


@dataclasses.dataclass(frozen=True)
class Fitted:
    """The model of the epoch that was selected on the validation set, and how training went.

    history: one mapping an epoch (epoch from 1, train_loss, val_loss, learning_rate of its last update, seconds, and
    the monitor's measures, None where one is undefined).
    """

    variables: Variables
    best_epoch: int
    history: Sequence[Line]

    @property
    def seconds(self) -> float:
        """Training time in seconds, over all the sittings it took."""
        return sum(line["seconds"] for line in self.history)


def fit(
    problem: Problem,
    train: Examples,
    val: Examples,
    training: TrainingSettings,
    *,
    seed: int,
    directory: Path | None,
    devices: tuple[jax.Device, ...],
    name: str,
    monitor: Monitor = NO_MEASURES,
    report: Callable[[int, int, Line], None] = lambda epoch, epochs, line: None,
    initial: Callable[[Variables], Variables] | None = None,
) -> Fitted:
    """Train `problem` to the end, from the last checkpoint in `directory` where there is one.

    Killed at any moment and called again, it ends with the same model and metrics as if never interrupted; without a
    directory nothing is written. report is told of every epoch (from 1). initial gives the variables to start from,
    from random ones. Raises UsageError before any work for a selection, balance, accumulation or seed that cannot be,
    and UserError where nothing can be learned, or when the loss is not finite, naming `name`, the epoch and the step.
    """
    check_selection(training.select, monitor.directions)
    _check_examples(train, f"{name} (training)")
    _check_examples(val, f"{name} (validation)")
    journal = Journal(directory)
    history = journal.history
    stream = batches.epochs(
        train,
        size=training.batch_size,
        first=len(history),
        last=training.epochs,
        seed=seed,
        threads=training.threads,
        balance=training.balance,
    )
    like, total = train.inputs(np.arange(min(2, len(train)))), updates(problem, train, training)
    state = step.create(problem, like, seed, total, initial if not history else None)
    best, best_epoch = step.variables(state, problem), monitor.best(history, training.select)
    if history:
        state, best = journal.restore(state, best)
    journal.begin()
    state = parallel.replicate(state, devices)
    evaluate = jax.jit(problem.loss)
    started = time.perf_counter()
    for epoch, steps in stream:
        if _has_waited(epoch, best_epoch, training):
            break
        state, metrics = _epoch(problem, state, steps, training.steps_per_dispatch, devices)
        _check_loss(metrics.loss, name, epoch + 1, journal)
        variables = step.variables(state, problem)
        outputs = parallel.predict(problem, variables, val.inputs, len(val), training.batch_size, devices)
        val_loss = float(evaluate(outputs, val.labels, val.weights))
        _check_loss(np.asarray([val_loss]), f"{name} (validation)", epoch + 1, journal)
        state = state.replace(optimizer=problem.optimizer.after_epoch(state.optimizer, val_loss))
        line = {
            "epoch": epoch + 1,
            "train_loss": float(metrics.loss.mean(dtype=np.float64)),
            "val_loss": val_loss,
            "learning_rate": _last_rate(problem, metrics.factor),
            **{key: _defined(value) for key, value in monitor.measure(outputs).items()},
            "seconds": round(time.perf_counter() - started, 3),
        }
        started = time.perf_counter()
        history.append(line)
        if monitor.best(history, training.select) == epoch + 1:
            best, best_epoch = variables, epoch + 1
        last = epoch + 1 == training.epochs or _has_waited(epoch + 1, best_epoch, training)
        journal.keep(history, state, best, seal=last or (epoch + 1) % training.checkpoint_every == 0)
        report(epoch + 1, training.epochs, line)
    journal.close()
    return Fitted(best, best_epoch, history)


def restore(problem: Problem, inputs: Any, directory: Path) -> Any:
    """The best variables of a finished run in `directory`, UserError for none; `inputs` `[B, ...]` gives the shapes."""
    saved = checkpoints.of_run(directory)
    if not saved.epoch:
        raise UserError(f"{directory} holds no trained model: run the command that trains it first")
    shapes = jax.eval_shape(lambda x: problem.model.init(jax.random.key(0), x, train=False), inputs)
    like = {"params": shapes["params"], "batch_stats": shapes.get("batch_stats", {})}
    best = saved.restore({"best": like})["best"]
    saved.close()
    return best


def updates(problem: Problem, train: Examples, training: TrainingSettings) -> int:
    """How many updates all epochs make; raises UsageError for none."""
    steps = batches.steps_per_epoch(train, training.batch_size, training.balance)
    total = steps * training.epochs // problem.optimizer.accumulate
    if not total:
        raise UsageError(
            f"optimizer.accumulate is {problem.optimizer.accumulate}: training has {steps * training.epochs} batches, "
            "not enough for one update"
        )
    return total


def _has_waited(epochs: int, best_epoch: int, training: TrainingSettings) -> bool:
    """Whether the patience is at its end after so many epochs."""
    return 0 < training.patience <= epochs - best_epoch


def _epoch(
    problem: Problem, state: step.TrainState, steps: Iterator[Batch], block: int, devices: tuple[jax.Device, ...]
) -> tuple[step.TrainState, step.Metrics]:
    """The state after all steps of an epoch, `block` of them in one dispatch, and their metrics on the host, `[S]`."""
    run, taken = parallel.train_steps(problem, devices), []
    while batches := list(itertools.islice(steps, block)):
        state, metrics = run(state, parallel.stack(batches, len(devices)))
        taken.append(metrics)
    return state, jax.tree.map(lambda *values: np.concatenate([np.asarray(value) for value in values]), *taken)


def _last_rate(problem: Problem, factors: np.ndarray) -> float | None:
    """The learning rate of the last update among these steps, None where none was made."""
    moved = factors[np.isfinite(factors)]
    return problem.optimizer.learning_rate * float(moved[-1]) if len(moved) else None


def _defined(value: float) -> float | None:
    """The number, or None where it is undefined: JSON has no NaN, and a resumed history must equal a whole one."""
    return float(value) if math.isfinite(value) else None


def _check_examples(examples: Examples, name: str) -> None:
    """Raise UserError unless every task has a label that counts."""
    for task, weights in examples.weights.items():
        if not np.any(np.asarray(weights) > 0):
            raise UserError(f"{name}: none of the {len(examples)} examples has a label of {task} that counts")


def _check_loss(losses: np.ndarray, name: str, epoch: int, journal: Journal) -> None:
    wrong = np.flatnonzero(~np.isfinite(losses))
    if len(wrong):
        raise UserError(
            f"{name}: the loss is {losses[wrong[0]]} at epoch {epoch}, step {wrong[0] + 1}; lower the learning rate or "
            f"check the inputs; {journal.kept}"
        )
