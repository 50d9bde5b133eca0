"""Raters beside models in frames: values of the equations, adjusted over variants and tasks, and what is left out."""

import numpy as np
import pytest

from ordinal_blast.evaluation import raters
from ordinal_blast.report import load


def test_raters_hold_equations_4_and_5_under_every_rule(embryos):
    study = load(embryos)
    frame = study.raters
    assert len(frame) == 2 * 2 * 5 * 2  # stages, tasks, rules, variants
    assert set(frame["comparisons"]) == {4}
    cells = [cell for cell in study.cells if cell.variant == "cross_entropy"]
    for ties in raters.TIES:
        row = frame.query("stage == 'cnn' and task == 'te' and variant == 'cross_entropy'").set_index("ties").loc[ties]
        splits = [cell.record.models["cnn"].splits["panel"] for cell in cells]
        of = [raters.leave_one_out(split.columns["rater_te"], split.tasks["te"].grades, ties) for split in splits]
        assert row["human"] == pytest.approx(of[0].human, rel=1e-9)
        assert row["model"] == pytest.approx(np.mean([one.model for one in of]), rel=1e-9)
        assert row["mean"] == pytest.approx(row["human"] - row["model"], rel=1e-9)
        assert (row["tied"], row["n"]) == (of[0].tied, of[0].num_examples)
        assert row["p_adjusted"] >= row["p"]
        assert row["low_adjusted"] < row["mean"] < row["high_adjusted"]


def test_raters_of_the_test_set_count_as_well_and_one_rater_does_not(write_run, tmp_path, of_embryos):
    def change(kept):
        kept = of_embryos(kept)
        for model in kept.models.values():
            panel = model.splits.pop("panel")
            full = np.full((80, 9), -1)
            full[:40] = panel.columns["rater_icm"]
            model.splits["test"].columns["rater_icm"] = full
            model.splits["test"].columns["rater_te"] = np.where(np.arange(9) == 0, 1, np.full((80, 9), -1))
        return kept

    frame = load(write_run(tmp_path, ("a",), (0,), n=80, change=change)).raters
    assert set(frame["split"]) == {"test"}
    assert set(frame["task"]) == {"icm"}
    assert set(frame["units"]) == {20}  # patients of two
    assert set(frame["basis"]) == {"examples"}


def test_predictions_leave_the_columns_of_several_raters_out(embryos):
    predictions = load(embryos).predictions(variant="cross_entropy", seed=0, stage="rnn", task="te", split="panel")
    assert len(predictions) == 40
    assert not [name for name in predictions if name.startswith("rater_")]


def test_without_raters_there_is_no_row(small):
    assert load(small).raters.empty
