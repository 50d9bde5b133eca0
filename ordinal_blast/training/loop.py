"""The plain loop around the pure step: epochs, validation, plateau, checkpoints, one line of metrics an epoch."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.data import batches
from ordinal_blast.data.batches import Examples
from ordinal_blast.errors import UserError, reason
from ordinal_blast.ranges import Range, check_fields, number, whole
from ordinal_blast.storage import atomic, remove_leftovers
from ordinal_blast.training import parallel, plateau, step
from ordinal_blast.training.checkpoints import Checkpoints
from ordinal_blast.training.problem import Problem
from ordinal_blast.training.selection import NO_MEASURES, Line, Monitor, check_selection

_RANGES: Mapping[str, Range] = {
    "batch_size": whole(1),
    "epochs": whole(1),
    "plateau_factor": number(above=0, most=1),
    "plateau_patience": whole(1),
    "steps_per_dispatch": whole(1),
    "checkpoint_every": whole(1),
    "threads": whole(0),
}


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How long and how: the `training` section of a configuration, less what the optimiser takes.

    batch_size: the global batch, or all examples where there are fewer. plateau_factor and plateau_patience: see
    `plateau.update`. select: what is best in the epoch that is kept, "val_loss" or a measure of the monitor.
    steps_per_dispatch: how many steps one call to the device takes. checkpoint_every: epochs. threads: that read ahead.
    balance: the task whose grades every batch has in equal numbers (see `batches.epochs`), or "". Raises UsageError
    for a number that means nothing.
    """

    batch_size: int
    epochs: int
    plateau_factor: float
    plateau_patience: int
    select: str
    steps_per_dispatch: int
    checkpoint_every: int
    threads: int
    balance: str = ""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, "training")


@dataclasses.dataclass(frozen=True)
class Fitted:
    """The model of the epoch that was selected on the validation set, and how training went.

    variables: `params` and `batch_stats`. history: one mapping an epoch (epoch from 1, train_loss, val_loss,
    learning_rate, seconds, and the monitor's measures, None where one is undefined).
    """

    variables: Any
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
    schedule: Schedule,
    *,
    seed: int,
    directory: Path,
    devices: tuple[jax.Device, ...],
    name: str,
    monitor: Monitor = NO_MEASURES,
    report: Callable[[int, int, Line], None] = lambda epoch, epochs, line: None,
) -> Fitted:
    """Train `problem` to the end, from the last checkpoint in `directory` where there is one.

    Killed at any moment and called again, it ends with the same model and metrics as if never interrupted. report is
    told of every epoch (from 1). Raises UsageError before any work for a selection, balance or seed that cannot be,
    and UserError where nothing can be learned, or when the loss is not finite, naming `name`, the epoch and the step.
    """
    check_selection(schedule.select, monitor.directions)
    _check_examples(train, f"{name} (training)")
    _check_examples(val, f"{name} (validation)")
    checkpoints = Checkpoints(directory / "checkpoints")
    done, history = checkpoints.epoch, checkpoints.history
    stream = batches.epochs(
        train,
        size=schedule.batch_size,
        first=done,
        last=schedule.epochs,
        seed=seed,
        threads=schedule.threads,
        balance=schedule.balance,
    )
    state = step.create(problem, train.inputs(np.arange(min(2, len(train)))), seed)
    best, best_epoch = _variables(state), monitor.best(history, schedule.select)
    if done:
        restored = checkpoints.restore({"state": state, "best": best})
        state, best = restored["state"], restored["best"]
    log = directory / "metrics.jsonl"
    remove_leftovers(directory, [log.name])
    _write_log(log, history)
    state = parallel.replicate(state, devices)
    run = parallel.train_steps(problem, devices)
    evaluate = jax.jit(problem.loss)
    started = time.perf_counter()
    for epoch, steps in stream:
        losses = []
        while block := list(itertools.islice(steps, schedule.steps_per_dispatch)):
            state, values = run(state, parallel.stack(block, len(devices)))
            losses.append(values)
        losses = np.concatenate([np.asarray(values) for values in losses])
        _check_loss(losses, name, epoch + 1, done, directory)
        outputs = parallel.predict(problem, _variables(state), val.inputs, len(val), schedule.batch_size, devices)
        val_loss = float(evaluate(outputs, val.labels, val.weights))
        _check_loss(np.asarray([val_loss]), f"{name} (validation)", epoch + 1, done, directory)
        rate = problem.learning_rate * float(state.plateau.scale)
        state = state.replace(
            plateau=plateau.update(
                state.plateau, jnp.float32(val_loss), factor=schedule.plateau_factor, patience=schedule.plateau_patience
            )
        )
        line = {
            "epoch": epoch + 1,
            "train_loss": float(losses.mean(dtype=np.float64)),
            "val_loss": val_loss,
            "learning_rate": rate,
            **{key: _defined(value) for key, value in monitor.measure(outputs).items()},
            "seconds": round(time.perf_counter() - started, 3),
        }
        started = time.perf_counter()
        history.append(line)
        if monitor.best(history, schedule.select) == epoch + 1:
            best, best_epoch = _variables(state), epoch + 1
        _append_log(log, line)
        if (epoch + 1) % schedule.checkpoint_every == 0 or epoch + 1 == schedule.epochs:
            checkpoints.save(epoch + 1, {"state": state, "best": best}, history)
            done = epoch + 1
        report(epoch + 1, schedule.epochs, line)
    checkpoints.close()
    return Fitted(best, best_epoch, history)


