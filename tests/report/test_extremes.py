"""Confusions by two grades and accuracy without B, against counts of the predictions."""

import numpy as np
import pytest

from ordinal_blast.report import load


def test_extremes_are_shares_of_the_examples(embryos):
    study = load(embryos)
    rows = study.extremes.query("stage == 'rnn' and task == 'icm' and variant == 'cross_entropy'").set_index("quantity")
    confused, chosen, right, graded = [], [], 0, 0
    for cell in (cell for cell in study.cells if cell.variant == "cross_entropy"):
        result = cell.tested("rnn").tasks["icm"]
        labels, grades, probs = (array[result.labels >= 0] for array in (result.labels, result.grades, result.probs))
        confused.append(np.mean(abs(labels - grades) == 2))
        ends = labels != 1
        chosen.append(np.mean((probs[ends, 2] > probs[ends, 0]) == (labels[ends] == 2)))
        both = ends & (grades != 1)
        right, graded = right + (labels == grades)[both].sum(), graded + both.sum()
        assert rows.loc["chosen", "n"] == ends.sum()
    assert rows.loc["confused", "mean"] == pytest.approx(np.mean(confused))
    assert rows.loc["chosen", "mean"] == pytest.approx(np.mean(chosen))
    assert rows.loc["both extreme", "mean"] == pytest.approx(right / graded, abs=0.01)  # the mean of two shares
    assert ((rows["low"] <= rows["mean"]) & (rows["mean"] <= rows["high"])).all()


def test_no_confusion_at_all_has_no_interval(write_run, tmp_path):
    def change(kept):
        for _, _, result in kept.results():
            result.grades[:] = 1

    rows = load(write_run(tmp_path, ("a",), (0, 1), n=60, change=change)).extremes.set_index("quantity")
    assert set(rows.loc["confused", "mean"]) == {0.0}
    assert set(rows.loc["confused", "why"]) == {"estimated variance 0: no test"}
    assert "both extreme" not in rows.index


def test_two_grades_are_both_extreme_and_tell_nothing(write_run, tmp_path):
    assert load(write_run(tmp_path, ("a",), (0, 1), n=60, grades="BA")).extremes.empty
