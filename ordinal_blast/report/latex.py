"""Frames as LaTeX tables for a paper: booktabs, one table for every stage and task."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

from ordinal_blast.report.formats import slug
from ordinal_blast.report.names import one_line

MOST = 300  # rows beyond which a frame is data and no table
PREAMBLE = "% Needs \\usepackage{booktabs,longtable}.\n"
_SPECIAL = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "−": "$-$",
    "±": "$\\pm$",
    "≥": "$\\geq$",
    "≤": "$\\leq$",
    "·": "$\\cdot$",
    "→": "$\\rightarrow$",
    "–": "--",
    "’": "'",
}
_PLACE = ("experiment", "stage", "task")  # a table each


def tables(frame: pd.DataFrame, name: str) -> str:
    """The frame as LaTeX; empty where a table would have more than `MOST` rows.

    A column that is the same in the whole of a table stands in its caption. Numbers have three significant decimals.
    """
    place = [column for column in _PLACE if column in frame]
    parts = list(frame.groupby(place, sort=False, observed=True)) if place else [((), frame)]
    if max(len(part) for _, part in parts) > MOST:
        return ""
    return PREAMBLE + "\n".join(_table(part, name, [str(value) for value in key]) for key, part in parts)


def escaped(text: str) -> str:
    """Text on one line as LaTeX prints it."""
    return "".join(_SPECIAL.get(char, char) for char in one_line(text))


def _table(frame: pd.DataFrame, name: str, place: list[str]) -> str:
    shown = [column for column in frame if column not in _PLACE and not frame[column].isna().all()]
    fixed = [column for column in shown if len(frame) > 1 and frame[column].nunique(dropna=False) == 1]
    shown = [column for column in shown if column not in fixed]
    same = [f"{column} {value}" for column in fixed if (value := _value(frame[column].iloc[0]))]
    caption = ". ".join(filter(None, [" ".join([name, *place]), ", ".join(same)]))
    columns = "".join("r" if pd.api.types.is_numeric_dtype(frame[column]) else "l" for column in shown)
    head = " & ".join(map(escaped, shown))
    lines = [
        f"\\begin{{longtable}}{{@{{}}{columns}@{{}}}}",
        f"\\caption{{{escaped(caption)}.}}\\label{{tab:{slug('-'.join([name, *place]))}}}\\\\",
        "\\toprule",
        f"{head} \\\\",
        "\\midrule\\endhead",
        *(
            " & ".join(escaped(_value(value)) for value in row) + " \\\\"
            for row in frame[shown].itertuples(index=False)
        ),
        "\\bottomrule",
        "\\end{longtable}",
    ]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return "–"
        text = f"{value:.3f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"
        return re.sub(r"^-", "−", text)
    return str(value)
