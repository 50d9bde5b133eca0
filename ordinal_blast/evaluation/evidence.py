"""What `explain` shows of a network and one image, as plain arrays, and how much of its evidence lies in a region."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def share(maps: ArrayLike, masks: ArrayLike) -> np.ndarray:
    """Share of the sum of maps `[N, H, W]`, 0 or more, that lies inside masks `[N, H, W]`, float64 `[N]`.

    NaN where a map is 0 everywhere. A map without preference has the share of the image that its mask covers.
    """
    maps, masks = np.asarray(maps, np.float64), np.asarray(masks, bool)
    if maps.shape != masks.shape or maps.ndim != 3:
        raise ValueError(f"maps and masks must be [N, H, W] alike, found {maps.shape} and {masks.shape}")
    total = maps.sum(axis=(1, 2))
    return np.divide((maps * masks).sum(axis=(1, 2)), total, out=np.full(len(total), np.nan), where=total > 0)


@dataclasses.dataclass(frozen=True)
class Concentration:
    """Over n examples with evidence and a mask: mean share of the evidence inside, of the image inside, and of both the
    mean difference with its standard error; without: examples that had neither.
    """

    n: int
    without: int
    inside: float
    covered: float
    excess: float
    standard_error: float


def concentration(maps: ArrayLike, masks: ArrayLike) -> Concentration:
    """How much of the evidence in maps `[N, H, W]` lies inside masks `[N, H, W]`, beyond what those cover."""
    shares, masks = share(maps, masks), np.asarray(masks, bool)
    covered = masks.mean(axis=(1, 2))
    kept = np.isfinite(shares) & (covered > 0)
    n = int(kept.sum())
    if not n:
        return Concentration(0, len(shares), np.nan, np.nan, np.nan, np.nan)
    excess = (shares - covered)[kept]
    error = float(excess.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan
    inside, area = float(shares[kept].mean()), float(covered[kept].mean())
    return Concentration(n, len(shares) - n, inside, area, float(excess.mean()), error)


@dataclasses.dataclass(frozen=True, eq=False)
class Moment:
    """The network at one time of its training.

    kernel: filters `[k, k, C, F]` of the first layer, None where there is no such layer. evidence: by task, `[H, W]`.
    moved: by kernel, how far it is from its start, ‖W − W₀‖ / ‖W₀‖; nothing where the start is not known.
    """

    name: str
    epoch: int
    kernel: np.ndarray | None
    evidence: Mapping[str, np.ndarray]
    moved: Mapping[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Insight:
    """What a network sees in one image.

    lines: what `grading.grade` says of it. seen: the image `[H, W]` or `[H, W, 3]` as a page shows it, uint8, of the
    `shape` that the network reads. edges: by filter, `[H, W]`. maps: by name in order of depth, `[h, w, C]`. moments:
    in order of training. of: what the evidence is for. layer: the map that it is read from. region: where what is
    graded lies, bool `[H, W]`, or None. tested: by task, over test examples, where that was asked for. notes: what is
    not known, and why.
    """

    name: str
    cell: str
    model: str
    lines: Sequence[Mapping[str, Any]]
    seen: np.ndarray
    shape: tuple[int, ...]
    edges: Mapping[str, np.ndarray]
    maps: Mapping[str, np.ndarray]
    moments: Sequence[Moment]
    of: str
    layer: str
    region: np.ndarray | None
    tested: Mapping[str, Concentration]
    notes: tuple[str, ...]

    @property
    def evidence(self) -> Mapping[str, np.ndarray]:
        """By task, where the evidence of the network that grades lies, `[H, W]`."""
        return next(moment.evidence for moment in self.moments if moment.name == GRADES)

    def shares(self) -> dict[str, float]:
        """By task, the share of the evidence inside the region; nothing without one."""
        if self.region is None:
            return {}
        return {task: float(share(one[None], self.region[None])[0]) for task, one in self.evidence.items()}


GRADES = "selected"  # the moment whose network grades
