"""Which frames of a time-lapse sequence are looked at: hourly frames, tMEB, and the sequence that ends there."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ordinal_blast.data.store import Dataset
from ordinal_blast.errors import UsageError


def hours(start: float, stop: float, step: float) -> np.ndarray:
    """The grid start, start + step, ... up to and with `stop`, in hpi, float32 `[T]`."""
    return np.arange(start, stop + step / 2, step, dtype=np.float32)


def nearest(hpi: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Index of the recorded frame nearest to each time; the earlier one on a tie.

    hpi: `[T]` increasing frame times; times: any shape, same unit. Returns int of the shape of `times`.
    """
    right = np.clip(np.searchsorted(hpi, times), 1, len(hpi) - 1) if len(hpi) > 1 else np.zeros_like(times, dtype=int)
    left = np.maximum(right - 1, 0)
    return np.where(np.abs(times - hpi[left]) <= np.abs(hpi[right] - times), left, right)


def maximum_expansion(area: np.ndarray, hpi: np.ndarray, start: float = 90.0) -> np.ndarray:
    """tMEB: index of the frame with the largest embryo area from `start` hpi on; the first on a tie.

    area: `[..., T]` pixels of the cropper's mask; hpi: `[T]`. Returns int `[...]` (Kragh et al. 2019, section 2.1).
    """
    return np.argmax(np.where(hpi >= start, area, -np.inf), axis=-1)


def sequences(last: np.ndarray, max_frames: int, *, backwards: bool = False) -> np.ndarray:
    """Indices of the up to `max_frames` hourly frames that end at `last`, in chronological order or backwards, then -1.

    last: int `[N]`, index of tMEB. Returns int `[N, max_frames]`.
    """
    steps, end = np.arange(max_frames), last[:, None]
    first = np.maximum(end + 1 - max_frames, 0)
    return np.where(steps <= end - first, end - steps if backwards else first + steps, -1)


def placed(frames: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Frames `[n, ...]`, one after another, where indices `[N, max_frames]` of `sequences` are not -1, then zeros."""
    sequences = np.zeros((*taken.shape, *frames.shape[1:]), frames.dtype)
    sequences[taken >= 0] = frames
    return sequences


def nearest_traced(hpi: jax.Array, times: jax.Array) -> jax.Array:
    """`nearest` of hpi `[B, T]` and times `[B, S]` as pure JAX: int `[B, S]`."""
    return jnp.argmin(jnp.abs(times[:, :, None] - hpi[:, None]), axis=-1)


def sequences_traced(frames: jax.Array, last: jax.Array, max_frames: int, *, backwards: bool = False) -> jax.Array:
    """Frames `[B, T, ...]` at the indices of `sequences`, then zeros, as pure JAX: `[B, max_frames, ...]`."""
    steps, end = jnp.arange(max_frames)[None], last[:, None]
    first = jnp.maximum(end + 1 - max_frames, 0)
    taken = end - steps if backwards else first + steps
    row = (Ellipsis, *(None,) * (frames.ndim - 2))
    kept = jnp.take_along_axis(frames, taken.clip(first, end)[row], axis=1)
    return jnp.where(((first <= taken) & (taken <= end))[row], kept, jnp.zeros((), frames.dtype))


def plane_indices(recorded: Sequence[float], wanted: Sequence[float]) -> tuple[int, ...]:
    """Index of the recorded focal plane nearest to each wanted one (µm): where planes are few, the last repeats."""
    return tuple(int(np.argmin(np.abs(np.asarray(recorded) - plane))) for plane in wanted)


def recorded_planes(dataset: Dataset) -> tuple[float, ...]:
    """The focal planes `[F]` of a data set's frames, in µm; raises UsageError where it does not say."""
    planes = dataset.extras.get("planes")
    if not planes:
        raise UsageError(f"{dataset.name} does not say its focal planes: put them, in µm, into the source's extras")
    return tuple(planes)