def restore(problem: Problem, inputs: Any, directory: Path) -> Any:
    """The best variables of a finished run in `directory`; `inputs` `[B, ...]` gives the shapes."""
    checkpoints = Checkpoints(directory / "checkpoints")
    if not checkpoints.epoch:
        raise UserError(f"{directory} holds no trained model: run the command that trains it first")
    shapes = jax.eval_shape(lambda x: problem.model.init(jax.random.key(0), x, train=False), inputs)
    like = {"params": shapes["params"], "batch_stats": shapes.get("batch_stats", {})}
    best = checkpoints.restore({"best": like})["best"]
    checkpoints.close()
    return best


def _variables(state: step.TrainState) -> dict[str, Any]:
    return {"params": state.params, "batch_stats": state.batch_stats}


def _defined(value: float) -> float | None:
    """The number, or None where it is undefined: JSON has no NaN, and a resumed history must equal a whole one."""
    return float(value) if math.isfinite(value) else None


def _check_examples(examples: Examples, name: str) -> None:
    """Raise UserError unless every task has a label that counts."""
    for task, weights in examples.weights.items():
        if not np.any(np.asarray(weights) > 0):
            raise UserError(f"{name}: none of the {len(examples)} examples has a label of {task} that counts")


def _check_loss(losses: np.ndarray, name: str, epoch: int, kept: int, directory: Path) -> None:
    wrong = np.flatnonzero(~np.isfinite(losses))
    if len(wrong):
        last = f"the checkpoint of epoch {kept} in {directory} is kept" if kept else "no epoch was finished"
        raise UserError(
            f"{name}: the loss is {losses[wrong[0]]} at epoch {epoch}, step {wrong[0] + 1}; lower the learning rate or "
            f"check the inputs; {last}"
        )


def _write_log(path: Path, history: Sequence[Line]) -> None:
    """The lines up to the checkpoint, whatever stood there: later ones, and torn ones, are of epochs to be repeated."""
    text = "".join(json.dumps(line) + "\n" for line in history)
    if not path.exists() or path.read_bytes() != text.encode():
        with atomic(path) as stream:
            stream.write(text.encode())


def _append_log(path: Path, line: Line) -> None:
    try:
        with path.open("a") as stream:
            stream.write(json.dumps(line) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {reason(error)}; free space and run the same command again") from error
