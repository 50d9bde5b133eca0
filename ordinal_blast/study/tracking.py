"""Where metrics go as they come, beside the folder of a cell: files, TensorBoard, and services that people watch.

Nothing of it is read again, and nothing of it makes a number: a run that is tracked is the same run, and what fails
here costs a warning, not a cell. What a killed run had told since its last checkpoint is told again when it goes on.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ordinal_blast.errors import needs, one_line
from ordinal_blast.storage import digest
from ordinal_blast.study import events
from ordinal_blast.training.selection import Line

INTERLEAVED = ("jsonl", "tensorboard")  # the others are told of one cell after another


class Tracker(Protocol):
    """What is told of a plan: each cell that begins, each epoch of each of its stages, and what it scores on the test.

    settings: those of the cell that are not at their default. measures: "stage/task/measure" on the test set.
    """

    def begin(self, cell: str, settings: Mapping[str, Any]) -> None:
        """A cell begins, or goes on."""

    def epoch(self, cell: str, stage: str, line: Line) -> None:
        """An epoch is done: its line of `metrics.jsonl`."""

    def finish(self, cell: str, measures: Mapping[str, float]) -> None:
        """The cell is done."""


class Trackers:
    """Trackers by name, told as one; what one raises is said once, and it is told no more."""

    def __init__(self, trackers: Mapping[str, Tracker], say: Callable[[str], None]) -> None:
        self._trackers, self._say = dict(trackers), say

    def begin(self, cell: str, settings: Mapping[str, Any]) -> None:
        """A cell begins, or goes on."""
        self._tell(lambda tracker: tracker.begin(cell, settings))

    def epoch(self, cell: str, stage: str, line: Line) -> None:
        """An epoch is done."""
        self._tell(lambda tracker: tracker.epoch(cell, stage, line))

    def finish(self, cell: str, measures: Mapping[str, float]) -> None:
        """The cell is done."""
        self._tell(lambda tracker: tracker.finish(cell, measures))

    def _tell(self, action: Callable[[Tracker], None]) -> None:
        for name, tracker in [*self._trackers.items()]:
            try:
                action(tracker)
            except Exception as error:  # of a disk, a network or a package: the folders of cells have the numbers
                del self._trackers[name]
                self._say(f"Warning: metrics no longer go to {name}: {one_line(error)}")


def begin(names: Sequence[str], root: Path, experiment: str, say: Callable[[str], None]) -> Trackers:
    """The trackers of a work directory; raises NotInstalled that names the extra of one that is not there."""
    return Trackers({name: TRACKERS[name](root, experiment) for name in names}, say)


class Lines:
    """One file for all cells, `tracking.jsonl`: a line an epoch, with its cell and stage, and one for its test."""

    def __init__(self, root: Path, experiment: str) -> None:
        self._path, self._experiment = root / "tracking.jsonl", experiment
        if self._path.exists():  # a kill may have left a line that is not whole
            with self._path.open("r+b") as stream:
                stream.truncate(stream.read().rfind(b"\n") + 1)

    def begin(self, cell: str, settings: Mapping[str, Any]) -> None:
        """A cell begins, or goes on."""
        self._write({"cell": cell, "experiment": self._experiment, "settings": settings})

    def epoch(self, cell: str, stage: str, line: Line) -> None:
        """An epoch is done."""
        self._write({"cell": cell, "stage": stage, **line})

    def finish(self, cell: str, measures: Mapping[str, float]) -> None:
        """The cell is done."""
        self._write({"cell": cell, "test": measures})

    def _write(self, line: Mapping[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")


class TensorBoard:
    """Event files in `tensorboard/<cell>/<stage>`, and for the test of a cell in `tensorboard/<cell>`."""

    def __init__(self, root: Path, experiment: str) -> None:
        del experiment
        self._root = root / "tensorboard"
        self._name = f"events.out.tfevents.{time.time_ns()}.ordinal_blast"  # of this sitting: files are never mixed

    def begin(self, cell: str, settings: Mapping[str, Any]) -> None:
        """A cell begins, or goes on."""

    def epoch(self, cell: str, stage: str, line: Line) -> None:
        """An epoch is done."""
        self._write(self._root / cell / stage, _numbers(line), int(line["epoch"] or 0))

    def finish(self, cell: str, measures: Mapping[str, float]) -> None:
        """The cell is done."""
        self._write(self._root / cell, {f"test/{name}": value for name, value in measures.items()}, 0)

    def _write(self, folder: Path, values: Mapping[str, float], step: int) -> None:
        events.append(folder / self._name, values, step=step, wall_time=time.time())


class WeightsAndBiases:
    """A run of the project, named as the experiment, for every cell; it goes on under the same id."""

    def __init__(self, root: Path, experiment: str) -> None:
        with needs("wandb"):
            import wandb
        self._wandb, self._root, self._experiment = wandb, root, experiment
        self._run: Any = None

    def begin(self, cell: str, settings: Mapping[str, Any]) -> None:
        """A cell begins, or goes on."""
        if self._run is not None:  # of a cell that failed
            self._run.finish(exit_code=1)
        self._run = self._wandb.init(
            project=self._experiment,
            name=cell,
            id=digest([str(self._root.resolve()), cell]),
            resume="allow",
            dir=str(self._root),
            config=dict(settings),
        )

    def epoch(self, cell: str, stage: str, line: Line) -> None:
        """An epoch is done."""
        del cell
        self._run.log({f"{stage}/{name}": value for name, value in line.items() if value is not None})

    def finish(self, cell: str, measures: Mapping[str, float]) -> None:
        """The cell is done."""
        del cell
        self._run.summary.update({f"test/{name}": value for name, value in measures.items()})
        self._run.finish()
        self._run = None


class MLflow:
    """A run of the experiment for every cell, in `mlflow.db` of the run directory or where MLFLOW_TRACKING_URI says."""

    def __init__(self, root: Path, experiment: str) -> None:
        with needs("mlflow"):
            import mlflow
        self._mlflow = mlflow
        if "MLFLOW_TRACKING_URI" not in os.environ:
            mlflow.set_tracking_uri(
                f"sqlite:///{root.resolve() / 'mlflow.db'}"
            )  # folders of files are on their way out
        mlflow.set_experiment(experiment)

    def begin(self, cell: str, settings: Mapping[str, Any]) -> None:
        """A cell begins, or goes on."""
        if self._mlflow.active_run() is not None:  # of a cell that failed
            self._mlflow.end_run("FAILED")
        self._mlflow.start_run(run_name=cell)
        self._mlflow.log_params({name: str(value)[:500] for name, value in settings.items()})

    def epoch(self, cell: str, stage: str, line: Line) -> None:
        """An epoch is done."""
        del cell
        values = {f"{stage}/{name}": value for name, value in _numbers(line).items()}
        self._mlflow.log_metrics(values, step=int(line["epoch"] or 0))

    def finish(self, cell: str, measures: Mapping[str, float]) -> None:
        """The cell is done."""
        del cell
        self._mlflow.log_metrics({f"test/{name}": value for name, value in measures.items()})
        self._mlflow.end_run()


TRACKERS: dict[str, Callable[[Path, str], Tracker]] = {
    "jsonl": Lines,
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}


def _numbers(line: Line) -> dict[str, float]:
    """What of an epoch can be drawn over epochs."""
    return {
        name: value for name, value in line.items() if name != "epoch" and value is not None and math.isfinite(value)
    }
