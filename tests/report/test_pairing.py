"""Where a seed is missing, whatever is compared is compared over the seeds that both have, and the page says so."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ordinal_blast import record, report
from ordinal_blast.evaluation import roc
from ordinal_blast.report import answer, load, pairing, rankings
from ordinal_blast.report.measures import PRIMARY, best_of, over_seeds

ACCURACY = PRIMARY[0]


@pytest.fixture(scope="module")
def uneven(write_run, tmp_path_factory):
    """Seed 2 of the reference a failed, seed 0 of c is missing; b has all three."""
    options = {"variants": ("a", "b", "c"), "stages": ("rnn",), "tasks": ("icm",), "n": 60}
    return write_run(tmp_path_factory.mktemp("uneven"), failed=["0-s2"], missing=["2-s0"], **options)


@pytest.fixture(scope="module")
def text(uneven, tmp_path_factory):
    return report.write([load(uneven)], tmp_path_factory.mktemp("report"), "c").read_text(encoding="utf-8")


def scores(run, variant: int, seeds) -> np.ndarray:
    results = [record.read(run / f"cells/{variant}-s{s}").models["rnn"].splits["test"].tasks["icm"] for s in seeds]
    return np.mean([result.scores for result in results], axis=0, dtype=float)


def test_delong_compares_means_over_the_same_seeds(uneven):
    truth = record.read(uneven / "cells" / "0-s0").models["rnn"].splits["test"].tasks["icm"].labels
    known = truth >= 0
    labels, clusters = truth[known] > 0, np.arange(60)[known] // 2
    ranking = rankings.thresholds(load(uneven).groups()[0])[0]
    _, *compared = rankings.compare(ranking, "a")
    for found, variant, seeds in zip(compared, (1, 2), ((0, 1), (1,)), strict=True):
        own, reference = (scores(uneven, v, seeds)[known] for v in (variant, 0))
        expected = roc.delong_test(labels, own, reference, clusters=clusters)
        assert found.seeds == len(seeds)
        assert found.auc == pytest.approx(expected.auc_a, rel=1e-12)
        assert found.difference == pytest.approx(expected.difference, abs=1e-12)
        assert found.p == pytest.approx(expected.p_value, rel=1e-9)
    uneven_p = roc.delong_test(
        labels, scores(uneven, 1, (0, 1, 2))[known], scores(uneven, 0, (0, 1))[known], clusters=clusters
    ).p_value
    assert compared[0].p != pytest.approx(uneven_p, rel=1e-3)


def test_the_best_is_the_best_over_seeds_that_all_finished(write_run, measured, tmp_path):
    values = {"a": (0.6, 0.6), "b": (0.5, 0.5, 0.9)}  # b leads by the seed that a has not
    change = measured(lambda variant, seed: {"accuracy": values[variant][seed]})
    options = {"stages": ("rnn",), "tasks": ("icm",), "n": 30, "missing": ["0-s2"]}
    run = write_run(tmp_path / "run", ("a", "b"), change=change, **options)
    (group,) = load(run).groups()
    assert over_seeds(group, ACCURACY)["mean"].tolist() == pytest.approx([0.6, 0.6333], abs=1e-4)
    assert best_of(group, ACCURACY) == ("a",)
    assert "* compares the 2 seeds that all finished." in report.table([load(run)])  # as b shows the higher mean
    (finding,) = answer.findings(load(run))
    assert finding.startswith(
        "RNN · ICM over the 2 seeds all finished: a has the best mean Accuracy (0.600\xa0±\xa00.000)"
    )


def test_every_table_says_how_many_seeds_it_rests_on(text):
    plain = re.sub(r"<[^>]+>", "", text)
    assert plain.count("Of 3 planned seeds both finished: 2 for b, 1 for c.") >= 4  # figure, table, bootstrap, ROC
    assert "Of 3 planned seeds finished: 2 for a and c." in plain
    assert "Bold: best of its column over the 1 seed that all finished." in plain
    assert "Validation QWK, mean over the 1 of 3 planned seeds that all finished" in plain


def test_seeds_that_nobody_shares_compare_nothing(write_run, tmp_path):
    run = write_run(
        tmp_path / "run",
        variants=("a", "b"),
        seeds=(0, 1),
        stages=("rnn",),
        tasks=("icm",),
        n=40,
        missing=["0-s1", "1-s0"],
    )
    study = load(run)
    assert answer.lead(study).startswith("No seed has a result of both a and another variant")
    assert answer.findings(study)[0] == "RNN · ICM: no seed was finished by all variants, so none is called the best."
    for ranking in rankings.thresholds(study.groups()[0]):
        assert np.isnan([each.p for each in rankings.compare(ranking, "a")]).all()
    text = report.write([load(run)], tmp_path / "out", "c").read_text(encoding="utf-8")
    assert "none is marked as the best" in text
    assert "Validation QWK, mean" not in text


def test_ranks_are_over_hold_outs_that_all_finished(write_run, tmp_path):
    options = {"variants": ("a", "b", "c"), "seeds": range(4), "stages": ("mlp",), "tasks": ("g",), "n": 40}
    ranks = load(write_run(tmp_path / "run", resplit=True, failed=["1-s2"], **options)).ranks
    assert set(ranks["seeds"]) == {3}


def test_fewer_groups_variants_by_their_seeds():
    assert pairing.fewer({"a": 3, "b": 3}, 3) == ""
    assert pairing.fewer({"a": 3, "b c": 2, "d": 2, "e": 0}, 3) == (
        " Of 3 planned seeds both finished: 2 for “b c” and d, none for e."
    )
    assert pairing.common({"a": [2, 0, 1], "b": [1, 2, 5]}) == (1, 2)
    assert pairing.common({"a": [2, 0, 1], "b": [1, 2, 5]}, "a") == (0, 1, 2)
    assert pairing.common({}) == ()


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([(0.8, 0.9, 0.7), (0.7, 0.8, 0.6)], "−0.100"),
        ([(0.9123, 0.6001, 0.7002), (0.9122, 0.6, 0.7001)], "0.000"),  # equal but for the rounding of the scores
    ],
)
def test_a_constant_difference_is_no_test(write_run, measured, tmp_path, values, shown):
    change = measured(lambda variant, seed: {"qwk": values["ab".index(variant)][seed]})
    run = write_run(tmp_path / "run", ("a", "b"), stages=("rnn",), tasks=("icm",), n=30, change=change)
    text = report.write([load(run)], tmp_path / "out", "c").read_text(encoding="utf-8")
    assert f"<td>{shown} <small>constant difference: no test</small></td>" in text
    assert "no interval over seeds exists" in text


def test_variants_that_rank_alike_have_no_interval_of_certainty(write_run, tmp_path):
    def perfect_or_reverse(kept):
        result = kept.models["rnn"].splits["test"].tasks["icm"]
        result.scores[:] = result.labels * {"a": 1, "b": -1}[kept.variant]

    options = {"seeds": (0,), "stages": ("rnn",), "tasks": ("icm",), "n": 30}
    run = write_run(tmp_path / "run", ("a", "b"), change=perfect_or_reverse, **options)
    for ranking in rankings.thresholds(load(run).groups()[0]):
        _, found = rankings.compare(ranking, "a")
        assert (found.auc, found.difference) == (0, -1)
        assert np.isnan([found.p, found.p_holm, found.low]).all()
    assert "estimated variance 0: no test" in report.write([load(run)], tmp_path / "out", "c").read_text(
        encoding="utf-8"
    )
