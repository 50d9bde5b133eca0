"""Numbers and lists as words, the same everywhere."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

MISSING = "–"
_EXACT = 12  # decimals beyond which a difference is of rounding alone
LONGEST_SLUG = 80  # characters; file systems take names of 255


def number(value: float, digits: int = 3, sign: bool = False) -> str:
    """A fixed number of decimals with a true minus sign; a dash where there is no value.

    Means of the same values, summed in another order, are written alike: .7135 is .714 or .713 for its last bit.
    """
    if not math.isfinite(value):
        return MISSING
    text = f"{round(value, _EXACT):{'+' if sign else ''}.{digits}f}"
    return (text.lstrip("+-") if float(text) == 0 else text).replace("-", "−")


def interval(low: float, high: float, sign: bool = True) -> str:
    """An interval, its ends signed unless told otherwise, or `no interval`; one that excludes 0 is seen to."""
    if not math.isfinite(low):
        return "no interval"
    nearest = min(abs(low), abs(high)) if low * high > 0 else math.inf
    digits = next((d for d in range(3, _EXACT) if round(nearest, d) > 0), 3)
    return f"[{number(low, digits, sign)}, {number(high, digits, sign)}]"


def limits(low: float, high: float) -> str:
    """An interval whose ends need not be told from 0, or `no interval`."""
    return f"[{number(low)}, {number(high)}]" if math.isfinite(low) else "no interval"


def p_value(value: float) -> str:
    """Three decimals; `< 0.001` below that."""
    return "< 0.001" if value < 0.001 else number(value)


def seconds(value: float) -> str:
    """A duration as hours, minutes or seconds."""
    if value >= 3600:
        return f"{value / 3600:.1f} h"
    return f"{value / 60:.1f} min" if value >= 60 else f"{value:.1f} s"


def count(amount: int, noun: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *head, last = items
    return f"{', '.join(head)} and {last}" if head else last


def quoted(name: str) -> str:
    """A name that a sentence would not hold together gets quotation marks."""
    return f"“{name}”" if re.search(r"[\s,.;:]", name) or not name else name


def extent(values: Iterable[int]) -> str:
    """One value, or the range of several; `0` for none."""
    low, high = min(values := list(values), default=0), max(values, default=0)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def runs_of(values: Iterable[int]) -> str:
    """Integers in order, with each run of three or more as its ends: 0–4, 7, 9."""
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(str(value) for value in run) for run in runs)


def slug(name: str) -> str:
    """Lower-case letters, digits and dashes only: safe as a file name and an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:LONGEST_SLUG].strip("-") or "unnamed"


def distinct(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken already; it is taken from now on."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    taken.add(free)
    return free
