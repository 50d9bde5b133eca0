"""Entries of a table as values: numbers, NaN where missing, and the places of texts among categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ordinal_blast.data.encoding import Column
from ordinal_blast.data.sheets import Sheet, number, shown
from ordinal_blast.errors import UserError

Missing = Literal["refuse", "median", "indicator"]
_LARGEST = float(np.finfo(np.float32).max)
_NO_PLACE = -1  # of a category that is not among `Column.texts`, or not `known`
_CATEGORIES = 100  # of a column that is not said to have some
_HINT = "correct that line, or see data.options.label, categorical, na and decimal"


def of_sheet(
    sheet: Sheet, kept: Sequence[int], categorical: Sequence[str], *, missing: Missing, na: Sequence[str], decimal: str
) -> tuple[np.ndarray, tuple[Column, ...]]:
    """Entries float32 `[N, columns]` of the columns at the places `kept`, and what these columns are.

    Columns of categories are those named in `categorical`, and those in which no entry is a number. Raises UserError
    for an entry that is no finite number of 32 bits, one that is missing where that is refused, and for a column of
    texts that does not look like categories.
    """
    columns, values, wrong = [], [], []
    for i in kept:
        name, texts = sheet.columns[i], sheet.at(i)
        there = [row for row, text in enumerate(texts) if text not in na]
        entries = np.full(len(texts), np.nan)
        entries[there] = [number(texts[row], decimal) for row in there]
        if name in categorical or (there and np.isnan(entries[there]).all()):
            codes = [_category(texts[row], decimal) for row in there]
            kinds = sorted(set(codes))
            if name not in categorical and len(kinds) > min(_CATEGORIES, max(2, len(there) // 2)):
                raise UserError(
                    f"{sheet.path}: {len(there)} rows have {len(kinds)} different texts as {shown(name)}, such as "
                    f"'{shown(kinds[0])}': leave it out by data.options.drop, or name it in data.options.categorical"
                )
            entries[there] = np.searchsorted(kinds, codes)
            columns.append(Column(name, tuple(kinds)))
        else:
            wrong += [(row, i) for row in there if not abs(entries[row]) <= _LARGEST][:1]
            columns.append(Column(name))
        if missing == "refuse" and len(there) < len(texts):
            wrong.append((next(row for row, text in enumerate(texts) if text in na), i))
        values.append(entries)
    if wrong:
        row, i = min(wrong)
        place, text = f"{sheet.places[row]}, {shown(sheet.columns[i])}", sheet.rows[row][i].strip()
        raise _missing(place, text) if text in na else _no_number(place, text, _HINT)
    return np.stack(values, axis=1).astype(np.float32), tuple(columns)


def of_columns(
    sheet: Sheet, columns: Sequence[Column], *, missing: Missing, na: Sequence[str], decimal: str
) -> tuple[np.ndarray, tuple[tuple[str, ...], ...]]:
    """Entries float32 `[N, columns]` of known columns by name, and notes of each row.

    A category that the training rows lack is noted, and is none of theirs, but not missing. Raises UserError as
    `of_sheet` does.
    """
    values = np.full((len(sheet.rows), len(columns)), np.nan)
    notes: list[list[str]] = [[] for _ in sheet.rows]
    for k, column in enumerate(columns):
        name, known = shown(column.name), {column.texts[place]: place for place in column.known}
        for row, text in enumerate(sheet.column(column.name)):
            place = f"{sheet.places[row]}, {name}"
            if text in na:
                if missing == "refuse":
                    raise _missing(place, text)
                notes[row].append(f"{name} is missing")
            elif not column.texts:
                values[row, k] = number(text, decimal)
                if not abs(values[row, k]) <= _LARGEST:
                    raise _no_number(place, text, "correct that line")
            elif (category := _category(text, decimal)) in known:
                values[row, k] = known[category]
            else:
                values[row, k] = _NO_PLACE
                notes[row].append(f"{name} is '{shown(text)}', which no training row has: it counts as none of those")
    return values.astype(np.float32), tuple(map(tuple, notes))


def _category(text: str, decimal: str) -> str:
    """A category as it is compared: 2.0, as spreadsheets write a whole number, is 2."""
    value = number(text, decimal)
    return str(int(value)) if value.is_integer() else text


def _no_number(place: str, text: str, advice: str) -> UserError:
    return UserError(f"{place}: '{shown(text)}' is no finite number: {advice}")


def _missing(place: str, text: str) -> UserError:
    what = f"{text!r} means that it is missing" if text else "it is missing"
    return UserError(f"{place}: {what}: correct that line, or say median or indicator as data.options.missing")
