"""Hold-outs and data sets: what is tested, what is refused, and every number against an independent computation."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ordinal_blast import report
from ordinal_blast.report import Together, dataset_blocks, diagrams, family_tables, load, rank_blocks
from ordinal_blast.report.blocks import Entry
from ordinal_blast.report.pictures import Studio

VARIANTS = ("a", "b", "c")


@pytest.fixture(scope="module")
def resplit(write_run, tmp_path_factory):
    """Six variants, ten hold-outs of one data set."""
    path = tmp_path_factory.mktemp("holdouts")
    return write_run(path, stages=("mlp",), tasks=("grade",), seeds=range(10), n=60, resplit=True)


@pytest.fixture(scope="module")
def page(resplit, tmp_path_factory):
    return report.write([load(resplit)], tmp_path_factory.mktemp("report"), "the command")


@pytest.fixture(scope="module")
def draw(write_run, measured, tmp_path_factory):
    """`draw(D)`: studies of D data sets whose MAE, by data set and variant, are the rows of the table also returned."""

    def studies(count, seeds=(0, 1)):
        table = np.round(np.random.default_rng(count).normal([0.5, 0.3, 0.5], 0.02, (count, 3)), 3)
        loaded = []
        for number, row in enumerate(table):
            # Seeds lie 0.01 about the mean of the data set.
            own = measured(lambda v, seed, row=row: {"mae": row[VARIANTS.index(v)] + 0.01 * (2 * seed - 1)})
            path = write_run(
                tmp_path_factory.mktemp("data"),
                VARIANTS,
                seeds,
                stages=("mlp",),
                tasks=("grade",),
                n=24,
                change=lambda kept, own=own, number=number: own(kept) or _named(kept, f"data {number}"),
            )
            loaded.append(load(path))
        return loaded, table

    return studies


def _named(kept, name):
    return dataclasses.replace(kept, dataset={**kept.dataset, "name": name})


def scores(path, metric):
    """`[B, M]` straight from the result files."""
    plan = json.loads((path / "plan.json").read_text())
    table = np.zeros((len(plan["seeds"]), len(plan["variants"])))
    for name in plan["cells"]:
        result = json.loads((path / "cells" / name / "result.json").read_text())
        row = next(row for row in result["rows"] if row["split"] == "test")
        table[plan["seeds"].index(result["seed"]), plan["variants"].index(result["variant"])] = row["metrics"][metric]
    return table


def test_ranks_of_one_data_set_are_those_of_the_result_files(resplit):
    table = scores(resplit, "accuracy")
    frame = load(resplit).ranks.query("measure == 'accuracy'")
    np.testing.assert_allclose(frame["mean_rank"], stats.rankdata(-table, axis=1).mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(frame["rank"], stats.rankdata(-table.mean(axis=0)))
    assert set(frame["over"]) == {"hold-outs"}


def test_the_interval_over_holdouts_is_that_of_nadeau_and_bengio(resplit):
    study = load(resplit)
    table = scores(resplit, "accuracy")
    sizes = study.cells[0].record.dataset["sizes"]
    rows = study.differences.query("measure == 'accuracy'")
    for column, row in enumerate(rows.itertuples(), start=1):
        d = table[:, column] - table[:, 0]
        error = np.sqrt((1 / 10 + sizes["test"] / (sizes["train"] + sizes["val"])) * d.var(ddof=1))
        np.testing.assert_allclose([row.low, row.high], d.mean() + error * stats.t.ppf([0.025, 0.975], 9))


def test_chances_over_holdouts_are_the_correlated_t_of_baycomp(resplit):
    baycomp = pytest.importorskip("baycomp")
    table = scores(resplit, "accuracy")  # a fifth of the rows is tested: ten hold-outs are two times fivefold
    frame = load(resplit).posterior.query("measure == 'accuracy'")
    assert set(frame["rope"]) == {0.01}
    for column, row in enumerate(frame.itertuples(), start=1):
        expected = baycomp.two_on_single(table[:, 0], table[:, column], rope=0.01, runs=2)
        assert (row.worse, row.equivalent, row.better) == pytest.approx(expected, rel=1e-9)


def test_no_test_takes_holdouts_for_independent(page):
    text = page.read_text(encoding="utf-8")
    assert rank_blocks.MEASURED in text
    assert "in 4 % of tables (linear) to 10 % (nearest neighbour)" in text
    assert "critical difference" not in text
    assert "χ²" not in text


def test_one_data_set_makes_no_chapter_over_all(resplit, small):
    assert not Together((load(resplit),)).comparable
    assert not Together((load(resplit), load(small))).comparable  # one data set, split anew in one of two studies


def test_a_data_set_is_one_row_averaged_over_seeds(draw):
    studies, table = draw(2)
    frame = Together(tuple(studies)).scores
    wide = frame.pivot(index="dataset", columns="variant", values="mean")
    np.testing.assert_allclose(wide, table, rtol=1e-12)
    np.testing.assert_array_equal(
        frame.pivot(index="dataset", columns="variant", values="rank"), stats.rankdata(table, axis=1)
    )


def test_below_five_data_sets_nothing_is_tested(draw, tmp_path):
    studies, _ = draw(2)
    together = Together(tuple(studies))
    assert list(together.frames) == ["scores", "ranks", "differences"]
    assert set(together.differences["verdict"]) == {"not tested"}
    assert together.differences["p"].isna().all()
    text = report.write(studies, tmp_path, "c").read_text(encoding="utf-8")
    chapter = text[text.index("Over all data sets") :]
    assert "nothing is tested: 2 of them are no sample of data sets" in chapter
    assert "Wilcoxon’s exact test" not in chapter
    assert "Nemenyi" not in chapter


def test_across_data_sets_p_values_are_exact(draw):
    studies, table = draw(7)
    together = Together(tuple(studies))
    ranks = stats.rankdata(table, axis=1)
    orders = np.array(list(itertools.permutations(range(3))))
    sums = np.zeros((1, 3))
    for row in ranks:
        sums = (sums[:, None] + row[orders]).reshape(-1, 3)
    extreme = (sums**2).sum(axis=1) >= (ranks.sum(axis=0) ** 2).sum() - 1e-9
    (test,) = together.tests.itertuples()
    assert test.p == pytest.approx(extreme.mean(), rel=1e-12)
    rows = together.differences
    p = [stats.wilcoxon(table[:, column] - table[:, 0], method="exact").pvalue for column in (1, 2)]
    np.testing.assert_allclose(rows["p"], p, rtol=1e-12)
    smaller, larger = sorted(p)
    np.testing.assert_allclose(sorted(rows["p_adjusted"]), [2 * smaller, max(2 * smaller, larger)], rtol=1e-12)
    assert rows["verdict"].tolist() == ["better", "cannot tell"]
    assert dataset_blocks.lead(together).startswith(
        "Across 7 data sets, one row each: by MAE, b is better than a; for the others no difference is established "
        "(Wilcoxon’s exact test, Holm over 2 differences)."
    )


def test_six_data_sets_say_which_p_is_out_of_reach(draw):
    studies, _ = draw(6)
    together = Together(tuple(studies))
    assert set(together.differences["verdict"]) == {"cannot tell"}
    assert "no p below 0.062 is possible with so few" in dataset_blocks.lead(together)


def test_all_primary_measures_are_one_family(draw):
    studies, _ = draw(7)
    both = [_asking(study, primary=[["mae", ""], ["mse", ""]]) for study in studies]
    for study in both:
        study.scores  # noqa: B018
    frame = Together(tuple(both)).differences
    assert set(frame["family"]) == {"primary"}
    assert set(frame["comparisons"]) == {2}  # no MSE was measured


def test_chances_across_data_sets_are_those_of_the_signed_rank_test(draw):
    baycomp = pytest.importorskip("baycomp")
    studies, table = draw(7)
    declared = [_asking(study, primary=[["mae", ""]], equivalence=0.03) for study in studies]
    frame = Together(tuple(declared)).posterior
    assert set(frame["rope"]) == {0.03}
    for column, row in zip((1, 2), frame.itertuples(), strict=True):
        better, equal, worse = baycomp.two_on_multiple(table[:, column], table[:, 0], rope=0.03, random_state=5)
        # A smaller error is better: what baycomp calls the left side is the variant's higher error.
        assert (row.worse, row.equivalent, row.better) == pytest.approx((better, equal, worse), abs=0.01)


def _asking(study, **answers):
    return dataclasses.replace(study, plan={**study.plan, **answers})


def test_families_stand_together_under_their_mean(draw):
    studies, _ = draw(2)
    study = _asking(studies[0], families={"proper": ["a", "c"], "absent": ["z"]})
    entries = {variant: [Entry(str(place))] for place, variant in enumerate(VARIANTS)}
    table = family_tables.table(
        Studio("k", study), "c", ["x"], entries, study.families, lambda members: [Entry("+".join(members))]
    )
    lines = [(line.head, line.entries[0].text, line.aside) for line in table.lines]
    assert lines == [("b", "1", False), ("proper (mean)", "a+c", True), ("a", "0", False), ("c", "2", False)]


@pytest.mark.parametrize(
    ("ranks", "distance", "expected"),
    [
        ([1.0, 1.5, 2.4, 4.0], 1.0, [(0, 1), (1, 2)]),
        ([1.0, 1.5, 1.9, 4.0], 1.0, [(0, 2)]),
        ([1.0, 2.0, 3.0], 1.0, []),
        ([1.0, 2.0, 3.0], 5.0, [(0, 2)]),
        ([1.0, 1.0, 3.0], float("nan"), []),
    ],
)
def test_bars_join_the_longest_runs_within_the_critical_difference(ranks, distance, expected):
    assert diagrams.cliques(ranks, distance) == expected


def test_many_seeds_are_drawn_as_a_band(page):
    drawn = list((page.parent / "figures").glob("*training-mlp-*.svg"))
    assert len(drawn) == 6
    for path in drawn:
        text = path.read_text()
        assert text.count("stroke-dasharray") == 1  # one mean for ten seeds
        assert text.count("fill-opacity:0.2") == 1


def test_the_same_rows_give_the_same_bytes(resplit, page, tmp_path):
    again = report.write([load(resplit)], tmp_path, "the command")
    assert again.read_bytes() == page.read_bytes()
    assert pd.read_csv(again.parent / "rows.csv").shape[0] == 10 * 6 * 2
