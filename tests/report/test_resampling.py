"""Intervals over test examples: the values of the other tables, whole patients drawn, silent where they must be."""

from __future__ import annotations

import numpy as np
import pytest

from ordinal_blast import record, report
from ordinal_blast.evaluation import bootstrap
from ordinal_blast.report import load, resampling
from ordinal_blast.report.measures import PRIMARY, differences, over_seeds

MAE = next(measure for measure in PRIMARY if measure.key == "mae")


def over(group, reference):
    return resampling.over_examples(group, reference, list(PRIMARY))


def same_as_the_other_tables(study):
    for group in study.groups():
        found = over(group, study.reference)
        for measure in PRIMARY:
            own = over_seeds(group, measure).loc[study.reference, "mean"]
            assert found.scores[measure].value == pytest.approx(own, rel=1e-12)
            expected = {each.variant: each.mean for each in differences(group, study.reference, measure)}
            values = {v: each.value for (v, m), each in found.differences.items() if m == measure}
            assert values == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_values_are_those_of_the_other_tables(small):
    same_as_the_other_tables(load(small))


def test_differences_are_of_seeds_that_both_finished(write_run, tmp_path):
    variants, missing = ("a", "b", "c"), ("0-s0", "1-s1", "1-s2")  # b shares no seed with the reference a
    run = write_run(tmp_path / "run", variants=variants, stages=("rnn",), tasks=("icm",), n=40, missing=missing)
    same_as_the_other_tables(load(run))
    assert {variant for variant, _ in over(load(run).groups()[0], "a").differences} == {"c"}


@pytest.mark.parametrize("shared", [True, False])
def test_patients_or_single_examples_are_drawn(write_run, tmp_path, shared):
    def alone(kept):
        kept.models["rnn"].splits["test"].columns.clear()

    options = {"seeds": (0,), "stages": ("rnn",), "tasks": ("icm",), "n": 80}
    run = write_run(tmp_path / "run", ("a", "b"), change=None if shared else alone, **options)
    splits = [record.read(run / "cells" / f"{v}-s0").models["rnn"].splits["test"] for v in (0, 1)]
    known = splits[0].tasks["icm"].labels >= 0
    units = splits[0].columns["group"][known] if shared else np.arange(known.sum())
    base, rival = (
        bootstrap.resample(
            split.tasks["icm"].labels[known],
            split.tasks["icm"].grades[known][None],
            3,
            seed=resampling.SEED,
            clusters=units,
            resamples=resampling.RESAMPLES,
        ).values["mae"]
        for split in splits
    )
    found = over(load(run).groups()[0], "a")
    for spread, drawn in ((found.scores[MAE], base), (found.differences["b", MAE], rival - base)):
        ordered = np.sort(drawn)
        assert (spread.low, spread.high) == pytest.approx((ordered[49], ordered[-50]), rel=1e-12)
        assert spread.undefined == 0
    assert found.drawn == ("40 patients or treatments, whole" if shared else f"{known.sum()} test examples")


def test_silent_where_nothing_may_be_drawn(write_run, tmp_path):
    def one_patient(kept):
        kept.models["rnn"].splits["test"].columns["group"][:] = "one"

    run = write_run(tmp_path / "run", seeds=(0, 1), stages=("rnn",), n=40, resplit=True)
    assert not any(over(group, "cross_entropy") for group in load(run).groups())
    run = write_run(tmp_path / "other", seeds=(0,), stages=("rnn",), n=40, missing=("0-s0",))
    assert not any(over(group, "cross_entropy") for group in load(run).groups())
    options = {"seeds": (0,), "stages": ("rnn",), "tasks": ("icm",), "n": 40}
    run = write_run(tmp_path / "one", ("a", "b"), change=one_patient, **options)
    assert over(load(run).groups()[0], "a") is None
    text = (report.write([load(run)], tmp_path / "report", "c").parent / "report.md").read_text()
    assert "Had other examples been tested" not in text
    assert "come from 1 patient or treatment" in text


def test_one_test_example_makes_a_page_without_intervals(write_run, tmp_path):
    run = write_run(tmp_path / "run", variants=("a", "b"), seeds=(0,), stages=("rnn",), tasks=("icm",), n=1)
    assert over(load(run).groups()[0], "a") is None
    text = (report.write([load(run)], tmp_path / "report", "c").parent / "report.md").read_text()
    assert "Had other examples been tested" not in text


def test_the_page_shows_scores_unsigned_and_differences_signed(small, tmp_path):
    text = (report.write([load(small)], tmp_path / "report", "c").parent / "report.md").read_text()
    study = load(small)
    for group in study.groups():
        found = over(group, study.reference)
        own, other = found.scores[MAE], found.differences[study.variants[1], MAE]
        assert f"{own.value:.3f} [{own.low:.3f}, {own.high:.3f}]" in text
        assert f"{other.value:+.3f} [{other.low:+.3f}, {other.high:+.3f}]".replace("-", "−") in text
    assert text.count("### Had other examples been tested") == len(study.groups())
    assert f"{resampling.RESAMPLES:,} draws of 30 patients or treatments, whole" in text
