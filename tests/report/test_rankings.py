"""Areas of seed-averaged scores against counting pairs, and when they may not be averaged."""

from __future__ import annotations

import numpy as np
import pytest

from ordinal_blast import record
from ordinal_blast.evaluation import roc
from ordinal_blast.report import load, rankings


def area(labels: np.ndarray, scores: np.ndarray) -> float:
    """Share of pairs that a case wins against a control, ties half."""
    gap = scores[labels][:, None] - scores[~labels][None, :]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())


def split_of(run, cell: str):
    return record.read(run / "cells" / cell).models["rnn"].splits["test"]


def averaged(run, variant: int, task: str) -> np.ndarray:
    scores = [split_of(run, f"{variant}-s{seed}").tasks[task].scores for seed in (0, 1, 2)]
    return np.mean(scores, axis=0, dtype=np.float64)


def test_thresholds_rank_seed_averaged_scores(small):
    study = load(small)
    for group in study.groups():
        truth = split_of(small, "0-s0").tasks[group.task].labels
        found = rankings.thresholds(group)
        assert [ranking.name for ranking in found] == [f"{group.task.upper()} > C", f"{group.task.upper()} > B"]
        for k, ranking in enumerate(found):
            compared = rankings.compare(ranking, study.reference)
            assert [comparison.variant for comparison in compared] == list(study.variants)
            known = truth >= 0
            scores = [averaged(small, variant, group.task)[known] for variant in range(3)]
            areas = [area(truth[known] > k, score) for score in scores]
            assert [comparison.auc for comparison in compared] == pytest.approx(areas, rel=1e-12)
            clusters = np.arange(len(truth))[known] // 2
            tests = [roc.delong_test(truth[known] > k, score, scores[0], clusters=clusters) for score in scores[1:]]
            p = [test.p_value for test in tests]
            alone = [roc.delong_test(truth[known] > k, score, scores[0]).p_value for score in scores[1:]]
            assert p != pytest.approx(alone, rel=1e-3)
            assert [comparison.p for comparison in compared[1:]] == pytest.approx(p, rel=1e-9)
            assert [c.difference for c in compared[1:]] == pytest.approx([a - areas[0] for a in areas[1:]], abs=1e-12)
            holm = [min(1, 2 * min(p)), max(max(p), min(1, 2 * min(p)))]
            assert sorted(c.p_holm for c in compared[1:]) == pytest.approx(holm, rel=1e-9)
            assert np.isnan([compared[0].difference, compared[0].p, compared[0].p_holm]).all()


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
        total = averaged(run, number, "icm") + averaged(run, number, "te")
        np.testing.assert_allclose(ranking.average(variant, (0, 1, 2)), total[known], rtol=1e-12)
    np.testing.assert_array_equal(ranking.labels, truth[known] == 1)
    assert rankings.binary(study.groups(), "healthy", "health") is None
    patients = np.flatnonzero(known) // 2  # by id, as the ids are in order
    np.testing.assert_array_equal(ranking.clusters[:, None] == ranking.clusters, patients[:, None] == patients)


def test_other_examples_per_seed_are_not_averaged(write_run, tmp_path):
    study = load(write_run(tmp_path / "run", seeds=(0, 1), stages=("rnn",), n=40, change=sick, resplit=True))
    assert not any(map(rankings.same_examples, study.groups()))
    assert [rankings.thresholds(group) for group in study.groups()] == [[], []]
    assert rankings.binary(study.groups(), "sick", "sickness") is None


def test_other_data_with_rows_of_the_same_names_and_labels_are_other_examples(write_run, tmp_path):
    def second_holdout(kept):  # of the same table, stratified and named like the first
        kept.settings["data"]["holdout"] = kept.seed
        kept.identity["data"] = str(kept.seed)

    options = {"seeds": (0, 1), "stages": ("rnn",), "tasks": ("icm",), "n": 40}
    assert rankings.same_examples(load(write_run(tmp_path / "one", ("a", "b"), **options)).groups()[0])
    group = load(write_run(tmp_path / "two", ("a", "b"), change=second_holdout, **options)).groups()[0]
    assert not rankings.same_examples(group)
    assert rankings.thresholds(group) == []
