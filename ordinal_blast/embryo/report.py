"""What a report says of embryos: the paper's tables, embryologists, the outcome, the cropper, and the truth."""

from __future__ import annotations

import pandas as pd

from ordinal_blast.embryo import beyond_blocks, gain_blocks, human_blocks, outcome_blocks, outcome_worth, paper_blocks
from ordinal_blast.embryo.outcome_blocks import OUTCOME
from ordinal_blast.report import pick_blocks
from ordinal_blast.report.blocks import Block, Section
from ordinal_blast.report.compare import Study
from ordinal_blast.report.comparison import ranking_blocks
from ordinal_blast.report.formats import number
from ordinal_blast.report.pictures import Studio
from ordinal_blast.report.rankings import binary
from ordinal_blast.report.verdicts import areas_of


def sections(study: Study, studio: Studio) -> list[Section]:
    """The sections of a study; none where it is not of embryos."""
    return [
        *paper_blocks.sections(study, studio),
        *gain_blocks.sections(study, studio),
        *human_blocks.sections(study, studio),
        *_outcome(study, studio),
        *_choice(study, studio),
        *beyond_blocks.confusions(study, studio),
        *beyond_blocks.truth(study, studio),
        *_cropper(study, studio),
    ]


def _outcome(study: Study, studio: Studio) -> list[Section]:
    """ROC of fetal heartbeat, of embryologist and networks, then of all variants by the sum of their scores."""
    blocks = [
        block
        for stage in reversed(study.stages)
        for block in (
            *outcome_blocks.blocks(study, stage, studio),
            *outcome_worth.blocks(study, stage, studio),
            *_variants(study, stage, studio),
        )
    ]
    return [Section(studio.anchor("outcome"), "Outcome: fetal heartbeat", blocks)] if blocks else []


def _variants(study: Study, stage: str, studio: Studio) -> list[Block]:
    groups = [group for group in study.groups() if group.stage == stage]
    ranking = binary(groups, OUTCOME, "fetal heartbeat") if groups else None
    if ranking is None:
        return []
    areas = pd.DataFrame(areas_of(ranking, study))
    return ranking_blocks(study, [ranking], areas, f"outcome-{stage}", studio, stage.upper())


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
    """Dice of the cropper's masks, mean over cells, for the head of the chapter alone."""
    dices = paper_blocks.dices(study)
    facts = [(f"Cropper Dice ({name})", number(value)) for name, value in list(dices.items())[:1]]
    return [Section(studio.anchor("cropper"), "Cropper", [], facts)] if facts else []
