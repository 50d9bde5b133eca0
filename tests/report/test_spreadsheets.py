"""What stands in a CSV as a spreadsheet reads it: no text is a formula, every number is a number."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest

from ordinal_blast.report import spreadsheets


def rows(table):
    return list(csv.reader(io.StringIO(spreadsheets.csv(table).decode(), newline="")))


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", " =", "\u3000＝", "\u00a0 @"]
)
@pytest.mark.parametrize("kind", [object, "category"])
def test_text_that_a_spreadsheet_would_run_starts_with_an_apostrophe(start, kind):
    text = f"{start}cmd|' /C calc'!A0"
    assert all(line.startswith("'") for line in rows(pd.DataFrame({"a": [text]}).astype(kind))[1])


def test_a_name_of_a_column_is_text_too():
    assert rows(pd.DataFrame({"=1+1": [1]})) == [["'=1+1"], ["1"]]


def test_numbers_and_plain_text_are_as_they_are():
    table = pd.DataFrame({"x": [-1.5, np.nan], "n": [-2, 3], "yes": [True, False], "text": ["a-b", "1 = 1"]})
    assert rows(table) == [["x", "n", "yes", "text"], ["-1.5", "-2", "True", "a-b"], ["", "3", "False", "1 = 1"]]
