"""Time-lapse recordings from files: frames, their hours and focal planes, checked before anything looks at them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ordinal_blast.errors import UserError
from ordinal_blast.storage import read_npz

_LONGEST = 336.0  # two weeks, in hours: no embryo is cultured for longer, and no recording in seconds is shorter
_ARRAYS = ("frames", "hpi", "planes")


class Recording(NamedTuple):
    """frames: uint8 `[T, H, W, F]`; hpi: float32 `[T]`, increasing; planes: `[F]` µm; assessed: tA in hpi, or None."""

    frames: np.ndarray
    hpi: np.ndarray
    planes: tuple[float, ...]
    assessed: float | None


def read(path: Path) -> Recording:
    """The recording in an npz file with `frames`, `hpi`, `planes` and, where it is known, `tA`.

    Raises UserError for a file that cannot be read, lacks an array, or holds one of another type, shape or unit.
    """
    arrays = read_npz(path, _ARRAYS, also=("tA",))
    frames = arrays["frames"]
    hpi, planes = (_numbers(path, name, arrays[name]) for name in ("hpi", "planes"))
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[0] != len(hpi) or frames.shape[-1] != len(planes):
        raise UserError(
            f"{path}: frames must be uint8 [T, H, W, F] with one of {len(hpi)} hpi a frame and one of {len(planes)} "
            f"planes a channel, not {frames.dtype} {list(frames.shape)}"
        )
    if not frames.size:
        raise UserError(f"{path} is empty: its frames are {list(frames.shape)}")
    _check_hours(path, "hpi", hpi)
    if (np.diff(hpi) <= 0).any():
        late = int(np.argmax(np.diff(hpi) <= 0)) + 1
        raise UserError(
            f"{path}: hpi must increase from frame to frame, and frame {late} has {hpi[late]:g} after {hpi[late - 1]:g}"
        )
    return Recording(frames, hpi.astype(np.float32), tuple(planes.tolist()), _assessed(path, arrays.get("tA")))


def _assessed(path: Path, stored: np.ndarray | None) -> float | None:
    if stored is None:
        return None
    hour = _numbers(path, "tA", np.atleast_1d(stored))
    if len(hour) != 1:
        raise UserError(f"{path}: tA must be one hour, not {len(hour)} numbers")
    _check_hours(path, "tA", hour)
    return float(np.float32(hour[0]))  # as datasets store it


def _check_hours(path: Path, name: str, hours: np.ndarray) -> None:
    if hours.min() < 0 or hours.max() > _LONGEST:
        raise UserError(
            f"{path}: {name} runs from {hours.min():g} to {hours.max():g}, and hours after insemination lie in "
            f"0 ... {_LONGEST:g}: give hours, not minutes or seconds"
        )


def _numbers(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise UserError(f"{path}: {name} must be a list of numbers, not {values.dtype} {list(values.shape)}")
    if not np.isfinite(values).all():
        place = int(np.argmin(np.isfinite(values)))
        raise UserError(f"{path}: entry {place} of {name} is {values[place]}: give a finite number")
    return values.astype(np.float64)
