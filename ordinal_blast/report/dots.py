"""Dots with their intervals, several a line: one look for what is compared within strata and groups."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from matplotlib.ticker import MaxNLocator

from ordinal_blast.report import theme
from ordinal_blast.report.names import labels
from ordinal_blast.report.theme import Look
from ordinal_blast.report.vectors import Drawing, drawn

Interval = tuple[float, float, float]  # estimate, low, high; NaN ends where there is none


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
