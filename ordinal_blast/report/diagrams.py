"""Two small figures of many variants: where they rank, and how likely they are practically better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from ordinal_blast.report import theme
from ordinal_blast.report.theme import Look


def critical_difference(ranks: Mapping[str, float], distance: float, looks: Mapping[str, Look], title: str) -> str:
    """Mean ranks on a line, best left; bars join runs of variants that lie within `distance` (Demšar, 2006).

    A distance that is NaN, where no test rejects, leaves ranks alone: no bars.
    """
    order = sorted(ranks, key=lambda variant: (ranks[variant], variant))
    left, right = order[: (len(order) + 1) // 2], order[(len(order) + 1) // 2 :][::-1]
    low, high = 1, len(order)
    bars = cliques([ranks[variant] for variant in order], distance)
    with theme.rc():
        figure = theme.new(4.8, 0.9 + 0.2 * len(left) + 0.1 * len(bars))
        axes = figure.subplots()
        reach = 0.55 * (high - low)
        top = 0.9 + 0.55 * len(bars)
        axes.plot([low, high], [0, 0], color=theme.MUTED, linewidth=1)
        for tick in range(low, high + 1, 1 + high // 10):
            axes.plot([tick, tick], [0, -0.25], color=theme.MUTED, linewidth=1)
            axes.text(tick, -0.4, str(tick), ha="center", va="bottom", fontsize=7, color=theme.MUTED)
        for side, variants, end in (("right", left, low - 0.1), ("left", right, high + 0.1)):
            for row, variant in enumerate(variants):
                look, rank, y = looks[variant], ranks[variant], top + row
                axes.plot([rank, rank, end], [0, y, y], color=look.colour, linewidth=0.9)
                axes.plot(rank, 0, marker=look.marker, color=look.colour, markersize=4)
                label = f"{look.label}  {rank:.2f}" if side == "right" else f"{rank:.2f}  {look.label}"
                gap = -0.05 if side == "right" else 0.05
                axes.text(end + gap, y, label, ha=side, va="center", fontsize=7.5)
        for row, (first, last) in enumerate(bars):
            y = 0.55 + 0.5 * row
            ends = [ranks[order[first]] - 0.05, ranks[order[last]] + 0.05]
            axes.plot(ends, [y, y], color=theme.INK, linewidth=2.5, solid_capstyle="butt")
        if not math.isnan(distance):
            axes.plot([low, low + distance], [-1.9, -1.9], color=theme.INK, linewidth=1.5, marker="|")
            axes.text(low + distance + 0.15, -1.9, f"critical difference {distance:.2f}", va="center", fontsize=7.5)
        axes.set_xlim(low - reach, high + reach)
        axes.set_ylim(top + len(left) - 0.4, -0.9 if math.isnan(distance) else -2.5)
        axes.axis("off")
        axes.set_title(title)
        return theme.svg(figure)


def cliques(ranks: Sequence[float], distance: float) -> list[tuple[int, int]]:
    """The longest runs (first, last) of ascending mean ranks that span less than `distance`, of two or more each."""
    runs: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(i for i, other in enumerate(ranks) if other - rank < distance or i == first)
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def chances(frame: pd.DataFrame, looks: Mapping[str, Look], title: str) -> str:
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
        return theme.svg(figure)
