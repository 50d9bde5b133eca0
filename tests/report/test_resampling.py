"""Intervals over test examples: the values of the other tables, whole patients drawn, silent where they must be."""

from __future__ import annotations

import numpy as np
import pytest

from ordinal_blast import report
from ordinal_blast.evaluation import bootstrap
from ordinal_blast.report import resampling
from ordinal_blast.report.measures import PRIMARY, differences, over_seeds
from ordinal_blast.report.results import load


def test_values_are_those_of_the_other_tables(small):
    study = load(small)
    for group in study.groups():
        found = {(each.variant, each.measure): each for each in _over(group, study.reference)}
        for measure in PRIMARY:
            own = found.pop((study.reference, measure))
            assert own.value == pytest.approx(over_seeds(group, measure).loc[study.reference, "mean"], rel=1e-12)
            for difference in differences(group, study.reference, measure):
                each = found.pop((difference.variant, measure))
                assert each.value == pytest.approx(difference.mean, rel=1e-9, abs=1e-12)
                assert each.low < each.value < each.high
                assert each.excludes_zero == (each.low > 0 or each.high < 0)
        assert not found


def test_whole_patients_are_drawn(small):
    study = load(small)
    group = study.groups()[0]
    files = [[np.load(small / "cells" / f"{v}-s{seed}" / "predictions.npz") for seed in (0, 1, 2)] for v in (0, 1)]
    prefix = f"{group.model}/test/{group.task}"
    labels = files[0][0][f"{prefix}/labels"]
    known = labels >= 0
    ours, reference = (
        bootstrap.resample(
            labels[known],
            np.stack([file[f"{prefix}/grades"][known] for file in files[v]]),
            3,
            seed=resampling.SEED,
            clusters=np.array([f"patient-{index // 2}" for index in np.flatnonzero(known)]),
            resamples=resampling.RESAMPLES,
        )
        for v in (1, 0)
    )
    for each in _over(group, study.reference):
        if each.variant == study.variants[1]:
            drawn = np.sort(ours.values[each.measure.key] - reference.values[each.measure.key])
            assert (each.low, each.high) == pytest.approx((drawn[49], drawn[-50]), rel=1e-12)


def test_the_order_of_examples_does_not_matter(write_run, tmp_path):
    run = write_run(tmp_path / "run", variants=("a", "b"), seeds=(0, 1), models=("rnn",), tasks=("icm",), n=40)
    before = _over(load(run).groups()[0], "a")
    for name in ("0-s0", "1-s1"):
        path = run / "cells" / name / "predictions.npz"
        arrays = {key: array[::-1] if key.startswith("rnn/test/") else array for key, array in np.load(path).items()}
        np.savez(path, **arrays)
    assert _over(load(run).groups()[0], "a") == before


def test_nothing_where_seeds_have_other_examples_or_the_reference_is_missing(write_run, tmp_path):
    run = write_run(tmp_path / "run", seeds=(0, 1), models=("rnn",), n=40, resplit=True)
    assert not any(_over(group, "cross_entropy") for group in load(run).groups())
    run = write_run(tmp_path / "other", seeds=(0,), models=("rnn",), n=40, missing=("0-s0",))
    assert not any(_over(group, "cross_entropy") for group in load(run).groups())


def test_the_page_shows_scores_unsigned_and_differences_signed(small, tmp_path):
    text = (report.write([small], tmp_path / "report", "c").parent / "report.md").read_text()
    study = load(small)
    for group in study.groups():
        errors = [each for each in _over(group, study.reference) if each.measure.key == "mse"]
        own, other = errors[:2]
        assert f"{own.value:.3f} [{own.low:.3f}, {own.high:.3f}]" in text
        assert f"{other.value:+.3f} [{other.low:+.3f}, {other.high:+.3f}]".replace("-", "−") in text
    assert text.count("### Had other examples been tested") == len(study.groups())
    assert f"{resampling.RESAMPLES:,} times 30 patients or treatments drawn whole" in text


def _over(group, reference):
    return resampling.over_examples(group, reference, list(PRIMARY))
