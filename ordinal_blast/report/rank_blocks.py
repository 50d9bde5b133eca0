"""One data set beyond its differences, on the page: mean ranks, practical equivalence, what hold-outs are worth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ordinal_blast.evaluation.significance import CORRECTED_T_ERRS
from ordinal_blast.report import chance_blocks, family_tables
from ordinal_blast.report.blocks import Block, Details, Entry, Part, Table, Text
from ordinal_blast.report.compare import Study
from ordinal_blast.report.formats import count, number
from ordinal_blast.report.measures import Measure, primary
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.results import Group

MEASURED = (
    "Repeated hold-outs share most of their training rows, so that their results are not independent. The one test "
    "made over them is Student’s t as Nadeau and Bengio (2003) corrected it for that: on simulated tables of 500 rows "
    f"with 30 hold-outs of a quarter it calls two equal learners different in {100 * CORRECTED_T_ERRS[0]:.0f} % of "
    f"tables (linear) to {100 * CORRECTED_T_ERRS[1]:.0f} % (nearest neighbour), at nominal 5 %. Wilcoxon’s, Friedman’s "
    "and Nemenyi’s tests over hold-outs do so in half of the tables or more: none of them is made. The differences "
    "speak of this data set, not of others."
)


def blocks(study: Study, group: Group, studio: Studio) -> list[Block]:
    """What the hold-outs are worth, then ranks and chances behind a summary."""
    measures = primary(group)
    contents: list[Block] = []
    ranks = group.within(study.ranks)
    if len(group.variants) > 2 and len(ranks):
        over = count(int(ranks["seeds"].iloc[0]), "hold-out" if ranks["over"].iloc[0] == "hold-outs" else "seed")
        caption = f"Mean rank over {over} that all variants finished, 1 the best: a description, not a test."
        contents.append(ranks_table(ranks, measures, study, studio, caption))
    contents += chance_blocks.blocks(
        group.within(study.posterior), measures, study, studio, f"{group.stage}-{group.task}"
    )
    details = [Details("Mean ranks, and chances of being practically better", contents)] if contents else []
    return [*([] if group.same_examples else [Part("Over hold-outs", [Text(MEASURED)])]), *details]


def ranks_table(ranks: pd.DataFrame, measures: list[Measure], study: Study, studio: Studio, caption: str) -> Table:
    """Mean ranks, a line per variant and a column per measure, under their families."""
    shown = [measure for measure in measures if (ranks["measure"] == measure.key).any()]
    of = {(row.variant, row.measure): row.mean_rank for row in ranks.itertuples()}

    def mean(variants: list[str]) -> list[Entry]:
        return [Entry(number(float(np.mean([of[variant, m.key] for variant in variants])), 2)) for m in shown]

    lines = {str(variant): mean([variant]) for variant in dict.fromkeys(ranks["variant"])}
    return family_tables.table(studio, caption, [m.label for m in shown], lines, study.families, mean)
