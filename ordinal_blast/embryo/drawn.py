"""Stages of simulated embryos: what is looked at is drawn when it is looked at, cropped, and kept as crops alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from ordinal_blast.embryo import simulated
from ordinal_blast.embryo.cropping import MaskSettings, MaskStage, check_batch
from ordinal_blast.embryo.crops import Crop
from ordinal_blast.embryo.footage import MOST_PIXELS, SIDE, Drawn, Footage
from ordinal_blast.embryo.simulator import INSTRUMENTS, Simulation, draw, masks, wells
from ordinal_blast.ranges import check, number, whole
from ordinal_blast.schema import setting
from ordinal_blast.settings import StageSettings
from ordinal_blast.study.recipe import Work

_TEST = 0.2  # share of the images that select nothing (Kragh et al. 2019, appendix); as many again of the rest choose


@dataclasses.dataclass(frozen=True)
class DrawnCropperSettings(MaskSettings):
    """A cropper that learns from simulated wells of its own."""

    images: int = setting(
        2126, "of wells, each once: a fifth tests, and of the rest a fifth chooses the epoch", whole(8)
    )
    embryos: float = setting(1509 / 2126, "share of the wells with an embryo in them", number(least=0, most=1))
    plus: float = setting(1119 / 2126, "share of the wells in an EmbryoScope+", number(least=0, most=1))
    side: int = setting(280, "pixels of a side of the frames that are drawn, before they are shrunk", SIDE)


class DrawnCropper(MaskStage[DrawnCropperSettings]):
    """Learns from a set of images of its own, empty wells among them, at any hour."""

    Settings: ClassVar[type[StageSettings]] = DrawnCropperSettings
    reads = ()

    def check(self, work: Work) -> None:
        """Raise UsageError for a batch of more images than there are."""
        check_batch(self.name, self.settings, len(self._numbers("train")))

    def pictures(self, inputs: Mapping[str, Any], work: Work, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Each well of a set, at its hour."""
        section, extras = self.settings, work.material.dataset.extras
        simulation = simulated.simulation_of(extras) if "simulation" in extras else Simulation()  # beside real embryos
        people, hours = wells(simulation, section.images, section.embryos, section.plus)
        for n in self._numbers(split):
            row, hour = {name: values[n] for name, values in people.items()}, hours[n : n + 1]
            focus = INSTRUMENTS[row["instrument"]].focused(np.asarray(section.planes))
            frames = draw(simulation.key, row, hour, focus, section.side)
            yield frames, masks(simulation.key, row, hour, section.side)

    def _numbers(self, split: str) -> range:
        test = round(_TEST * self.settings.images)
        val = round(_TEST * (self.settings.images - test))
        return {"test": range(test), "val": range(test, test + val), "train": range(test + val, self.settings.images)}[
            split
        ]


class DrawnCrop(Crop):
    """Crops of simulated embryos: only what is kept is drawn, on frames whose window has the crop's size as it is."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Which embryos, the cropper, and tA where the CNN looks then."""
        return ("number", *self._assessed, "cropper")

    def validate(self) -> None:
        """Raise UsageError as `Crop` does, and for a window so small that frames would be too large."""
        super().validate()
        check(f"{self.name}.crop_share", self.settings.crop_share, number(least=self.settings.size / MOST_PIXELS))

    def check(self, work: Work) -> None:
        """Raise UsageError for a data set that is not simulated."""
        simulated.simulation_of(work.material.dataset.extras)

    def footage(self, inputs: Mapping[str, Any], work: Work) -> Footage:
        """The embryos in the focal planes that the CNN may see."""
        section = self.settings
        planes = sorted({plane for wanted in section.foci() for plane in wanted} | set(section.planes))
        simulation = simulated.simulation_of(work.material.dataset.extras)
        side = round(section.size / section.crop_share)
        return Drawn(simulation, np.asarray(inputs["number"]), tuple(planes), side)
