"""Frames as LaTeX: every cell stands in its column, and text is printed as it is written."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from ordinal_blast.report import latex


def rows(text):
    body = text.split("\\midrule\\endhead\n")[1].split("\\bottomrule")[0]
    return [line.removesuffix(" \\\\").split(" & ") for line in body.splitlines()]


def test_a_frame_is_one_booktabs_table_for_every_task():
    frame = pd.DataFrame(
        {
            "task": ["icm", "icm", "te", "te"],
            "variant": ["a", "b", "a", "b"],
            "mean": [-0.5, 0.12345, np.nan, 0.0001234],
            "seeds": [3, 4, 5, 5],
            "basis": "examples",
        }
    )
    text = latex.tables(frame, "scores")
    assert text.count("\\begin{longtable}{@{}lrr@{}}") == 1
    assert text.count("\\begin{longtable}{@{}lr@{}}") == 1  # the number of seeds is in the caption
    icm, te = (part for part in text.split("\\begin{longtable}")[1:])
    assert rows(icm) == [["a", "$-$0.500", "3"], ["b", "0.123", "4"]]
    assert rows(te) == [["a", "--"], ["b", "0.00012"]]
    assert "\\caption{scores icm. basis examples.}\\label{tab:scores-icm}" in icm
    assert "\\caption{scores te. seeds 5, basis examples.}\\label{tab:scores-te}" in te
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}") == 2


def test_text_has_no_character_with_a_meaning_of_its_own():
    hostile = "a&b%c$d#e_f{g}\\h~i^j\nk"
    escaped = latex.escaped(hostile)
    assert escaped == ("a\\&b\\%c\\$d\\#e\\_f\\{g\\}\\textbackslash{}h\\textasciitilde{}i\\textasciicircum{}j k")
    assert not re.search(r"(?<!\\)[&%$#_]", escaped)


def test_a_frame_with_more_rows_than_a_table_has_is_none():
    frame = pd.DataFrame({"task": "te", "x": np.arange(latex.MOST + 1)})
    assert latex.tables(frame, "curve") == ""
    assert latex.tables(frame[1:], "curve")
