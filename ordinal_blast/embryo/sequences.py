"""The stage between CNN and LSTM: what the CNN sees in the hourly frames up to the time of maximum expansion."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ordinal_blast.embryo import timelapse
from ordinal_blast.embryo.crops import Crops, of_recordings
from ordinal_blast.ranges import one_of, whole
from ordinal_blast.record import Record
from ordinal_blast.schema import setting
from ordinal_blast.settings import StageSettings
from ordinal_blast.storage import atomic, read_npy
from ordinal_blast.study.grader import Features
from ordinal_blast.study.recipe import Stage, Traced, Values, Work

_ORDERS = ("chronological", "reversed")


@dataclasses.dataclass(frozen=True)
class SequenceSettings(StageSettings):
    """How long sequences are, and in which order."""

    max_frames: int = setting(30, "frames of a sequence, the last at the time of maximum expansion", whole(1, 1000))
    order: str = setting(
        "chronological",
        "of the frames: chronological, or reversed, which begins at maximum expansion",
        one_of(*_ORDERS),
    )


class Sequences(Stage[SequenceSettings]):
    """Features of the hourly crops by the grader before it; makes "sequences" `[N, max_frames, D]`."""

    Settings: ClassVar[type[StageSettings]] = SequenceSettings
    reads = ("crops", "features")
    makes = ("sequences",)

    def build(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """Look at the hourly frames of every embryo that its sequence has."""
        del work
        crops = inputs["crops"]
        sequences = self._of(crops, inputs["features"])
        with atomic(folder / "sequences.npy") as stream:
            np.save(stream, sequences)
        return {"frames": int(np.minimum(crops.tmeb() + 1, self.settings.max_frames).sum())}

    def open(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """The sequences, left on disk."""
        del inputs, work
        stored = read_npy(folder / "sequences.npy")
        return {"sequences": lambda rows, rng: stored[rows]}

    def restore(self, folder: Path, record: Record) -> Callable[[Values], Values]:
        """Adds "sequences" `[1, max_frames, D]` of a recording, whose notes are then those on its hourly frames."""
        del folder, record
        return of_recordings("sequences", lambda crops, values: self._of(crops, values["features"]))

    def traced(self, folder: Path, record: Record) -> Traced:
        """Adds "sequences" `[B, max_frames, D]` of recordings."""
        del folder, record

        def apply(variables: Mapping[str, Any], values: Values) -> Values:
            del variables
            crops = values["crops"]
            batch, hours = crops.shape[:2]
            frames = values["features"](crops.reshape(-1, *crops.shape[2:])).reshape(batch, hours, -1)
            backwards = self.settings.order == "reversed"
            taken = timelapse.sequences_traced(frames, values["tmeb"], self.settings.max_frames, backwards=backwards)
            return {**values, "sequences": taken}

        return Traced({}, apply, {})

    def _of(self, crops: Crops, features: Features) -> np.ndarray:
        return of_crops(crops, features, self.settings.max_frames, backwards=self.settings.order == "reversed")


def of_crops(crops: Crops, features: Features, max_frames: int, *, backwards: bool = False) -> np.ndarray:
    """Features `[N, max_frames, D]` of the hourly frames that end at maximum expansion, then zeros."""
    hours, taken = len(crops.hours), timelapse.sequences(crops.tmeb(), max_frames, backwards=backwards)
    rows, places = np.nonzero(taken >= 0)
    # A recording has as many as its hours at least: one shape, and the network is compiled once for all of them.
    wanted = np.pad(rows * hours + taken[rows, places], (0, max(0, hours - len(rows))), mode="edge")
    seen = features.extract(lambda indices: crops.hourly(wanted[indices]), len(wanted))
    return timelapse.placed(seen[: len(rows)], taken)
