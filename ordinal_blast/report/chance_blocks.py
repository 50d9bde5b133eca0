"""How likely a variant is better than the reference, practically equivalent, or worse, on the page."""

from __future__ import annotations

import pandas as pd

from ordinal_blast.report import diagrams
from ordinal_blast.report.blocks import Block, Entry, Gallery, Text
from ordinal_blast.report.formats import MISSING, number
from ordinal_blast.report.measures import Measure
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.ranks import declared
from ordinal_blast.report.results import Results

NOTE = (
    "Chances are not verdicts: they are not adjusted for how many variants are compared, and bold type, the answer and "
    "every claim of this page rest on the adjusted intervals and tests instead."
)


def blocks(frame: pd.DataFrame, measures: list[Measure], study: Results, studio: Studio, name: str) -> list[Block]:
    """A figure per primary measure (the first one where none is declared) and the table of all; nothing without rows.

    frame: rows with `measure`, `variant`, `reference`, `rope`, `better`, `equivalent` and `worse`.
    """
    known = frame.dropna(subset=["better"]) if len(frame) else frame
    shown = [measure for measure in measures if len(known) and (known["measure"] == measure.key).any()]
    if not shown:
        return []
    ropes = {m: known.loc[known["measure"] == m.key, "rope"].iloc[0] for m in shown}
    pictured = [measure for measure in shown if declared(study, measure.key)] or shown[:1]
    reference = known["reference"].iloc[0]
    pictures = []
    for measure in pictured:
        rows = known[known["measure"] == measure.key]
        title = f"{measure.label}, equivalent within ±{ropes[measure]:g}"
        words = (
            f"{row.variant} better {_percent(row.better)} %, equivalent {_percent(row.equivalent)} %, "
            f"worse {_percent(row.worse)} %"
            for row in rows.itertuples()
        )
        figure = diagrams.chances(rows, studio.looks, title)
        pictures.append(studio.picture(f"chances-{name}-{measure.key}", figure, f"{title}: {'; '.join(words)}"))
    cells = {(row.variant, row.measure): row for row in known.itertuples()}

    def entry(variant: str, measure: Measure) -> Entry:
        row = cells.get((variant, measure.key))
        return Entry(" / ".join(map(_percent, (row.better, row.equivalent, row.worse))) if row else MISSING)

    variants = dict.fromkeys(known["variant"])
    lines = {str(variant): [entry(variant, measure) for measure in shown] for variant in variants}
    regions = ", ".join(f"{number(rope, 3)} of {measure.label}" for measure, rope in ropes.items())
    origin = "as the ablation declares" if study.equivalence is not None else "as reports assume where none is declared"
    caption = f"Chance in % that a variant is better than {reference} / practically equivalent / worse. Equivalent is "
    caption += f"a difference of at most {regions}: {origin}."
    return [
        Gallery(f"Chance against {reference}: better (full), equivalent (grey), worse (hollow).", pictures, "wide"),
        studio.table(caption, [measure.label for measure in shown], lines),
        Text(NOTE, note=True),
    ]


def _percent(chance: float) -> str:
    """Whole percents that never say certain."""
    return "< 1" if chance < 0.005 else "> 99" if chance > 0.995 else f"{100 * chance:.0f}"
