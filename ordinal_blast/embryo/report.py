"""What a report says of embryos beside their grades: how scores rank the outcome, and how well the cropper crops."""

from __future__ import annotations

import pandas as pd

from ordinal_blast.report import pick_blocks
from ordinal_blast.report.blocks import Section
from ordinal_blast.report.compare import Study
from ordinal_blast.report.comparison import ranking_blocks
from ordinal_blast.report.formats import number
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.rankings import binary
from ordinal_blast.report.verdicts import areas_of

OUTCOME = "fetal_heartbeat"  # the column: 1, 0, or −1 where no embryo was transferred


def sections(study: Study, studio: Studio) -> list[Section]:
    """The sections of a study; none where nothing is known of an outcome, or no cropper was trained."""
    return [*_outcome(study, studio), *_choice(study, studio), *_cropper(study, studio)]


def _outcome(study: Study, studio: Studio) -> list[Section]:
    """ROC of fetal heartbeat by the sum of the scores of all tasks, for each stage that grades."""
    blocks = [
        block
        for stage in reversed(study.stages)
        if (groups := [group for group in study.groups() if group.stage == stage])
        and (ranking := binary(groups, OUTCOME, "fetal heartbeat"))
        for block in ranking_blocks(
            study, [ranking], pd.DataFrame(areas_of(ranking, study)), f"outcome-{stage}", studio, stage.upper()
        )
    ]
    return [Section(studio.anchor("outcome"), "Outcome: fetal heartbeat", blocks)] if blocks else []


def _choice(study: Study, studio: Studio) -> list[Section]:
    """Which embryo of a treatment is picked by the sum of the scores of all tasks, for each stage that grades."""
    blocks = [
        block
        for stage in reversed(study.stages)
        if any(OUTCOME in cell.tested(stage).columns for cell in study.cells)  # embryos, and no other groups
        for block in pick_blocks.together(study, stage, studio, "treatment", "embryo")
    ]
    return [Section(studio.anchor("choice"), "Choice of an embryo", blocks)] if blocks else []


def _cropper(study: Study, studio: Studio) -> list[Section]:
    """Dice of the masks of the test set, which chose nothing, mean over cells, for the head of the chapter alone."""
    dice = [facts["dice_test"] for cell in study.cells for facts in cell.record.stages.values() if "dice_test" in facts]
    if not dice:
        return []
    fact = ("Cropper Dice (test)", number(sum(dice) / len(dice)))
    return [Section(studio.anchor("cropper"), "Cropper", [], [fact])]
