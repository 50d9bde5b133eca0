"""What the embryo wing adds to a report: the outcome ranked by the grades, and how well the cropper crops."""

import dataclasses

import numpy as np

from ordinal_blast.embryo.report import sections
from ordinal_blast.report import load
from ordinal_blast.report.pictures import Studio


def of_embryos(kept):
    for model in kept.models.values():
        split = model.splits["test"]
        split.columns["fetal_heartbeat"] = np.random.default_rng(0).integers(-1, 2, len(split.ids))
    return dataclasses.replace(kept, stages={"cropper": {"dice_val": 0.9 + 0.02 * kept.seed}})


def test_outcome_choice_and_dice_are_told(write_run, tmp_path):
    study = load(write_run(tmp_path, ("a", "b"), (0, 1), n=80, change=of_embryos))
    outcome, choice, cropper = sections(study, Studio("key", study))
    assert (outcome.id, outcome.title) == ("key-outcome", "Outcome: fetal heartbeat")
    assert [part.title for part in outcome.blocks] == ["RNN", "CNN"]
    captions = [table.caption for part in outcome.blocks for table in part.blocks[1:]]
    assert [caption.split(":")[0] for caption in captions] == ["fetal heartbeat, by ICM + TE"] * 2
    assert (choice.id, choice.title) == ("key-choice", "Choice of an embryo")
    assert [part.title for part in choice.blocks] == [
        f"{stage}: would it pick the same embryo twice?" for stage in ("RNN", "CNN")
    ]
    assert (cropper.blocks, cropper.facts) == ([], [("Cropper Dice (validation)", "0.910")])


def test_other_studies_have_neither(small):
    study = load(small)
    assert sections(study, Studio("key", study)) == []
