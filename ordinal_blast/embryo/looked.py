"""The frame of a new example that the CNN's image is cut from: where the embryo is in it, and where the window."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ordinal_blast.embryo.cropping import EmbryoFinder
from ordinal_blast.embryo.windows import area_and_centre, corner, crop


@dataclasses.dataclass(frozen=True, eq=False)
class Looked:
    """A frame uint8 `[H, W, F]` in these focal planes, of a file in which it begins at row and column `start`.

    share, size, around: of the window, see `CropFrames`.
    """

    frame: np.ndarray
    planes: Sequence[float]
    start: tuple[int, int]
    cropper: EmbryoFinder
    share: float
    size: int
    around: str

    @functools.cached_property
    def mask(self) -> np.ndarray:
        """Where the cropper sees the embryo, bool `[s, s]` of the whole frame."""
        return self.cropper.masks(self.frame[None], self.planes)[0]

    @property
    def box(self) -> list[int]:
        """Left, top, right and bottom of the window in pixels of the file."""
        share, sides = self._share, np.asarray(self.frame.shape[:2])
        first = np.asarray(corner(self._centre, share))[0] * sides
        top, left = (round(float(at)) + begins for at, begins in zip(first, self.start, strict=True))
        height, width = (round(share * side) for side in sides)
        return [left, top, left + int(width), top + int(height)]

    def within(self) -> np.ndarray:
        """The mask in the window, bool `[size, size]`."""
        mask = jnp.asarray(self.mask[None, ..., None].astype(np.uint8) * 255)
        return np.asarray(crop(mask, self._centre, self._share, self.size))[0, ..., 0] > 127

    @property
    def _share(self) -> float:
        return 1.0 if self.around == "frame" else self.share

    @property
    def _centre(self) -> jnp.ndarray:
        """Row and column of the window's centre over the sides of the frame, `[1, 2]`."""
        _, centre = area_and_centre(jnp.asarray(self.mask[None].astype(np.float32)))
        return centre if self.around == "embryo" else jnp.full_like(centre, 0.5)
