"""Raters of a task in figures: how near they are to the vote of the others, and what the model says of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ordinal_blast.report import theme
from ordinal_blast.report.formats import limits, number
from ordinal_blast.report.names import labels
from ordinal_blast.report.vectors import Drawing, drawn

_COLOURS = {"votes": theme.COLOURS[0][0], "network": theme.COLOURS[1][0]}  # others are grey


def accuracies(rows: pd.DataFrame, task: str) -> Drawing:
    """Accuracy of every rater and network at the vote of the others, with its interval; columns as `Panel.raters`."""
    rows = rows.sort_values("accuracy", ascending=False, kind="stable")
    label = labels(rows["rater"])
    with theme.rc():
        figure = theme.new(3.5, 0.75 + 0.36 * len(rows))
        axes = figure.subplots()
        beside = {"transform": axes.get_yaxis_transform(), "va": "center", "color": theme.INK}
        for place, row in enumerate(rows.itertuples()):
            colour = _COLOURS.get(row.role, theme.REFERENCE[0])
            if np.isfinite(row.low):
                axes.plot([row.low, row.high], [place + 0.14] * 2, color=colour, solid_capstyle="butt")
            axes.plot(row.accuracy, place + 0.14, marker="o" if row.role == "votes" else "s", color=colour)
            axes.text(0, place - 0.24, label[row.rater], ha="left", **beside)
            said = f"{number(row.accuracy)} {limits(row.low, row.high)}"
            axes.text(1, place - 0.24, said, ha="right", fontsize=7.5, **beside)
        axes.set_yticks([])
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.set_xlim(0, 1)
        axes.spines["left"].set_visible(False)
        axes.set_title(f"{task}: accuracy at the others’ vote")
        return drawn(figure)


def model(rows: pd.DataFrame, task: str) -> Drawing:
    """Bias and magnifier of every rater, numbered in their order; columns as `Panel.raters`."""
    with theme.rc():
        figure = theme.new(3.7, 3.2)
        axes = figure.subplots()
        axes.axvline(0, color=theme.GRID, linewidth=1)
        for place, row in enumerate(rows.itertuples(), start=1):
            colour = _COLOURS.get(row.role, theme.REFERENCE[0])
            axes.plot(row.bias, row.magnifier, marker="o", color=colour)
            beside = {"xytext": (4, 3), "textcoords": "offset points", "fontsize": 7}
            axes.annotate(str(place), (row.bias, row.magnifier), **beside)
        axes.margins(x=0.2, y=0.12)
        axes.set_xlabel("bias (grades higher →)")
        axes.set_ylabel("magnifier")
        axes.set_title(f"{task}: a model of the raters")
        return drawn(figure, rows[["rater", "bias", "magnifier"]].reset_index(drop=True))
