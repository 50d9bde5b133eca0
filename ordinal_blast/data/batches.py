"""Examples of one split, and the batches Grain makes of them: seeded, and resumed exactly at any step."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grain
import jax
import numpy as np

from ordinal_blast import seeds
from ordinal_blast.ranges import check, one_of
from ordinal_blast.types import Batch

View = Callable[[np.ndarray, np.random.Generator | None], Any]


@dataclasses.dataclass(frozen=True)
class Examples:
    """The examples of one split, with the example axis first.

    view(indices, rng) gives the model's inputs; rng draws random views in training and is None in evaluation.
    ids: str `[N]`; labels: per task `[N, ...]`; weights: per task float32 `[N]`, 0 where the label is missing.
    extras: more columns that predictions keep, such as the group and the outcome.
    """

    ids: np.ndarray
    view: View
    labels: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    extras: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def inputs(self, indices: np.ndarray) -> Any:
        """The inputs `[n, ...]` of the examples at these indices `[n]`, as they are evaluated."""
        return self.view(indices, None)


@dataclasses.dataclass(frozen=True, eq=False)
class _Fixed:
    """Rows of an array, all of them where none are named."""

    array: Any
    rows: np.ndarray | None = None

    def __call__(self, indices: np.ndarray, rng: np.random.Generator | None) -> Any:
        return self.array[indices if self.rows is None else self.rows[indices]]


def fixed(array: Any) -> View:
    """The view of examples that always look the same."""
    return _Fixed(array)


def of_rows(view: View, rows: np.ndarray) -> View:
    """The view of the examples at these rows `[n]` of another."""
    if isinstance(view, _Fixed):
        return _Fixed(view.array, rows if view.rows is None else view.rows[rows])
    return lambda indices, rng: view(rows[indices], rng)


@dataclasses.dataclass(frozen=True)
class _Batches:
    """Random access to all batches of a run: batch i is a pure function of (examples, size, seed, balance, i)."""

    examples: Examples
    size: int
    epochs: int
    seed: int
    balance: str

    @property
    def steps_per_epoch(self) -> int:
        return len(self._order(0)) // self.size

    def __len__(self) -> int:
        return self.epochs * self.steps_per_epoch

    def __getitem__(self, number: int) -> Batch:
        epoch, place = divmod(int(number), self.steps_per_epoch)
        indices = self._order(epoch)[place * self.size : (place + 1) * self.size]
        rng = np.random.default_rng((self.seed, epoch, 1 + place))  # place 0 would repeat the draws of the order
        return Batch(
            inputs=self.examples.view(indices, rng),
            labels={task: labels[indices] for task, labels in self.examples.labels.items()},
            weights={task: weights[indices] for task, weights in self.examples.weights.items()},
            index=np.arange(self.size, dtype=np.int32),
        )

    def block(self, epoch: int, first: int, last: int) -> Batch:
        """The batches at the places first ... last - 1 of an epoch, leaves `[S, B, ...]`."""
        if not isinstance(self.examples.view, _Fixed):  # each batch has random draws of its own
            start = epoch * self.steps_per_epoch
            return jax.tree.map(
                lambda *leaves: np.stack(leaves), *map(self.__getitem__, range(start + first, start + last))
            )
        indices = self._order(epoch)[first * self.size : last * self.size]
        shape = (last - first, self.size)
        inputs, labels, weights = jax.tree.map(
            lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]),
            (
                self.examples.view(indices, None),
                {task: labels[indices] for task, labels in self.examples.labels.items()},
                {task: weights[indices] for task, weights in self.examples.weights.items()},
            ),
        )
        return Batch(inputs, labels, weights, np.broadcast_to(np.arange(self.size, dtype=np.int32), shape))

    @functools.lru_cache(maxsize=2)  # noqa: B019 - one object lives as long as its run
    def _order(self, epoch: int) -> np.ndarray:
        """The epoch's examples in order; those that do not fill a batch rest in this epoch."""
        rng = np.random.default_rng((self.seed, epoch))
        if not self.balance:
            return rng.permutation(len(self.examples))
        labels = self.examples.labels[self.balance]
        grades = [np.flatnonzero(labels == grade) for grade in np.unique(labels[labels >= 0])]
        most = max(map(len, grades))
        return np.stack([np.resize(rng.permutation(rows), most) for rows in grades], axis=1).reshape(-1)

    def __hash__(self) -> int:
        return id(self)


def batch_size(examples: Examples, wanted: int) -> int:
    """The wanted size, or all examples where there are fewer."""
    return min(wanted, len(examples))


def steps_per_epoch(examples: Examples, size: int, balance: str = "") -> int:
    """How many batches of this size an epoch has; what does not fill one is left out. See `epochs` for `balance`."""
    return _Batches(examples, batch_size(examples, size), 1, 0, balance).steps_per_epoch


def epochs(
    examples: Examples, *, size: int, first: int, last: int, seed: int, threads: int, balance: str = ""
) -> Iterator[tuple[int, Iterator[Batch]]]:
    """Yield (epoch, its batches) for epochs first ... last − 1; a run that starts later sees the same batches.

    size: the global batch; threads: how many read ahead. Every example appears at most once an epoch, unless `balance`
    names a task: then its grades are dealt in turn, so that every batch has as many of each as it can, and examples of
    rarer grades are repeated until each grade appears as often as the commonest. Raises UsageError at once for a seed
    that `seeds.checked` refuses, or a `balance` that is no task.
    """
    seed = seeds.checked(seed)
    check("training.balance", balance, one_of("", *examples.labels))
    return _epochs(_Batches(examples, batch_size(examples, size), last, seed, balance), first, last, threads)


def _epochs(source: _Batches, first: int, last: int, threads: int) -> Iterator[tuple[int, Iterator[Batch]]]:
    steps = source.steps_per_epoch
    if not threads:  # nothing is read ahead, and Grain would take longer than a small batch
        yield from (
            (epoch, map(source.__getitem__, range(epoch * steps, (epoch + 1) * steps))) for epoch in range(first, last)
        )
        return
    data = grain.MapDataset.source(source)[first * steps :]
    reading = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(2 * threads, 1))
    stream = iter(data.to_iter_dataset(reading))
    for epoch in range(first, last):
        yield epoch, (next(stream) for _ in range(steps))


def blocks(
    examples: Examples, *, size: int, first: int, last: int, seed: int, steps: int, balance: str = ""
) -> Iterator[tuple[int, Iterator[Batch]]]:
    """The same epochs with so many batches in one, leaves `[S, B, ...]`: fixed examples are looked up at once."""
    source = _Batches(examples, batch_size(examples, size), last, seeds.checked(seed), balance)
    whole = source.steps_per_epoch
    for epoch in range(first, last):
        places = range(0, whole, steps)
        yield epoch, (source.block(epoch, place, min(place + steps, whole)) for place in places)


def inverse_frequency(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Class weights N / (K' n_c) over the K' grades that occur, float32 `[K]`; 0 for a grade that does not.

    labels: int `[N]`, -1 (missing) not counted. The weights of the examples average to 1 (Kragh et al. 2019).
    """
    counts = np.bincount(labels[labels >= 0], minlength=num_classes)
    present = np.count_nonzero(counts)
    return (counts.sum() / np.maximum(present * counts, 1) * (counts > 0)).astype(np.float32)
