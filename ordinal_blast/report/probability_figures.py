"""Figures of what probabilities are worth: reliability with its bands, and risk by coverage."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes

from ordinal_blast.report import theme
from ordinal_blast.report.names import cut
from ordinal_blast.report.theme import Look
from ordinal_blast.report.vectors import Drawing, drawn

LONGEST_TITLE = 34
_TICKS = ([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])


def reliability(points: pd.DataFrame, title: str, looks: Mapping[str, Look], banded: str) -> Drawing:
    """Observed against predicted share of each bin of one threshold, and the band of one calibrated variant."""
    with theme.rc():
        figure = theme.new(3.2, 3.2)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=theme.GRID, linewidth=1)
        for variant, curve in _curves(points):
            look = looks[variant]
            if variant == banded:
                band = curve["predicted"], curve["low"], curve["high"]
                axes.fill_between(*band, color=look.colour, alpha=0.15, linewidth=0)
            style = {"color": look.colour, "linestyle": look.dash, "label": look.label}
            axes.plot(curve["predicted"], curve["observed"], **style)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xticks(*_TICKS)
        axes.set_yticks(*_TICKS)
        axes.grid()
        axes.set_xlabel("predicted")
        axes.set_ylabel("observed share")
        axes.set_title(cut(title, LONGEST_TITLE))
        _legend(axes)
        return drawn(figure)


def risk(points: pd.DataFrame, looks: Mapping[str, Look]) -> Drawing:
    """MAE of the examples that are kept, by the share of them: points of `Study.uncertainty` with quantity "mae"."""
    with theme.rc():
        figure = theme.new(3.2, 3.0)
        axes = figure.subplots()
        for variant, curve in _curves(points):
            look = looks[variant]
            axes.plot(curve["coverage"], curve["value"], color=look.colour, linestyle=look.dash, label=look.label)
        axes.set_xlim(0, 1.02)
        axes.set_ylim(bottom=0)
        axes.set_xticks(*_TICKS)
        axes.grid()
        axes.set_xlabel("share of examples kept, the surest first")
        axes.set_ylabel("MAE of those kept")
        axes.set_title("What holding back buys")
        _legend(axes)
        return drawn(figure)


def _curves(points: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(variant), curve) for variant, curve in points.groupby("variant", observed=True, sort=True)]


def _legend(axes: Axes) -> None:
    """The variants that are drawn, below the panels."""
    lines = [line for line in axes.lines if not str(line.get_label()).startswith("_child")]
    legend = axes.figure.legend(lines, map(str, range(len(lines))), loc="outside lower left", ncols=1, handlelength=1.6)
    for text, line in zip(legend.get_texts(), lines, strict=True):  # a label that starts with _ would vanish
        text.set_text(line.get_label())
