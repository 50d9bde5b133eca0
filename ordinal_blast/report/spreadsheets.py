"""Frames as CSV that a spreadsheet can open: text in it stays text."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from ordinal_blast.report.names import visible

# What a spreadsheet takes for the beginning of a formula, in its full-width forms too and after spaces.
_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@＝＋－＠]")


def csv(table: pd.DataFrame, digits: int | None = None) -> bytes:
    """The frame as CSV in UTF-8: text and names of columns that would run as a formula get an apostrophe.

    digits: significant ones of numbers; all that there are where it is left out.
    """
    safe = table.astype({name: object for name in table if not pd.api.types.is_numeric_dtype(table[name])}).map(_text)
    return (
        safe.rename(columns=_text)
        .to_csv(index=False, lineterminator="\n", float_format=digits and f"%.{digits}g")
        .encode()
    )


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return f"'{visible(value)}" if _FORMULA.match(value) else visible(value)
