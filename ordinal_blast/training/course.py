"""One training on its way: what lies behind it, which epoch is kept, what is written of it, when it is over."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ordinal_blast.data import batches
from ordinal_blast.data.batches import Examples
from ordinal_blast.errors import UsageError, UserError
from ordinal_blast.settings import TrainingSettings
from ordinal_blast.training import step
from ordinal_blast.training.journal import Journal
from ordinal_blast.training.problem import Problem
from ordinal_blast.training.selection import NO_MEASURES, Line, Monitor, check_selection
from ordinal_blast.training.step import Metrics, TrainState
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


class Course:
    """A training from the last checkpoint in its directory, if there is one, to its end.

    Whoever drives it takes the steps of the next epoch of `stream` from `state`, evaluates, and tells `end_epoch`,
    until it is `over`. failure: what ended it before. together: how many are driven side by side, which share the time.
    """

    failure: Exception | None = None
    together: int = 1

    def __init__(
        self,
        problem: Problem,
        train: Examples,
        val: Examples,
        training: TrainingSettings,
        *,
        seed: int,
        directory: Path | None,
        name: str,
        monitor: Monitor = NO_MEASURES,
        report: Callable[[int, int, Line], None] = lambda epoch, epochs, line: None,
        initial: Callable[[Variables], Variables] | None = None,
    ) -> None:
        """The arguments and what they raise are those of `loop.fit`."""
        check_selection(training.select, monitor.directions)
        batched = dict(size=training.batch_size, last=training.epochs, seed=seed, balance=training.balance)
        self._stream = functools.partial(batches.epochs, train, **batched)
        self._blocks = functools.partial(batches.blocks, train, steps=training.steps_per_dispatch, **batched)
        _check_examples(train, f"{name} (training)")
        _check_examples(val, f"{name} (validation)")
        self.problem, self.val, self.training = problem, val, training
        self.name, self.monitor, self._report = name, monitor, report
        self._journal = Journal(directory)
        self.history = self._journal.history
        self.stream(0)  # raises for what cannot be
        like, total = train.inputs(np.arange(min(2, len(train)))), updates(problem, train, training)
        self._steps = batches.steps_per_epoch(train, training.batch_size, training.balance)
        self.state = step.create(problem, like, seed, total, initial if not self.history else None)
        self._best = step.variables(self.state, problem)
        self._best_epoch = monitor.best(self.history, training.select)
        if self.history:
            self.state, self._best = self._journal.restore(self.state, self._best)
        self._journal.begin()
        self._started = time.perf_counter()

    @property
    def kind(self) -> Hashable:
        """What is learned, how, and of what shapes: equal where one program can take the steps of both."""
        leaves = jax.tree.leaves(self.val.inputs(np.arange(1)))
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        return self.problem, self.monitor.sees, self.training, self._steps, len(self.val), shapes

    @property
    def inputs_at_once(self) -> int:
        """Bytes of the inputs of one dispatch and of all validation examples."""
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(self.val.inputs(np.arange(1))))
        steps = min(self._steps, self.training.steps_per_dispatch)
        return size * (len(self.val) + steps * self.training.batch_size)

    @property
    def over(self) -> bool:
        """Whether all epochs are done, or the patience is at its end."""
        done, patience = len(self.history), self.training.patience
        return done >= self.training.epochs or 0 < patience <= done - self._best_epoch

    def stream(self, threads: int) -> Iterator[tuple[int, Iterator[Batch]]]:
        """The epochs before it, with their batches, which so many threads read ahead."""
        return self._stream(first=len(self.history), threads=threads)

    @property
    def seals(self) -> bool:
        """Whether the next epoch ends with a checkpoint in any case."""
        epoch = len(self.history) + 1
        return epoch == self.training.epochs or epoch % self.training.checkpoint_every == 0

    def blocks(self) -> Iterator[tuple[int, Iterator[Batch]]]:
        """The same epochs, with the batches of one dispatch in one, leaves `[S, B, ...]`."""
        return self._blocks(first=len(self.history))

    def check(self, losses: np.ndarray) -> None:
        """Raise UserError where a training loss of the steps of this epoch `[S]` is not finite."""
        self._check_loss(losses, self.name)

    def end_epoch(
        self,
        metrics: Metrics,
        seen: Any,
        val_loss: float,
        state: Callable[[], TrainState],
        variables: Callable[[], Variables],
    ) -> None:
        """An epoch is done.

        metrics: of its steps, `[S]`; seen: what the monitor sees of the validation examples; state() gives the state
        after it, its schedule told of the loss, and variables() what was evaluated. Raises UserError where the loss is
        not finite, or the disk refuses.
        """
        self._check_loss(np.asarray([val_loss]), f"{self.name} (validation)")
        epoch, sealed, ended = len(self.history) + 1, self.seals, time.perf_counter()
        line = {
            "epoch": epoch,
            "train_loss": float(metrics.loss.mean(dtype=np.float64)),
            "val_loss": val_loss,
            "learning_rate": _last_rate(self.problem, metrics.factor),
            **{key: _defined(value) for key, value in self.monitor.measure(seen).items()},
            "seconds": round((ended - self._started) / self.together, 3),
        }
        self._started = ended
        self.history.append(line)
        if self.monitor.best(self.history, self.training.select) == epoch:
            self._best, self._best_epoch = variables(), epoch
        seal = self.over or sealed
        self._journal.keep(self.history, state() if seal else None, self._best, seal=seal)
        self._report(epoch, self.training.epochs, line)

    def fitted(self) -> Fitted:
        """What came of it; raises its failure, if any."""
        if self.failure is not None:
            raise self.failure
        self._journal.close()
        return Fitted(self._best, self._best_epoch, self.history)

    def _check_loss(self, losses: np.ndarray, name: str) -> None:
        wrong = np.flatnonzero(~np.isfinite(losses))
        if len(wrong):
            raise UserError(
                f"{name}: the loss is {losses[wrong[0]]} at epoch {len(self.history) + 1}, step {wrong[0] + 1}; lower "
                f"the learning rate or check the inputs; {self._journal.kept}"
            )


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
