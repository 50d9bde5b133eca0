"""What scores rank, their mean ROC curve against counting pairs, and when they may not be compared."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from ordinal_blast import record
from ordinal_blast.report import comparison, load, rankings, verdicts
from ordinal_blast.report.pictures import Studio


def area(labels: np.ndarray, scores: np.ndarray) -> float:
    """Share of pairs that a case wins against a control, ties half."""
    gap = scores[labels][:, None] - scores[~labels][None, :]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())


def split_of(run, cell: str):
    return record.read(run / "cells" / cell).models["rnn"].splits["test"]


def test_thresholds_rank_the_scores_of_every_seed(small):
    study = load(small)
    for group in study.groups():
        truth = split_of(small, "0-s0").tasks[group.task].labels
        known = truth >= 0
        rankings_of = rankings.thresholds(group)
        assert [ranking.name for ranking in rankings_of] == [f"{group.task.upper()} > C", f"{group.task.upper()} > B"]
        for k, ranking in enumerate(rankings_of):
            np.testing.assert_array_equal(ranking.labels, truth[known] > k)
            patients = np.arange(len(truth))[known] // 2
            together = patients[:, None] == patients
            np.testing.assert_array_equal(ranking.clusters[:, None] == ranking.clusters, together)
            for number, variant in enumerate(study.variants):
                for seed in (0, 1, 2):
                    own = split_of(small, f"{number}-s{seed}").tasks[group.task].scores[known]
                    np.testing.assert_array_equal(ranking.scores[variant][seed], own)


@pytest.mark.parametrize("digits", [None, 0])  # scores as they are, and with many ties
def test_the_area_under_the_mean_curve_is_the_mean_area(small, digits):
    (ranking, _), variant = rankings.thresholds(load(small).groups()[0]), "cross_entropy"
    if digits is not None:
        rounded = {seed: scores.round(digits) for seed, scores in ranking.scores[variant].items()}
        ranking = dataclasses.replace(ranking, scores={variant: rounded})
    fpr, tpr = ranking.curve(variant)
    areas = [area(ranking.labels, scores) for scores in ranking.scores[variant].values()]
    assert np.trapezoid(tpr, fpr) == pytest.approx(np.mean(areas), rel=1e-12)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert (np.diff(fpr) >= 0).all()
    assert (np.diff(tpr) >= 0).all()


def sick(kept):
    """A change: a column of 1, 0 and, where it is not known, −1."""
    split = kept.models["rnn"].splits["test"]
    split.columns["sick"] = np.random.default_rng(0).integers(-1, 2, len(split.ids))


def test_a_binary_column_is_ranked_by_the_sum_of_the_scores(write_run, tmp_path):
    run = write_run(tmp_path / "run", stages=("rnn",), n=80, change=sick)
    study = load(run)
    ranking = rankings.binary(study.groups(), "sick", "sickness")
    assert ranking.name == "sickness, by ICM + TE"
    truth = split_of(run, "0-s0").columns["sick"]
    known = truth >= 0
    for number, variant in enumerate(study.variants):
        tasks = split_of(run, f"{number}-s2").tasks
        total = tasks["icm"].scores + tasks["te"].scores.astype(np.float64)
        np.testing.assert_allclose(ranking.scores[variant][2], total[known], rtol=1e-6)
    np.testing.assert_array_equal(ranking.labels, truth[known] == 1)
    assert rankings.binary(study.groups(), "healthy", "health") is None
    patients = np.flatnonzero(known) // 2  # by id, as the ids are in order
    np.testing.assert_array_equal(ranking.clusters[:, None] == ranking.clusters, patients[:, None] == patients)


def test_a_variant_that_learnt_the_column_ranks_by_its_own_score_of_it(write_run, tmp_path):
    study = load(
        write_run(
            tmp_path / "run", ("both", "grades", "own"), tasks=("icm", "sick"), stages=("rnn",), n=80, change=sick
        )
    )
    icm, own = study.groups()
    icm, own = (
        dataclasses.replace(group, cells=tuple(cell for cell in group.cells if cell.variant != without))
        for group, without in ((icm, "own"), (own, "grades"))
    )
    ranking = rankings.binary([icm, own], "sick", "sickness")
    assert ranking.name == "sickness, by ICM or, where that is learnt, its own score"
    known = study.cells[0].tested("rnn").columns["sick"] >= 0
    assert set(ranking.scores) == {"both", "grades", "own"}
    for cell in study.cells:
        task = "icm" if cell.variant == "grades" else "sick"
        scores = cell.tested("rnn").tasks[task].scores[known]
        np.testing.assert_allclose(ranking.scores[cell.variant][cell.seed], scores, rtol=1e-6)
    assert rankings.binary([own], "sick", "sickness").name == "sickness, by its own score"


def test_other_examples_per_seed_are_not_compared(write_run, tmp_path):
    study = load(write_run(tmp_path / "run", seeds=(0, 1), stages=("rnn",), n=40, change=sick, resplit=True))
    assert not any(group.same_examples for group in study.groups())
    assert [rankings.thresholds(group) for group in study.groups()] == [[], []]
    assert rankings.binary(study.groups(), "sick", "sickness") is None


def test_other_data_with_rows_of_the_same_names_and_labels_are_other_examples(write_run, tmp_path):
    def second_holdout(kept):  # of the same table, stratified and named like the first
        kept.settings["data"]["holdout"] = kept.seed
        kept.identity["data"] = str(kept.seed)

    options = {"seeds": (0, 1), "stages": ("rnn",), "tasks": ("icm",), "n": 40}
    assert load(write_run(tmp_path / "one", ("a", "b"), **options)).groups()[0].same_examples
    group = load(write_run(tmp_path / "two", ("a", "b"), change=second_holdout, **options)).groups()[0]
    assert not group.same_examples
    assert rankings.thresholds(group) == []


def test_a_stage_that_the_reference_lacks_has_areas_and_no_difference(write_run, tmp_path):
    study = load(write_run(tmp_path / "run", ("a", "b"), stages=("rnn",), n=80, change=sick))
    ranking = rankings.binary(study.groups(), "sick", "sickness")
    alone = dataclasses.replace(ranking, scores={"b": ranking.scores["b"]})
    (row,) = verdicts.areas_of(alone, study)
    assert row["why"] == "no seed that the reference finished too"
    assert np.isnan([row["mean"], row["low_adjusted"], row["p"]]).all()
    (part,) = comparison.ranking_blocks(study, [alone], pd.DataFrame([row]), "sick", Studio("run", study), "RNN")
    assert "its difference to a over the seeds that both finished." in part.blocks[1].caption
