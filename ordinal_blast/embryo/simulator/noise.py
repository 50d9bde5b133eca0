"""What a camera adds to a frame, drawn when it is looked at: images without it take half the disk."""

from __future__ import annotations

import numpy as np

from ordinal_blast.embryo.simulator.instruments import Instrument

CAMERA = 0.012 * 255  # grey levels, s.d. of a pixel of the instrument


def level(instrument: Instrument, side: int) -> float:
    """S.d. in grey levels on frames of `side` pixels: a triangle over k pixels averages 2 / 3k of it into one."""
    return CAMERA * (1.0 if side >= instrument.side else min(1.0, 2 * side / (3 * instrument.side)))


def key(seed: int, number: int, hour: float, plane: float) -> tuple[int, ...]:
    """What names a frame of an embryo at an hour (hpi) and focal plane (µm)."""
    return seed, number, round(float(hour) * 1000), round(float(plane) * 10) + 10**6


def noisy(pixels: np.ndarray, sd: float, key: tuple[int, ...]) -> np.ndarray:
    """Pixels uint8 with normal noise of this s.d. (grey levels), drawn from the key alone."""
    drawn = np.random.default_rng(key).standard_normal(pixels.shape, np.float32)
    return np.clip(np.rint(pixels + np.float32(sd) * drawn), 0, 255).astype(np.uint8)
