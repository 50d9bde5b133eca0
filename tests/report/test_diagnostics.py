"""The other views: over seeds alone and over examples alone; diagnostics, so that nothing is said from them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ordinal_blast import record, report
from ordinal_blast.report import load


def rows(study, view, measure="mae"):
    frame = study.diagnostics
    return frame[(frame["view"] == view) & (frame["measure"] == measure) & (frame["task"] == "icm")]


def test_over_seeds_it_is_the_paired_t_test(small):
    study = load(small)
    scores = study.scores.query("task == 'icm' and split == 'test'").pivot(
        index="seed", columns="variant", values="mae"
    )
    of_seeds = rows(study, "seeds")
    assert of_seeds["variant"].tolist() == list(study.rivals)
    for row in of_seeds.itertuples():
        expected = stats.ttest_rel(scores[row.variant], scores[study.reference]).confidence_interval(0.95)
        assert (row.low, row.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


@pytest.mark.parametrize("shared", [True, False])
def test_over_examples_it_is_the_jackknife_of_patients_or_single_examples(write_run, tmp_path, shared):
    def alone(kept):
        kept.models["rnn"].splits["test"].columns.clear()

    options = {"stages": ("rnn",), "tasks": ("icm",), "n": 80}
    run = write_run(tmp_path / "run", ("a", "b"), (0, 1), change=None if shared else alone, **options)
    splits = [[record.read(run / "cells" / f"{v}-s{s}").models["rnn"].splits["test"] for s in (0, 1)] for v in (0, 1)]
    labels = splits[0][0].tasks["icm"].labels
    known = labels >= 0
    names = splits[0][0].columns["group"][known] if shared else np.arange(known.sum())
    errors = [[np.abs(s.tasks["icm"].grades - labels)[known] for s in row] for row in splits]
    gaps = np.mean(np.array(errors[1]) - np.array(errors[0]), axis=0)
    without = np.array([gaps[names != name].mean() for name in np.unique(names)])
    units = len(without)
    error = np.sqrt((units - 1) / units * ((without - without.mean()) ** 2).sum())
    expected = gaps.mean() + error * np.array([-1, 1]) * stats.t.ppf(0.975, units - 1)
    (row,) = rows(load(run), "examples").itertuples()
    assert (row.low, row.high) == pytest.approx(tuple(expected), rel=1e-9)


def test_differences_are_of_seeds_that_both_finished(write_run, tmp_path):
    missing = ("0-s0", "1-s1", "1-s2")  # b shares no seed with the reference a
    options = {"stages": ("rnn",), "tasks": ("icm",), "n": 40, "missing": missing}
    study = load(write_run(tmp_path / "run", ("a", "b", "c"), **options))
    for view in ("seeds", "examples"):
        assert rows(study, view)["variant"].tolist() == ["c"]
        assert rows(study, view)["mean"].iloc[0] == pytest.approx(
            study.differences.query("measure == 'mae'")["mean"].iloc[0]
        )


@pytest.mark.parametrize("extreme", ["mmae", "min_sensitivity", "gmsec", "ece"])
def test_extremes_and_binned_gaps_are_seen_over_seeds_alone(small, extreme):
    assert not len(rows(load(small), "examples", extreme))
    assert len(rows(load(small), "seeds", extreme)) == 2


def test_silent_where_nothing_may_be_drawn(write_run, tmp_path):
    def one_patient(kept):
        kept.models["rnn"].splits["test"].columns["group"][:] = "one"

    options = {"stages": ("rnn",), "tasks": ("icm",), "n": 40}
    study = load(write_run(tmp_path / "run", ("a", "b"), (0, 1), resplit=True, **options))
    assert study.diagnostics.empty
    study = load(write_run(tmp_path / "one", ("a", "b"), (0, 1), change=one_patient, **options))
    assert set(study.diagnostics["view"]) == {"seeds"}


def test_one_test_example_makes_a_page_without_intervals(write_run, tmp_path):
    run = write_run(tmp_path / "run", variants=("a", "b"), seeds=(0,), stages=("rnn",), tasks=("icm",), n=1)
    text = (report.write([load(run)], tmp_path / "report", "c").parent / "report.md").read_text()
    assert "b is not tested against a in MAE" not in text  # nobody asks about b
    assert "No variant is tested against a in MAE: one test example or patient" in text


def test_the_page_sets_none_of_them_in_bold(small, tmp_path):
    text = (report.write([load(small)], tmp_path / "report", "c").parent / "report.md").read_text()
    folded = text.split("Other views, which are no verdict")[1].split("###")[0]
    assert "Seeds alone (t over seeds)" in folded
    assert "by itself, with its 95 % interval. Over new seeds and new test examples. Not adjusted" in folded
    assert "<b>" not in folded
    row = rows(load(small), "seeds").iloc[0]
    assert f"{row['mean']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]".replace("-", "−") in folded
