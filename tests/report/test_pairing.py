"""Where a seed is missing, whatever is compared is compared over the seeds that both have, and the page says so."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ordinal_blast import report
from ordinal_blast.evaluation.multireader import NO_VARIANCE
from ordinal_blast.report import answer, load, pairing, verdicts
from ordinal_blast.report.measures import PRIMARY, best_of, over_seeds
from ordinal_blast.report.pictures import Studio

ACCURACY = PRIMARY[0]


@pytest.fixture(scope="module")
def uneven(write_run, tmp_path_factory):
    """Seed 2 of the reference a failed, seed 0 of c is missing; b has all three."""
    options = {"variants": ("a", "b", "c"), "stages": ("rnn",), "tasks": ("icm",), "n": 60}
    return write_run(tmp_path_factory.mktemp("uneven"), failed=["0-s2"], missing=["2-s0"], **options)


@pytest.fixture(scope="module")
def text(uneven, tmp_path_factory):
    return report.write([load(uneven)], tmp_path_factory.mktemp("report"), "c").read_text(encoding="utf-8")


def test_the_mean_is_over_what_a_variant_finished_and_the_difference_over_what_both_did(write_run, measured, tmp_path):
    values = {"a": (0.6, 0.6), "b": (0.5, 0.5, 0.9)}  # b leads by the seed that a has not
    change = measured(lambda variant, seed: {"accuracy": values[variant][seed], "mae": 1.0})
    options = {"stages": ("rnn",), "tasks": ("icm",), "n": 30, "missing": ["0-s2"]}
    study = load(write_run(tmp_path / "run", ("a", "b"), change=change, **options))
    (group,) = study.groups()
    assert over_seeds(group, ACCURACY)["mean"].tolist() == pytest.approx([0.6, 0.6333], abs=1e-4)
    assert best_of(group, ACCURACY) == ("a",)
    (gap,) = verdicts.of_measure(study.differences, group, ACCURACY)
    assert gap.values == pytest.approx((-0.1, -0.1))


def test_every_table_says_how_many_seeds_it_rests_on(text):
    plain = re.sub(r"<[^>]+>", "", text)
    assert plain.count("Of 3 planned seeds both finished: 2 for b, 1 for c.") >= 4  # tables of differences and of areas
    assert "Of 3 planned seeds finished: 2 for a and c." in plain
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
    assert answer.lead(study).startswith("No seed has mae of both a and another variant")
    assert answer.findings(study, Studio("k", study)) == []
    assert study.differences.empty
    assert study.auc["why"].unique().tolist() == ["the reference", "no seed that the reference finished too"]
    assert study.auc["p"].isna().all()
    text = report.write([load(run)], tmp_path / "out", "c").read_text(encoding="utf-8")
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


def test_variants_that_rank_alike_have_no_interval_of_certainty(write_run, tmp_path):
    def perfect_or_reverse(kept):
        result = kept.models["rnn"].splits["test"].tasks["icm"]
        result.scores[:] = result.labels * {"a": 1, "b": -1}[kept.variant]

    options = {"seeds": (0,), "stages": ("rnn",), "tasks": ("icm",), "n": 30}
    run = write_run(tmp_path / "run", ("a", "b"), change=perfect_or_reverse, **options)
    study = load(run)
    for row in study.auc[study.auc["variant"] == "b"].itertuples():
        assert (row.auc, row.mean, row.verdict) == (0, -1, "not tested")
        assert np.isnan([row.p, row.p_adjusted, row.low_adjusted, row.auc_low]).all()
        assert row.why == NO_VARIANCE
    assert NO_VARIANCE in report.write([study], tmp_path / "out", "c").read_text(encoding="utf-8")
