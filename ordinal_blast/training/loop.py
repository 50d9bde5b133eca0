"""The plain loop around the pure step: one training, epoch by epoch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ordinal_blast.data.batches import Examples
from ordinal_blast.errors import UserError
from ordinal_blast.settings import TrainingSettings
from ordinal_blast.training import checkpoints, parallel, step
from ordinal_blast.training.course import Course, Fitted, Variables
from ordinal_blast.training.problem import Problem
from ordinal_blast.training.selection import NO_MEASURES, Line, Monitor
from ordinal_blast.types import Batch


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
    course = Course(
        problem,
        train,
        val,
        training,
        seed=seed,
        directory=directory,
        name=name,
        monitor=monitor,
        report=report,
        initial=initial,
    )
    return finish(course, devices)


def finish(course: Course, devices: tuple[jax.Device, ...]) -> Fitted:
    """Go through the epochs that a course has before it; raises UserError as `fit` does."""
    problem, training, val = course.problem, course.training, course.val
    state, stream = parallel.replicate(course.state, devices), course.stream(training.threads)
    evaluate, sees = jax.jit(problem.loss), jax.jit(course.monitor.sees)
    while not course.over and course.failure is None:
        _, steps = next(stream)
        state, metrics = _epoch(problem, state, steps, training.steps_per_dispatch, devices)
        course.check(metrics.loss)
        variables = step.variables(state, problem)
        outputs = parallel.predict(problem, variables, val.inputs, len(val), training.batch_size, devices)
        val_loss = float(evaluate(outputs, val.labels, val.weights))
        state = state.replace(optimizer=problem.optimizer.after_epoch(state.optimizer, val_loss))
        seen = jax.tree.map(np.asarray, sees(outputs, val.labels))
        course.end_epoch(metrics, seen, val_loss, lambda now=state: now, lambda now=variables: now)
    return course.fitted()


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


def _epoch(
    problem: Problem, state: step.TrainState, steps: Iterator[Batch], block: int, devices: tuple[jax.Device, ...]
) -> tuple[step.TrainState, step.Metrics]:
    """The state after all steps of an epoch, `block` of them in one dispatch, and their metrics on the host, `[S]`."""
    run, taken = parallel.train_steps(problem, devices), []
    while batches := list(itertools.islice(steps, block)):
        state, metrics = run(state, parallel.stack(batches, len(devices)))
        taken.append(metrics)
    return state, jax.tree.map(lambda *values: np.concatenate([np.asarray(value) for value in values]), *taken)
