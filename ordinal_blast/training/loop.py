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
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.training import parallel, plateau, step
from ordinal_blast.training.checkpoints import Checkpoints
from ordinal_blast.training.problem import Problem


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How long and how: the `training` section of a configuration, less what the optimiser takes.

    batch_size: the global batch. plateau_factor and plateau_patience: see `plateau.update`. select: what is smallest in
    the epoch that is kept, "val_loss" or a key of `monitor`. steps_per_dispatch: how many steps one call to the device
    takes. checkpoint_every: epochs. threads: that read ahead. balance: the task whose grades every batch has in equal
    numbers (see `batches.epochs`), or "".
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


@dataclasses.dataclass(frozen=True)
class Fitted:
    """The model of the epoch that was selected on the validation set, and how training went.

    variables: `params` and `batch_stats`. history: one mapping an epoch (epoch from 1, train_loss, val_loss,
    learning_rate, seconds, and `monitor`'s values).
    """

    variables: Any
    best_epoch: int
    history: Sequence[Mapping[str, float]]

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
    monitor: Callable[[Mapping[str, np.ndarray]], Mapping[str, float]] = lambda outputs: {},
    report: Callable[[int, int, Mapping[str, float]], None] = lambda epoch, epochs, line: None,
) -> Fitted:
    """Train `problem` to the end, from the last checkpoint in `directory` where there is one.

    Killed at any moment and called again, it ends with the same model and metrics as if never interrupted. monitor
    turns the validation outputs into more metrics; report is told of every epoch (from 1). Raises UserError when the
    loss is not finite, naming `name`, the epoch and the step.
    """
    size = batches.batch_size(train, schedule.batch_size)
    example = train.inputs(np.arange(min(2, len(train))))
    state = step.create(problem, example, seed)
    checkpoints = Checkpoints(directory / "checkpoints")
    log = directory / "metrics.jsonl"
    done = checkpoints.epoch("latest") or 0
    best = _variables(state)
    if done:
        state = checkpoints.restore("latest", state)
        best = checkpoints.restore("best", best)
    state = parallel.replicate(state, devices)
    history = _read_log(log, done)
    best_epoch = _best(history, schedule.select)
    saved = best_epoch
    run = parallel.train_steps(problem, devices)
    evaluate = jax.jit(problem.loss)
    stream = batches.epochs(
        train,
        size=size,
        first=done,
        last=schedule.epochs,
        seed=seed,
        threads=schedule.threads,
        balance=schedule.balance,
    )
    started = time.perf_counter()
    for epoch, steps in stream:
        losses = []
        while block := list(itertools.islice(steps, schedule.steps_per_dispatch)):
            state, values = run(state, parallel.stack(block, len(devices)))
            losses.append(values)
        losses = np.concatenate([np.asarray(values) for values in losses])
        _check(losses, name, epoch + 1, done, directory)
        outputs = parallel.predict(problem, _variables(state), val.inputs, len(val), schedule.batch_size, devices)
        val_loss = float(evaluate(outputs, val.labels, val.weights))
        _check(np.asarray([val_loss]), f"{name} (validation)", epoch + 1, done, directory)
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
            **monitor(outputs),
            "seconds": round(time.perf_counter() - started, 3),
        }
        started = time.perf_counter()
        history.append(line)
        if _best(history, schedule.select) == epoch + 1:
            best, best_epoch = _variables(state), epoch + 1
        _append_log(log, line)
        if (epoch + 1) % schedule.checkpoint_every == 0 or epoch + 1 == schedule.epochs:
            if best_epoch != saved:  # the best first: a run killed in between repeats this epoch and saves it again
                checkpoints.save("best", best_epoch, best)
                saved = best_epoch
            checkpoints.save("latest", epoch + 1, state)
            done = epoch + 1
        report(epoch + 1, schedule.epochs, line)
    checkpoints.close()
    return Fitted(best, best_epoch, history)


def restore(problem: Problem, inputs: Any, directory: Path) -> Any:
    """The best variables of a finished run in `directory`; `inputs` `[B, ...]` gives the shapes."""
    checkpoints = Checkpoints(directory / "checkpoints")
    if checkpoints.epoch("best") is None:
        raise UserError(f"{directory} holds no trained model: run the command that trains it first")
    shapes = jax.eval_shape(lambda x: problem.model.init(jax.random.key(0), x, train=False), inputs)
    like = {"params": shapes["params"], "batch_stats": shapes.get("batch_stats", {})}
    best = checkpoints.restore("best", like)
    checkpoints.close()
    return best


def _best(history: Sequence[Mapping[str, float]], select: str) -> int:
    """The first epoch with the smallest `select`; 0 before any. Raises UsageError for what is not monitored."""
    if history and select not in history[0]:
        raise UsageError(f"training.select is {select}: choose from {', '.join(k for k in history[0] if k != 'epoch')}")
    return min(history, key=lambda line: line[select])["epoch"] if history else 0


def _variables(state: step.TrainState) -> dict[str, Any]:
    return {"params": state.params, "batch_stats": state.batch_stats}


def _check(losses: np.ndarray, name: str, epoch: int, kept: int, directory: Path) -> None:
    wrong = np.flatnonzero(~np.isfinite(losses))
    if len(wrong):
        last = f"the checkpoint of epoch {kept} in {directory} is kept" if kept else "no epoch was finished"
        raise UserError(
            f"{name}: the loss is {losses[wrong[0]]} at epoch {epoch}, step {wrong[0] + 1}; lower the learning rate or "
            f"check the inputs; {last}"
        )


def _append_log(path: Path, line: Mapping[str, float]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as stream:
            stream.write(json.dumps(line) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; free space and run the same command again") from error


def _read_log(path: Path, epochs: int) -> list[dict[str, float]]:
    """The lines of the first `epochs` epochs; later ones, and a torn last one, are of epochs to be repeated."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines()[:epochs]:
        lines.append(json.loads(text))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    if len(lines) != epochs or any(not math.isfinite(line["val_loss"]) for line in lines):
        raise UserError(f"{path} does not match its checkpoint of epoch {epochs}; delete {path.parent} to train again")
    return lines
