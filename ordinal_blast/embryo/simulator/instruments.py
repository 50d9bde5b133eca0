"""The two time-lapse instruments of Kragh et al. (2019), section 3: what they record, and how finely."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Instrument(NamedTuple):
    """side: pixels of a frame; pixels_per_um; planes: focal planes in µm; minutes: least and most between frames."""

    name: str
    side: int
    pixels_per_um: float
    planes: tuple[float, ...]
    minutes: tuple[int, int]

    @property
    def field(self) -> float:
        """What a frame shows from side to side, in µm."""
        return self.side / self.pixels_per_um

    def focused(self, planes: np.ndarray) -> np.ndarray:
        """The recorded focal plane nearest to each of these, µm `[P]`."""
        recorded = np.asarray(self.planes)
        return recorded[np.abs(recorded[None] - np.asarray(planes)[:, None]).argmin(1)]


EMBRYOSCOPE = Instrument("EmbryoScope", 500, 1.7, tuple(15.0 * step for step in range(-3, 4)), (10, 15))
EMBRYOSCOPE_PLUS = Instrument("EmbryoScope+", 800, 2.9, tuple(15.0 * step for step in range(-5, 6)), (10, 10))
INSTRUMENTS = (EMBRYOSCOPE, EMBRYOSCOPE_PLUS)


def recorded(times: np.ndarray, first: float, minutes: float) -> np.ndarray:
    """The hours hpi float32 of the frames nearest to these times, of frames every so many minutes from `first` on."""
    step = minutes / 60.0
    return np.float32(first + np.ceil((np.float64(times) - first) / step - 0.5) * step)  # the earlier one on a tie
