"""The primary measures by clinic, instrument or other stratum, on the page."""

from __future__ import annotations

import pandas as pd

from ordinal_blast.report import diagrams
from ordinal_blast.report.blocks import Block, Details, Entry, Gallery, Line, Part, Picture, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import MISSING, interval, number
from ordinal_blast.report.measures import Measure, primary, secondary
from ordinal_blast.report.names import one_line
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.results import Group

MOST = 6  # variants that are told apart on one line
NOTE = (
    "Descriptive: intervals are not adjusted, and a difference whose interval excludes zero in one stratum and not "
    "in another does not say that the strata differ."
)


def blocks(study: Study, group: Group, studio: Studio) -> list[Block]:
    """The primary measures of one task by stratum; nothing where nothing tells its test examples apart."""
    rows = group.within(study.strata)
    if not len(rows):
        return []
    shown: list[Block] = []
    for measure in [one for one in (*primary(group), *secondary(group)) if one.key in set(rows["measure"])]:
        of = rows[rows["measure"] == measure.key]
        shown += [_gallery(study, group, measure, of, studio), _table(study, measure, of, studio)]
    return [Part("Strata", [*shown, *_warnings(rows), Text(NOTE, note=True)])]


def _foremost(study: Study, rows: pd.DataFrame) -> list[str]:
    """All variants where a line holds them; else the reference and the subject."""
    variants = [variant for variant in study.variants if variant in set(rows["variant"])]
    return variants if len(variants) <= MOST else [v for v in variants if v in (study.reference, study.subject)]


def _gallery(study: Study, group: Group, measure: Measure, rows: pd.DataFrame, studio: Studio) -> Gallery:
    everything = rows[rows["column"] == ""]
    shown = _foremost(study, rows)
    pictures = []
    for column in (name for name in rows["column"].unique() if name):
        of = pd.concat([everything, rows[rows["column"] == column]])
        of = of[of["variant"].isin(shown)]
        lines: dict[str, dict[str, diagrams.Interval]] = {}
        for row in of.itertuples():
            lines.setdefault(_stratum(row.stratum, row.n), {})[row.variant] = (row.estimate, row.low, row.high)
        words = "; ".join(
            f"{name}: {', '.join(f'{variant} {number(value[0])}' for variant, value in line.items())}"
            for name, line in lines.items()
        )
        pictures.append(_picture(group, measure, column, lines, words, studio))
    caption = f"{measure.label} by stratum, {'lower' if not measure.higher else 'higher'} is better; 95 % intervals"
    others = " Other variants are in the frame of strata." if len(shown) < rows["variant"].nunique() else ""
    return Gallery(f"{caption}, {_covers(rows)}; one that leaves the picture is in the table.{others}", pictures)


def _picture(
    group: Group,
    measure: Measure,
    column: str,
    lines: dict[str, dict[str, diagrams.Interval]],
    words: str,
    studio: Studio,
) -> Picture:
    title = f"{measure.heading} by {_named(column)}"
    drawn = diagrams.dots(lines, studio.looks, title, apart=list(lines)[:1])
    return studio.picture(
        f"strata-{group.stage}-{group.task}-{measure.key}-{column}", drawn, f"{group.title}, {title}. {words}"
    )


def _table(study: Study, measure: Measure, rows: pd.DataFrame, studio: Studio) -> Details:
    variants = _foremost(study, rows)
    about = study.subject if study.subject in variants and study.subject != study.reference else ""
    header = ["Stratum", "Test examples", *variants] + ([f"{about} minus {study.reference}"] if about else [])
    lines = []
    for (column, stratum), of in rows.groupby(["column", "stratum"], sort=False):
        by = of.set_index("variant")
        first = by.iloc[0]
        entries = [Entry(f"{first['n']:,}", first["grades"])]
        entries += [
            Entry(number(by.loc[v, "estimate"]), by.loc[v, "why"] or _limits(by.loc[v], "low", "high"))
            if v in by.index
            else Entry(MISSING)
            for v in variants
        ]
        if about:
            gap = by.loc[about]
            limits = _limits(gap, "difference_low", "difference_high", sign=True)
            entries.append(Entry(number(gap["difference"], sign=True), limits))
        lines.append(Line(_head(column, stratum), entries))
    caption = f"{measure.heading} per stratum: mean over the seeds that all finished, 95 % interval, {_covers(rows)}."
    if about:
        caption += f" Difference to {study.reference}: negative is {'worse' if measure.higher else 'better'}."
    return Details(f"{measure.label} per stratum as a table", [Table(caption, header, lines)])


def _limits(row: pd.Series, low: str, high: str, sign: bool = False) -> str:
    return interval(row[low], row[high], sign=sign)


def _warnings(rows: pd.DataFrame) -> list[Block]:
    """Strata whose intervals are not to be trusted."""
    warned = rows[(rows["warning"] != "") & (rows["column"] != "")].drop_duplicates(["column", "stratum"])
    if not len(warned):
        return []
    named = [f"{_head(row.column, row.stratum)} ({row.warning})" for row in warned.itertuples()]
    return [Text(f"Not to be relied on: {'; '.join(named)}.", note=True)]


def _covers(rows: pd.DataFrame) -> str:
    """What the intervals allow for."""
    new = "patients or treatments" if (rows["units"] < rows["n"]).any() else "test examples"
    return (
        f"over new seeds and new {new}" if "seeds and examples" in set(rows["basis"]) else f"over new {new}, one seed"
    )


def _head(column: str, stratum: str) -> str:
    return f"{_named(column)}: {one_line(stratum)}" if column else "all"


def _stratum(stratum: str, n: int) -> str:
    return f"{one_line(stratum)} ({n:,})"


def _named(column: str) -> str:
    return one_line(column).replace("_", " ")
