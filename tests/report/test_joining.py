"""Runs of two folders: one paired table where data, splits and seeds agree, else the page says why not."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from ordinal_blast import report
from ordinal_blast.errors import UsageError
from ordinal_blast.evaluation.multireader import ALIKE
from ordinal_blast.report import load
from ordinal_blast.report.measures import PRIMARY
from ordinal_blast.report.verdicts import of_measure
from ordinal_blast.storage import read_json, write_json

SAME = {"seeds": (0, 1, 2), "stages": ("rnn",), "tasks": ("icm",), "n": 40}


def test_runs_that_agree_are_one_table_paired_by_seed(write_run, tmp_path):
    together = load(write_run(tmp_path / "both", variants=("a", "b"), **SAME))
    runs = [write_run(tmp_path / name, variants=(name,), **SAME) for name in ("a", "b")]
    joined = load(*map(str, runs))
    assert joined.variants == ("a", "b")
    assert joined.reference == "a"
    pd.testing.assert_frame_equal(joined.differences, together.differences)
    assert [cell.name for cell in joined.cells][:1] == ["a/0-s0"]
    text = report.write([joined], tmp_path / "report", "c").read_text(encoding="utf-8")
    assert text.count("<article") == 1
    assert "nothing to compare it with" not in text
    assert "paired by seed (3 seeds)" in text
    assert "b" in report.table([joined]).split("RNN · ICM")[1]


def test_variants_of_one_name_are_told_apart_by_their_folder(write_run, tmp_path):
    runs = [write_run(tmp_path / day, variants=("a", "b"), **SAME) for day in ("monday", "tuesday")]
    (joined,) = report.read(runs)
    assert joined.variants == ("a (monday)", "b (monday)", "a (tuesday)", "b (tuesday)")
    assert joined.reference == "a (monday)"
    again = next(
        d for d in of_measure(joined.differences, joined.groups()[0], PRIMARY[0]) if d.variant == "a (tuesday)"
    )
    assert again.values == (0, 0, 0)
    assert again.interval == ALIKE
    alike = [write_run(tmp_path / day / "run", variants=("a",), **SAME) for day in ("monday", "tuesday")]
    (joined,) = report.read(alike)
    assert joined.variants == tuple(f"a ({folder})" for folder in alike)


def test_a_run_of_which_no_cell_has_finished_stands_apart(write_run, tmp_path):
    finished = write_run(tmp_path / "a", variants=("a",), **SAME)
    nothing = write_run(tmp_path / "b", variants=("b",), missing=("0-s0", "0-s1", "0-s2"), **SAME)
    one, other = report.read([finished, nothing])
    assert (one.apart, other.apart) == (("b: no cell has finished",), ("a: no cell has finished",))
    with pytest.raises(UsageError, match=r"a and .*b cannot stand in one table: no cell has finished; load each alone"):
        load(finished, nothing)


def _shift_labels(kept):
    labels = kept.models["rnn"].splits["train"].tasks["icm"].labels
    labels[:] = np.roll(labels, 1)


APART = {
    "seeds": (SAME | {"seeds": (3, 4)}, None, "no seed in common, 0–2 here and 3, 4 there"),
    "identity": (SAME, lambda kept: kept.identity.update(data="1"), "the data differ"),
    "data set": (SAME, lambda kept: kept.dataset.update(name="other"), "data sets synthetic and other"),
    "split": (SAME | {"n": 41}, None, "the splits differ (ids of rnn/test/icm)"),
    "labels": (
        SAME,
        _shift_labels,
        "the splits differ (labels of rnn/train/icm)",
    ),
    "grades": (SAME | {"grades": ("x", "y", "z")}, None, "the grades of rnn/test/icm differ"),
    "task": (SAME | {"tasks": ("te",)}, None, "no stage and task in common"),
}


@pytest.mark.parametrize("why", APART)
def test_runs_that_differ_are_chapters_that_say_why(write_run, tmp_path, why):
    options, change, reason = APART[why]
    one = write_run(tmp_path / "one", variants=("a",), **SAME)
    two = write_run(tmp_path / "two", variants=("b",), change=change, **options)
    studies = report.read([one, two])
    assert [study.variants for study in studies] == [("a",), ("b",)]
    assert len(studies[0].apart) == len(studies[1].apart) == 1
    assert studies[0].apart[0].startswith(f"two: {reason}")
    text = report.write(studies, tmp_path / "report", "c").read_text(encoding="utf-8")
    assert text.count("<article") == 2
    assert f"Not in one table with two: {reason}" in text
    assert f"Not in one table with two: {reason}"[:60] in report.table(studies)
    with pytest.raises(UsageError, match=re.escape(f"cannot stand in one table: {reason}")):
        load(one, two)


def test_other_data_sets_need_no_reason_where_there_is_something_to_compare(write_run, tmp_path):
    one = write_run(tmp_path / "one", ("a", "b"), **SAME)
    two = write_run(tmp_path / "two", ("a", "b"), change=lambda kept: kept.dataset.update(name="other"), **SAME)
    assert [study.apart for study in report.read([one, two])] == [(), ()]


def test_a_run_without_a_question_is_titled_by_its_name(write_run, tmp_path):
    run = write_run(tmp_path / "run", variants=("a",), **SAME)
    plan = read_json(run / "plan.json")
    write_json(run / "plan.json", plan | {"question": ""})
    assert "<h1>losses</h1>" in report.write([load(run)], tmp_path / "out", "c").read_text(encoding="utf-8")


def test_one_folder_twice_is_refused(write_run, tmp_path):
    run = write_run(tmp_path / "run", variants=("a",), **SAME)
    with pytest.raises(UsageError, match="is given twice"):
        load(run, tmp_path / "other" / ".." / "run")
    with pytest.raises(UsageError, match="no run directory given"):
        load()
