"""Small figures of many variants: where they rank, how likely they are better, how they do by stratum."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.ticker import MaxNLocator

from ordinal_blast.report import theme
from ordinal_blast.report.names import labels
from ordinal_blast.report.theme import Look
from ordinal_blast.report.vectors import Drawing, drawn

Interval = tuple[float, float, float]  # estimate, low, high; NaN ends where there is none


def critical_difference(ranks: Mapping[str, float], distance: float, looks: Mapping[str, Look], title: str) -> Drawing:
    """Mean ranks, best on top; bars at the right join runs of variants that lie within `distance` (Demšar, 2006).

    A distance that is NaN, where no test rejects, leaves ranks alone: no bars.
    """
    order = sorted(ranks, key=lambda variant: (ranks[variant], variant))
    bars = cliques([ranks[variant] for variant in order], distance)
    with theme.rc():
        figure = theme.new(4.0, 0.8 + 0.2 * len(order))
        axes = figure.subplots()
        for row, variant in enumerate(order):
            look = looks[variant]
            axes.plot([1, ranks[variant]], [row, row], color=look.colour, linewidth=0.9)
            axes.plot(ranks[variant], row, marker=look.marker, color=look.colour)
        step = 0.05 * len(order)
        for column, (first, last) in enumerate(bars, start=1):
            place = len(order) + step * column
            axes.plot(
                [place, place], [first - 0.25, last + 0.25], color=theme.INK, linewidth=2.5, solid_capstyle="butt"
            )
        axes.set_yticks(range(len(order)), [f"{looks[v].label}  {ranks[v]:.2f}" for v in order])
        axes.tick_params(axis="y", labelcolor=theme.INK)
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.set_xlim(1 - step / 2, len(order) + step * (len(bars) + 0.5))
        axes.set_xticks(range(1, len(order) + 1, 1 + len(order) // 10))
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.set_title(title)
        tested = "" if math.isnan(distance) else f", critical difference {distance:.2f}"
        axes.set_xlabel(f"mean rank{tested}")
        return drawn(figure)


def cliques(ranks: Sequence[float], distance: float) -> list[tuple[int, int]]:
    """The longest runs (first, last) of ascending mean ranks that span less than `distance`, of two or more each."""
    runs: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(i for i, other in enumerate(ranks) if other - rank < distance or i == first)
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def chances(frame: pd.DataFrame, looks: Mapping[str, Look], title: str) -> Drawing:
    """A bar per variant: the chance that it is better than the reference (its colour), equivalent, or worse (hollow).

    frame: rows of one measure with `variant`, `better`, `equivalent` and `worse`, which sum to one.
    """
    rows = list(frame.itertuples())
    with theme.rc():
        figure = theme.new(4.0, 0.8 + 0.2 * len(rows))
        axes = figure.subplots()
        for row, chance in enumerate(rows):
            look = looks[chance.variant]
            axes.barh(row, chance.better, height=0.7, color=look.colour)
            axes.barh(row, chance.equivalent, height=0.7, left=chance.better, color=theme.GRID)
            left = chance.better + chance.equivalent
            axes.barh(row, chance.worse, height=0.7, left=left, color=theme.PAPER, edgecolor=look.colour, linewidth=0.8)
        axes.set_yticks(range(len(rows)), [looks[chance.variant].label for chance in rows])
        axes.tick_params(axis="y", labelcolor=theme.INK)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.spines["left"].set_visible(False)
        axes.set_title(title)
        axes.set_xlabel("better | equivalent | worse")
        return drawn(figure)


def dots(
    lines: Mapping[str, Mapping[str, Interval]], looks: Mapping[str, Look], title: str, *, apart: Sequence[str] = ()
) -> Drawing:
    """A line per name, and on it a mark and an interval per variant, in the order of `lines`; a rule below `apart`.

    An interval more than four times as long as the median one runs out of the picture.
    """
    variants = list(dict.fromkeys(variant for line in lines.values() for variant in line))
    step = 0.8 / max(len(variants), 1)
    short = labels(lines)
    with theme.rc():
        figure = theme.new(4.4, 0.95 + len(lines) * max(0.3, 0.115 * len(variants)))
        axes = figure.subplots()
        for row, line in enumerate(lines.values()):
            for place, variant in enumerate(variants):
                if variant not in line or math.isnan(line[variant][0]):
                    continue
                estimate, low, high = line[variant]
                y, look = row + (place - (len(variants) - 1) / 2) * step, looks[variant]
                if math.isfinite(low):
                    axes.plot([low, high], [y, y], color=look.colour, linewidth=1.1, solid_capstyle="butt")
                label = look.label if row == 0 else None
                axes.plot(estimate, y, marker=look.marker, color=look.colour, linestyle="none", label=label)
        axes.set_xlim(*_limits([value for line in lines.values() for value in line.values()]))
        for row, name in enumerate(lines):
            if name in apart:
                axes.axhline(row + 0.5, color=theme.MUTED, linewidth=0.7)
        axes.set_yticks(range(len(lines)), [short[name] for name in lines])
        axes.tick_params(axis="y", labelcolor=theme.INK)
        axes.set_ylim(len(lines) - 0.45, -0.55)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.set_title(title)
        figure.legend(loc="outside lower center", ncols=2, frameon=False, markerscale=0.9)
        return drawn(figure)


def _limits(values: Sequence[Interval]) -> tuple[float, float]:
    """The ends of the axis: all estimates, and the intervals but for the longest."""
    bounded = [(low, high) for _, low, high in values if math.isfinite(low)]
    longest = 4 * statistics.median([high - low for low, high in bounded]) if bounded else 0.0
    ends = [end for low, high in bounded if high - low <= longest for end in (low, high)]
    ends += [estimate for estimate, _, _ in values if math.isfinite(estimate)]
    margin = 0.05 * (max(ends) - min(ends)) or 0.05
    return min(ends) - margin, max(ends) + margin
