"""From columns of a table to the numbers that networks read: what is learnt for that is learnt on training rows alone.

A data set holds its columns as they are: numbers, NaN where an entry is missing, and of a column of categories the
place of each text among `Column.texts`. They become numbers `[N, D]` when the rows of the training set are known:

- a number that is missing is the median of the training rows, with missing="indicator" beside a column that is 1 there;
- a category is a column for each text that the training rows have, 1 in the rows that have it. A missing one, and one
  that no training row has, is 0 in all of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ordinal_blast.data.sheets import MISSING, shown
from ordinal_blast.data.store import Dataset
from ordinal_blast.errors import UserError


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table. texts: of its categories; empty for numbers. The rest is learnt on the training rows.

    median: of its numbers; None where a missing one is refused. indicator: whether a column says where it is missing.
    known: the places among `texts` of those that the training rows have.
    """

    name: str
    texts: tuple[str, ...] = ()
    median: float | None = None
    indicator: bool = False
    known: tuple[int, ...] = ()

    @property
    def names(self) -> list[str]:
        """What it becomes."""
        main = [f"{self.name}={self.texts[k]}" for k in self.known] if self.texts else [self.name]
        return main + [f"{self.name} missing"] * self.indicator

    def numbers(self, values: np.ndarray) -> list[np.ndarray]:
        """Entries `[N]`, NaN where missing, as the columns that they become, float32 `[N]` each."""
        main = [values == k for k in self.known] if self.texts else [values]
        if not self.texts and self.median is not None:
            main = [np.where(np.isnan(values), np.float32(self.median), values)]
        return [np.asarray(column, np.float32) for column in [*main, *[np.isnan(values)] * self.indicator]]


def columns(extras: Mapping[str, Any]) -> tuple[Column, ...]:
    """The columns that `extras["table"]` of a data set describes."""
    return tuple(
        Column(**{key: tuple(value) if isinstance(value, list) else value for key, value in column.items()})
        for column in extras["table"]["columns"]
    )


def numbers(values: np.ndarray, table: Sequence[Column]) -> np.ndarray:
    """Entries `[N, columns]` as numbers float32 `[N, D]`."""
    return np.stack([encoded for k, column in enumerate(table) for encoded in column.numbers(values[:, k])], axis=1)


def learnt(dataset: Dataset, train: np.ndarray) -> Dataset:
    """The data set of a table with its entries as numbers, and in its extras and notes what was learnt for that.

    train: the rows of the training set. Raises UserError for a column that has no entry there. A data set that is no
    table, or lacks nothing and has no categories, is as it was.
    """
    if "table" not in dataset.extras:
        return dataset
    table, missing = columns(dataset.extras), dataset.extras["table"]["missing"]
    values = dataset.columns["numbers"][np.arange(len(dataset))]
    filled = tuple(_learn(dataset.name, one, values[:, k], train, missing) for k, one in enumerate(table))
    if filled == table:
        return dataset
    names = [name for one in filled for name in one.names]
    return dataclasses.replace(
        dataset,
        columns={**dataset.columns, "numbers": numbers(values, filled)},
        extras={**dataset.extras, "columns": names, "table": {**dataset.extras["table"], "columns": described(filled)}},
        notes=(*dataset.notes, *_notes(filled, values, dataset.columns["id"])),
    )


def table(
    columns: Sequence[Column],
    missing: str,
    *,
    na: Sequence[str] = MISSING,
    decimal: str = "",
    headed: bool = True,
    separator: str = "",
    encoding: str = "",
) -> dict[str, Any]:
    """What `extras["table"]` of a data set holds, ready for JSON: its columns, and how files of such rows are read."""
    reading = {"headed": headed, "separator": separator, "encoding": encoding}
    entries = {"missing": missing, "na": list(na), "decimal": decimal}
    return {"columns": described(columns), **entries, "reading": reading}


def described(table: Sequence[Column]) -> list[dict[str, Any]]:
    """Columns as `columns` reads them, ready for JSON."""
    return [dataclasses.asdict(column) for column in table]


def _learn(name: str, column: Column, values: np.ndarray, train: np.ndarray, missing: str) -> Column:
    absent = np.isnan(values[train])
    there = values[train][~absent]
    if not len(there):
        raise UserError(f"{column.name} is missing in every training row of {name}: leave it out by data.options.drop")
    if column.texts:
        column = dataclasses.replace(column, known=tuple(np.unique(there).astype(int).tolist()))
    elif missing != "refuse":
        column = dataclasses.replace(column, median=float(np.float32(np.median(there.astype(np.float64)))))
    return dataclasses.replace(column, indicator=missing == "indicator" and bool(absent.any()))


def _notes(table: Sequence[Column], values: np.ndarray, ids: np.ndarray) -> Iterator[str]:
    for column, entries in zip(table, values.T, strict=True):
        if column.median is not None and np.isnan(entries).any():
            yield f"a missing {column.name} is taken as {column.median:g}, the median of the training rows"
        for row in np.flatnonzero(~np.isnan(entries) & ~np.isin(entries, column.known)) if column.texts else ():
            text = shown(column.texts[int(entries[row])])
            yield f"{ids[row]}: no training row has {text!r} as {column.name}, so that it counts as none of them"
