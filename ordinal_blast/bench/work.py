"""What is timed: a work, those who do it, what it is measured by, and the row that comes of it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

OURS = "here"
TORCH = ("PyTorch channels_last", "PyTorch contiguous", "PyTorch compiled")


@dataclasses.dataclass(frozen=True)
class Ready:
    """A work about to be done: `call()` does it once and waits for its end.

    value: what its network says of the inputs before anything is trained, compared between contenders; None where that
    cannot be. A call that returns a float has measured itself, in the unit of the work.
    """

    call: Callable[[], object]
    value: np.ndarray | None = None


Contender = Callable[[], Ready]
"""Makes a work ready: builds and compiles; ModuleNotFoundError where its package is absent."""


class Sample(NamedTuple):
    """What contenders share: one of our networks, its variables, and a batch or a training set.

    inputs: uint8 images `[B, H, W, C]` or sequences float32 `[B, T, D]`; labels: int64 `[B, tasks]` of a network with
    heads, or masks float32 `[B, H, W]`.
    """

    network: Any
    variables: Mapping[str, Any]
    inputs: np.ndarray
    labels: np.ndarray

    def first(self, count: int) -> Sample:
        """The first examples alone."""
        return self._replace(inputs=self.inputs[:count], labels=self.labels[:count])


def per(call: Callable[[], object], count: int) -> Callable[[], float]:
    """A call that does `call`, and says how many seconds one of the `count` parts of that took."""

    def timed() -> float:
        begun = time.perf_counter()
        call()
        return (time.perf_counter() - begun) / count

    return timed


@dataclasses.dataclass(frozen=True)
class Target:
    """What is asked of a work, in words, and as the least value of one of three measures.

    "ratio": the time of the best of `over`, over ours. "limit": the share of the limit. "seconds": our time, at most.
    backend: where it is asked, as JAX calls it, "" for everywhere.
    """

    words: str
    bound: float
    over: tuple[str, ...] = ()
    measure: Literal["ratio", "limit", "seconds"] = "ratio"
    backend: str = "cpu"


@dataclasses.dataclass(frozen=True)
class Work:
    """One row of the table before it is measured.

    contenders: by name, ours (`OURS`) first. operations, bytes: the least that the work takes, for its limit; 0 where
    there is none. alone: it is done in processes of its own, once a round and not warmed up. rounds: at most so many.
    tried: what was, with its measured effect, and what limits it now, for a reader of a target that is not met.
    """

    name: str
    title: str
    contenders: Mapping[str, Contender]
    targets: tuple[Target, ...] = ()
    operations: float = 0.0
    bytes: float = 0.0
    unit: Literal["ms", "s", "MB"] = "ms"
    alone: bool = False
    rounds: int = 99
    note: str = ""
    tried: str = ""


@dataclasses.dataclass(frozen=True)
class Spread:
    """A median and its quartiles over rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of values; of one, itself three times."""
        low, median, high = (float(value) for value in np.quantile(values, (0.25, 0.5, 0.75)))
        return cls(median, low, high)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a target: the value that was reached, None where nobody was there to compare with."""

    words: str
    bound: float
    reached: float | None
    met: bool | None


@dataclasses.dataclass(frozen=True)
class Row:
    """One measured work.

    times: by contender, in `unit`, medians over rounds. ratios: by peer, its time over ours round by round: above 1 we
    are ahead. limit: in `unit`, None where there is none; share: limit over our time. best: the fastest peer, "" for
    none. skipped: why a contender is absent, by name. others: the share of the processor that other programs took
    meanwhile, None where the system does not say.
    """

    name: str
    title: str
    unit: str
    rounds: int
    times: Mapping[str, Spread]
    ratios: Mapping[str, Spread]
    limit: float | None
    share: float | None
    best: str
    targets: Sequence[Outcome]
    skipped: Mapping[str, str]
    note: str
    tried: str
    others: float | None = None
