"""Areas of seed-averaged scores against counting pairs, and when they may not be averaged."""

from __future__ import annotations

import numpy as np
import pytest

from ordinal_blast.evaluation import roc
from ordinal_blast.report import rankings
from ordinal_blast.report.reading import load


def area(labels: np.ndarray, scores: np.ndarray) -> float:
    """Share of pairs that a case wins against a control, ties half."""
    gap = scores[labels][:, None] - scores[~labels][None, :]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())


def averaged(run, variant: int, key: str) -> np.ndarray:
    return np.mean(
        [np.load(run / "cells" / f"{variant}-s{seed}" / "predictions.npz")[key] for seed in (0, 1, 2)], axis=0
    )


def test_thresholds_rank_seed_averaged_scores(small):
    study = load(small)
    for group in study.groups():
        truth = np.load(small / "cells" / "0-s0" / "predictions.npz")[f"rnn/test/{group.task}/labels"]
        found = rankings.thresholds(group)
        assert [ranking.name for ranking in found] == [f"{group.task.upper()} > C", f"{group.task.upper()} > B"]
        for k, ranking in enumerate(found):
            compared = rankings.compare(ranking, study.reference)
            assert [comparison.variant for comparison in compared] == list(study.variants)
            known = truth >= 0
            scores = [averaged(small, variant, f"rnn/test/{group.task}/scores")[known] for variant in range(3)]
            areas = [area(truth[known] > k, score) for score in scores]
            assert [comparison.auc for comparison in compared] == pytest.approx(areas, rel=1e-12)
            clusters = np.arange(len(truth))[known] // 2
            tests = [roc.delong_test(truth[known] > k, score, scores[0], clusters=clusters) for score in scores[1:]]
            p = [test.p_value for test in tests]
            assert p[0] != pytest.approx(roc.delong_test(truth[known] > k, scores[1], scores[0]).p_value, rel=1e-3)
            assert [comparison.p for comparison in compared[1:]] == pytest.approx(p, rel=1e-9)
            assert [c.difference for c in compared[1:]] == pytest.approx([a - areas[0] for a in areas[1:]], abs=1e-12)
            holm = [min(1, 2 * min(p)), max(max(p), min(1, 2 * min(p)))]
            assert sorted(c.p_holm for c in compared[1:]) == pytest.approx(holm, rel=1e-9)
            assert np.isnan([compared[0].difference, compared[0].p, compared[0].p_holm]).all()


def test_outcome_sums_the_expected_grades(write_run, tmp_path):
    run = write_run(tmp_path / "run", seeds=(0, 1, 2), models=("rnn",), n=80, outcome=True)
    study = load(run)
    ranking = rankings.outcome(study.groups())
    heartbeat = np.load(run / "cells" / "0-s0" / "predictions.npz")["rnn/test/fetal_heartbeat"]
    known = heartbeat >= 0
    for number, variant in enumerate(study.variants):
        total = averaged(run, number, "rnn/test/icm/scores") + averaged(run, number, "rnn/test/te/scores")
        np.testing.assert_allclose(ranking.average(variant, (0, 1, 2)), total[known], rtol=1e-12)
    np.testing.assert_array_equal(ranking.labels, heartbeat[known] == 1)
    patients = np.flatnonzero(known) // 2  # by id, as the ids are in order
    np.testing.assert_array_equal(ranking.clusters[:, None] == ranking.clusters, patients[:, None] == patients)


def test_other_examples_per_seed_are_not_averaged(write_run, tmp_path):
    study = load(write_run(tmp_path / "run", seeds=(0, 1), models=("rnn",), n=40, outcome=True, resplit=True))
    assert not any(map(rankings.same_examples, study.groups()))
    assert [rankings.thresholds(group) for group in study.groups()] == [[], []]
    assert rankings.outcome(study.groups()) is None


def test_other_data_with_rows_of_the_same_names_and_labels_are_other_examples(write_run, rewrite, tmp_path):
    run = write_run(tmp_path / "run", variants=("a", "b"), seeds=(0, 1), models=("rnn",), tasks=("icm",), n=40)
    assert rankings.same_examples(load(run).groups()[0])
    for name in ("0-s1", "1-s1"):  # the second hold-out of the same table, stratified and named like the first
        config = {"data": {"options": {"holdout": 1}}, "tasks": ["icm"]}
        rewrite(run / "cells" / name, lambda result, _: result["identity"].update(data="111111111111"), config)
    group = load(run).groups()[0]
    assert not rankings.same_examples(group)
    assert rankings.thresholds(group) == []


def test_the_order_of_examples_does_not_matter(write_run, rewrite, reverse_examples, tmp_path):
    run = write_run(tmp_path / "run", variants=("a", "b"), seeds=(0, 1), models=("rnn",), tasks=("icm",), n=40)
    before = rankings.thresholds(load(run).groups()[0])
    rewrite(run / "cells" / "1-s1", reverse_examples)
    for old, new in zip(before, rankings.thresholds(load(run).groups()[0]), strict=True):
        np.testing.assert_array_equal(old.average("b", (0, 1)), new.average("b", (0, 1)))
