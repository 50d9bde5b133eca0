"""The report of a run of `bench`: targets, rows beside peers and limits, how cost grows, what it was measured on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullFormatter

from ordinal_blast.bench import limits
from ordinal_blast.bench.command import BUSY, Result
from ordinal_blast.bench.growth import Growth
from ordinal_blast.bench.race import TOLERANCE
from ordinal_blast.bench.work import OURS, Outcome, Row, Spread
from ordinal_blast.report import manifest, page, spreadsheets, theme
from ordinal_blast.report.blocks import Block, Code, Details, Entry, Gallery, Headline, Line, Section, Table, Text
from ordinal_blast.report.formats import MISSING, number, seconds
from ordinal_blast.report.pictures import picture
from ordinal_blast.report.vectors import Drawing, drawn

_ASKED = (
    "What is asked, and what was reached: a peer’s time over ours, so that at most .4 of its time is 2.5 or more; the "
    "share of the limit; or seconds."
)
_METHOD = (
    "In a round all contenders work in turn, in the opposite order in the next one; each works back to back for a "
    "while, after one call that does not count. A ratio is a peer’s time over ours, taken round by round: above 1 we "
    "are ahead. Brackets are quartiles over rounds. A peer more than twice as slow as the best one is measured once."
)
_SAME = (
    "Peers have our weights, and are raced where what they compute is ours to {tolerance:g} of the largest value. "
    "PyTorch steps by its fused Adam; on a GPU it has autocast to bfloat16, and both begin with a batch on the host."
)
_LIMIT = (
    "The limit is the operations that a work needs over the highest rate of matrix products measured in this run, or "
    "the bytes that it has to move over the measured bandwidth, whichever is more."
)


def write(result: Result, out: Path, command: str) -> Path:
    """`report.html`, `report.md`, `rows.csv`, `rows.json`, `frames/` and `figures/` of a run; returns the page's path.

    Raises UserError where `out` is not to be written to.
    """
    manifest.check(out)
    drawings = {one.name: _curve(one) for one in result.growths}
    pictures = [picture(f"growth-{one.name}", drawings[one.name], _said(one)) for one in result.growths]
    sections = [
        Section("bench-answer", "Targets", _targets(result.rows)),
        Section("bench-rows", "Rows", _rows(result)),
        Section(
            "bench-growth", "How cost grows", _growth(result.growths, Gallery(_CURVES, pictures)) if pictures else []
        ),
        Section("bench-provenance", "Provenance", _provenance(result, command)),
    ]
    chapter = {
        "key": "bench",
        "name": "bench",
        "title": "How fast, beside others and what the machine can do",
        "facts": [(name, result.machine[name]) for name in ("device", "cores", "precision")]
        + [("Rounds", str(result.rounds)), ("Took", seconds(result.seconds))],
        "sections": [section for section in sections if section.blocks],
    }
    files = page.drawn(sections)
    files["rows.csv"] = spreadsheets.csv(_times(result.rows), digits=6)
    files["rows.json"] = json.dumps(result.json(), indent=1).encode()
    files["frames/targets.csv"] = spreadsheets.csv(_outcomes(result.rows), digits=6)
    if result.growths:
        files["frames/growth.csv"] = spreadsheets.csv(_points(result.growths), digits=6)
    files |= {name: text.encode() for name, text in page.rendered([chapter]).items()}
    manifest.write(out, files)
    return out / "report.html"


def _targets(rows: Sequence[Row]) -> list[Block]:
    pairs = [(row, target) for row in rows for target in row.targets]
    known = [target for _, target in pairs if target.met is not None]
    met = sum(bool(target.met) for target in known)
    if not pairs:
        return [Text("Nothing that was measured has a target.")]
    absent = len(pairs) - len(known)
    detail = f"{absent} had nobody to compare with." if absent else ""
    lines = [Line(row.title, [Entry(target.words), _reached(target)]) for row, target in pairs]
    blocks: list[Block] = [
        Headline(f"{met} of {len(known)} targets are met.", "better" if met == len(known) else "mixed", detail),
        Table(_ASKED, ["Work", "Target", "Reached"], lines),
    ]
    for row in rows:
        if row.tried and any(target.met is False for target in row.targets):
            blocks.append(Details(f"{row.title}: what was tried, and what limits it", [Text(row.tried)]))
    return blocks


def _reached(target: Outcome) -> Entry:
    if target.reached is None:
        return Entry(MISSING, "nobody to compare with")
    return Entry(number(target.reached, 2), "met" if target.met else "not met", best=bool(target.met))


def _rows(result: Result) -> list[Block]:
    def line(row: Row) -> Line:
        own = row.times[OURS]
        limit = Entry(MISSING) if row.limit is None else Entry(_time(row.limit, row), f"{row.share:.0%}")
        best = Entry(MISSING)
        if row.best:
            best = Entry(_time(row.times[row.best].median, row), row.best)
        ratio = Entry(*_ratio(row.ratios[row.best])) if row.best else Entry(MISSING)
        return Line(row.title, [Entry(_time(own.median, row)), limit, best, ratio])

    same = _SAME.format(tolerance=TOLERANCE[result.machine["precision"]])
    blocks: list[Block] = [
        Text(_METHOD),
        Text(f"{same} {_LIMIT} Measured: {limits.text(result.limits)}.", note=True),
        Table(
            "Our time, the limit and the share of it that is reached, the best peer, and its time over ours.",
            ["Work", "Here", "Limit", "Best peer", "Ratio"],
            [line(row) for row in result.rows],
        ),
    ]
    for row in result.rows:
        if inner := _peers(row):
            blocks.append(Details(row.title, inner))
    return blocks


def _peers(row: Row) -> list[Block]:
    lines = [
        Line(
            name,
            [
                Entry(_time(time.median, row), _range(time)),
                *([Entry(*_ratio(row.ratios[name]))] if name in row.ratios else [Entry("")]),
            ],
        )
        for name, time in row.times.items()
    ]
    blocks: list[Block] = [Text(row.note)] if row.note else []
    if row.others and row.others > BUSY:
        blocks.append(Text(f"Other programs took {row.others:.0%} of the processor meanwhile."))
    if len(row.times) > 1:
        blocks.append(Table(f"{row.title}.", ["", "Time", "Ratio"], lines))
    return blocks + [Text(f"Without {name}: {reason}", note=True) for name, reason in row.skipped.items()]


def _time(value: float, row: Row) -> str:
    return f"{number(value, 0 if value >= 1000 else 1 if value >= 10 else 2)}\u00a0{row.unit}"


def _range(spread: Spread) -> str:
    digits = 0 if spread.high >= 1000 else 1 if spread.high >= 10 else 2
    return f"[{number(spread.low, digits)}, {number(spread.high, digits)}]"


def _ratio(spread: Spread) -> tuple[str, str]:
    return number(spread.median, 2), f"[{number(spread.low, 2)}, {number(spread.high, 2)}]"


_CURVES = (
    "Time (solid) and memory of the compiled program (dotted, where there is one) against one size, relative to the "
    "largest; dashed, the expected exponent. Both axes are logarithmic."
)


def _growth(growths: Sequence[Growth], gallery: Gallery) -> list[Block]:
    def line(one: Growth) -> Line:
        memory = MISSING if one.memory_exponent is None else number(one.memory_exponent, 2)
        entries = Entry(one.axis), Entry(f"{one.expected:g}", one.reason), Entry(number(one.exponent, 2)), Entry(memory)
        return Line(one.title, entries)

    header = ["What", "Against", "Expected", "Time", "Memory"]
    caption = "Exponents p of cost ∝ size^p, fitted over the larger half of the sizes."
    return [gallery, Table(caption, header, [line(one) for one in growths])]


def _said(one: Growth) -> str:
    return f"{one.title} against {one.axis}: exponent {number(one.exponent, 2)}, expected {one.expected:g}."


def _curve(one: Growth) -> Drawing:
    sizes, colour = np.asarray(one.sizes, float), theme.COLOURS[0][0]
    with theme.rc():
        figure = theme.new(2.9, 2.5)
        axes = figure.subplots()
        axes.loglog(
            sizes, (sizes / sizes[-1]) ** one.expected, linestyle=theme.REFERENCE_DASH, color=theme.REFERENCE[0]
        )
        axes.loglog(sizes, np.asarray(one.seconds) / one.seconds[-1], marker="o", color=colour)
        if one.megabytes:
            held = np.asarray(one.megabytes) / one.megabytes[-1]
            axes.loglog(sizes, held, marker="s", linestyle=theme.DASHES[2], color=theme.COLOURS[1][0])
        axes.set_xticks(sizes, [f"{size:,}" for size in one.sizes])
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.grid(axis="y")
        axes.set_xlabel(one.axis)
        axes.set_title(f"{one.axis}: {number(one.exponent, 2)}, expected {one.expected:g}")
        return drawn(figure, _points([one]))


def _provenance(result: Result, command: str) -> list[Block]:
    lines = [Line(name, [Entry(value)]) for name, value in result.machine.items()]
    return [Text("This page was made by"), Code(command), Table("Machine and versions.", [], lines)]


def _times(rows: Sequence[Row]) -> pd.DataFrame:
    """A line a row and contender."""
    return pd.DataFrame(
        {
            "work": row.name,
            "title": row.title,
            "contender": name,
            "unit": row.unit,
            "time": time.median,
            "time_low": time.low,
            "time_high": time.high,
            "ratio": row.ratios[name].median if name in row.ratios else None,
            "ratio_low": row.ratios[name].low if name in row.ratios else None,
            "ratio_high": row.ratios[name].high if name in row.ratios else None,
            "limit": row.limit,
            "share": row.share,
        }
        for row in rows
        for name, time in row.times.items()
    )


def _outcomes(rows: Sequence[Row]) -> pd.DataFrame:
    lines = [(row.name, one.words, one.bound, one.reached, one.met) for row in rows for one in row.targets]
    return pd.DataFrame(lines, columns=["work", "target", "bound", "reached", "met"])


def _points(growths: Sequence[Growth]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "against": one.axis,
            "size": size,
            "seconds": one.seconds[place],
            "megabytes": one.megabytes[place] if one.megabytes else None,
        }
        for one in growths
        for place, size in enumerate(one.sizes)
    )
