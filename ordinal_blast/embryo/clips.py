"""The stage that hands the hourly crops themselves to a network of whole recordings, for joint training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ordinal_blast.embryo import timelapse
from ordinal_blast.embryo.crops import Crops, of_recordings
from ordinal_blast.ranges import whole
from ordinal_blast.record import Record
from ordinal_blast.schema import setting
from ordinal_blast.settings import StageSettings
from ordinal_blast.study.recipe import Stage, Traced, Values, Work


@dataclasses.dataclass(frozen=True)
class ClipSettings(StageSettings):
    """How long clips are."""

    max_frames: int = setting(30, "frames of a clip, the last at the time of maximum expansion", whole(1, 1000))


class Clips(Stage[ClipSettings]):
    """The hourly crops up to maximum expansion, then zeros; makes "clips" uint8 `[N, max_frames, H, W, P]`."""

    Settings: ClassVar[type[StageSettings]] = ClipSettings
    reads = ("crops",)
    makes = ("clips",)

    def build(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """Nothing: the crops are there."""
        del inputs, folder, work
        return {}

    def open(self, inputs: Mapping[str, Any], folder: Path, work: Work) -> Mapping[str, Any]:
        """The view of the crops, which are read as they are asked for."""
        del folder, work
        crops = inputs["crops"]
        return {"clips": lambda rows, rng: self._of(crops, rows)}

    def restore(self, folder: Path, record: Record) -> Callable[[Values], Values]:
        """Adds "clips" `[1, max_frames, H, W, P]` of a recording, whose notes are then those on its hourly frames."""
        del folder, record
        return of_recordings("clips", lambda crops, values: self._of(crops, np.arange(1)))

    def traced(self, folder: Path, record: Record) -> Traced:
        """Adds "clips" `[B, max_frames, H, W, P]` of recordings."""
        del folder, record

        def apply(variables: Mapping[str, Any], values: Values) -> Values:
            del variables
            clips = timelapse.sequences_traced(values["crops"], values["tmeb"], self.settings.max_frames)
            return {**values, "clips": clips}

        return Traced({}, apply, {})

    def _of(self, crops: Crops, rows: np.ndarray) -> np.ndarray:
        taken = timelapse.sequences(crops.tmeb()[rows], self.settings.max_frames)
        clip, place = np.nonzero(taken >= 0)
        frames = crops.hourly(rows[clip] * len(crops.hours) + taken[clip, place])
        return timelapse.placed(frames, taken)
