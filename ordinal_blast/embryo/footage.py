"""What can be looked at of every embryo: frames that were recorded, or that are drawn when they are asked for."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ordinal_blast.embryo import timelapse
from ordinal_blast.embryo.simulator import INSTRUMENTS, Simulation, draw, masks, noise, panel, population
from ordinal_blast.embryo.simulator.instruments import EMBRYOSCOPE, recorded
from ordinal_blast.embryo.simulator.scene import ROW
from ordinal_blast.ranges import list_of, number, whole

MOST_PIXELS = 2**14  # of a side of a frame
SIDE = whole(1, MOST_PIXELS)
PLANES = list_of(number(least=-10_000, most=10_000))  # µm

_DRAWN = ("id", "clinic", *ROW, "minutes", "first_hpi")  # what of an embryo makes its frames


class Footage(Protocol):
    """Frames of every embryo, by its row, the hour and the focal plane (an index of `planes`, µm)."""

    @property
    def planes(self) -> tuple[float, ...]:
        """Focal planes `[F]` that may be asked for, in µm."""

    def recording(self) -> tuple[Sequence[int], Sequence[float]]:
        """Height and width of a recording that is graded like these, in pixels, and its focal planes in µm."""

    def recorded(self, row: int, times: np.ndarray) -> np.ndarray:
        """The hours (hpi) of the frames nearest to these times."""

    def frames(self, row: int, hours: np.ndarray, planes: Sequence[int]) -> np.ndarray:
        """Frames uint8 `[S, H, W, P]` of these hours and planes."""

    def masks(self, row: int, hours: np.ndarray) -> np.ndarray:
        """Where the embryo truly is in these frames, bool `[S, H, W]`."""

    def finish(self, image: np.ndarray, row: int, hour: float, plane: int) -> np.ndarray:
        """A part of such a frame, uint8 `[h, w]`, as it is seen: what is never stored is added."""


class Recorded:
    """Recordings: frames uint8 `[N, T, H, W, F]`, or records of that, at the hours hpi `[N, T]` in these planes.

    masks: `[N, T, H, W]`, where they are asked for.
    """

    def __init__(self, frames: Any, hpi: np.ndarray, planes: tuple[float, ...], masks: Any = None) -> None:
        self._hpi, self.planes, self._masks = hpi, planes, masks
        self._frames = frames
        self._recording = functools.lru_cache(maxsize=4)(lambda row: frames[np.asarray([row])][0])

    def recording(self) -> tuple[Sequence[int], Sequence[float]]:
        """Height and width of a recording, in pixels, and its focal planes in µm."""
        return self._frames[np.arange(1)].shape[2:4], self.planes

    def recorded(self, row: int, times: np.ndarray) -> np.ndarray:
        """The hours (hpi) of the frames nearest to these times."""
        return self._hpi[row][timelapse.nearest(self._hpi[row], times)]

    def frames(self, row: int, hours: np.ndarray, planes: Sequence[int]) -> np.ndarray:
        """Frames uint8 `[S, H, W, P]` of these hours and planes."""
        return self._recording(row)[timelapse.nearest(self._hpi[row], hours)][..., list(planes)]

    def masks(self, row: int, hours: np.ndarray) -> np.ndarray:
        """Where the embryo truly is in these frames, bool `[S, H, W]`."""
        return self._masks[np.asarray([row])][0][timelapse.nearest(self._hpi[row], hours)].astype(bool)

    def finish(self, image: np.ndarray, row: int, hour: float, plane: int) -> np.ndarray:
        """The image as it is."""
        del row, hour, plane
        return image


@dataclasses.dataclass(frozen=True)
class Drawn:
    """Simulated embryos, drawn on frames of `side` pixels; the camera's noise is drawn when an image is looked at.

    numbers: of the embryos `[N]`. planes: in µm; the nearest that the embryo's instrument records is drawn.
    """

    simulation: Simulation
    numbers: np.ndarray
    planes: tuple[float, ...]
    side: int

    @functools.cached_property
    def _people(self) -> dict[str, np.ndarray]:
        known = [population(self.simulation), *([panel(self.simulation)] if self.simulation.panel else [])]
        people = {name: np.concatenate([one[name] for one in known]) for name in _DRAWN}
        rows = np.searchsorted(people["id"], self.numbers)
        return {name: values[rows] for name, values in people.items()}

    def recording(self) -> tuple[Sequence[int], Sequence[float]]:
        """Those of an EmbryoScope."""
        return (EMBRYOSCOPE.side, EMBRYOSCOPE.side), EMBRYOSCOPE.planes

    def recorded(self, row: int, times: np.ndarray) -> np.ndarray:
        """The hours (hpi) of the frames nearest to these times."""
        return recorded(times, self._people["first_hpi"][row], self._people["minutes"][row])

    def frames(self, row: int, hours: np.ndarray, planes: Sequence[int]) -> np.ndarray:
        """Frames uint8 `[S, side, side, P]` of these hours and planes, without noise."""
        embryo = self._embryo(row)
        focus = INSTRUMENTS[embryo["instrument"]].focused(np.asarray(self.planes)[list(planes)])
        return draw(self.simulation.key, embryo, hours, focus, self.side)

    def masks(self, row: int, hours: np.ndarray) -> np.ndarray:
        """Where the embryo truly is in these frames, bool `[S, side, side]`."""
        return masks(self.simulation.key, self._embryo(row), hours, self.side)

    def _embryo(self, row: int) -> dict[str, np.ndarray]:
        return {name: values[row] for name, values in self._people.items()}

    def finish(self, image: np.ndarray, row: int, hour: float, plane: int) -> np.ndarray:
        """The image with the noise of its frame and focal plane."""
        instrument = INSTRUMENTS[self._people["instrument"][row]]
        focus = instrument.focused(np.asarray(self.planes)[[plane]])[0]
        key = noise.key(self.simulation.seed, int(self.numbers[row]), hour, focus)
        return noise.noisy(image, noise.level(instrument, self.side), key)
